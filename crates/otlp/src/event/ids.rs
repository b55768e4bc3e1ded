//! Ids that people write as text.
//!
//! A program may name a trace `"trace-123"`. On the wire an id is 16 or 8 bytes, so such a text becomes the first bytes of its
//! SHA-256, and the record keeps the text as an attribute ([`TRACE_ID_TEXT`], [`SPAN_ID_TEXT`], [`PARENT_SPAN_ID_TEXT`]),
//! from which it is restored when the record is read back.

use sha2::{Digest, Sha256};

use crate::view::ValueView;
use crate::{SpanId, TraceId};

/// The attribute that keeps a trace id which was not hexadecimal.
pub const TRACE_ID_TEXT: &str = "aldis.trace_id.text";

/// The attribute that keeps a span id which was not hexadecimal.
pub const SPAN_ID_TEXT: &str = "aldis.span_id.text";

/// The attribute that keeps a parent's span id which was not hexadecimal.
pub const PARENT_SPAN_ID_TEXT: &str = "aldis.parent_span_id.text";

impl TraceId {
    /// Reads 32 hexadecimal digits as they are; any other text becomes the first 16 bytes of its SHA-256; no text is no id.
    ///
    /// ```
    /// use aldis_otlp::TraceId;
    ///
    /// let named = TraceId::from_text("trace-123");
    /// assert_eq!(named, TraceId::from_text("trace-123"));
    /// assert_eq!(TraceId::from_text("0af7651916cd43dd8448eb211c80319c").to_string(), "0af7651916cd43dd8448eb211c80319c");
    /// assert!(TraceId::from_text("").is_zero());
    /// ```
    pub fn from_text(text: &str) -> TraceId {
        TraceId(WireId::of(text).bytes)
    }
}

impl SpanId {
    /// Reads 16 hexadecimal digits as they are; any other text becomes the first 8 bytes of its SHA-256; no text is no id.
    pub fn from_text(text: &str) -> SpanId {
        SpanId(WireId::of(text).bytes)
    }
}

/// An id of `N` bytes, and the text that must be kept beside it.
#[derive(Clone, Copy)]
pub(crate) struct WireId<'a, const N: usize> {
    pub(crate) bytes: [u8; N],
    /// What it was made from, where it was not hexadecimal.
    pub(crate) text: Option<&'a str>,
}

impl<'a, const N: usize> WireId<'a, N> {
    #[inline]
    pub(crate) fn of(text: &'a str) -> Self {
        match hex(text.as_bytes()) {
            Some(bytes) => WireId { bytes, text: None },
            None => Self::hashed(text),
        }
    }

    fn hashed(text: &'a str) -> Self {
        if text.is_empty() {
            return WireId { bytes: [0; N], text: None };
        }
        let mut bytes = [0; N];
        bytes.copy_from_slice(&Sha256::digest(text.as_bytes())[..N]);
        WireId { bytes, text: Some(text) }
    }

    #[inline]
    pub(crate) fn is_zero(&self) -> bool {
        self.bytes == [0; N]
    }
}

/// The texts of a record's ids, restored from the attributes of these names.
pub(crate) struct Texts<const N: usize>(pub(crate) [(&'static str, Option<String>); N]);

impl<const N: usize> Texts<N> {
    /// Takes an attribute that holds the text of one of `ids` (in the order of the names). It is believed only if the id is
    /// what the text becomes.
    pub(crate) fn take(&mut self, key: &str, value: ValueView<'_>, ids: &[&[u8]; N]) -> bool {
        let ValueView::String(text) = value else { return false };
        for ((name, slot), id) in self.0.iter_mut().zip(ids) {
            if key == *name && slot.is_none() && is_made_from(id, text) {
                *slot = Some(text.to_owned());
                return true;
            }
        }
        false
    }
}

/// Whether `id` is what `text` becomes, `text` not being hexadecimal.
fn is_made_from(id: &[u8], text: &str) -> bool {
    let hexadecimal = text.len() == 2 * id.len() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    !text.is_empty() && !hexadecimal && Sha256::digest(text.as_bytes())[..id.len()] == *id
}

/// An id as lower-case digits; `None` for all zero, which is no id.
pub(crate) fn hex_text(id: &[u8]) -> Option<String> {
    if id.iter().all(|byte| *byte == 0) {
        return None;
    }
    Some(
        id.iter()
            .flat_map(|byte| [byte >> 4, byte & 0xf])
            .map(|digit| char::from(LOWER[digit as usize]))
            .collect(),
    )
}

const LOWER: &[u8; 16] = b"0123456789abcdef";

/// The value of each hexadecimal digit, 0xff for every other byte.
const DIGITS: [u8; 256] = {
    let mut digits = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        let digit = LOWER[value];
        digits[digit as usize] = value as u8;
        digits[digit.to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    digits
};

/// `2 N` hexadecimal digits. One check at the end instead of one a digit: four ids make a span.
#[inline]
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    let mut wrong = 0;
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (DIGITS[pair[0] as usize], DIGITS[pair[1] as usize]);
        wrong |= high | low;
        *byte = high << 4 | low & 0xf;
    }
    (wrong < 16).then_some(bytes)
}
