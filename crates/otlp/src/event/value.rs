//! Attribute values to and from `AnyValue` and `KeyValue`.

use super::AttributeValue;
use crate::index::{AttributeAt, AttributeColumns, Range32};
use crate::limits::MAX_EVENT_VALUE_DEPTH;
use crate::put;
use crate::view::ValueView;

/// Is told where each attribute of the record has been written.
pub(crate) trait AttributeSink {
    /// Is told of one attribute.
    fn attribute(&mut self, at: AttributeAt);
}

/// Where attributes are is of no interest.
impl AttributeSink for () {
    #[inline]
    fn attribute(&mut self, _: AttributeAt) {}
}

impl AttributeSink for AttributeColumns {
    #[inline]
    fn attribute(&mut self, at: AttributeAt) {
        self.at.push(at);
    }
}

impl From<ValueView<'_>> for AttributeValue {
    /// Copies the value out. An unset value, which has no variant here, becomes an empty text.
    fn from(view: ValueView<'_>) -> Self {
        match view {
            ValueView::Empty => AttributeValue::String(String::new()),
            ValueView::String(text) => AttributeValue::String(text.to_owned()),
            ValueView::Bool(yes) => AttributeValue::Bool(yes),
            ValueView::Int(number) => AttributeValue::Int(number),
            ValueView::Double(number) => AttributeValue::Double(number),
            ValueView::Bytes(bytes) => AttributeValue::Bytes(bytes.to_vec()),
            ValueView::Array(items) => AttributeValue::Array(items.map(Into::into).collect()),
            ValueView::Map(entries) => {
                AttributeValue::Map(entries.map(|(key, value)| (key.to_owned(), value.into())).collect())
            }
        }
    }
}

/// Appends the body of the `AnyValue` message that says `value`. Values nested deeper than
/// [`MAX_EVENT_VALUE_DEPTH`] are written as unset.
///
/// ```
/// use aldis_otlp::{AttributeValue, event::encode_value};
///
/// let mut body = Vec::new();
/// encode_value(&AttributeValue::Bool(true), &mut body);
/// assert_eq!(body, [0x10, 1]);
/// ```
pub fn encode_value(value: &AttributeValue, out: &mut Vec<u8>) {
    out.reserve(value_len(value, 0));
    put_value(value, 0, out);
}

/// Bytes of the `AnyValue` body.
#[inline]
pub(crate) fn value_len(value: &AttributeValue, depth: usize) -> usize {
    match value {
        AttributeValue::String(text) => put::len_field(text.len()),
        AttributeValue::Int(number) => 1 + put::varint_len(*number as u64),
        AttributeValue::Double(_) => 9,
        AttributeValue::Bool(_) => 2,
        AttributeValue::Bytes(bytes) => put::len_field(bytes.len()),
        AttributeValue::Array(_) | AttributeValue::Map(_) if depth == MAX_EVENT_VALUE_DEPTH => 0,
        AttributeValue::Array(items) => put::len_field(items_len(items, depth + 1)),
        AttributeValue::Map(entries) => put::len_field(entries_len(entries, depth + 1)),
    }
}

fn items_len(items: &[AttributeValue], depth: usize) -> usize {
    items.iter().map(|item| put::len_field(value_len(item, depth))).sum()
}

fn entries_len(entries: &[(String, AttributeValue)], depth: usize) -> usize {
    entries.iter().map(|(key, value)| put::len_field(pair_len(key, value, depth))).sum()
}

#[inline]
fn pair_len(key: &str, value: &AttributeValue, depth: usize) -> usize {
    put::len_field(key.len()) + put::len_field(value_len(value, depth))
}

