//! Spans of requests that are received, where the engine traces itself.
//!
//! Requests that carry the engine's own spans, or those of another Aldis, have none: they would make requests for ever. They are
//! known by a header ([`OWN_SPANS`]) where they come directly, and by their instrumentation scope ([`OWN_SCOPE`]) where they came
//! through whatever else.

use std::sync::Arc;

use http::HeaderMap;
use otlp::{Batch, Signal, event::AttributeValue};
use pipeline::{
    Traced, Tracer,
    clock::now_ns,
    tracer::{Span, SpanContext, SpanKind},
};

use super::{Refusal, stats::Transport};

/// The header of requests that carry spans of their sender's own work.
pub const OWN_SPANS: &str = "aldis-own-spans";

/// The instrumentation scope of such spans.
pub const OWN_SCOPE: &str = "aldis.telemetry";

/// A request that is traced, until it is answered.
#[derive(Debug)]
pub(super) struct RequestSpan {
    tracer: Tracer,
    context: SpanContext,
    receiver: Arc<str>,
    transport: Transport,
    signal: Signal,
    is_json: bool,
    started_ns: u64,
}

impl RequestSpan {
    /// The span of a request that begins now, if it is to have one.
    pub(super) fn begin(
        tracer: &Tracer,
        receiver: &Arc<str>,
        (transport, signal): (Transport, Signal),
        headers: &HeaderMap,
    ) -> Option<Self> {
        if headers.contains_key(OWN_SPANS) {
            return None;
        }
        let started_ns = now_ns();
        let context = tracer.sample(started_ns)?;
        let is_json = headers.get(http::header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
        let (tracer, receiver) = (tracer.clone(), receiver.clone());
        Some(Self { tracer, context, receiver, transport, signal, is_json, started_ns })
    }

    /// What is told to whoever delivers it.
    pub(super) fn traced(&self) -> Traced {
        Traced::new(&self.tracer, self.context)
    }

    /// It was answered.
    pub(super) fn end(self, records: u64, refusal: Option<&Refusal>) {
        let error = refusal.map(|refusal| format!("{}: {refusal}", refusal.code().name()));
        self.finish(records, error);
    }

    /// Its sender left before it was answered.
    pub(super) fn cancel(self, records: u64) {
        self.finish(records, Some("CANCELLED: the sender left before the answer".to_owned()));
    }

    fn finish(self, records: u64, error: Option<String>) {
        // The Collector's words (`receiverhelper`).
        let (operation, counted) = match self.signal {
            Signal::Traces => ("TraceDataReceived", ["accepted_spans", "refused_spans"]),
            Signal::Metrics => ("MetricsReceived", ["accepted_metric_points", "refused_metric_points"]),
            Signal::Logs => ("LogsReceived", ["accepted_log_records", "refused_log_records"]),
            Signal::Profiles => ("ProfilesReceived", ["accepted_profile_samples", "refused_profile_samples"]),
        };
        let text = |text: &str| AttributeValue::String(text.to_owned());
        let int = |n: u64| AttributeValue::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let (accepted, refused) = if error.is_some() { (0, records) } else { (records, 0) };
        self.tracer.end(Span {
            context: self.context,
            parent: None,
            links: Vec::new(),
            dropped_links: 0,
            name: format!("receiver/{}/{operation}", self.receiver),
            kind: SpanKind::Server,
            started_ns: self.started_ns,
            ended_ns: now_ns(),
            attributes: vec![
                ("receiver", text(&self.receiver)),
                ("transport", text(self.transport.name())),
                ("format", text(if self.is_json { "json" } else { "protobuf" })),
                (counted[0], int(accepted)),
                (counted[1], int(refused)),
            ],
            error,
        });
    }
}

/// Whether a batch has spans of an engine's own work. It looks for the scope's bytes, so that it is right wherever a body has
/// them and takes a fraction of the check.
pub(super) fn has_own_spans(batch: &Batch) -> bool {
    // `InstrumentationScope.name`: field 1, the length, the name.
    let mut name = vec![0x0a, OWN_SCOPE.len() as u8];
    name.extend_from_slice(OWN_SCOPE.as_bytes());
    batch.signal() == Signal::Traces && memchr::memmem::find(batch.raw(), &name).is_some()
}
