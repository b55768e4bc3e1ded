//! Events and metrics inside your process: collected from any thread, shown to listeners, streamed to consumers, stored.
//!
//! ```
//! use aldis_collect::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let collector = TelemetryCollector::new(TelemetryConfig::default())?;
//! let stream = TelemetryStream::new(&collector, MemoryStorage::new());
//! stream.start()?;
//! collector.collect_event("app", "Started", EventType::Info, &[("pid", 42.into())]);
//! collector.collect_metric("cpu", 45.2, "percent", &[]);
//! collector.flush()?;
//! assert_eq!(collector.stats().delivered, 2);
//! # Ok(())
//! # }
//! ```
//!
//! A record's way: [`TelemetryCollector::collect_event`] writes it as bytes into the buffer of its thread (`Lane`); the collector's thread
//! (`Pump`) sweeps these buffers into a queue when [`TelemetryConfig::buffer_size`] records have come or
//! [`TelemetryConfig::flush_interval`] is over, reads a batch back, lets consumers have it, and hands it to a [`TelemetryStorage`].
//! Everything is bounded, in records and bytes, and every record is in exactly one place of [`CollectorStats`], at any instant.
//!
//! It opens no socket and needs no async runtime.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod chunk;
mod clock;
mod collector;
mod config;
mod data;
mod emitter;
mod hub;
mod instrument;
mod isolated;
pub mod json;
mod lane;
mod layer;
pub mod limits;
mod name;
mod process;
mod pump;
mod record;
mod reduction;
mod stats;
mod storage;
mod stream;
mod subscriber;
mod sync;
mod value;

pub use collector::TelemetryCollector;
pub use config::{ConfigError, Overflow, StorageBackend, TelemetryConfig};
pub use data::{EventType, MetricKind, Origin, TelemetryData, TelemetryEvent, TelemetryMetric};
pub use emitter::{EPOCH, Emitter, ORIGIN, SOURCE};
pub use hub::FlushError;
pub use instrument::{Counter, Gauge};
pub use layer::{LogSink, TracingLayer};
pub use name::Name;
pub use process::PerProcess;
pub use reduction::{AGGREGATE, Aggregation, Function, MAX_SERIES, Sampling};
pub use stats::{CollectorStats, Dropped, SubscriberStats};
pub use storage::{
    FileSettings, FileStats, FileStorage, MemoryStats, MemoryStorage, Record, ScanReport, StorageError,
    SyncPolicy, TelemetryStorage,
};
pub use stream::{StopError, StreamError, TelemetryStream};
pub use subscriber::{Failure, SubscriberId, Verdict};
pub use value::{Fields, Value, ValueRef};

#[cfg(all(test, aldis_models))]
mod models;
