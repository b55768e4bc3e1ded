//! Telemetry in files: requests written down one behind another, and read again.
//!
//! Two forms, told apart by content: *lines*, OTLP/JSON with a request on each (the OTLP file exporter's format), and
//! *frames*, `u32` big-endian length ‖ request, where each request may be protobuf or JSON and be compressed by itself; that is what
//! the Collector's `file` exporter writes with `format: proto` or with `compression`. A whole file may be compressed with
//! zstd or gzip besides, or be a sealed archive.
//!
//! [`RecordFile`] is the one reader: what sends a file as a load, what replays it, and the receiver use it. [`FileExporter`]
//! writes; [`FileReceiver`] follows files that grow and are rotated.

mod backups;
mod checkpoint;
mod claim;
mod cutter;
mod decode;
mod delivery;
mod end;
pub mod exporter;
mod follow;
mod identity;
mod output;
mod progress;
pub mod reader;
pub mod receiver;
mod sealing;
mod watch;
mod writer;

pub use archive::Key;
pub use claim::written_file;
pub use cutter::{Cut, Cutter, Form, Place};
pub use decode::{Fault, Request};
pub use exporter::{FileConfig, FileExporter, FileFormat, Rotation, Sync};
pub use reader::{Next, ReadSettings, Record, RecordFile};
pub use receiver::{FileReceiver, FileReceiverConfig, Follows, StartAt};
pub use sealing::{SealCounts, Seals};
