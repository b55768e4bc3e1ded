//! Every bound of this crate, by name and unit.

/// Bytes: the largest request that is indexed. Offsets are `u32`.
pub const MAX_REQUEST_BYTES: usize = 1 << 30;

/// Nesting of `AnyValue` (and of unknown groups) below a record. prost stops at 100 levels of messages in all.
pub const MAX_VALUE_DEPTH: usize = 64;
