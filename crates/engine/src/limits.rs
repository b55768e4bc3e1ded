//! Every bound of this crate, by name and unit.

use std::time::Duration;

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

/// Percent of the memory of the cgroup or machine that telemetry may take up where no memory limiter says it.
pub const DEFAULT_BUDGET_PERCENT: u64 = 25;

/// Bytes: the memory that is assumed where the system does not tell.
pub const UNKNOWN_MEMORY_BYTES: u64 = 1 << 30;

/// Sends in flight at once to an exporter without a queue.
pub const DIRECT_SENDS: usize = 64;

/// Deliveries to nowhere in flight at once.
pub const NOP_SENDS: usize = 1024;

/// Batches that may wait for a summary to look at them.
pub const SUMMARY_BATCHES: usize = 1024;

/// Bytes of the batches that may wait for a summary to look at them.
pub const SUMMARY_BYTES: usize = 32 << 20;

/// How often batches that linger are sent on while receivers stop.
pub const DRAIN_STEP: Duration = Duration::from_millis(5);

/// How long threads may take to end once everything has left or the time is over.
pub const STOP_GRACE: Duration = Duration::from_secs(1);
