//! Spans put together to traces, and the choice of the one to show.

use std::collections::HashMap;
use std::sync::Arc;

use otlp::{SpanId, TraceId};

use super::catalogue::Catalogue;
use super::tree::{self, Tree};
use crate::limits::{
    SUMMARY_LOOK_NS, SUMMARY_QUIET_NS, SUMMARY_SHOWN_NS, SUMMARY_SPANS_MAX, SUMMARY_TRACE_SPANS_MAX,
    SUMMARY_TRACES_MAX,
};

/// What is kept of a span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gathered {
    pub(super) span_id: SpanId,
    pub(super) parent: SpanId,
    /// Its number in the catalogue.
    pub(super) operation: u32,
    pub(super) start_ns: u64,
    /// Not before the start.
    pub(super) end_ns: u64,
    pub(super) error: bool,
}

/// Traces of which spans still come, and the one that is shown.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    open: HashMap<TraceId, Open>,
    /// Spans of all of them.
    held: usize,
    next_look_ns: u64,
    shown: Option<(u64, Arc<Tree>)>,
    /// The best of those that are complete and were not shown.
    best: Option<Candidate>,
    unseen: u64,
}

#[derive(Debug)]
struct Open {
    spans: Vec<Gathered>,
    last_ns: u64,
    /// Spans that there was no room for.
    cut: u64,
}

#[derive(Debug)]
struct Candidate {
    rank: Rank,
    open: Open,
}

/// Which of two traces is rather shown: the one that has all its spans, that failed, that is longer. Ids decide the rest.
type Rank = (bool, bool, u64, TraceId);

impl Gathering {
    /// Takes in a span that comes now.
    pub(super) fn add(&mut self, trace: TraceId, span: Gathered, now_ns: u64) {
        if trace.is_zero() {
            return;
        }
        let known = self.open.contains_key(&trace);
        if self.held >= SUMMARY_SPANS_MAX || (!known && self.open.len() >= SUMMARY_TRACES_MAX) {
            self.unseen += 1;
            if let Some(open) = self.open.get_mut(&trace) {
                (open.cut, open.last_ns) = (open.cut + 1, now_ns);
            }
            return;
        }
        let open =
            self.open.entry(trace).or_insert_with(|| Open { spans: Vec::new(), last_ns: now_ns, cut: 0 });
        open.last_ns = now_ns;
        if open.spans.len() >= SUMMARY_TRACE_SPANS_MAX {
            open.cut += 1;
            self.unseen += 1;
            return;
        }
        open.spans.push(span);
        self.held += 1;
    }

    /// Looks which traces have been quiet for long enough, and whether it is time to show another.
    pub(super) fn look(&mut self, now_ns: u64, catalogue: &Catalogue) {
        if now_ns < self.next_look_ns {
            return;
        }
        self.next_look_ns = now_ns + SUMMARY_LOOK_NS;
        let quiet = |open: &Open| now_ns >= open.last_ns.saturating_add(SUMMARY_QUIET_NS);
        for (trace, open) in self.open.extract_if(|_, open| quiet(open)) {
            self.held -= open.spans.len();
            let rank = rank(trace, &open);
            if self.best.as_ref().is_none_or(|best| rank > best.rank) {
                self.best = Some(Candidate { rank, open });
            }
        }
        let over = self.shown.as_ref().is_none_or(|(since, _)| now_ns >= since + SUMMARY_SHOWN_NS);
        if over && let Some(Candidate { rank, open }) = self.best.take() {
            let tree = tree::of(rank.3, open.spans, open.cut, catalogue);
            self.shown = Some((now_ns, Arc::new(tree)));
        }
    }

    pub(super) fn shown(&self) -> Option<Arc<Tree>> {
        self.shown.as_ref().map(|(_, tree)| tree.clone())
    }

    /// Spans that were not gathered.
    pub(super) fn unseen(&self) -> u64 {
        self.unseen
    }
}

fn rank(trace: TraceId, open: &Open) -> Rank {
    let mut ids: Vec<SpanId> = open.spans.iter().map(|span| span.span_id).collect();
    ids.sort_unstable();
    let has_parent = |span: &Gathered| span.parent.is_zero() || ids.binary_search(&span.parent).is_ok();
    let root = open.spans.iter().find(|span| span.parent.is_zero());
    let whole = open.cut == 0 && root.is_some() && open.spans.iter().all(has_parent);
    let failed = root.is_some_and(|root| root.error);
    let duration_ns = root.map_or(0, |root| root.end_ns - root.start_ns);
    (whole, failed, duration_ns, trace)
}