#[inline]
pub(crate) fn put_value(value: &AttributeValue, depth: usize, out: &mut Vec<u8>) {
    match value {
        AttributeValue::String(text) => put::bytes(put::len_tag(1), text.as_bytes(), out),
        AttributeValue::Bool(yes) => out.extend_from_slice(&[put::varint_tag(2), u8::from(*yes)]),
        AttributeValue::Int(number) => {
            out.push(put::varint_tag(3));
            put::varint(*number as u64, out);
        }
        AttributeValue::Double(number) => put::fixed64(put::fixed64_tag(4), number.to_bits(), out),
        AttributeValue::Bytes(bytes) => put::bytes(put::len_tag(7), bytes, out),
        AttributeValue::Array(_) | AttributeValue::Map(_) => put_nested(value, depth, out),
    }
}

fn put_nested(value: &AttributeValue, depth: usize, out: &mut Vec<u8>) {
    if depth == MAX_EVENT_VALUE_DEPTH {
        return;
    }
    let depth = depth + 1;
    match value {
        AttributeValue::Array(items) => {
            put::open(put::len_tag(5), items_len(items, depth), out);
            for item in items {
                put::open(put::len_tag(1), value_len(item, depth), out);
                put_value(item, depth, out);
            }
        }
        AttributeValue::Map(entries) => {
            put::open(put::len_tag(6), entries_len(entries, depth), out);
            for (key, value) in entries {
                put_pair(put::len_tag(1), key, value, depth, out, &mut ());
            }
        }
        _ => {}
    }
}

/// Bytes of one attribute as a field of a record, tag and length included.
#[inline]
pub(crate) fn attribute_len(key: &str, value: &AttributeValue) -> usize {
    put::len_field(pair_len(key, value, 0))
}

/// Appends one attribute as the field `tag` of a record.
#[inline]
pub(crate) fn put_attribute(
    tag: u8,
    key: &str,
    value: &AttributeValue,
    out: &mut Vec<u8>,
    sink: &mut impl AttributeSink,
) {
    put_pair(tag, key, value, 0, out, sink);
}

#[inline]
fn put_pair(
    tag: u8,
    key: &str,
    value: &AttributeValue,
    depth: usize,
    out: &mut Vec<u8>,
    sink: &mut impl AttributeSink,
) {
    let inner = value_len(value, depth);
    let start = out.len();
    put::open(tag, put::len_field(key.len()) + put::len_field(inner), out);
    put::open(put::len_tag(1), key.len(), out);
    let key_start = out.len();
    out.extend_from_slice(key.as_bytes());
    let key_end = out.len();
    put::open(put::len_tag(2), inner, out);
    let value_start = out.len();
    put_value(value, depth, out);
    let end = out.len();
    sink.attribute(AttributeAt {
        field: range(start, end),
        key: range(key_start, key_end),
        value: range(value_start, end),
    });
}

/// Bytes of a text attribute as a field of a record, tag and length included.
pub(crate) fn text_attribute_len(key: &str, text: &str) -> usize {
    put::len_field(put::len_field(key.len()) + put::len_field(put::len_field(text.len())))
}

/// Appends a text attribute as the field `tag` of a record.
pub(crate) fn put_text_attribute(
    tag: u8,
    key: &str,
    text: &str,
    out: &mut Vec<u8>,
    sink: &mut impl AttributeSink,
) {
    let inner = put::len_field(text.len());
    let start = out.len();
    put::open(tag, put::len_field(key.len()) + put::len_field(inner), out);
    put::open(put::len_tag(1), key.len(), out);
    let key_start = out.len();
    out.extend_from_slice(key.as_bytes());
    let key_end = out.len();
    put::open(put::len_tag(2), inner, out);
    let value_start = out.len();
    put::bytes(put::len_tag(1), text.as_bytes(), out);
    let end = out.len();
    sink.attribute(AttributeAt {
        field: range(start, end),
        key: range(key_start, key_end),
        value: range(value_start, end),
    });
}

/// Offsets of what has been written. The builder refuses to grow beyond [`crate::limits::MAX_REQUEST_BYTES`] before it writes.
#[inline]
fn range(start: usize, end: usize) -> Range32 {
    Range32 { start: start as u32, end: end as u32 }
}
