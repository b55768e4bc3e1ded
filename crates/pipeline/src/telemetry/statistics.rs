//! What a pipeline tells about itself.

use std::fmt;

use crate::{
    Histogram, Outcome, Stats, Undelivered, Violation,
    ledger::{Counter, Gauge},
};

use super::Core;

/// What has happened in a pipeline so far, in records where nothing else is said. Latencies are microseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PipelineStats {
    /// Everything that was recorded.
    pub events_received: u64,
    /// What an exporter delivered.
    pub events_processed: u64,
    /// What was lost: no room, too large, not delivered by any exporter, left behind at shutdown.
    pub events_dropped: u64,
    /// What adaptive sampling removed.
    pub events_sampled_out: u64,
    /// What the far side refused for good.
    pub events_rejected: u64,
    /// What is on its way.
    pub events_pending: u64,
    /// Batches handed to exporters.
    pub batches_created: u64,
    /// Records that failed validation; 0 without a validator.
    pub validation_errors: u64,
    /// Sends that failed, tried again or not.
    pub export_errors: u64,
    /// Records per batch; 0.0 before the first.
    pub avg_batch_size: f64,
    /// From being recorded to being in the queue, on average. Measured for one record in each request, and for all that
    /// had to wait for room.
    pub avg_ingestion_latency_us: f64,
    /// The same, 99th percentile.
    pub p99_ingestion_latency_us: f64,
    /// Per batch, on average; 0.0 without a validator.
    pub avg_validation_latency_us: f64,
    /// The same, 99th percentile.
    pub p99_validation_latency_us: f64,
    /// From the first record of a request to the last exporter's answer about the last part of it, on average.
    ///
    /// What it counts, where a latency of full batches could be expected: one value for each *request* a worker took from
    /// the queue, full or not, because every record is in one and few are in a full one while little is recorded; the time
    /// in which the request was filled, because its first record waited that long; pauses between attempts; and requests
    /// that failed, at the time they were given up. Requests that never left the queue (dropped to make room, left behind
    /// at shutdown) have no answer and are not in it. With more than one exporter the slowest counts.
    pub avg_processing_latency_us: f64,
    /// The same, 99th percentile.
    pub p99_processing_latency_us: f64,
    /// Every inlet and exporter of it.
    pub detail: Stats,
}

impl PipelineStats {
    /// Whether every record is accounted for:
    /// received = processed + dropped + sampled out + rejected + pending, and the same at each exporter. Meaningful when
    /// nothing is moving, such as after a shutdown.
    ///
    /// # Errors
    /// The first identity that does not hold: a bug of this program.
    pub fn check(&self) -> Result<(), Violation> {
        let right = self.events_processed
            + self.events_dropped
            + self.events_sampled_out
            + self.events_rejected
            + self.events_pending;
        if self.events_received != right {
            return Err(Violation {
                component: "pipeline".to_owned(),
                signal: otlp::Signal::Traces,
                identity: "received = processed + dropped + sampled out + rejected + pending",
                left: self.events_received,
                right,
            });
        }
        self.detail.check()
    }
}

/// What a shutdown left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Exporters that did not deliver everything, and what they did not.
    pub exporters: Vec<Undelivered>,
    /// Records accepted that did not even reach the exporters.
    pub unsent: u64,
    /// Threads left behind because something on them blocks.
    pub threads_left: usize,
}

impl DrainReport {
    /// Whether everything left.
    pub fn is_clean(&self) -> bool {
        self.exporters.is_empty() && self.unsent == 0 && self.threads_left == 0
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("everything left");
        }
        let mut separator = "";
        for exporter in &self.exporters {
            write!(f, "{separator}{exporter}")?;
            separator = "; ";
        }
        if self.unsent > 0 {
            write!(f, "{separator}{} records did not reach an exporter", self.unsent)?;
            separator = "; ";
        }
        if self.threads_left > 0 {
            write!(f, "{separator}{} threads are blocked", self.threads_left)?;
        }
        Ok(())
    }
}

/// What becomes of requests that have left the intake.
#[derive(Debug, Default)]
pub(super) struct Fates {
    pending: Gauge,
    processed: Counter,
    rejected: Counter,
    failed: Counter,
    latency: Histogram,
}

impl Fates {
    pub(super) fn begin(&self, records: u64) {
        self.pending.add(records);
    }

    pub(super) fn end(&self, records: u64, outcome: &Outcome, took_ns: u64) {
        match outcome {
            Outcome::Delivered { rejected } => {
                let rejected = (*rejected).min(records);
                self.processed.add(records - rejected);
                self.rejected.add(rejected);
            }
            Outcome::Removed => self.processed.add(records),
            Outcome::Retry { .. } | Outcome::Permanent { .. } => self.failed.add(records),
        }
        self.pending.sub(records);
        self.latency.observe(took_ns);
    }
}

impl Core {
    pub(super) fn stats(&self) -> PipelineStats {
        let counts = self.intake.counts();
        let detail = self.ledger.stats();
        let batches: u64 = detail.inlets.iter().map(|inlet| inlet.batches).sum();
        let left: u64 = detail.inlets.iter().map(|inlet| inlet.left).sum();
        let us = |ns: f64| ns / 1_000.0;
        let (ingestion, processing) = (&self.intake.latency, &self.fates.latency);
        PipelineStats {
            events_received: counts.received,
            events_processed: self.fates.processed.get(),
            events_dropped: counts.refused + counts.oldest + counts.given_up + self.fates.failed.get(),
            events_sampled_out: counts.sampled,
            events_rejected: self.fates.rejected.get(),
            events_pending: counts.pending + self.fates.pending.get(),
            batches_created: batches,
            validation_errors: 0,
            export_errors: self.queues.iter().map(crate::ExporterQueue::failures).sum(),
            avg_batch_size: if batches == 0 { 0.0 } else { left as f64 / batches as f64 },
            avg_ingestion_latency_us: us(ingestion.mean_ns()),
            p99_ingestion_latency_us: us(ingestion.quantile_ns(0.99)),
            avg_validation_latency_us: 0.0,
            p99_validation_latency_us: 0.0,
            avg_processing_latency_us: us(processing.mean_ns()),
            p99_processing_latency_us: us(processing.quantile_ns(0.99)),
            detail,
        }
    }
}
