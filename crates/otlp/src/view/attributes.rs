//! Key-values and values.

use super::as_text;
use crate::wire::{self, Fields, Payload};

/// A list of key-values, read in place. Iterates over `(key, value)`.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    ahead: Fields<'a>,
    /// The field of the message around it that holds the key-values.
    number: u32,
}

impl<'a> Attributes<'a> {
    #[inline]
    pub(super) fn new(body: &'a [u8], number: u32) -> Self {
        Self { ahead: wire::fields(body), number }
    }

    /// The first value under this key.
    pub fn get(&self, key: &str) -> Option<ValueView<'a>> {
        let mut rest = *self;
        while let Some((name, value)) = rest.next_raw() {
            if name == key.as_bytes() {
                return Some(ValueView::of(value));
            }
        }
        None
    }

    /// The text under this key; `None` if it is not there or not text.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        match self.get(key) {
            Some(ValueView::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The bytes of the next key and of its `AnyValue`.
    #[inline]
    fn next_raw(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        loop {
            let field = self.ahead.next()?;
            if let Payload::Bytes(body) = field.payload
                && field.number == self.number
            {
                return Some(key_value(body));
            }
        }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, ValueView<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_raw().map(|(key, value)| (as_text(key), ValueView::of(value)))
    }
}

/// The bytes of a `KeyValue`'s key and of its `AnyValue`.
#[inline]
fn key_value(body: &[u8]) -> (&[u8], &[u8]) {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in wire::fields(body) {
        match (field.number, field.payload) {
            (1, Payload::Bytes(bytes)) => key = bytes,
            (2, Payload::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    (key, value)
}

/// A value, read in place.
#[derive(Clone, Copy, Debug)]
pub enum ValueView<'a> {
    /// No value is set. An index into a profile's string table, which means nothing elsewhere, reads as this too.
    Empty,
    /// Text.
    String(&'a str),
    /// True or false.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Opaque bytes.
    Bytes(&'a [u8]),
    /// A list of values.
    Array(Array<'a>),
    /// A list of key-values.
    Map(Attributes<'a>),
}

impl<'a> ValueView<'a> {
    /// Reads the body of a checked `AnyValue`, such as [`crate::index::AttributeAt::value`] points at.
    #[inline]
    pub fn of(body: &'a [u8]) -> Self {
        for field in wire::fields(body) {
            return match (field.number, field.payload) {
                (1, Payload::Bytes(text)) => Self::String(as_text(text)),
                (2, Payload::Varint(value)) => Self::Bool(value != 0),
                (3, Payload::Varint(value)) => Self::Int(value as i64),
                (4, Payload::Fixed64(bits)) => Self::Double(f64::from_bits(bits)),
                (5, Payload::Bytes(body)) => Self::Array(Array { ahead: wire::fields(body) }),
                (6, Payload::Bytes(body)) => Self::Map(Attributes::new(body, 1)),
                (7, Payload::Bytes(bytes)) => Self::Bytes(bytes),
                _ => continue,
            };
        }
        Self::Empty
    }
}

/// A list of values, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    ahead: Fields<'a>,
}

impl<'a> Iterator for Array<'a> {
    type Item = ValueView<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let field = self.ahead.next()?;
            if let (1, Payload::Bytes(body)) = (field.number, field.payload) {
                return Some(ValueView::of(body));
            }
        }
    }
}
