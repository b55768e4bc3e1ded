//! Every bound of this crate, with its unit.

use std::time::Duration;

/// Bytes of one record as it is buffered; a larger one is dropped as too large.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// Levels of lists and maps in a value; a record with a deeper one is dropped as too large.
pub const MAX_VALUE_DEPTH: usize = 32;

/// Bytes of a metadata or tag key.
pub const MAX_KEY_BYTES: usize = u16::MAX as usize;

/// Fields of one record.
pub const MAX_FIELDS: usize = u16::MAX as usize;

/// Bytes of a buffer that a thread fills: what each thread that records holds, at least.
pub const CHUNK_BYTES: usize = 64 << 10;

/// Empty buffers kept for reuse, twice as many as a batch has: what is allocated anew costs its page faults, at 64 KiB more than the
/// recording of what goes into it.
pub(crate) const SPARE_CHUNKS: usize = 64;

/// Records that a thread may take without asking, at most.
pub(crate) const GRANT_ITEMS: usize = 256;

/// Bytes that a thread may take without asking, at most.
pub(crate) const GRANT_BYTES: usize = CHUNK_BYTES / 2;

/// Nanoseconds after which a thread that records looks at the system's clock again, if no sweep came before.
pub(crate) const ANCHOR_NS: u64 = 1_000_000_000;

/// Records in one batch to listeners, consumers and storage, as near as buffers of threads allow.
pub const BATCH_ITEMS: usize = 8192;

/// Bytes of such a batch.
pub const BATCH_BYTES: usize = 2 << 20;

/// Records that a collector may be told to buffer.
pub const MAX_BUFFER_ITEMS: usize = 16 << 20;

/// Records buffered while a stream runs, unless told otherwise.
pub const DEFAULT_MAX_ITEMS: usize = 128 << 10;

/// Bytes buffered, unless told otherwise.
pub const DEFAULT_MAX_BYTES: usize = 16 << 20;

/// The least number of bytes that a collector may be told to buffer.
pub const MIN_BUFFER_BYTES: usize = 64 << 10;

/// The range of flush intervals.
pub const FLUSH_INTERVALS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(3600));

/// The longest time a producer may be told to wait for room.
pub const MAX_BLOCK: Duration = Duration::from_secs(3600);

/// How long `flush`, `stop` and `close` wait without being told.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);

/// How long dropping a collector or a stream may take.
pub const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// Listeners of a collector, and consumers of a stream.
pub const MAX_SUBSCRIBERS: usize = 64;

/// Records that wait for one listener or consumer.
pub const SUBSCRIBER_ITEMS: usize = 64 << 10;

/// Bytes (as buffered) that wait for one listener or consumer.
pub const SUBSCRIBER_BYTES: usize = 16 << 20;

/// Names that are kept to be shared between records.
pub(crate) const NAME_SLOTS: usize = 1024;

/// Records that `MemoryStorage` keeps, unless told otherwise.
pub const MEMORY_ITEMS: usize = 1 << 20;

/// Bytes that `MemoryStorage` keeps, unless told otherwise.
pub const MEMORY_BYTES: usize = 256 << 20;

/// Bytes of a line, with its end, that is read from a file; a longer one is not written. Those of records that a collector takes are
/// shorter: of [`MAX_RECORD_BYTES`] with every byte escaped.
pub const MAX_LINE_BYTES: usize = 8 << 20;

/// Levels of lists and maps in a value of a line: readers of JSON bound the depth of what they read.
pub const MAX_LINE_DEPTH: usize = 120;

/// Bytes of lines after which a batch is written, and compressed, in another piece. One has a line more at most.
pub(crate) const PIECE_BYTES: usize = 16 << 20;

/// Bytes that are read from a file at once.
pub(crate) const READ_BYTES: usize = 256 << 10;

/// Bytes of lines that one entry of an index stands for, about.
pub const INDEX_BLOCK_BYTES: usize = 64 << 10;

/// Bytes of lines for which a rebuilt index has an entry, at least: lines that stand between bad ones get none where they are fewer, so
/// that an index has at most a fiftieth of the bytes of its file.
pub(crate) const INDEX_BLOCK_LEAST_BYTES: usize = 4 << 10;

/// Bytes of entries that are held while an index is rebuilt, before they are written.
pub(crate) const SURVEY_BYTES: usize = 64 << 10;

/// Names of a folder that are looked at, at most, to remove what killed processes left of indexes.
pub(crate) const SWEEP_NAMES: usize = 4096;

/// How long nobody must have written to such a file: whoever does may be a process that this one cannot see.
pub(crate) const SWEEP_AGE: Duration = Duration::from_secs(60);

/// Bytes of lines, or of a frame, that a compressed file has in one piece.
pub const MAX_FRAME_BYTES: usize = 256 << 20;

/// The range of zstd levels.
pub const COMPRESSION_LEVELS: (i32, i32) = (1, 19);

/// The least size at which a file may be told to be rotated.
pub const MIN_ROTATE_BYTES: u64 = 4096;
