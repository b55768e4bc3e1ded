//! A pipeline for the telemetry of one's own process.
//!
//! ```
//! use std::time::Duration;
//! use aldis_pipeline::{BackpressureStrategy, TelemetryPipeline};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pipeline = TelemetryPipeline::builder()
//!     .with_batch_size(1000)
//!     .with_flush_interval(Duration::from_millis(100))
//!     .with_channel_capacity(100_000)
//!     .with_compression(true)
//!     .with_backpressure_strategy(BackpressureStrategy::DropOldest)
//!     .build()?;
//! # drop(pipeline);
//! # Ok(())
//! # }
//! ```
//!
//! A record's way: [`TelemetryPipeline::record_span`] writes it as OTLP bytes into the request that its thread is filling
//! (`Intake::record`); a full request goes into a lock-free queue of many producers and many consumers; a worker
//! (`worker::run`), one for each shard, takes requests out, full or not, gives each to the shard's [`Chain`], and from
//! there it goes through batcher and exporter queues.
//!
//! Why requests travel and not records: a record costs its encoding and no allocation, hand-over, or wake-up of its own.

use std::{
    io,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use otlp::{
    Signal,
    event::{LogRecord, Metric, Span},
};

use crate::{
    Chain, ExporterQueue, Health, Ledger, Shards, clock, limits,
    sync::{
        time::{timeout, timeout_at},
        watch,
    },
};

mod builder;
mod intake;
mod statistics;
mod stream;
mod worker;

pub use builder::{BackpressureStrategy, TelemetryPipelineBuilder};
use intake::{Event, Intake};
pub use statistics::{DrainReport, PipelineStats};
pub use stream::EventStream;

use crate::telemetry::{statistics::Fates, stream::Tap, worker::Barrier};

/// How long is waited behind a deadline for what was left then. Where this crate is tested no thread is blocked, but it
/// may wait long for its turn.
const TELL_GRACE: Duration =
    if cfg!(test) { Duration::from_secs(60) } else { limits::ABORT_GRACE.saturating_mul(2) };

/// Collects spans, log records and metrics of this process and sends them to exporters. It owns its threads and needs no
/// runtime around it; share it as `Arc<TelemetryPipeline>`.
///
/// Dropping it sends what it can within five seconds; [`TelemetryPipeline::shutdown`] lets you choose, and tells what was
/// left.
#[derive(Debug)]
pub struct TelemetryPipeline {
    core: Arc<Core>,
}

/// Everything the workers share with the handle.
#[derive(Debug)]
struct Core {
    intake: Intake,
    tap: Arc<Tap>,
    barrier: Barrier,
    fates: Arc<Fates>,
    queues: Vec<ExporterQueue>,
    /// By shard, then signal.
    chains: Vec<[Arc<Chain>; RECORDED.len()]>,
    blocks: bool,
    /// The room an exporter's queue must have before a request is taken out of the intake.
    ask: crate::queue::Size,
    flush_interval: Duration,
    ledger: Ledger,
    health: Health,
    shards: Shards,
    /// Workers not ended yet.
    working: watch::Sender<usize>,
}

/// The signals that can be recorded; their positions number them inside this module.
const RECORDED: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

/// How long dropping a pipeline may take.
const DROP_DEADLINE: Duration = Duration::from_secs(5);

/// Why a pipeline was not built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting is out of its range: change it.
    Setting {
        /// The builder's method.
        name: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// The system refused a thread or a runtime: free resources and try again.
    Threads(io::Error),
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Setting { name, expected } => write!(f, "{name} takes {expected}"),
            Self::Threads(error) => write!(f, "cannot start the pipeline's threads: {error}"),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Setting { .. } => None,
            Self::Threads(error) => Some(error),
        }
    }
}

/// Why a record was not taken. It is counted as dropped either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// The queue is full and the strategy drops what is new: slow down, or record it again later.
    QueueFull,
    /// The record alone is larger than a request may be: record less.
    TooLarge,
    /// The pipeline is shut down: nothing will help.
    Closed,
}

impl std::fmt::Display for RecordError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::QueueFull => "the pipeline's queue is full; the record was dropped",
            Self::TooLarge => "the record is larger than a request may be; it was dropped",
            Self::Closed => "the pipeline is shut down",
        })
    }
}

impl std::error::Error for RecordError {}

impl TelemetryPipeline {
    /// Settings with their defaults: batches of 1000, 100 ms, 100 000 records, [`BackpressureStrategy::DropOldest`].
    pub fn builder() -> TelemetryPipelineBuilder {
        TelemetryPipelineBuilder::default()
    }

