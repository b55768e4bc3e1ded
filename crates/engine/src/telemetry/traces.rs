//! Spans of the engine's own work, on their way out.
//!
//! Receivers and exporters leave them with a [`Tracer`] ([`pipeline::tracer`]); a task on the thread that tells of the engine takes
//! them from there and gives them, a batch at a time, to an exporter with counters of its own: they are no telemetry of any
//! pipeline. Nothing of that makes spans again. Requests are marked by a header and by their scope
//! ([`connect::otlp::tracing`]), so that also a receiver that they come to makes none, whether it is this engine's or not.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::{Duration, Instant},
};

use connect::otlp::{OtlpExporter, tracing::OWN_SPANS};
use pipeline::{
    Exporter, ExporterQueue, ExporterSettings, Health, Item, Ledger, RetrySettings, Shards, Tracer,
    clock::now_ns, queue::Size, stats::ExporterStats, tracer::TracerCounts,
};

use super::settings::TraceSettings;
use crate::limits::{DRAIN_STEP, OWN_SPANS_GRACE};

mod request;

/// What counts own spans. Clones read the same.
#[derive(Clone)]
pub(crate) struct TraceMeter {
    tracer: Tracer,
    ledger: Ledger,
}

impl TraceMeter {
    /// Spans that were made, that found no room, and that wait.
    pub(super) fn made(&self) -> TracerCounts {
        self.tracer.counts()
    }

    /// What became of those that were taken from there.
    pub(super) fn sent(&self) -> Option<ExporterStats> {
        self.ledger.stats().exporters.into_iter().next()
    }
}

/// Own spans that nothing sends yet.
pub(super) struct Traces {
    settings: TraceSettings,
    tracer: Tracer,
    ledger: Ledger,
    /// What they are said to be of.
    resource: Mutex<Vec<(String, String)>>,
}

/// Sends own spans until it is dropped.
pub(super) struct Sending {
    queue: ExporterQueue,
    traces: Arc<Traces>,
}

impl Traces {
    pub(super) fn new(settings: TraceSettings, resource: Vec<(String, String)>) -> Self {
        let tracer = Tracer::new(settings.requests_per_second, settings.max_queue_size);
        Self { settings, tracer, ledger: Ledger::new(), resource: Mutex::new(resource) }
    }

    pub(super) fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    pub(super) fn meter(&self) -> TraceMeter {
        TraceMeter { tracer: self.tracer.clone(), ledger: self.ledger.clone() }
    }

    /// Begins to send, on the only one of these shards.
    pub(super) fn start(self, shards: &Shards) -> Sending {
        let config = self.settings.exporter.clone().with_header(OWN_SPANS, "1");
        let retry =
            RetrySettings { max_elapsed_time: self.settings.export_timeout, ..RetrySettings::default() };
        let settings = ExporterSettings { retry, timeout: config.timeout, ..ExporterSettings::direct(1) };
        let exporter: Arc<dyn Exporter> = Arc::new(OtlpExporter::new(config));
        // Somewhere to send spans to is none of what makes the engine ready.
        let queue = ExporterQueue::start(exporter, settings, shards, &self.ledger, &Health::new());
        let sending = Sending { queue, traces: Arc::new(self) };
        let (queue, traces) = (sending.queue.clone(), sending.traces.clone());
        // A task that nobody waits for at the end.
        shards.spawn(0, async move { drop(tokio::spawn(send(traces, queue))) });
        sending
    }

    /// The oldest spans as a request; none where there are none.
    fn request(&self) -> Option<Item> {
        let spans = self.tracer.take(self.settings.max_export_batch_size);
        if spans.is_empty() {
            return None;
        }
        let batch = request::of(&self.resource.lock().unwrap_or_else(PoisonError::into_inner), &spans);
        debug_assert!(batch.is_ok(), "a request of our own is malformed: {batch:?}");
        batch.ok().map(Item::new)
    }
}

/// Sends what waits, every so often.
async fn send(traces: Arc<Traces>, queue: ExporterQueue) {
    loop {
        tokio::time::sleep(traces.settings.schedule_delay).await;
        send_all(&traces, &queue).await;
    }
}

/// One request after the other; what there is no room for yet waits where it is bounded.
async fn send_all(traces: &Traces, queue: &ExporterQueue) {
    loop {
        queue.room(ONE).await;
        let Some(item) = traces.request() else { return };
        queue.offer(item, 0, now_ns());
    }
}

const ONE: Size = Size { requests: 1, records: 1, bytes: 1 };

impl Sending {
    pub(super) fn tracer(&self) -> &Tracer {
        self.traces.tracer()
    }

    pub(super) fn meter(&self) -> TraceMeter {
        self.traces.meter()
    }

    /// From now on spans are of an engine with these attributes.
    pub(super) fn describe(&self, resource: &[(String, String)]) {
        *self.traces.resource.lock().unwrap_or_else(PoisonError::into_inner) = resource.to_vec();
    }

    /// Sends what there is, for as long as [`OWN_SPANS_GRACE`] and this deadline allow. Blocks.
    pub(super) fn finish(&self, shards: &Shards, deadline: Instant) {
        let deadline = deadline.min(Instant::now() + OWN_SPANS_GRACE);
        let (tell, told) = mpsc::sync_channel(1);
        let (queue, traces) = (self.queue.clone(), self.traces.clone());
        shards.spawn(0, async move {
            // What does not leave in time is counted as dropped by who drains the queue.
            let _ = tokio::time::timeout_at(deadline.into(), send_all(&traces, &queue)).await;
            let _ = tell.send(queue.drain(deadline.into()).await);
        });
        let patience = deadline.saturating_duration_since(Instant::now()) + Duration::from_secs(1);
        let _ = told.recv_timeout(patience.max(DRAIN_STEP));
    }
}
