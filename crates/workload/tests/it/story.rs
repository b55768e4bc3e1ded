//! What a viewer should see happen, happens.

use std::collections::BTreeSet;

use aldis_workload::{Fault, Incident, Settings, SpanKind, TraceTruth};
use otlp::SpanStatus;

use super::decoded::{SECOND, quiet, run};

fn incident(service: &str, fault: Fault) -> Settings {
    let incident = Incident {
        service: service.into(),
        fault,
        after_ns: 5 * SECOND,
        lasts_ns: 5 * SECOND,
        every_ns: 20 * SECOND,
    };
    Settings { incidents: vec![incident], traces_per_second: 100, ..Settings::default() }
}

/// Spans of this service and name that began while the incident was on, and while it was not.
fn split(settings: &Settings, service: &str, name: &str) -> [Vec<(u64, bool)>; 2] {
    let mut split = [Vec::new(), Vec::new()];
    for span in run(settings.clone(), 40_000).traces.iter().flat_map(|trace| &trace.spans) {
        if span.service == service && span.name.ends_with(name) && span.kind == SpanKind::Server {
            let since = (span.start_ns - settings.start_ns) % (20 * SECOND);
            let on = (5 * SECOND..10 * SECOND).contains(&since);
            let failed = span.status == SpanStatus::Error;
            split[usize::from(!on)].push((span.end_ns - span.start_ns, failed));
        }
    }
    assert!(split.iter().all(|spans| spans.len() > 20));
    split
}

fn failed(spans: &[(u64, bool)]) -> usize {
    spans.iter().filter(|(_, failed)| *failed).count() * 1_000 / spans.len()
}

