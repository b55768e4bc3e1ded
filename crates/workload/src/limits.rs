//! Every bound of this crate, by name and unit.

/// Traces a second at most.
pub const TRACES_PER_SECOND_MAX: u32 = 1_000_000;

/// Instances of a service at most.
pub const INSTANCES_PER_SERVICE_MAX: u16 = 64;

/// Records in a request at most.
pub const BATCH_RECORDS_MAX: usize = 65_536;

/// Nanoseconds: by how much the clocks of hosts may be off, to either side, at most. One hour.
pub const CLOCK_SKEW_NS_MAX: u64 = 3_600_000_000_000;

/// Nanoseconds: by how much a span may be late, and how long a batch may wait, at most. One hour.
pub const DELAY_NS_MAX: u64 = 3_600_000_000_000;

/// Nanoseconds: metrics are collected no more often. One millisecond.
pub const METRIC_INTERVAL_NS_MIN: u64 = 1_000_000;

/// Incidents at most.
pub const INCIDENTS_MAX: usize = 64;

/// Messages that wait for the consumer that takes many at once, and links of one of its spans. It takes them when there are so
/// many; while too many traces are in flight for that, the oldest are not linked to, and the truth counts them.
pub const BACKLOG_MESSAGES_MAX: usize = 128;

/// Traces in flight that are kept free for the consumer that takes many messages at once.
pub(crate) const RESERVED_TRACES: usize = 4;

/// Nanoseconds: the consumer that takes many messages at once looks for some so often. Two seconds.
pub(crate) const POLL_INTERVAL_NS: u64 = 2_000_000_000;

/// Buffers of traces kept for reuse.
pub(crate) const SPARE_BUFFERS_MAX: usize = 4_096;
