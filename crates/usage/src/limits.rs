//! Bounds, each with its unit.

use std::time::Duration;

/// Most invocations of one tool and one user that are sent at once; and most names that one process asks for at once.
pub const SENDERS_MAX: usize = 8;

/// How long one invocation may take to be sent, name resolution included, unless the configuration says.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);

/// The shortest that a configuration may say.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// The longest that a configuration may say.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// Most characters that are kept of the system's reason why a configuration could not be replaced.
pub const REASON_CHARS_MAX: usize = 200;

/// Most characters that are kept of what a receiver says as it rejects a point.
pub const REJECTION_CHARS_MAX: usize = 200;

/// How much longer than its timeout a sender may live, for reading and writing its few files, until it is ended; of one that cannot even read
/// its timeout that is [`TIMEOUT_MAX`].
pub const SENDER_GRACE: Duration = Duration::from_secs(1);

/// How much of that a sender whose time is over waits for a user who decides, to note what came of it.
pub const NOTE_PATIENCE: Duration = Duration::from_millis(500);

/// How long a user's decision waits for senders that are writing into the tool's directory: each takes as long as a file or two take to be
/// written. (A sender waits for a user who decides as long as its own time lasts.)
pub const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// How often they look again.
pub const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// Most entries of a directory that are looked at for files that were left behind half written.
pub const SWEPT_MAX: usize = 1 << 10;

/// Most bytes of a configuration file that are read.
pub const CONFIG_BYTES_MAX: u64 = 64 << 10;

/// Most bytes that are read of the other files: a fingerprint, the last result.
pub const STATE_BYTES_MAX: u64 = 1 << 10;

/// Most bytes of an endpoint.
pub const ENDPOINT_BYTES_MAX: usize = 2 << 10;

/// Most bytes of an answer that are read before its status is known, and most of what follows that.
pub const ANSWER_BYTES_MAX: usize = 4 << 10;

/// Skipped invocations that are counted; further ones are not told apart from this many.
pub const SKIPPED_MAX: u64 = 1 << 20;
