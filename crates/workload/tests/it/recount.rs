//! Counts and trees, counted again from what was exported.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aldis_workload::truth::{Edge, EdgeKind};
use aldis_workload::{Settings, SpanKind};
use opentelemetry_proto::tonic::trace::v1::Span;
use otlp::{Check, Checker, Depth, Signal, SpanId, SpanStatus};
use proptest::prelude::*;

use super::decoded::{Placed, Ran, SECOND, logs, metrics, quiet, run, spans};

/// Everything that can be counted, counted.
fn check(ran: &Ran) {
    requests_are_whole(ran);
    messages_are_linked_to(ran);
    let spans = spans(&ran.requests);
    let logs = logs(&ran.requests);
    signals_add_up(ran, &spans, logs.len());
    operations_add_up(ran, &spans);
    trees_are_exported(ran, &spans);
    let (of_traces, of_none): (Vec<_>, Vec<_>) = logs.iter().partition(|log| !log.record.trace_id.is_empty());
    let instances = usize::from(ran.settings.instances_per_service) * ran.totals.services.len();
    assert_eq!(of_none.len(), if ran.settings.logs { instances } else { 0 });
    for log in &of_traces {
        let correlated = ran.traces.iter().any(|trace| {
            trace.trace_id.0[..] == log.record.trace_id[..]
                && trace.spans.iter().any(|span| span.span_id.0[..] == log.record.span_id[..])
        });
        assert!(correlated || ran.totals.traces.forgotten > 0);
    }
    assert_eq!(ran.traces.iter().map(|trace| u64::from(trace.logs)).sum::<u64>(), of_traces.len() as u64);
}

/// Every message that was sent is linked to once, or left out and counted.
fn messages_are_linked_to(ran: &Ran) {
    let sent = ran.totals.operations.iter().filter(|totals| totals.kind == SpanKind::Producer);
    let linked = ran.totals.edges.iter().filter(|edge| edge.kind == EdgeKind::Link);
    let linked: u64 = linked.map(|edge| edge.calls).sum();
    let sent: u64 = sent.map(|totals| totals.spans).sum();
    assert_eq!(sent, linked + ran.totals.traces.messages_skipped);
}

/// Every request passes the full check, in the order of time, and has as many records as it says.
fn requests_are_whole(ran: &Ran) {
    let mut at = 0;
    for request in &ran.requests {
        let batch = Checker::new(request.signal, Check::Full, Depth::Attributes).check(request.body.clone());
        assert_eq!(batch.unwrap().len(), request.records);
        assert!(request.at_ns >= at);
        at = request.at_ns;
        if request.signal != Signal::Metrics {
            assert!((1..=ran.settings.batch_records_max).contains(&request.records));
        }
    }
}

fn signals_add_up(ran: &Ran, spans: &[Placed<Span>], logs: usize) {
    for totals in &ran.totals.signals {
        let of: Vec<_> = ran.requests.iter().filter(|request| request.signal == totals.signal).collect();
        assert_eq!(totals.requests, of.len() as u64);
        assert_eq!(totals.bytes, of.iter().map(|request| request.body.len() as u64).sum::<u64>());
        assert_eq!(totals.records, of.iter().map(|request| request.records as u64).sum::<u64>());
    }
    assert_eq!(ran.totals.signals[0].records, spans.len() as u64);
    assert_eq!(ran.totals.signals[1].records, logs as u64);
    for totals in &ran.totals.services {
        let of = |signal| {
            let mine = |request: &&aldis_workload::Request| {
                request.signal == signal && request.service == totals.service
            };
            ran.requests.iter().filter(mine).map(|request| request.records as u64).sum::<u64>()
        };
        assert_eq!(totals.spans - totals.missing, of(Signal::Traces), "{}", totals.service);
        assert_eq!(totals.logs, of(Signal::Logs), "{}", totals.service);
        assert_eq!(totals.points, of(Signal::Metrics), "{}", totals.service);
    }
}

fn operations_add_up(ran: &Ran, spans: &[Placed<Span>]) {
    let mut counted: BTreeMap<(&str, &str, i32), (u64, u64, u64)> = BTreeMap::new();
    for span in spans {
        let key = (span.service.as_str(), span.record.name.as_str(), span.record.kind);
        let count = counted.entry(key).or_default();
        count.0 += 1;
        count.1 += u64::from(is_error(&span.record));
        count.2 += span.record.end_time_unix_nano - span.record.start_time_unix_nano;
    }
    let said = ran.totals.operations.iter();
    let exported: BTreeMap<_, _> = said
        .filter(|totals| totals.spans > totals.missing)
        .map(|totals| ((totals.service, totals.name, totals.kind as i32), totals))
        .collect();
    assert!(exported.keys().eq(counted.keys()));
    for (key, totals) in exported {
        let (spans, errors, duration_ns) = counted[&key];
        assert_eq!(totals.spans - totals.missing, spans, "{key:?}");
        if totals.missing == 0 {
            assert_eq!((totals.errors, totals.duration_ns), (errors, duration_ns), "{key:?}");
        }
    }
    let missing: u64 = ran.totals.services.iter().map(|totals| totals.missing).sum();
    let happened: usize = ran.traces.iter().map(|trace| trace.spans.len()).sum();
    assert_eq!(spans.len() as u64 + missing, happened as u64);
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == 2)
}

