//! Moves telemetry batches under bounds.
//!
//! A receiver charges the [`Budget`] before it reads a body, wraps the checked batch and its [`Context`] into an
//! [`Item`] and offers it to an [`Inlet`]. Stages are called, not messaged; an item ends in exporter queues, from which
//! senders lease it. Whoever waits for the item holds a [`Receipt`], which resolves to the worst [`Outcome`] of all that
//! became of it. Nothing is dropped uncounted.
//!
//! It knows no protocol.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod batcher;
pub mod budget;
pub mod chain;
pub mod clock;
pub mod compressor;
mod contain;
pub mod exporter;
pub mod exporting;
pub mod health;
pub mod histogram;
pub mod inlet;
pub mod inlets;
pub mod item;
pub mod ledger;
pub mod limits;
pub mod memory_limit;
pub mod outcome;
pub mod progress;
pub mod queue;
pub mod receipt;
pub mod retry;
pub mod shard;
pub mod stage;
pub mod stats;
mod sync;
pub mod telemetry;
pub mod tracer;

pub use batcher::{Batcher, BatcherSettings};
pub use budget::{Budget, Charge};
pub use chain::{Chain, ChainParts, Outlet, Step};
pub use compressor::Compressor;
pub use exporter::{Exporter, NullExporter, Packing, Sender};
pub use exporting::{Acknowledge, ExporterQueue, ExporterSettings, QueueGauge, Undelivered};
pub use health::Health;
pub use histogram::{Distribution, Histogram};
pub use inlet::Inlet;
pub use inlets::Inlets;
pub use item::{Context, Item};
pub use ledger::Ledger;
pub use memory_limit::{MemoryLimitSettings, MemoryLimiter};
pub use outcome::Outcome;
pub use progress::Progress;
pub use receipt::{Receipt, Share};
pub use retry::RetrySettings;
pub use shard::Shards;
pub use stage::Stage;
pub use stats::{Stats, Violation};
pub use telemetry::{
    BackpressureStrategy, BuildError, DrainReport, EventStream, PipelineStats, RecordError,
    TelemetryPipeline, TelemetryPipelineBuilder,
};
pub use tracer::{Traced, Tracer};
