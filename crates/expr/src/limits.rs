//! Every bound of this crate, by name and unit.

/// Bytes: the longest source text that is compiled.
pub const MAX_SOURCE_BYTES: usize = 64 * 1024;

/// Levels: how deeply an expression may be nested. A chain of `&&` or of `||` is one level, however long.
pub const MAX_DEPTH: usize = 100;

/// Bytes: the largest program that one regular expression may compile to.
pub const MAX_REGEX_BYTES: usize = 1 << 20;

/// Errors: how many are reported of one source; the rest would only repeat them.
pub const MAX_ERRORS: usize = 16;

/// Elements: from this many on, a list of literals behind `in` becomes a hash set.
pub const MIN_SET_ELEMENTS: usize = 8;

/// Edits: how far a name may be from a known one for the known one to be suggested.
pub const MAX_SUGGESTION_DISTANCE: usize = 3;
