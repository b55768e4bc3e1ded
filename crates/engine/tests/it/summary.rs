//! What the summary says of a modelled shop, held against the shop, which knows the truth.

use std::collections::{BTreeMap, HashMap};

use operators::summary::{Snapshot, Summary, Tree};
use otlp::{Batch, Check, Checker, Depth, Signal, SpanStatus, TraceId};
use workload::{Fault, Incident, Request, Settings, TraceTruth, Workload};

const SECOND: u64 = 1_000_000_000;

fn settings(seed: u64) -> Settings {
    let failing = Incident {
        service: "payment".into(),
        fault: Fault::Failing { per_million: 450_000 },
        after_ns: 4 * SECOND,
        lasts_ns: 5 * SECOND,
        every_ns: 10 * SECOND,
    };
    Settings { seed, batch_delay_ns: SECOND / 4, incidents: vec![failing], ..Settings::default() }
}

struct Checkers([Checker; 3]);

impl Checkers {
    fn new() -> Self {
        Self(
            [Signal::Traces, Signal::Logs, Signal::Metrics]
                .map(|signal| Checker::new(signal, Check::Full, Depth::Records)),
        )
    }

    fn batch(&mut self, request: &Request) -> Batch {
        self.0[request.signal as usize].check(request.body.clone()).unwrap()
    }
}

/// Shows the shop to a summary for so many seconds; snapshots of every quarter of a second, the truth about every trace, the
/// workload at its end and the requests.
fn run(seed: u64, seconds: u64) -> (Vec<Snapshot>, HashMap<TraceId, TraceTruth>, Workload, Vec<Request>) {
    let settings = settings(seed);
    let start = settings.start_ns;
    let mut shop = Workload::new(settings).unwrap();
    let (mut summary, mut checkers) = (Summary::default(), Checkers::new());
    let (mut snapshots, mut truths, mut all) = (Vec::new(), HashMap::new(), Vec::new());
    let mut show = |requests: Vec<Request>, summary: &mut Summary, all: &mut Vec<Request>| {
        for request in requests {
            summary.step(&checkers.batch(&request), request.at_ns);
            all.push(request);
        }
    };
    for step in 1..=seconds * 4 {
        let mut out = Vec::new();
        shop.advance(start + step * SECOND / 4, &mut out);
        show(out, &mut summary, &mut all);
        truths.extend(shop.drain_traces().map(|trace| (trace.trace_id, trace)));
        snapshots.push(summary.snapshot(shop.now_ns()));
    }
    let mut out = Vec::new();
    shop.finish(&mut out);
    show(out, &mut summary, &mut all);
    truths.extend(shop.drain_traces().map(|trace| (trace.trace_id, trace)));
    for later in 1..40 {
        snapshots.push(summary.snapshot(shop.now_ns() + later * SECOND / 4));
    }
    (snapshots, truths, shop, all)
}

#[test]
fn counts_are_those_of_the_truth() {
    let (snapshots, _, shop, _) = run(11, 25);
    let (last, totals) = (snapshots.last().unwrap(), shop.totals());
    for of in &totals.signals {
        let row = last.signal(of.signal);
        assert_eq!(
            (row.records, row.requests, row.bytes),
            (of.records, of.requests, of.bytes),
            "{}",
            of.signal
        );
    }
    let said: Vec<_> =
        last.services.iter().map(|row| (&*row.name, row.spans, row.errors, row.logs, row.points)).collect();
    let mut true_ones: Vec<_> =
        totals.services.iter().map(|of| (of.service, of.spans, of.errors, of.logs, of.points)).collect();
    true_ones.sort_unstable();
    assert_eq!(said, true_ones);
    let mut said: Vec<_> = last
        .operations
        .iter()
        .map(|row| (&*row.service, &*row.name, row.kind, row.spans, row.errors))
        .collect();
    said.sort_unstable();
    let true_ones: Vec<_> = totals
        .operations
        .iter()
        .map(|of| (of.service, of.name, of.kind as i32, of.spans, of.errors))
        .collect();
    assert_eq!(said, true_ones);
    assert!(totals.services.iter().map(|of| of.errors).sum::<u64>() > 0);
    assert_eq!(last.unseen, Default::default());
}

/// A trace's spans: who caused each, whose they are, when they were, how they went, and what they have of the critical path.
type Drawn = BTreeMap<[u8; 8], (Option<[u8; 8]>, String, u64, u64, bool, u64)>;

