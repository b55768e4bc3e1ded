//! Spans of the engine's own work.
//!
//! A receiver asks [`Tracer::sample`] when a request begins. What was chosen travels in the item's [`Context`](crate::Context) as
//! [`Traced`], through merges and splits, so that whoever delivers it knows whom to tell and which spans are its parents: nothing
//! else in a pipeline has to know of tracers, and what was not chosen costs a comparison with nothing.
//!
//! Spans wait here, bounded, until somebody takes them. What finds no room is counted and gone.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use otlp::{Signal, SpanId, TraceId, event::AttributeValue};

use crate::{Outcome, limits::MAX_LINKS};

/// Whose work a span is, for others to name it as their parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
}

/// Which side of a request a span is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// A request that came.
    Server,
    /// A request that was sent.
    Client,
}

/// Something that the engine did.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Itself.
    pub context: SpanContext,
    /// What caused it, where that is one request.
    pub parent: Option<SpanId>,
    /// What caused it, where that is several requests; at most [`MAX_LINKS`].
    pub links: Vec<SpanContext>,
    /// Requests among its causes that are not among the links.
    pub dropped_links: u32,
    /// `receiver/otlp/TraceDataReceived`, say.
    pub name: String,
    /// Its side.
    pub kind: SpanKind,
    /// Unix nanoseconds.
    pub started_ns: u64,
    /// Unix nanoseconds.
    pub ended_ns: u64,
    /// What more is known.
    pub attributes: Vec<(&'static str, AttributeValue)>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// Chooses requests that are traced, and keeps spans until they are taken. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Tracer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Nanoseconds between two requests that are chosen, on average.
    interval_ns: u64,
    /// When the next one would come if they came evenly: the generic cell rate algorithm (ITU-T I.371), of one number.
    due_ns: AtomicU64,
    capacity: usize,
    waiting: Mutex<VecDeque<Span>>,
    made: AtomicU64,
    dropped: AtomicU64,
}

/// What a tracer counted: made = taken + dropped + waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TracerCounts {
    /// Spans that were made.
    pub made: u64,
    /// Spans that found no room.
    pub dropped: u64,
    /// Spans that nobody has taken yet.
    pub waiting: u64,
}

/// Requests may come together as many as may come in so long.
const BURST_NS: u64 = 1_000_000_000;

