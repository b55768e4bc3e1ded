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
        if std::ptr::eq(shape, &schema::KEY_VALUE) && is_plain(body) {
            return Ok(());
        }
        self.message(shape, body, left)
    }

    /// Validates an attribute of a record whose field began at `at`, and remembers it where that is asked for.
    #[inline(always)]
    pub(super) fn attribute(&mut self, at: &'a [u8], body: &'a [u8], left: u32) -> Result<(), Refused> {
        if !is_plain(body) {
            self.message(&schema::KEY_VALUE, body, left)?;
        }
        if DEPTH == super::ATTRIBUTES {
            let range = self.range(body);
            let mut entry = AttributeAt {
                field: Range32 { start: self.offset(at), end: range.end },
                ..AttributeAt::default()
            };
            for field in wire::fields(body) {
                match (field.number, field.payload) {
                    (1, wire::Payload::Bytes(key)) => entry.key = self.range(key),
                    (2, wire::Payload::Bytes(value)) => entry.value = self.range(value),
                    _ => {}
                }
            }
            self.columns.attributes.push(entry);
        }
        Ok(())
    }
}

const KEY: u8 = 0x0a;
const VALUE: u8 = 0x12;

/// Whether `body` is a key-value of the plainest form, and valid: a key, then a value, nothing else, every length in one
/// byte; the value a string, an integer, a truth value, a number, or nothing.
#[inline(always)]
fn is_plain(body: &[u8]) -> bool {
    let [KEY, key_len @ 0..=0x7f, rest @ ..] = body else { return false };
    let Some((key, rest)) = rest.split_at_checked(usize::from(*key_len)) else { return false };
    let [VALUE, value_len @ 0..=0x7f, value @ ..] = rest else { return false };
    if usize::from(*value_len) != value.len() {
        return false;
    }
    match value {
        // Keys and lengths are ASCII too: one sweep does for all.
        [0x0a, len @ 0..=0x7f, text @ ..] => usize::from(*len) == text.len() && is_ascii(body),
        [0x10, 0..=0x7f] | [] => is_ascii(key),
        [0x18, number @ ..] => is_ascii(key) && matches!(wire::varint(number), Some((_, []))),
        [0x21, number @ ..] => is_ascii(key) && number.len() == 8,
        _ => false,
    }
}
