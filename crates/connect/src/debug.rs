//! Telemetry as text that a person reads: the exporter `debug`.
//!
//! [`text`](text::render) writes a batch as text and is a function; a thread prints. What it has no time to print is counted and said,
//! and telemetry does not wait for a slow terminal.

mod exporter;
mod printer;
mod sampling;
pub mod text;

pub use exporter::{DebugConfig, DebugExporter, Target};
pub use text::Verbosity;
