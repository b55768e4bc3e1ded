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

/// How long an attempt may take where the configuration sets no bound.
pub const NO_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// How long after it failed a file is first written to again.
pub const FILE_RETRY: Duration = Duration::from_millis(500);

/// Deliveries to nowhere in flight at once.
pub const NOP_SENDS: usize = 1024;

/// Batches that may wait for a summary to look at them.
pub const SUMMARY_BATCHES: usize = 1024;

/// Bytes of the batches that may wait for a summary to look at them.
pub const SUMMARY_BYTES: usize = 32 << 20;

/// How often batches that linger are sent on while receivers stop.
pub const DRAIN_STEP: Duration = Duration::from_millis(5);

/// Reloads whose leavings are still being seen out; one more is refused.
pub const MAX_LEAVING: usize = 16;

/// How long a connection that is not used may stay once its receiver's settings have changed: it hears that it is to go when it
/// is used.
pub const LEAVE_GRACE: Duration = Duration::from_secs(5);

/// How long threads may take to say what is left once the time is over: on a machine that is busy they wait for their turn.
pub const STOP_GRACE: Duration = Duration::from_secs(5);

/// How long the last of the engine's own spans may take to leave at the end.
pub const OWN_SPANS_GRACE: Duration = Duration::from_secs(5);

/// How long before the end of a certificate it is told.
pub const CERTIFICATE_WARNING: Duration = Duration::from_secs(14 * 24 * 3600);

/// How often the engine looks whether it is well.
pub const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// How long lost records, and receipts that nobody answered, keep the engine unwell.
pub const LOSS_WINDOW: Duration = Duration::from_secs(60);

/// How long a component may fail before the engine is unwell.
pub const FAILING_PATIENCE: Duration = Duration::from_secs(60);

/// How long an exporter's queue may be full before the engine is unwell.
pub const FULL_PATIENCE: Duration = Duration::from_secs(30);

/// How often it is logged that a receiver refuses requests, for each receiver, signal and code.
pub const REFUSAL_LOG_PERIOD: Duration = Duration::from_secs(10);

/// Requests of a replay that are in pipelines at once; their bytes are bounded by the budget.
pub const REPLAY_REQUESTS: usize = 4096;

/// How long a replay waits before it looks again whether there is room.
pub const REPLAY_POLL: Duration = Duration::from_millis(1);

/// Faults of replayed files that are told one by one; all are counted.
pub const REPLAY_FAULTS: usize = 20;
