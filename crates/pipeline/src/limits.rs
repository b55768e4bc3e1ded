//! Every bound of this crate, by name and unit.

use std::time::Duration;

/// Requests: what an exporter's queue holds unless told otherwise, as in the Collector.
pub const DEFAULT_QUEUE_REQUESTS: u64 = 1000;

/// How long a shutdown may take at the most: a clock can be asked for no more than it can count.
pub const MAX_SHUTDOWN: Duration = Duration::from_secs(365 * 24 * 3600);

/// When a sender that was refused for want of room may try again.
pub const REFUSED_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Bytes: what an exporter's queue holds unless told otherwise.
pub const DEFAULT_QUEUE_BYTES: u64 = 256 << 20;

/// Sends at once to one destination unless told otherwise, as in the Collector.
pub const DEFAULT_CONSUMERS: usize = 10;

/// How long one send may take unless told otherwise, as in the Collector.
pub const DEFAULT_SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Codes that one exporter's rejected records are told apart by; what comes after is counted as `other`.
pub const MAX_REJECTED_CODES: usize = 64;

/// How long a send that was told to stop may take to do so at the end of a shutdown.
pub const ABORT_GRACE: Duration = Duration::from_millis(200);

/// Requests that a span of the engine's own is linked to at the most.
pub const MAX_LINKS: usize = 32;

/// How often one stage is built anew after panicking before it is left dead.
pub const MAX_STAGE_RESTARTS: u64 = 16;

/// Groups (tenants, sets of headers) that one batcher keeps apart unless told otherwise; one more sends the oldest on.
pub const MAX_BATCHER_GROUPS: usize = 1000;

/// Bytes of recent batches kept for event streams unless told otherwise.
pub const DEFAULT_STREAM_BYTES: usize = 16 << 20;

/// Records: what the queue of a `TelemetryPipeline` holds unless told otherwise.
pub const DEFAULT_CHANNEL_CAPACITY: usize = 100_000;

/// Bytes: what the queue of a `TelemetryPipeline` holds unless told otherwise.
pub const DEFAULT_CHANNEL_BYTES: usize = 256 << 20;

/// Records in a batch of a `TelemetryPipeline` unless told otherwise.
pub const DEFAULT_BATCH_SIZE: usize = 1000;

/// How long a record of a `TelemetryPipeline` may wait for others unless told otherwise.
pub const DEFAULT_FLUSH_INTERVAL: Duration = Duration::from_millis(100);
