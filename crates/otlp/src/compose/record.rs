//! Spans and log records.

use super::nest::nested;
use super::{Attribute, Value, attributes, put_value, text, value_len};
use crate::put::{self, fixed64_tag, len_tag, varint_tag};
use crate::{SpanId, TraceId};

/// A span, as OTLP numbers and names its fields. Numbers that are zero and texts that are empty are not written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpanParts<'a> {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its id.
    pub span_id: SpanId,
    /// The span that caused it; zero for a root.
    pub parent: SpanId,
    /// The W3C `tracestate`.
    pub trace_state: &'a str,
    /// W3C trace flags in the low eight bits; bits 8 and 9 say whether the parent is remote.
    pub flags: u32,
    /// The operation.
    pub name: &'a str,
    /// 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: u8,
    /// Unix nanoseconds.
    pub start_ns: u64,
    /// Unix nanoseconds.
    pub end_ns: u64,
    /// Key-values.
    pub attributes: &'a [Attribute<'a>],
    /// How many more attributes there were.
    pub dropped_attributes: u32,
    /// What happened meanwhile.
    pub events: &'a [EventParts<'a>],
    /// How many more events there were.
    pub dropped_events: u32,
    /// Other spans that it has to do with.
    pub links: &'a [LinkParts<'a>],
    /// How many more links there were.
    pub dropped_links: u32,
    /// 0 unset, 1 ok, 2 error.
    pub status: u8,
    /// What the status says beside its code.
    pub status_message: &'a str,
}

/// Something that happened at one time of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EventParts<'a> {
    /// Unix nanoseconds.
    pub time_ns: u64,
    /// What happened.
    pub name: &'a str,
    /// Key-values.
    pub attributes: &'a [Attribute<'a>],
    /// How many more attributes there were.
    pub dropped_attributes: u32,
}

/// Another span that a span has to do with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkParts<'a> {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its id.
    pub span_id: SpanId,
    /// Its `tracestate`.
    pub trace_state: &'a str,
    /// Key-values.
    pub attributes: &'a [Attribute<'a>],
    /// How many more attributes there were.
    pub dropped_attributes: u32,
    /// Its trace flags, as [`SpanParts::flags`].
    pub flags: u32,
}

impl SpanParts<'_> {
    /// Appends it as a record of its scope.
    pub fn put(&self, out: &mut Vec<u8>) {
        nested(len_tag(2), 2, out, |out| {
            id(len_tag(1), &self.trace_id.0, out);
            id(len_tag(2), &self.span_id.0, out);
            text(len_tag(3), self.trace_state, out);
            id(len_tag(4), &self.parent.0, out);
            text(len_tag(5), self.name, out);
            number(varint_tag(6), u32::from(self.kind), out);
            put::fixed64(fixed64_tag(7), self.start_ns, out);
            put::fixed64(fixed64_tag(8), self.end_ns, out);
            attributes(len_tag(9), self.attributes, out);
            number(varint_tag(10), self.dropped_attributes, out);
            for event in self.events {
                event.put(out);
            }
            number(varint_tag(12), self.dropped_events, out);
            for link in self.links {
                link.put(out);
            }
            number(varint_tag(14), self.dropped_links, out);
            if self.status != 0 || !self.status_message.is_empty() {
                nested(len_tag(15), 1, out, |out| {
                    text(len_tag(2), self.status_message, out);
                    number(varint_tag(3), u32::from(self.status), out);
                });
            }
            if self.flags != 0 {
                // Field 16, the one with a tag of two bytes.
                out.extend_from_slice(&[0x85, 0x01]);
                out.extend_from_slice(&self.flags.to_le_bytes());
            }
        });
    }
}

impl EventParts<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        nested(len_tag(11), 2, out, |out| {
            put::fixed64(fixed64_tag(1), self.time_ns, out);
            text(len_tag(2), self.name, out);
            attributes(len_tag(3), self.attributes, out);
            number(varint_tag(4), self.dropped_attributes, out);
        });
    }
}

impl LinkParts<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        nested(len_tag(13), 1, out, |out| {
            id(len_tag(1), &self.trace_id.0, out);
            id(len_tag(2), &self.span_id.0, out);
            text(len_tag(3), self.trace_state, out);
            attributes(len_tag(4), self.attributes, out);
            number(varint_tag(5), self.dropped_attributes, out);
            fixed32(6, self.flags, out);
        });
    }
}

/// A log record, as OTLP numbers and names its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LogParts<'a> {
    /// Unix nanoseconds.
    pub time_ns: u64,
    /// When it was seen by who collects, Unix nanoseconds.
    pub observed_ns: u64,
    /// 1 to 24.
    pub severity_number: u8,
    /// The severity as its source names it.
    pub severity_text: &'a str,
    /// The message.
    pub body: Option<Value<'a>>,
    /// Key-values.
    pub attributes: &'a [Attribute<'a>],
    /// How many more attributes there were.
    pub dropped_attributes: u32,
    /// W3C trace flags.
    pub flags: u32,
    /// The trace it belongs to; zero for none.
    pub trace_id: TraceId,
    /// The span it belongs to; zero for none.
    pub span_id: SpanId,
    /// The class of event, where it is one.
    pub event_name: &'a str,
}

impl LogParts<'_> {
    /// Appends it as a record of its scope.
    pub fn put(&self, out: &mut Vec<u8>) {
        nested(len_tag(2), 2, out, |out| {
            put::fixed64(fixed64_tag(1), self.time_ns, out);
            number(varint_tag(2), u32::from(self.severity_number), out);
            text(len_tag(3), self.severity_text, out);
            if let Some(body) = &self.body {
                put::open(len_tag(5), value_len(body), out);
                put_value(body, out);
            }
            attributes(len_tag(6), self.attributes, out);
            number(varint_tag(7), self.dropped_attributes, out);
            fixed32(8, self.flags, out);
            id(len_tag(9), &self.trace_id.0, out);
            id(len_tag(10), &self.span_id.0, out);
            if self.observed_ns != 0 {
                put::fixed64(fixed64_tag(11), self.observed_ns, out);
            }
            text(len_tag(12), self.event_name, out);
        });
    }
}

/// Appends an id, unless it is all zero.
#[inline]
pub(super) fn id<const N: usize>(tag: u8, id: &[u8; N], out: &mut Vec<u8>) {
    if *id != [0; N] {
        put::bytes(tag, id, out);
    }
}

/// Appends a number, unless it is zero.
#[inline]
fn number(tag: u8, value: u32, out: &mut Vec<u8>) {
    if value != 0 {
        out.push(tag);
        put::varint(u64::from(value), out);
    }
}

/// Appends a four-byte number as field `field` (below 16), unless it is zero.
fn fixed32(field: u8, value: u32, out: &mut Vec<u8>) {
    if value != 0 {
        out.push(field << 3 | 5);
        out.extend_from_slice(&value.to_le_bytes());
    }
}