fn median(spans: &[(u64, bool)]) -> u64 {
    let mut times: Vec<u64> = spans.iter().map(|(ns, _)| *ns).collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn a_failing_service_fails_while_it_lasts() {
    let settings = incident("payment", Fault::Failing { per_million: 600_000 });
    let [on, off] = split(&settings, "payment", "/Charge");
    assert!((500..700).contains(&failed(&on)) && failed(&off) < 30, "{} {}", failed(&on), failed(&off));
    // Three tries: 0.6 cubed.
    let [on, off] = split(&settings, "checkout", "/PlaceOrder");
    assert!((120..320).contains(&failed(&on)) && failed(&off) < 20, "{} {}", failed(&on), failed(&off));
}

#[test]
fn a_slow_service_is_slow_while_it_lasts() {
    let settings = incident("recommendation", Fault::Slow { factor: 30 });
    let [on, off] = split(&settings, "recommendation", "/ListRecommendations");
    assert!(median(&on) > 10 * median(&off), "{} {}", median(&on), median(&off));
}

#[test]
fn a_cold_cache_asks_the_database() {
    let settings = incident("catalogue", Fault::ColdCache);
    let [on, off] = split(&settings, "catalogue", "/GetProduct");
    assert!(median(&on) > 2 * median(&off), "{} {}", median(&on), median(&off));
}

/// One in five hundred takes several times what half of them take.
#[test]
fn latencies_have_tails() {
    let ran = run(Settings { traces_per_second: 200, ..quiet() }, 20_000);
    for (service, name, factor) in
        [("frontend", "GET /api/search", 5), ("recommendation", "rank_candidates", 10)]
    {
        let spans = ran.traces.iter().flat_map(|trace| &trace.spans);
        let of = spans.filter(|span| span.service == service && span.name == name);
        let mut times: Vec<u64> = of.map(|span| span.end_ns - span.start_ns).collect();
        times.sort_unstable();
        let at = |per_mille: usize| times[times.len() * per_mille / 1_000];
        assert!(at(998) > factor * at(500), "{name}: {} {}", at(500), at(998));
    }
}

fn some(traces: &[TraceTruth], what: &str, is: impl Fn(&TraceTruth, usize) -> bool) {
    let found = traces.iter().any(|trace| (0..trace.spans.len()).any(|i| is(trace, i)));
    assert!(found, "no {what}");
}

#[test]
fn everything_that_can_happen_happens() {
    let ran = run(Settings { traces_per_second: 80, ..Settings::default() }, 180_000);
    let traces = &ran.traces[..];
    let parent =
        |trace: &TraceTruth, i: usize| trace.spans[i].parent.map(|parent| trace.spans[parent].clone());
    some(traces, "consumer after the root's end", |trace, i| {
        trace.spans[i].is_asynchronous() && trace.spans[i].start_ns > trace.root().end_ns
    });
    some(traces, "server that outlives its client", |trace, i| {
        parent(trace, i)
            .is_some_and(|client| client.kind == SpanKind::Client && client.end_ns < trace.spans[i].end_ns)
    });
    some(traces, "failed try followed by a good one", |trace, i| {
        let span = &trace.spans[i];
        let again = |other: &aldis_workload::SpanTruth| {
            other.parent == span.parent
                && other.name == span.name
                && other.start_ns > span.end_ns
                && other.status == SpanStatus::Unset
        };
        span.kind == SpanKind::Client
            && span.status == SpanStatus::Error
            && trace.spans[i..].iter().any(again)
    });
    some(traces, "failed root", |trace, _| trace.failed());
    some(traces, "good root above a failure", |trace, i| {
        !trace.failed() && trace.spans[i].status == SpanStatus::Error
    });
    some(traces, "batch with many links", |trace, i| trace.spans[i].links > 3);
    some(traces, "children at the same time", |trace, i| {
        let span = &trace.spans[i];
        let beside = |other: &aldis_workload::SpanTruth| {
            other.parent == span.parent && other.start_ns < span.end_ns && other.start_ns > span.start_ns
        };
        span.parent.is_some() && trace.spans[i + 1..].iter().any(beside)
    });
    let services: BTreeSet<&str> =
        traces.iter().flat_map(|trace| &trace.spans).map(|span| span.service).collect();
    assert!(services.into_iter().eq(Settings::services().collect::<BTreeSet<_>>()));
}

/// Between a failed try and the next lies a pause, each about twice as long as the one before.
#[test]
fn tries_are_spaced() {
    let settings = incident("payment", Fault::Failing { per_million: 900_000 });
    let ran = run(settings, 12_000);
    let mut pauses = [Vec::new(), Vec::new()];
    for trace in &ran.traces {
        let charges = |span: &&aldis_workload::SpanTruth| {
            span.kind == SpanKind::Client && span.name.ends_with("/Charge")
        };
        let tries: Vec<_> = trace.spans.iter().filter(charges).collect();
        assert!(tries.len() <= 3);
        for (i, pair) in tries.windows(2).enumerate() {
            assert_eq!(pair[0].status, SpanStatus::Error);
            pauses[i].push(pair[1].start_ns - pair[0].end_ns);
        }
    }
    for (pauses, least_ms) in pauses.iter().zip([15, 30]) {
        assert!(pauses.len() > 5);
        let within = least_ms * 1_000_000..=least_ms * 5_000_000;
        assert!(pauses.iter().all(|pause| within.contains(pause)), "{pauses:?}");
    }
}

/// A trace's spans come in several requests, and a request holds spans of several traces.
#[test]
fn traces_are_spread_and_interleaved() {
    let ran = run(quiet(), 4_000);
    let spans = super::decoded::spans(&ran.requests);
    let mut requests_of = std::collections::HashMap::<Vec<u8>, BTreeSet<(u64, String)>>::new();
    let mut traces_of = std::collections::HashMap::<(u64, String), BTreeSet<Vec<u8>>>::new();
    for span in &spans {
        let request =
            (span.at_ns, super::decoded::text(&span.resource, "service.instance.id").unwrap().to_owned());
        requests_of.entry(span.record.trace_id.clone()).or_default().insert(request.clone());
        traces_of.entry(request).or_default().insert(span.record.trace_id.clone());
    }
    assert!(requests_of.values().filter(|requests| requests.len() > 3).count() > ran.traces.len() / 2);
    assert!(traces_of.values().any(|traces| traces.len() > 20));
}

#[test]
fn clocks_are_off_by_host() {
    let ran = run(Settings { clock_skew_ns_max: SECOND, instances_per_service: 4, ..quiet() }, 2_000);
    let mut skews = BTreeSet::new();
    for span in ran.traces.iter().flat_map(|trace| &trace.spans) {
        assert!(span.skew_ns.unsigned_abs() <= SECOND);
        skews.insert((span.instance, span.skew_ns));
    }
    assert_eq!(skews.len(), 4, "{skews:?}");
}
