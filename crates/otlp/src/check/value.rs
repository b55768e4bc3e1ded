//! The short cut for key-values: nearly all of them are a short key and a short plain value, in that order.

use super::message::{Pass, Refused};
use super::text::is_ascii;
use crate::index::{AttributeAt, Range32};
use crate::schema::{self, Shape};
use crate::{limits, wire};

/// Messages that may be nested into a record's attribute: request, resource, scope and record are around it.
pub(super) const BELOW_ATTRIBUTE: u32 = limits::MAX_MESSAGE_DEPTH - 4;

impl<'a, const DEPTH: u8> Pass<'a, '_, DEPTH> {
    /// Validates a nested message of any shape.
    #[inline]
    pub(super) fn nested(&mut self, shape: &'static Shape, body: &'a [u8], left: u32) -> Result<(), Refused> {
        if std::ptr::eq(shape, &schema::KEY_VALUE) && plain(body).is_some() {
            return Ok(());
        }
        self.message(shape, body, left)
    }

    /// Validates an attribute of a record whose field began at `at`, and remembers it where that is asked for.
    #[inline(always)]
    pub(super) fn attribute(&mut self, at: &'a [u8], body: &'a [u8], left: u32) -> Result<(), Refused> {
        let plain = plain(body);
        if plain.is_none() {
            self.message(&schema::KEY_VALUE, body, left)?;
        }
        if DEPTH == super::ATTRIBUTES {
            let (key, value) = plain.unwrap_or_else(|| key_value(body));
            let field = Range32 { start: self.offset(at), end: self.range(body).end };
            let entry = AttributeAt { field, key: self.range_or_none(key), value: self.range_or_none(value) };
            self.columns.attributes.push(entry);
        }
        Ok(())
    }

    #[inline(always)]
    fn range_or_none(&self, part: Option<&[u8]>) -> Range32 {
        part.map_or(Range32::default(), |part| self.range(part))
    }
}

/// The key and the value of a key-value that was checked.
#[cold]
fn key_value(body: &[u8]) -> KeyAndValue<'_> {
    let (mut key, mut value) = (None, None);
    for field in wire::fields(body) {
        match (field.number, field.payload) {
            (1, wire::Payload::Bytes(bytes)) => key = Some(bytes),
            (2, wire::Payload::Bytes(bytes)) => value = Some(bytes),
            _ => {}
        }
    }
    (key, value)
}

type KeyAndValue<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

const KEY: u8 = 0x0a;
const VALUE: u8 = 0x12;

/// The key and the value of `body` if it is a key-value of the plainest form, and valid: a key, then a value, nothing else,
/// every length in one byte; the value a string, an integer, a truth value, a number, or nothing.
#[inline(always)]
fn plain(body: &[u8]) -> Option<KeyAndValue<'_>> {
    let [KEY, key_len @ 0..=0x7f, rest @ ..] = body else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(*key_len))?;
    let [VALUE, value_len @ 0..=0x7f, value @ ..] = rest else { return None };
    if usize::from(*value_len) != value.len() {
        return None;
    }
    let valid = match value {
        // Keys and lengths are ASCII too: one sweep does for all.
        [0x0a, len @ 0..=0x7f, text @ ..] => usize::from(*len) == text.len() && is_ascii(body),
        [0x10, 0..=0x7f] | [] => is_ascii(key),
        [0x18, number @ ..] => is_ascii(key) && matches!(wire::varint(number), Some((_, []))),
        [0x21, number @ ..] => is_ascii(key) && number.len() == 8,
        _ => false,
    };
    valid.then_some((Some(key), Some(value)))
}
