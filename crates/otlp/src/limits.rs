//! Every bound of this crate, by name and unit.

/// Bytes: the largest request that is indexed. Offsets are `u32`.
pub const MAX_REQUEST_BYTES: usize = 1 << 30;

/// Bytes of index that one byte of a request can become: of the two bytes of an empty span, the 62 of its row.
pub const MAX_INDEX_BYTES_PER_BYTE: usize = 31;

/// Bytes of scratch that a checker keeps from one request to the next. The columns of 8192 spans with ten attributes each
/// take half of it.
pub const MAX_KEPT_SCRATCH_BYTES: usize = 8 << 20;

/// Levels of messages and unknown groups below the request. The same as prost's recursion limit, counted as prost counts, so
/// nesting alone never makes the two disagree.
pub const MAX_MESSAGE_DEPTH: u32 = 100;

/// Nesting of arrays and maps in an [`crate::AttributeValue`] that is written: what is deeper is written as unset. Three levels of
/// messages each, below eight at most (an attribute of an exemplar), stay within [`MAX_MESSAGE_DEPTH`].
pub const MAX_EVENT_VALUE_DEPTH: usize = 24;

/// Indexes that each thread keeps for the requests to come.
pub const MAX_SPARE_INDEXES: usize = 4;

/// Bytes of the largest of them: a request of some thousand records.
pub const MAX_SPARE_INDEX_BYTES: usize = 1 << 20;

/// Bytes: by how much a record may grow besides the text of a field that it is given: the field's tag and length, and longer
/// lengths of the record and of the messages around it.
pub(crate) const MAX_FIELD_GROWTH_BYTES: usize = 20;
