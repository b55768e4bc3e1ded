//! Why bytes were refused, and where.

use std::fmt;

/// The request is malformed. The caller can only refuse it (`INVALID_ARGUMENT`, HTTP 400): it never becomes valid by
/// trying again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError {
    /// Bytes from the start of the request to what cannot be read: a key, a length, a number, or the text or id behind it.
    pub offset: usize,
    /// The message that was being read, by its protobuf name: `Span`, `KeyValue`, …
    pub within: &'static str,
    /// What is wrong there.
    pub kind: WireErrorKind,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireErrorKind {
    /// The field, its length or its varint reaches past the end of the message around it.
    Truncated,
    /// A varint has more than ten bytes or more than 64 bits.
    VarintTooLong,
    /// A field number of zero or above 2^29 − 1, or a wire type that does not exist.
    BadTag,
    /// A known field has a wire type that its declaration does not allow.
    WrongWireType,
    /// A string is not UTF-8.
    NotUtf8,
    /// A trace id that is neither empty nor 16 bytes, or a span id that is neither empty nor 8 bytes.
    BadIdLength,
    /// Messages or groups are nested deeper than [`crate::limits::MAX_MESSAGE_DEPTH`].
    TooDeep,
    /// The request is larger than [`crate::limits::MAX_REQUEST_BYTES`].
    TooLarge,
    /// A group's end does not match its start.
    UnbalancedGroup,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            WireErrorKind::Truncated => "a field reaches past the end of its message",
            WireErrorKind::VarintTooLong => "a varint has more than ten bytes",
            WireErrorKind::BadTag => "an impossible field number or wire type",
            WireErrorKind::WrongWireType => "a field has a wire type its declaration does not allow",
            WireErrorKind::NotUtf8 => "a string is not UTF-8",
            WireErrorKind::BadIdLength => "an id has neither its full length nor none",
            WireErrorKind::TooDeep => "values are nested too deeply",
            WireErrorKind::TooLarge => "the request is too large to be indexed",
            WireErrorKind::UnbalancedGroup => "a group ends that was not begun, or is not ended",
        };
        write!(f, "malformed {} at byte {}: {what}", self.within, self.offset)
    }
}

impl std::error::Error for WireError {}
