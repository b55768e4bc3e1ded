//! Every bound of this crate, by name and unit.

/// Bytes: the largest request that is indexed. Offsets are `u32`.
pub const MAX_REQUEST_BYTES: usize = 1 << 30;

/// Nesting of `AnyValue` (and of unknown groups) below a record. prost stops at 100 levels of messages in all.
pub const MAX_VALUE_DEPTH: usize = 64;

/// Nesting of arrays and maps in an [`crate::AttributeValue`] that is written: what is deeper is written as unset. Three levels of
/// messages each, below six of request and record, stay well within what prost reads.
pub const MAX_EVENT_VALUE_DEPTH: usize = 24;
