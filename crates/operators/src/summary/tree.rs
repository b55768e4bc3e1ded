//! A trace as a tree.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use otlp::{SpanId, TraceId};

use super::CONSUMER;
use super::catalogue::Catalogue;
use super::gather::Gathered;

/// A trace, complete as far as it was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    /// Its id.
    pub trace_id: TraceId,
    /// When its first branch began, Unix nanoseconds.
    pub start_ns: u64,
    /// Nanoseconds from then to the last end.
    pub duration_ns: u64,
    /// Its spans: each after its parent, children in the order of their beginnings.
    pub branches: Vec<Branch>,
    /// Spans that there was no room for.
    pub cut: u64,
}

/// A span of a tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// Its id.
    pub span_id: SpanId,
    /// Where its parent is in [`Tree::branches`]; `None` for a root and where the parent was not seen.
    pub parent: Option<usize>,
    /// Whether it has a parent that was not seen.
    pub is_orphan: bool,
    /// How many branches it hangs from.
    pub depth: usize,
    /// Who it is of.
    pub service: Arc<str>,
    /// The operation.
    pub name: Arc<str>,
    /// `SpanKind` as OTLP numbers it.
    pub kind: i32,
    /// Nanoseconds from the tree's beginning to its own.
    pub offset_ns: u64,
    /// Nanoseconds that it took.
    pub duration_ns: u64,
    /// Whether its status is an error.
    pub error: bool,
    /// Nanoseconds that it has on the critical path of the first root: what that waited for.
    pub critical_ns: u64,
}

impl Tree {
    /// Whether a root failed.
    pub fn failed(&self) -> bool {
        self.branches.iter().any(|branch| branch.depth == 0 && branch.error)
    }
}

/// The tree of these spans. A span that came twice is in it once.
pub(super) fn of(trace_id: TraceId, spans: Vec<Gathered>, cut: u64, catalogue: &Catalogue) -> Tree {
    let forest = Forest::new(spans, catalogue);
    let start_ns = forest.spans.first().map_or(0, |span| span.start_ns);
    let end_ns = forest.spans.iter().map(|span| span.end_ns).max().unwrap_or(start_ns);
    let order = forest.order();
    let critical_ns = forest.critical_times();
    let mut place = vec![0; forest.spans.len()];
    for (at, (i, _)) in order.iter().enumerate() {
        place[*i] = at;
    }
    let branch = |(i, depth): &(usize, usize)| {
        let span = &forest.spans[*i];
        let (service, name, kind) = catalogue.named(span.operation);
        let parent = forest.parent[*i].filter(|_| *depth > 0).map(|parent| place[parent]);
        Branch {
            span_id: span.span_id,
            parent,
            is_orphan: parent.is_none() && !span.parent.is_zero(),
            depth: *depth,
            service,
            name,
            kind,
            offset_ns: span.start_ns - start_ns,
            duration_ns: span.end_ns - span.start_ns,
            error: span.error,
            critical_ns: critical_ns[*i],
        }
    };
    let branches = order.iter().map(branch).collect();
    Tree { trace_id, start_ns, duration_ns: end_ns - start_ns, branches, cut }
}

/// Spans by number, in the order of their beginnings, and how they hang together.
struct Forest {
    spans: Vec<Gathered>,
    parent: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    /// Whether its parent does not wait for it: it processes a message.
    is_asynchronous: Vec<bool>,
}

impl Forest {
    fn new(mut spans: Vec<Gathered>, catalogue: &Catalogue) -> Self {
        // The order in which spans came makes no difference.
        spans.sort_unstable_by_key(|span| (span.start_ns, span.span_id, Reverse(span.end_ns)));
        let mut number: HashMap<SpanId, usize> = HashMap::new();
        spans.retain(|span| {
            let next = number.len();
            *number.entry(span.span_id).or_insert(next) == next
        });
        let parent_of =
            |span: &Gathered| number.get(&span.parent).copied().filter(|_| !span.parent.is_zero());
        let parent: Vec<Option<usize>> = spans.iter().map(parent_of).collect();
        let mut children = vec![Vec::new(); spans.len()];
        for (i, parent) in parent.iter().enumerate() {
            if let Some(parent) = parent {
                children[*parent].push(i);
            }
        }
        let consumes =
            |span: &Gathered| catalogue.named(span.operation).2 == CONSUMER && !span.parent.is_zero();
        let is_asynchronous = spans.iter().map(consumes).collect();
        Self { spans, parent, children, is_asynchronous }
    }

    /// Every span with its depth, each after its parent: first what hangs from roots, then what hangs from spans whose parents
    /// were not seen, last what is its own ancestor.
    fn order(&self) -> Vec<(usize, usize)> {
        let all = 0..self.spans.len();
        let is_root = |i: &usize| self.parent[*i].is_none() && self.spans[*i].parent.is_zero();
        let is_orphan = |i: &usize| self.parent[*i].is_none() && !self.spans[*i].parent.is_zero();
        let beginnings = all.clone().filter(is_root).chain(all.clone().filter(is_orphan)).chain(all);
        let mut order = Vec::with_capacity(self.spans.len());
        let mut placed = vec![false; self.spans.len()];
        let mut ahead = Vec::new();
        for beginning in beginnings {
            ahead.push((beginning, 0));
            while let Some((i, depth)) = ahead.pop() {
                if std::mem::replace(&mut placed[i], true) {
                    continue;
                }
                order.push((i, depth));
                ahead.extend(self.children[i].iter().rev().map(|child| (*child, depth + 1)));
            }
        }
        order
    }

    /// Nanoseconds of each span on the critical path of the first root.
    ///
    /// Defined by walking backwards (the "last returning child" of Zhang et al., *CRISP: Critical Path Analysis of Large-Scale
    /// Microservice Architectures*, USENIX ATC 2022, §3.1), with times clipped to those of the parent's piece; a span that
    /// processes a message is not waited for.
    fn critical_times(&self) -> Vec<u64> {
        let mut times = vec![0; self.spans.len()];
        if let Some(root) = (0..self.spans.len()).find(|i| self.spans[*i].parent.is_zero()) {
            let mut ahead = vec![(root, self.spans[root].start_ns, self.spans[root].end_ns)];
            while let Some((i, from, to)) = ahead.pop() {
                let mut waited: Vec<(u64, u64, SpanId, usize)> = self.children[i]
                    .iter()
                    .filter(|child| !self.is_asynchronous[**child])
                    .map(|&child| {
                        let span = &self.spans[child];
                        (span.end_ns.min(to), span.start_ns.max(from), span.span_id, child)
                    })
                    .filter(|(end, start, ..)| start < end)
                    .collect();
                waited.sort_unstable_by(|a, b| b.cmp(a));
                let mut at = to;
                for (end, start, _, child) in waited.into_iter() {
                    if end <= at {
                        times[i] += at - end;
                        ahead.push((child, start, end));
                        at = start;
                    }
                }
                times[i] += at - from;
            }
        }
        times
    }
}
