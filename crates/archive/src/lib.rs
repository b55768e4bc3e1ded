//! Sealed archives: a stream compressed, encrypted and verified in frames, with counters, stage times and a snapshot.
//!
//! [`seal`] makes an archive of anything that can be read, [`open`] gives it back, [`verify`] reads it and forgets it;
//! [`Sealer`] and [`Opener`] are the same as [`Write`](std::io::Write) and [`Read`](std::io::Read); [`seal_file`] and
//! [`open_file`] name their output only when it is whole. [`Archive`] reads a range of bytes without opening the rest; what was sealed by
//! [`seal_lines`] has lines that [`copy_lines`] finds by their time. Each tells a [`TelemetrySnapshot`].
//!
//! Frames are worked at side by side; the archive is the same for any number of workers. `docs/formats/archive.md` describes
//! it byte by byte.
//!
//! It knows nothing of what the bytes mean (but for lines with times, where that is asked for), hides no lengths (how well something compresses tells something about it), and
//! has one key for everybody: no public keys, no recipients.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod counters;
mod digest;
mod error;
mod file;
mod frame;
mod header;
mod index;
mod key;
pub mod limits;
mod lines;
mod open;
mod options;
mod pool;
mod range;
mod seal;
mod snapshot;
mod suite;
mod time;
mod timers;

pub use counters::TelemetryCounters;
pub use error::Error;
pub use file::{NewFile, open_file, seal_file};
pub use header::{MAGIC, SALT_BYTES};
pub use index::TimeSpan;
pub use key::{KEY_BYTES, Key, PasswordCost};
pub use lines::{LineTimes, LinesCopied, copy_lines, seal_lines};
pub use open::{Opener, open, verify};
pub use options::{OpenOptions, SealOptions};
pub use range::Archive;
pub use seal::{Sealer, seal};
pub use snapshot::{Direction, Output, TelemetrySnapshot, Violation};
pub use time::unix_nanos;
pub use timers::{Stage, StageTimes, TelemetryTimer};
