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

/// Sealed archives: compressed, encrypted, verified in frames.
pub use archive;

/// Events and metrics inside a program, buffered, shown to listeners, streamed to consumers and stored. Its names are those of a
/// specification of its own, some of which [`telemetry`] has too: take one of the two at a time.
/// [`connect::collect::to_pipeline`] leads from here to a [`telemetry::TelemetryPipeline`].
///
/// ```
/// use aldis::collect::{EventType, TelemetryCollector, TelemetryConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let collector = TelemetryCollector::new(TelemetryConfig::default())?;
/// collector.collect_event("app", "Started", EventType::Info, &[]);
/// assert_eq!(collector.flush()?.len(), 1);
/// # Ok(())
/// # }
/// ```
pub use collect;

/// What a job uses: CPU time, memory, input and output, processes, against a budget. [`host::TelemetryCollector`] watches episodes, as `aldis run`
/// does with a command.
///
/// ```
/// use aldis::host::*;
///
/// # fn main() -> Result<(), TelemetryError> {
/// let collector = new_shared_collector(TelemetryPolicy::default())?;
/// let own = TreeSubject::new(ProcReader::of_tree(std::process::id())?);
/// let watch = Watch::new(EpisodeId::from_u128(1), std::process::id(), own).baseline(Baseline::FirstSample);
/// let handle = collector.start(watch, monotonic_ns())?;
/// collector.finish(&handle, EndReason::Completed, None, monotonic_ns());
/// assert!(handle.frames().last().is_some_and(|frame| frame.o11y_flags.terminal));
/// # Ok(())
/// # }
/// ```
pub use host;

/// How often the commands of a command-line tool are run: one counter, sent with the user's leave.
pub use usage;

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