/// Each trace's exported spans are those of the truth, and it was complete when the truth says so.
fn trees_are_exported(ran: &Ran, spans: &[Placed<Span>]) {
    let mut exported: HashMap<(&[u8], &[u8]), &Placed<Span>> = HashMap::new();
    for span in spans {
        let id = (&span.record.trace_id[..], &span.record.span_id[..]);
        assert!(exported.insert(id, span).is_none(), "no id twice");
    }
    for trace in &ran.traces {
        let mut last = 0;
        for span in &trace.spans {
            let found = exported.remove(&(&trace.trace_id.0[..], &span.span_id.0[..]));
            assert_eq!(found.is_some(), span.exported);
            let Some(found) = found else { continue };
            last = last.max(found.at_ns);
            let record = &found.record;
            let parent = span.parent.map_or(SpanId::default(), |parent| trace.spans[parent].span_id);
            let on_wire = if parent.is_zero() { &[][..] } else { &parent.0[..] };
            assert_eq!(record.parent_span_id, on_wire);
            assert_eq!((record.name.as_str(), found.service.as_str()), (span.name, span.service));
            assert_eq!(record.kind, span.kind as i32);
            assert_eq!(record.start_time_unix_nano, span.start_ns.wrapping_add_signed(span.skew_ns));
            assert_eq!(record.end_time_unix_nano, span.end_ns.wrapping_add_signed(span.skew_ns));
            assert_eq!(is_error(record), span.status == SpanStatus::Error);
            assert_eq!(record.links.len(), span.links as usize);
            assert!(found.at_ns >= span.end_ns, "no span leaves before its end");
        }
        assert!(trace.complete_ns >= last);
        if trace.logs == 0 && last > 0 {
            assert_eq!(trace.complete_ns, last);
        }
    }
    assert!(exported.is_empty(), "nothing is exported that did not happen");
    assert_eq!(ran.totals.traces.complete, ran.totals.traces.begun);
    assert_eq!(ran.totals.traces.complete, ran.traces.len() as u64);
}

#[test]
fn a_quiet_run_adds_up() {
    let ran = run(quiet(), 12_000);
    check(&ran);
    assert!(ran.traces.len() > 500);
    assert_eq!(ran.totals.services.iter().map(|totals| totals.missing).sum::<u64>(), 0);
    assert!(ran.totals.services.iter().all(|totals| totals.spans > 0 && totals.points > 0));
}

/// Calls between services are client spans with a server span below, messages consumer spans below or linked to producer spans,
/// and the rest are client spans with nothing below.
#[test]
fn edges_are_what_spans_show() {
    let ran = run(quiet(), 12_000);
    let spans = spans(&ran.requests);
    let by_id: HashMap<&[u8], &Placed<Span>> =
        spans.iter().map(|span| (&span.record.span_id[..], span)).collect();
    let parents: BTreeSet<&[u8]> = spans.iter().map(|span| &span.record.parent_span_id[..]).collect();
    let mut counted: BTreeMap<(&str, String, EdgeKind), (u64, u64)> = BTreeMap::new();
    let mut add = |from, to: String, kind, error| {
        let count = counted.entry((from, to, kind)).or_default();
        count.0 += 1;
        count.1 += u64::from(error);
    };
    for span in &spans {
        let record = &span.record;
        let service = span.service.as_str();
        let parent = by_id.get(&record.parent_span_id[..]);
        match record.kind {
            2 => {
                if let Some(client) = parent {
                    assert_eq!(client.record.kind, 3);
                    let error = is_error(&client.record);
                    add(client.service.as_str(), service.to_owned(), EdgeKind::Request, error);
                }
            }
            3 if !parents.contains(&record.span_id[..]) => {
                let attributes = super::decoded::attributes(&record.attributes);
                let text = |key| super::decoded::text(&attributes, key);
                let to = text("db.system.name").or(text("server.address")).unwrap();
                add(service, to.to_owned(), EdgeKind::Leaf, is_error(record));
            }
            5 => {
                let kind = if parent.is_some() { EdgeKind::Message } else { EdgeKind::Link };
                assert!(!record.links.is_empty());
                for link in &record.links {
                    let producer = by_id[&link.span_id[..]];
                    assert_eq!((producer.record.kind, &producer.record.trace_id), (4, &link.trace_id));
                    add(producer.service.as_str(), service.to_owned(), kind, is_error(record));
                }
            }
            _ => {}
        }
    }
    let said: BTreeMap<_, _> = ran
        .totals
        .edges
        .iter()
        .map(|edge: &Edge| ((edge.from, edge.to.to_owned(), edge.kind), (edge.calls, edge.errors)))
        .collect();
    assert_eq!(said, counted);
}

