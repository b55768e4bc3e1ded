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

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed JSON in {} at byte {}: expected {}", self.within, self.offset, self.expected)
    }
}

impl std::error::Error for JsonError {}
