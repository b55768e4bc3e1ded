//! What really happened.
//!
//! Everything here is told by the model itself, at the time at which it happened, never read back from what was exported: it is
//! what an observer of the exported requests should come to know.

mod path;
mod totals;

pub use path::PathPiece;
pub(crate) use totals::Ledger;
pub use totals::{Edge, EdgeKind, OperationTotals, ServiceTotals, SignalTotals, Totals, TraceTotals};

use std::fmt;

use otlp::{SpanId, SpanStatus, TraceId};

/// What a span is to the trace, numbered as OTLP does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpanKind {
    /// Work within a service.
    Internal = 1,
    /// A request that is answered.
    Server = 2,
    /// A request that is made.
    Client = 3,
    /// A message that is sent.
    Producer = 4,
    /// A message that is processed.
    Consumer = 5,
}

/// One trace, whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TraceTruth {
    /// Its id.
    pub trace_id: TraceId,
    /// Its spans. The first is the root; every other comes after its parent.
    pub spans: Vec<SpanTruth>,
    /// How many log records carry its id.
    pub logs: u32,
    /// When the last of its spans and log records was exported, Unix nanoseconds: nothing of it comes later. Where none was, when it was over.
    pub complete_ns: u64,
}

/// One span.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanTruth {
    /// Its id.
    pub span_id: SpanId,
    /// Where its parent is in [`TraceTruth::spans`].
    pub parent: Option<usize>,
    /// Who it is of.
    pub service: &'static str,
    /// Which instance of the service, from 0.
    pub instance: u16,
    /// The operation.
    pub name: &'static str,
    /// What it is to the trace.
    pub kind: SpanKind,
    /// Unix nanoseconds, by a clock that is right.
    pub start_ns: u64,
    /// Unix nanoseconds, by a clock that is right.
    pub end_ns: u64,
    /// Nanoseconds that were added to both where it was exported, because the clock of its host is off.
    pub skew_ns: i64,
    /// How it went.
    pub status: SpanStatus,
    /// Whether it is exported. One that is not is still known to others as their parent.
    pub exported: bool,
    /// How many other spans it links to.
    pub links: u32,
}

impl SpanTruth {
    /// Whether its parent does not wait for it: it processes a message that its parent sent.
    pub fn is_asynchronous(&self) -> bool {
        self.kind == SpanKind::Consumer && self.parent.is_some()
    }
}

impl TraceTruth {
    /// Where it began.
    ///
    /// # Panics
    /// If there are no spans. No workload yields such a trace.
    pub fn root(&self) -> &SpanTruth {
        &self.spans[0]
    }

    /// Nanoseconds from the beginning of the root to its end.
    pub fn duration_ns(&self) -> u64 {
        self.root().end_ns - self.root().start_ns
    }

    /// Whether the root failed.
    pub fn failed(&self) -> bool {
        self.root().status == SpanStatus::Error
    }
}

/// The tree, a line for each span: service, name, milliseconds from the beginning of the root to its own, and to its end.
impl fmt::Display for TraceTruth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = self.root().start_ns;
        let mut depths = Vec::with_capacity(self.spans.len());
        for span in &self.spans {
            let depth = span.parent.map_or(0, |parent| depths[parent] + 1);
            depths.push(depth);
            let ms = |ns: u64| (ns - begin) as f64 / 1e6;
            let failed = if span.status == SpanStatus::Error { " failed" } else { "" };
            let missing = if span.exported { "" } else { " (not exported)" };
            writeln!(
                f,
                "{:indent$}{} {} {:.3}..{:.3} ms{failed}{missing}",
                "",
                span.service,
                span.name,
                ms(span.start_ns),
                ms(span.end_ns),
                indent = depth * 2,
            )?;
        }
        Ok(())
    }
}