    /// Records a span. Returns when it is accepted, which is at once unless the strategy is
    /// [`BackpressureStrategy::Block`] and the queue is full.
    ///
    /// # Errors
    /// When it was not taken; [`RecordError`] says what can be done.
    pub async fn record_span(&self, span: Span) -> Result<(), RecordError> {
        self.core.intake.record_waiting(&Event::Span(&span)).await
    }

    /// Records a log record, as [`TelemetryPipeline::record_span`] does a span.
    ///
    /// # Errors
    /// When it was not taken.
    pub async fn record_log(&self, log: LogRecord) -> Result<(), RecordError> {
        self.core.intake.record_waiting(&Event::Log(&log)).await
    }

    /// Records a data point of a metric, as [`TelemetryPipeline::record_span`] does a span.
    ///
    /// # Errors
    /// When it was not taken.
    pub async fn record_metric(&self, metric: Metric) -> Result<(), RecordError> {
        self.core.intake.record_waiting(&Event::Metric(&metric)).await
    }

    /// What has happened so far.
    pub fn stats(&self) -> PipelineStats {
        self.core.stats()
    }

    /// What is wrong with its exporters right now.
    pub fn health(&self) -> &Health {
        &self.core.health
    }

    /// The records accepted so far that no event stream has handed out yet (as an iterator, which then ends), or all that
    /// follow, too (as a stream, which ends when the pipeline is shut down): spans, log records and data points. They come request
    /// by request, and in a request by service and metric.
    ///
    /// Recent batches are kept for it up to a bound; what a stream misses because it lags behind is counted
    /// ([`EventStream::missed`]).
    pub fn event_stream(&self) -> EventStream {
        EventStream::new(self.core.clone())
    }

    /// Takes no more records, sends what was accepted until `deadline` from now, and stops its threads, of which one that is
    /// blocked by an exporter is waited for until then. Blocks the caller meanwhile. A second call finds nothing left.
    pub fn shutdown(&self, deadline: Duration) -> DrainReport {
        let deadline = deadline.min(limits::MAX_SHUTDOWN);
        let end = Instant::now() + deadline;
        let (tell, told) = mpsc::sync_channel(1);
        let core = self.core.clone();
        self.core.shards.spawn(0, async move {
            // Nobody may be listening any more; the draining is done all the same.
            let _ = tell.send(core.drain(end).await);
        });
        // A thread that is blocked by a sender cannot tell.
        let in_time = told.recv_timeout(deadline + TELL_GRACE);
        let threads_left = self.core.shards.stop_within(Instant::now() + Duration::from_millis(100), end);
        // One that only did not get its turn may have told by now: without its report nothing would seem to be left.
        let report = in_time.or_else(|_| told.try_recv()).unwrap_or_default();
        DrainReport { threads_left, ..report }
    }
}

impl Drop for TelemetryPipeline {
    fn drop(&mut self) {
        self.shutdown(DROP_DEADLINE);
    }
}

impl Core {
    async fn drain(&self, end: Instant) -> DrainReport {
        self.intake.close();
        let mut working = self.working.subscribe();
        // Half of the time at most is for the way to the queues, so that there is some for the way out.
        let to_queues = Instant::now() + end.saturating_duration_since(Instant::now()) / 2;
        let workers_ended = working.wait_for(|left| *left == 0);
        let _ = timeout_at(to_queues.into(), workers_ended).await;
        self.intake.give_up();
        let mut held = 0;
        for chain in self.chains.iter().flatten() {
            held += chain.close(clock::now_ns());
        }
        let mut exporters = Vec::new();
        // All get the whole time: each stops taking items before any is waited for.
        let mut drains: Vec<_> = self.queues.iter().map(|queue| Box::pin(queue.drain(end.into()))).collect();
        std::future::poll_fn(|cx| {
            drains.retain_mut(|drain| match drain.as_mut().poll(cx) {
                std::task::Poll::Ready(undelivered) => {
                    exporters.push(undelivered);
                    false
                }
                std::task::Poll::Pending => true,
            });
            if drains.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        exporters.retain(|undelivered| !undelivered.is_empty());
        // Workers that waited for room find everything closed now, and count what they had in hand.
        let _ = timeout(limits::ABORT_GRACE, working.wait_for(|left| *left == 0)).await;
        self.tap.close();
        DrainReport { exporters, unsent: self.intake.given_up() + held, threads_left: 0 }
    }
}

#[cfg(test)]
mod tests;

#[cfg(all(test, aldis_models))]
mod models;
