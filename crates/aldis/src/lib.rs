//! The libraries of Aldis under one name.
//!
//! [`telemetry`] is what a program needs to send its own spans, log records and metrics through a bounded pipeline. Each
//! library can also be taken alone: `aldis-otlp`, `aldis-pipeline`, `aldis-connect`, …
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use aldis::telemetry::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pipeline = TelemetryPipeline::builder()
//!     .with_batch_size(1000)
//!     .with_flush_interval(Duration::from_millis(100))
//!     .with_backpressure_strategy(BackpressureStrategy::DropOldest)
//!     .with_exporter(Arc::new(NullExporter::default()))
//!     .build()?;
//! assert_eq!(pipeline.stats().events_received, 0);
//! # Ok(())
//! # }
//! ```
//!
//! It has no logic of its own.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

/// Collecting a program's own telemetry: the pipeline, what goes into it, and where it goes.
pub mod telemetry {
    pub use connect::otlp::{Encoding, OtlpConfig, OtlpExporter, Protocol};
    pub use connect::prometheus::{PrometheusConfig, PrometheusExporter};
    pub use otlp::{
        AttributeValue, LogRecord, Span, SpanStatus, TelemetryEvent,
        event::{
            Buckets, Exemplar, ExponentialHistogramData, HistogramData, Metric, MetricData, Number,
            SummaryData, Temporality,
        },
    };
    pub use pipeline::{
        BackpressureStrategy, BuildError, DrainReport, EventStream, NullExporter, PipelineStats, RecordError,
        TelemetryPipeline, TelemetryPipelineBuilder,
    };

    /// The time, Unix nanoseconds.
    pub fn now() -> u64 {
        pipeline::clock::now_ns()
    }
}

/// The README's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