fn said(tree: &Tree) -> Drawn {
    let one = |branch: &operators::summary::Branch| {
        let parent = branch.parent.map(|parent| tree.branches[parent].span_id.0);
        let name = format!("{} {} {}", branch.service, branch.name, branch.kind);
        (
            branch.span_id.0,
            (parent, name, branch.offset_ns, branch.duration_ns, branch.error, branch.critical_ns),
        )
    };
    tree.branches.iter().map(one).collect()
}

fn known(trace: &TraceTruth) -> Drawn {
    let critical: HashMap<usize, u64> = trace.critical_self_times().into_iter().collect();
    let begin = trace.spans.iter().map(|span| span.start_ns).min().unwrap();
    let one = |(i, span): (usize, &workload::SpanTruth)| {
        let parent = span.parent.map(|parent| trace.spans[parent].span_id.0);
        let name = format!("{} {} {}", span.service, span.name, span.kind as i32);
        let (offset, duration) = (span.start_ns - begin, span.end_ns - span.start_ns);
        let failed = span.status == SpanStatus::Error;
        (span.span_id.0, (parent, name, offset, duration, failed, critical.get(&i).copied().unwrap_or(0)))
    };
    trace.spans.iter().enumerate().map(one).collect()
}

#[test]
fn every_trace_that_is_shown_is_the_true_one() {
    let (snapshots, truths, ..) = run(12, 120);
    let mut shown: Vec<&Tree> = snapshots.iter().filter_map(|snapshot| snapshot.trace.as_deref()).collect();
    shown.dedup_by_key(|tree| tree.trace_id);
    assert!(shown.len() > 12, "{}", shown.len());
    for tree in &shown {
        assert_eq!(said(tree), known(&truths[&tree.trace_id]), "{}", tree.trace_id);
        assert_eq!(tree.cut, 0);
        for (i, branch) in tree.branches.iter().enumerate() {
            assert!(
                branch
                    .parent
                    .is_none_or(|parent| parent < i && tree.branches[parent].depth + 1 == branch.depth)
            );
        }
    }
    assert!(shown.iter().any(|tree| tree.failed()) && shown.iter().any(|tree| tree.branches.len() > 20));
}

#[test]
fn quantiles_are_within_a_bucket_of_the_exact_ones() {
    let (snapshots, truths, shop, _) = run(13, 8);
    let mut durations: HashMap<(&str, &str, i32), Vec<u64>> = HashMap::new();
    for span in truths.values().flat_map(|trace| &trace.spans) {
        let of = durations.entry((span.service, span.name, span.kind as i32)).or_default();
        of.push(span.end_ns - span.start_ns);
    }
    // While nothing is too old.
    let all = |snapshot: &&Snapshot| snapshot.operations.iter().all(|row| row.recent.spans == row.spans);
    let total: u64 = shop.totals().operations.iter().map(|of| of.spans).sum();
    let whole = |snapshot: &&Snapshot| snapshot.operations.iter().map(|row| row.spans).sum::<u64>() == total;
    let snapshot = snapshots.iter().filter(all).find(whole).expect("everything at once");
    for row in &snapshot.operations {
        let mut exact = durations.remove(&(&*row.service, &*row.name, row.kind)).unwrap();
        exact.sort_unstable();
        for (share, told) in [(0.5, row.recent.p50_ns), (0.9, row.recent.p90_ns), (0.99, row.recent.p99_ns)] {
            let exact = exact[((exact.len() as f64 * share).ceil() as usize).max(1) - 1];
            assert!(told.abs_diff(exact) <= exact / 16 + 1, "{} {}: {told} {exact}", row.service, row.name);
        }
        assert_eq!(row.recent.longest_ns, *exact.last().unwrap());
    }
    assert!(durations.is_empty());
}

#[test]
fn how_records_are_divided_makes_no_difference() {
    let (_, _, shop, requests) = run(14, 20);
    let told = |most: usize| {
        let (mut summary, mut checkers) = (Summary::default(), Checkers::new());
        let mut snapshots = Vec::new();
        for request in &requests {
            for piece in otlp::split(checkers.batch(request), most, 0) {
                summary.step(&piece, request.at_ns);
            }
            snapshots.push(summary.snapshot(request.at_ns).trace);
        }
        let mut last = summary.snapshot(shop.now_ns());
        // What is of batches, not of records.
        last.signals.iter_mut().for_each(|row| (row.requests, row.bytes) = (0, 0));
        (snapshots, last)
    };
    let whole = told(0);
    for most in [1, 7] {
        assert!(told(most) == whole, "{most}");
    }
}