/// A span that is not exported is exactly one that is not there, and its children still name it.
#[test]
fn missing_spans_are_missing() {
    let ran = run(Settings { missing_per_million: 50_000, ..quiet() }, 8_000);
    check(&ran);
    let spans = spans(&ran.requests);
    let missing: u64 = ran.totals.services.iter().map(|totals| totals.missing).sum();
    let happened = missing + spans.len() as u64;
    assert!((40..60).contains(&(missing * 1_000 / happened)), "{missing} of {happened}");
    let ids: BTreeSet<&[u8]> = spans.iter().map(|span| &span.record.span_id[..]).collect();
    let orphans = spans.iter().filter(|span| {
        !span.record.parent_span_id.is_empty() && !ids.contains(&span.record.parent_span_id[..])
    });
    let of_missing = ran.traces.iter().flat_map(|trace| {
        let kept = trace.spans.iter().filter(|span| span.exported);
        kept.filter(|span| span.parent.is_some_and(|parent| !trace.spans[parent].exported))
    });
    assert_eq!(orphans.count(), of_missing.count());
}

/// Late spans come after their end by up to the bound, and by more than any batch waits.
#[test]
fn late_spans_are_late() {
    let settings = Settings { late_per_million: 100_000, late_ns_max: 20 * SECOND, ..quiet() };
    let ran = run(settings.clone(), 8_000);
    check(&ran);
    let late = spans(&ran.requests)
        .iter()
        .filter(|span| span.at_ns > span.record.end_time_unix_nano + settings.batch_delay_ns)
        .count() as u64;
    let all = ran.totals.signals[0].records;
    assert!((80..110).contains(&(late * 1_000 / all)), "{late} of {all}");
}

#[test]
fn a_full_house_suppresses_traces_and_says_so() {
    let ran = run(Settings { traces_in_flight_max: 10, ..quiet() }, 4_000);
    check(&ran);
    assert!(ran.totals.traces.suppressed > 0);
}

/// A burst of orders: batches of as many messages as can be linked to, until there is no room for another.
#[test]
fn messages_are_taken_in_batches_and_left_out_by_count() {
    let settings = Settings {
        traces_per_second: 100_000,
        traces_in_flight_max: 12_000,
        batch_delay_ns: 30 * SECOND,
        batch_records_max: 65_536,
        logs: false,
        metrics: false,
        ..quiet()
    };
    let ran = run(settings, 2_500);
    messages_are_linked_to(&ran);
    assert!(ran.totals.traces.messages_skipped > 0);
    let most = ran.traces.iter().map(|trace| trace.root().links).max();
    assert_eq!(most, Some(aldis_workload::limits::BACKLOG_MESSAGES_MAX as u32));
}

#[test]
fn truths_are_forgotten_oldest_first_and_counted() {
    let settings = Settings { truths_max: 3, ..quiet() };
    let mut workload = aldis_workload::Workload::new(settings.clone()).unwrap();
    let mut out = Vec::new();
    workload.advance(settings.start_ns + 4 * SECOND, &mut out);
    workload.finish(&mut out);
    let kept: Vec<_> = workload.drain_traces().collect();
    let traces = workload.totals().traces;
    assert_eq!(traces.forgotten + 3, traces.complete);
    let all = run(quiet(), 4_000).traces;
    assert!(kept[..] == all[all.len() - 3..]);
}

/// What is missing may be the last that happens in a trace: it is complete before.
#[test]
fn a_trace_whose_last_span_is_missing_adds_up() {
    check(&run(
        Settings {
            seed: 548_289_782_022_851_709,
            traces_per_second: 155,
            instances_per_service: 3,
            batch_records_max: 1,
            batch_delay_ns: 2_332_681_755,
            missing_per_million: 171_004,
            late_per_million: 134_055,
            late_ns_max: 1_058_015_043,
            clock_skew_ns_max: 3_001_204_405,
            traces_in_flight_max: 64,
            metric_interval_ns: SECOND,
            ..Settings::default()
        },
        2_500,
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_run_adds_up(
        seed: u64,
        rate in 1u32..200,
        instances in 1u16..5,
        batch in (1usize..600, 0u64..3_000_000_000),
        shares in (0u32..300_000, 0u32..300_000, 0u64..3_000_000_000),
        skew in 0u64..5_000_000_000,
        bound in 1usize..300,
    ) {
        let ran = run(Settings {
            seed,
            traces_per_second: rate,
            instances_per_service: instances,
            batch_records_max: batch.0,
            batch_delay_ns: batch.1,
            missing_per_million: shares.0,
            late_per_million: shares.1,
            late_ns_max: shares.2,
            clock_skew_ns_max: skew,
            traces_in_flight_max: bound,
            metric_interval_ns: SECOND,
            ..Settings::default()
        }, 2_500);
        check(&ran);
        prop_assert!(metrics(&ran.requests).len() > 10);
    }
}

/// The kinds are numbered as OTLP does.
#[test]
fn kinds_are_those_of_otlp() {
    assert_eq!(
        [SpanKind::Internal, SpanKind::Server, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer]
            .map(|kind| kind as i32),
        [1, 2, 3, 4, 5]
    );
}