impl Tracer {
    /// One that chooses at most so many requests in a second, at least one, and keeps at most so many spans.
    ///
    /// ```
    /// use aldis_pipeline::tracer::Tracer;
    ///
    /// let tracer = Tracer::new(2, 100);
    /// let now_ns = 1_700_000_000_000_000_000;
    /// let chosen = (0..10).filter(|_| tracer.sample(now_ns).is_some());
    /// assert_eq!(chosen.count(), 2);
    /// assert!(tracer.sample(now_ns + 500_000_000).is_some());
    /// ```
    pub fn new(requests_per_second: u32, capacity: usize) -> Self {
        let interval_ns = BURST_NS / u64::from(requests_per_second.max(1));
        let shared = Shared {
            interval_ns,
            due_ns: AtomicU64::new(0),
            capacity,
            waiting: Mutex::default(),
            made: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The span of a request that begins now, if this one is to be traced.
    pub fn sample(&self, now_ns: u64) -> Option<SpanContext> {
        let due_ns = self.shared.due_ns.load(Relaxed);
        let next_ns = due_ns.max(now_ns) + self.shared.interval_ns;
        if next_ns > now_ns + BURST_NS {
            return None;
        }
        // Whoever loses the race is one of many: another is chosen.
        self.shared.due_ns.compare_exchange(due_ns, next_ns, Relaxed, Relaxed).ok()?;
        Some(SpanContext { trace_id: trace_id(), span_id: span_id() })
    }

    /// Keeps a span.
    pub fn end(&self, span: Span) {
        self.shared.made.fetch_add(1, Relaxed);
        let mut waiting = self.waiting();
        if waiting.len() < self.shared.capacity {
            waiting.push_back(span);
        } else {
            self.shared.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Gives away the oldest spans, at most so many.
    pub fn take(&self, most: usize) -> Vec<Span> {
        let mut waiting = self.waiting();
        let n = waiting.len().min(most);
        waiting.drain(..n).collect()
    }

    /// What it counted so far.
    pub fn counts(&self) -> TracerCounts {
        let waiting = self.waiting();
        TracerCounts {
            made: self.shared.made.load(Relaxed),
            dropped: self.shared.dropped.load(Relaxed),
            waiting: waiting.len() as u64,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Span>> {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an item knows of the requests in it that are traced.
#[derive(Clone, Debug)]
pub struct Traced {
    tracer: Tracer,
    requests: Vec<SpanContext>,
    left_out: u32,
}

/// An exporter's work on an item, from its first attempt to the last answer.
#[derive(Debug)]
pub(crate) struct Export<'a> {
    pub(crate) exporter: &'a str,
    pub(crate) signal: Signal,
    pub(crate) records: u64,
    pub(crate) attempts: u32,
    pub(crate) started_ns: u64,
    pub(crate) ended_ns: u64,
    pub(crate) outcome: &'a Outcome,
}

impl Traced {
    /// Of one request.
    pub fn new(tracer: &Tracer, request: SpanContext) -> Self {
        Self { tracer: tracer.clone(), requests: vec![request], left_out: 0 }
    }

    /// Of the requests of both. At most [`MAX_LINKS`] are known one by one.
    pub(crate) fn join(&mut self, other: &Traced) {
        for request in
            other.requests.iter().filter(|request| !self.requests.contains(request)).collect::<Vec<_>>()
        {
            if self.requests.len() < MAX_LINKS {
                self.requests.push(*request);
            } else {
                self.left_out += 1;
            }
        }
        self.left_out += other.left_out;
    }

    /// Makes the span of what an exporter did: the child of the request, or linked to the requests.
    pub(crate) fn exported(&self, export: &Export<'_>) {
        let (trace_id, parent) = match self.requests.as_slice() {
            [request] if self.left_out == 0 => (request.trace_id, Some(request.span_id)),
            _ => (trace_id(), None),
        };
        let links = if parent.is_some() { Vec::new() } else { self.requests.clone() };
        let (failed, error) = match export.outcome {
            Outcome::Delivered { rejected } => ((*rejected).min(export.records), None),
            Outcome::Removed => (0, None),
            Outcome::Retry { reason, .. } | Outcome::Permanent { reason, .. } => {
                (export.records, Some(reason.clone()))
            }
        };
        let int = |n: u64| AttributeValue::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let text = |text: &str| AttributeValue::String(text.to_owned());
        self.tracer.end(Span {
            context: SpanContext { trace_id, span_id: span_id() },
            parent,
            links,
            dropped_links: self.left_out,
            name: format!("exporter/{}/{}", export.exporter, export.signal.name()),
            kind: SpanKind::Client,
            started_ns: export.started_ns,
            ended_ns: export.ended_ns,
            attributes: vec![
                ("exporter", text(export.exporter)),
                ("data_type", text(export.signal.name())),
                ("items.sent", int(export.records - failed)),
                ("items.failed", int(failed)),
                ("aldis.attempts", int(export.attempts.into())),
            ],
            error,
        });
    }
}

/// Random, and never zero, which would be no id. The standard library seeds its hashes with what it needs.
fn random() -> u64 {
    RandomState::new().build_hasher().finish() | 1
}

fn trace_id() -> TraceId {
    TraceId((u128::from(random()) << 64 | u128::from(random())).to_be_bytes())
}

fn span_id() -> SpanId {
    SpanId(random().to_be_bytes())
}

#[cfg(test)]
mod tests;
