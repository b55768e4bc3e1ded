//! Every limit of an archive, with its unit.

/// log2 of bytes: the smallest frame, 4 KiB. The plaintext digest is a tree over whole frames, and overhead is 32 bytes a frame.
pub const FRAME_LOG2_MIN: u8 = 12;
/// log2 of bytes: the largest frame, 16 MiB. A reader takes memory for frames of this size, a few for each worker.
pub const FRAME_LOG2_MAX: u8 = 24;
/// log2 of bytes: frames of 1 MiB unless the settings say otherwise. Smaller ones compress less and are found faster.
pub const FRAME_LOG2_DEFAULT: u8 = 20;

/// Frames of an archive, of all kinds: their number is in four bytes, and is the nonce.
pub const MAX_FRAMES: u64 = 1 << 32;

/// Entries of one index frame.
pub const INDEX_ENTRIES: usize = 1 << 15;

/// Threads that compress or open.
pub const MAX_WORKERS: usize = 256;
/// Frames in flight for each worker: one in work, one that waits.
pub const FRAMES_PER_WORKER: usize = 2;

/// Compression levels of zstd that may be asked for.
pub const LEVELS: std::ops::RangeInclusive<i32> = 1..=22;

/// Bytes of context that an archive may be bound to.
pub const MAX_CONTEXT_BYTES: usize = 64 << 10;
/// Bytes of a password.
pub const MAX_PASSWORD_BYTES: usize = 4 << 10;

/// KiB of memory that Argon2 may ask for, whoever wrote the header.
pub const MAX_PASSWORD_MEMORY_KIB: u32 = 512 << 10;
/// KiB times passes: the most work of Argon2, some seconds of one core.
pub const MAX_PASSWORD_WORK_KIB: u64 = 2 << 20;
/// Lanes of Argon2.
pub const MAX_PASSWORD_LANES: u32 = 16;

/// Data frames of an archive: what the index, the digest and the terminator leave.
pub const MAX_DATA_FRAMES: u64 = MAX_FRAMES - MAX_FRAMES / INDEX_ENTRIES as u64 - 2;

/// Bytes of the end of a key behind which a time stands.
pub const MAX_KEY_BYTES: usize = 64;
/// Bytes of a time as text.
pub const MAX_TIME_BYTES: usize = 64;
/// Bytes of a line that is looked for by its time.
pub const MAX_LINE_BYTES: usize = 256 << 20;
