//! The critical path: what the root waited for.

use super::TraceTruth;

/// A stretch of time in which a trace went on in one span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathPiece {
    /// Where the span is in [`TraceTruth::spans`].
    pub span: usize,
    /// Unix nanoseconds.
    pub start_ns: u64,
    /// Unix nanoseconds; later than the start.
    pub end_ns: u64,
}

impl TraceTruth {
    /// The critical path: pieces in the order of time that cover the root from its beginning to its end, without gap or overlap.
    ///
    /// Defined by walking backwards (the "last returning child" of Zhang et al., *CRISP: Critical Path Analysis of Large-Scale
    /// Microservice Architectures*, USENIX ATC 2022, §3.1). In a span, from the end of its time: of the children that return no
    /// later than here, the one that returned last is what the span waited for. What lies behind its return is the span's own
    /// time; then the child is walked in the same way, and the walk goes on in the span where that child began. What is left
    /// in front is the span's own.
    ///
    /// - A child's time is its own clipped to that of its parent's piece: a server that works on after its client has given up is
    ///   waited for until then. A child without time within the parent is not on the path, nor are its descendants.
    /// - Children that return together: the one that began later, then the one with the greater id.
    /// - A child that processes a message ([`super::SpanTruth::is_asynchronous`]) is not waited for.
    /// - Times are those of a clock that is right, and spans that are not exported count.
    pub fn critical_path(&self) -> Vec<PathPiece> {
        let mut children = vec![Vec::new(); self.spans.len()];
        for (i, span) in self.spans.iter().enumerate() {
            if let Some(parent) = span.parent
                && !span.is_asynchronous()
            {
                children[parent].push(i);
            }
        }
        let mut pieces = Vec::new();
        let root = self.root();
        self.walk(0, root.start_ns, root.end_ns, &children, &mut pieces);
        pieces.reverse();
        pieces
    }

    /// Nanoseconds of each span on the critical path, by its place in [`TraceTruth::spans`], in the order of these.
    pub fn critical_self_times(&self) -> Vec<(usize, u64)> {
        let mut times = vec![0; self.spans.len()];
        for piece in self.critical_path() {
            times[piece.span] += piece.end_ns - piece.start_ns;
        }
        times.into_iter().enumerate().filter(|(_, ns)| *ns > 0).collect()
    }

    /// Walks backwards through `span` between `from` and `to`. The depth is that of the model: a dozen.
    fn walk(&self, span: usize, from: u64, to: u64, children: &[Vec<usize>], pieces: &mut Vec<PathPiece>) {
        let mut waited: Vec<_> = children[span]
            .iter()
            .map(|&i| {
                let child = &self.spans[i];
                (child.end_ns.min(to), child.start_ns.max(from), child.span_id, i)
            })
            .filter(|(end, start, ..)| start < end)
            .collect();
        waited.sort_unstable_by(|a, b| b.cmp(a));
        let mut at = to;
        let own = |start_ns: u64, end_ns: u64, pieces: &mut Vec<PathPiece>| {
            if start_ns < end_ns {
                pieces.push(PathPiece { span, start_ns, end_ns });
            }
        };
        for (end, start, _, child) in waited {
            if end <= at {
                own(end, at, pieces);
                self.walk(child, start, end, children, pieces);
                at = start;
            }
        }
        own(from, at, pieces);
    }
}
