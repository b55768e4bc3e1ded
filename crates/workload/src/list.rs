//! Attributes of one record.

use otlp::compose::{Attribute, Value};

/// A few attributes, without an allocation. There is room for [`ROOM`]; the models of this crate need fewer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'a> {
    items: [Attribute<'a>; ROOM],
    len: usize,
}

/// More attributes than any record has.
const ROOM: usize = 16;

impl<'a> List<'a> {
    pub(crate) fn new() -> Self {
        List { items: [("", Value::Int(0)); ROOM], len: 0 }
    }

    #[inline]
    pub(crate) fn push(&mut self, key: &'a str, value: Value<'a>) {
        self.items[self.len] = (key, value);
        self.len += 1;
    }

    #[inline]
    pub(crate) fn text(&mut self, key: &'a str, value: &'a str) {
        self.push(key, Value::Text(value));
    }

    #[inline]
    pub(crate) fn int(&mut self, key: &'a str, value: i64) {
        self.push(key, Value::Int(value));
    }

    pub(crate) fn as_slice(&self) -> &[Attribute<'a>] {
        &self.items[..self.len]
    }
}
