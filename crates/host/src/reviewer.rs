//! The life of review runs as lines of JSON: written by any number of processes, read strictly.
//!
//! A run of a reviewer starts, may stall, fall back to another model or find that the commit has moved on, and completes or crashes. A
//! [`ReviewerTelemetryWriter`] appends one line for each; [`project`] reads them back, and a [`Projector`] tells how things stand, once a
//! second at most. What cannot be read for certain counts as unhealthy: see [`ReviewerHealth`].
//!
//! ```
//! use aldis_host::reviewer::{
//!     ReviewerEvent, ReviewerEventKind, ReviewerFilter, ReviewerTelemetryWriter, WriterOptions, project,
//! };
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("reviewer_events.ndjson");
//! let mut writer = ReviewerTelemetryWriter::open(&path, WriterOptions::default())?;
//! let mut event = ReviewerEvent {
//!     kind: ReviewerEventKind::RunStart,
//!     review_type: "security".into(),
//!     pr_number: 42,
//!     head_sha: "c982109c982109c982109c982109c982109c9821".into(),
//!     run_id: "run-1".into(),
//!     restart_count: 0,
//!     reason: None,
//! };
//! let now = std::time::SystemTime::now();
//! assert_eq!(writer.emit(&event, now)?, 1);
//! event.kind = ReviewerEventKind::RunComplete;
//! assert_eq!(writer.emit(&event, now)?, 2);
//!
//! let read = project(&path, &ReviewerFilter::default());
//! assert!(read.health.is_healthy());
//! assert_eq!(read.events.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod event;
mod lock;
mod projection;
mod projector;
mod writer;

pub use event::{ReviewerEvent, ReviewerEventKind, ReviewerProjectionEvent, SCHEMA_VERSION};
pub use projection::{Projection, ReviewerFilter, ReviewerHealth, project};
pub use projector::{ProjectionSummary, Projector};
pub use writer::{FsyncPolicy, ReviewerError, ReviewerTelemetryWriter, WriterOptions, WriterStats};

/// Longest line, in bytes, its end included.
pub const LINE_BYTES_MAX: usize = 16 * 1024;
/// Longest name: of a run, of a kind of review, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 4096;
/// Size, in bytes, beyond which a file is put aside, unless the writer is told otherwise.
pub const FILE_BYTES: u64 = 10 * 1024 * 1024;
/// Largest file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longest wait for another process that writes, in seconds.
pub const LOCK_SECONDS_MAX: u64 = 5;
/// Shortest time between two summaries, in nanoseconds.
pub const SUMMARY_PERIOD_NS: u64 = 1_000_000_000;

use std::{ffi::OsString, path::Path, path::PathBuf};

/// The file beside `path` whose name is longer by `end`.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// Where a file goes that is full; what was there before is gone.
fn put_aside(path: &Path) -> PathBuf {
    beside(path, ".1")
}
