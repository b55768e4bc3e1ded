//! The critical path, against cases drawn by hand and an oracle that asks who has every instant.

use std::collections::HashMap;

use aldis_workload::{Settings, SpanKind, SpanTruth, TraceTruth};
use opentelemetry_proto::tonic::trace::v1::Span;
use otlp::{SpanId, SpanStatus, TraceId};

use super::decoded::{Placed, run, spans};

/// Intent; spans, parents first, as `name parent start end`, where a name in capitals is a consumer; the path.
const CASES: &[(&str, &str, &str)] = &[
    ("a root alone has all of it", "r - 0 9", "r 0 9"),
    ("a child is waited for", "r - 0 9, a r 2 5", "r 0 2, a 2 5, r 5 9"),
    ("one after the other, without a gap", "r - 0 9, a r 1 4, b r 4 8", "r 0 1, a 1 4, b 4 8, r 8 9"),
    ("of two at the same time the last to return", "r - 0 9, a r 1 8, b r 1 6", "r 0 1, a 1 8, r 8 9"),
    ("one that overlaps what was waited for is not", "r - 0 9, a r 1 5, b r 4 8", "r 0 4, b 4 8, r 8 9"),
    ("one in front of it is", "r - 0 9, a r 0 2, b r 1 5, c r 5 9", "r 0 1, b 1 5, c 5 9"),
    ("returning together, the later to begin", "r - 0 9, a r 1 8, b r 3 8", "r 0 3, b 3 8, r 8 9"),
    (
        "returning together, it is not waited for twice",
        "r - 0 9, a r 1 8, b r 3 8, c r 1 3",
        "r 0 1, c 1 3, b 3 8, r 8 9",
    ),
    ("the same in everything, the greater id", "r - 0 9, a r 1 8, b r 1 8", "r 0 1, b 1 8, r 8 9"),
    (
        "grandchildren",
        "r - 0 9, a r 1 8, b a 2 3, c a 4 6",
        "r 0 1, a 1 2, b 2 3, a 3 4, c 4 6, a 6 8, r 8 9",
    ),
    (
        "a server that works on after its client gave up",
        "r - 0 9, a r 1 5, b a 2 8, c b 3 7",
        "r 0 1, a 1 2, b 2 3, c 3 5, r 5 9",
    ),
    (
        "a descendant outside of what was waited for",
        "r - 0 9, a r 1 4, b a 2 8, c b 5 7",
        "r 0 1, a 1 2, b 2 4, r 4 9",
    ),
    ("a child after its parent", "r - 0 5, a r 6 9", "r 0 5"),
    ("a consumer is not waited for", "r - 0 9, p r 2 3, C p 4 8", "r 0 2, p 2 3, r 3 9"),
    ("even if it is faster than its producer", "r - 0 9, p r 2 6, C p 3 5", "r 0 2, p 2 6, r 6 9"),
    ("a consumer that is the root has its own", "C - 0 9, a C 2 5", "C 0 2, a 2 5, C 5 9"),
    (
        "a child before its parent, by the clock of another",
        "r - 2 9, a r 0 5, b a 1 3",
        "b 2 3, a 3 5, r 5 9",
    ),
    ("one that takes no time", "r - 0 9, a r 4 4", "r 0 9"),
];

fn drawn(text: &str) -> (TraceTruth, Vec<&str>) {
    let mut names = Vec::new();
    let mut trace = TraceTruth { trace_id: TraceId([1; 16]), ..TraceTruth::default() };
    for line in text.split(", ") {
        let words: Vec<&str> = line.split(' ').collect();
        let consumer = words[0].chars().all(char::is_uppercase);
        trace.spans.push(SpanTruth {
            span_id: SpanId((names.len() as u64 + 1).to_be_bytes()),
            parent: names.iter().position(|name| *name == words[1]),
            service: "s",
            instance: 0,
            name: "n",
            kind: if consumer { SpanKind::Consumer } else { SpanKind::Internal },
            start_ns: words[2].parse().unwrap(),
            end_ns: words[3].parse().unwrap(),
            skew_ns: 0,
            status: SpanStatus::Unset,
            exported: true,
            links: 0,
        });
        names.push(words[0]);
    }
    (trace, names)
}

#[test]
fn drawn_by_hand() {
    for (intent, text, expected) in CASES {
        let (trace, names) = drawn(text);
        let path = trace.critical_path();
        let said: Vec<String> = path
            .iter()
            .map(|piece| format!("{} {} {}", names[piece.span], piece.start_ns, piece.end_ns))
            .collect();
        assert_eq!(said.join(", "), *expected, "{intent}");
    }
}

/// Who has the time from `at` to the next nanosecond, if `span` has all between `from` and `to`.
fn owner<'a>(
    span: &'a Span,
    (from, to): (u64, u64),
    at: u64,
    children: &HashMap<&[u8], Vec<&'a Span>>,
) -> &'a Span {
    let mut cursor = to;
    loop {
        let clipped = children.get(&span.span_id[..]).into_iter().flatten().map(|child| {
            (child.end_time_unix_nano.min(to), child.start_time_unix_nano.max(from), &child.span_id, *child)
        });
        let returned = clipped
            .filter(|(end, start, _, child)| child.kind != 5 && start < end && *end <= cursor)
            .max_by_key(|(end, start, id, _)| (*end, *start, *id));
        let Some((end, start, _, child)) = returned else { return span };
        if at >= end {
            return span;
        }
        if at >= start {
            return owner(child, (start, end), at, children);
        }
        cursor = start;
    }
}

#[test]
fn every_instant_has_the_owner_that_the_oracle_finds() {
    let ran = run(Settings { seed: 3, traces_per_second: 40, ..Settings::default() }, 45_000);
    let exported = spans(&ran.requests);
    let mut by_trace: HashMap<&[u8], Vec<&Placed<Span>>> = HashMap::new();
    for span in &exported {
        by_trace.entry(&span.record.trace_id[..]).or_default().push(span);
    }
    for trace in &ran.traces {
        let of: Vec<&Span> = by_trace[&trace.trace_id.0[..]].iter().map(|span| &span.record).collect();
        let mut children: HashMap<&[u8], Vec<&Span>> = HashMap::new();
        for &span in &of {
            children.entry(&span.parent_span_id[..]).or_default().push(span);
        }
        let root = children[&[][..]][0];
        let whole = (root.start_time_unix_nano, root.end_time_unix_nano);
        let mut at = whole.0;
        for piece in trace.critical_path() {
            assert_eq!(piece.start_ns, at, "without gap or overlap");
            assert!(piece.end_ns > piece.start_ns);
            at = piece.end_ns;
            let span = trace.spans[piece.span].span_id;
            // Owners change only where some span begins or ends.
            let times = of.iter().flat_map(|span| [span.start_time_unix_nano, span.end_time_unix_nano]);
            let within = times.filter(|time| (piece.start_ns..piece.end_ns).contains(time));
            for time in within.chain([piece.start_ns, piece.end_ns - 1]) {
                assert_eq!(owner(root, whole, time, &children).span_id[..], span.0[..]);
            }
        }
        assert_eq!(at, whole.1);
        let sum: u64 = trace.critical_self_times().iter().map(|(_, ns)| ns).sum();
        assert_eq!(sum, trace.duration_ns());
    }
}
