//! The same settings yield the same bytes, in however many steps.

use aldis_workload::{Request, Settings, TraceTruth, Workload};
use otlp::event::Temporality;
use proptest::prelude::*;

use super::decoded::{SECOND, quiet, run};

fn in_steps(settings: &Settings, steps_ns: &[u64]) -> (Vec<Request>, Vec<TraceTruth>) {
    let mut workload = Workload::new(settings.clone()).unwrap();
    let mut out = Vec::new();
    let end = settings.start_ns + 4 * SECOND;
    let mut at = settings.start_ns;
    for step in steps_ns {
        at = (at + step).min(end);
        workload.advance(at, &mut out);
    }
    workload.advance(end, &mut out);
    assert_eq!(workload.now_ns(), end);
    workload.finish(&mut out);
    let traces = workload.drain_traces().collect();
    (out, traces)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn steps_make_no_difference(seed: u64, steps in prop::collection::vec(0u64..900_000_000, 0..40)) {
        let settings = Settings {
            seed,
            late_per_million: 30_000,
            missing_per_million: 10_000,
            metric_interval_ns: SECOND,
            batch_records_max: 40,
            temporality: Temporality::Delta,
            ..quiet()
        };
        let (requests, traces) = in_steps(&settings, &steps);
        let (at_once, traces_at_once) = in_steps(&settings, &[]);
        prop_assert!(requests == at_once);
        prop_assert!(traces == traces_at_once);
    }
}

/// What the model yields is part of its promise to tests that name a seed: a change of it is a change that its users notice.
#[test]
fn a_seed_yields_these_bytes() {
    let ran = run(quiet(), 1_000);
    // FNV-1a, 64 bits.
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in ran.requests.iter().flat_map(|request| request.body.iter()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    }
    assert_eq!((ran.requests.len(), format!("{hash:016x}").as_str()), (64, "829c12a4f1292b86"));
}

#[test]
fn seeds_differ() {
    let a = run(Settings { seed: 1, ..quiet() }, 1_000);
    let b = run(Settings { seed: 2, ..quiet() }, 1_000);
    assert_ne!(a.traces[0].trace_id, b.traces[0].trace_id);
}

/// Samplers read the last seven bytes of a trace id, which the flags call random (W3C Trace Context level 2).
#[test]
fn the_ends_of_trace_ids_are_random() {
    let ran = run(quiet(), 5_000);
    let bits = 56 * ran.traces.len() as u32;
    let ones: u32 =
        ran.traces.iter().flat_map(|trace| &trace.trace_id.0[9..]).map(|byte| byte.count_ones()).sum();
    assert!((bits / 100 * 48..bits / 100 * 52).contains(&ones), "{ones} of {bits}");
    let ends: std::collections::BTreeSet<_> = ran.traces.iter().map(|trace| &trace.trace_id.0[9..]).collect();
    assert_eq!(ends.len(), ran.traces.len());
}

/// Losing and delaying spans, other batches, other clocks: the same traces happen.
#[test]
fn what_becomes_of_the_telemetry_changes_nothing_that_happens() {
    let happened = |settings: Settings| {
        let mut traces = run(settings, 3_000).traces;
        traces.sort_by_key(|trace| trace.root().start_ns);
        let spans = |trace: TraceTruth| {
            let span =
                |span: &aldis_workload::SpanTruth| (span.span_id, span.parent, span.start_ns, span.end_ns);
            trace.spans.iter().map(span).collect::<Vec<_>>()
        };
        traces.into_iter().map(spans).collect::<Vec<_>>()
    };
    let other = Settings {
        missing_per_million: 200_000,
        late_per_million: 200_000,
        batch_records_max: 7,
        clock_skew_ns_max: SECOND,
        logs: false,
        metrics: false,
        ..quiet()
    };
    assert!(happened(quiet()) == happened(other));
}
