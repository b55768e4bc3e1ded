//! Every bound of this crate, by name and unit.

/// Bytes: the largest configuration file that is read.
pub const MAX_FILE_BYTES: usize = 4 << 20;

/// Levels: how deeply lists and maps may be nested.
pub const MAX_DEPTH: usize = 64;

/// Nodes of one file after aliases, merges and environment variables have been put in: what a "billion laughs" file runs
/// into.
pub const MAX_NODES: usize = 100_000;

/// Rounds: how often the text of an environment variable may refer to another one.
pub const MAX_EXPANSION_ROUNDS: usize = 32;

/// Bytes: the longest text that references to environment variables may grow to.
pub const MAX_EXPANDED_BYTES: usize = 1 << 20;

/// Problems: how many of one file are told.
pub const MAX_PROBLEMS: usize = 200;

/// Characters: the longest type or name of a component.
pub const MAX_NAME_CHARS: usize = 1024;
