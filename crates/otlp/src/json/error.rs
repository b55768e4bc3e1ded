//! Why JSON was refused, and where.

use std::fmt;

/// The text is not OTLP/JSON. The caller can only refuse it (HTTP 400).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Bytes from the start of the text.
    pub offset: usize,
    /// The message that was being read, by its protobuf name.
    pub within: &'static str,
    /// What was expected there.
    pub expected: &'static str,
}

impl JsonError {
    /// The line and the column of the fault in the text that was read, both from 1; columns count characters.
    pub fn place(&self, text: &[u8]) -> (usize, usize) {
        let before = &text[..self.offset.min(text.len())];
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let lines = before[..line_start].iter().filter(|&&byte| byte == b'\n').count();
        (lines + 1, String::from_utf8_lossy(&before[line_start..]).chars().count() + 1)
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed JSON in {} at byte {}: expected {}", self.within, self.offset, self.expected)
    }
}

impl std::error::Error for JsonError {}
