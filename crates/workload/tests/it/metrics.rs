//! What metrics say is what spans say.

use std::collections::{BTreeMap, HashMap};

use aldis_workload::Settings;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    HistogramDataPoint, NumberDataPoint, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use otlp::event::Temporality;

use super::decoded::{Attributes, Placed, Ran, SECOND, attributes, metrics, quiet, run, spans, text};

/// Name, kind of span, an attribute that spans of it have, the attributes by which it is counted.
const DURATIONS: [(&str, i32, &str, &[&str]); 7] = [
    ("http.server.request.duration", 2, "http.route", HTTP),
    ("http.client.request.duration", 3, "url.full", HTTP_CLIENT),
    ("rpc.server.call.duration", 2, "rpc.method", RPC),
    ("rpc.client.call.duration", 3, "rpc.method", RPC_CLIENT),
    ("db.client.operation.duration", 3, "db.system.name", DATABASE),
    ("messaging.client.operation.duration", 4, "messaging.system", MESSAGING),
    ("messaging.process.duration", 5, "messaging.system", PROCESS),
];
const HTTP: &[&str] = &[
    "http.request.method",
    "url.scheme",
    "http.route",
    "network.protocol.version",
    "http.response.status_code",
    "error.type",
];
const HTTP_CLIENT: &[&str] = &[
    "http.request.method",
    "server.address",
    "server.port",
    "url.template",
    "http.response.status_code",
    "error.type",
];
const RPC: &[&str] = &["rpc.system.name", "rpc.method", "rpc.response.status_code", "error.type"];
const RPC_CLIENT: &[&str] = &[
    "rpc.system.name",
    "rpc.method",
    "rpc.response.status_code",
    "error.type",
    "server.address",
    "server.port",
];
const DATABASE: &[&str] = &[
    "db.system.name",
    "db.operation.name",
    "db.collection.name",
    "db.query.summary",
    "server.address",
    "server.port",
    "db.response.status_code",
    "error.type",
];
const MESSAGING: &[&str] = &[
    "messaging.system",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.destination.name",
    "server.address",
    "server.port",
];
const PROCESS: &[&str] = &[
    "messaging.consumer.group.name",
    "messaging.system",
    "messaging.operation.name",
    "messaging.destination.name",
    "server.address",
    "server.port",
    "error.type",
];

/// Spans and their attributes, by instance.
type ByInstance<'a> = HashMap<String, Vec<(&'a Placed<Span>, Attributes)>>;

fn instance<T>(placed: &Placed<T>) -> String {
    text(&placed.resource, "service.instance.id").unwrap().to_owned()
}

/// A point's attributes as something that sorts.
fn key(attributes: &Attributes, of: &[&str]) -> String {
    let pairs: Vec<(&String, &Value)> =
        attributes.iter().filter(|(key, _)| of.contains(&key.as_str())).collect();
    format!("{pairs:?}")
}

fn all_keys(attributes: &Attributes) -> String {
    key(attributes, &attributes.keys().map(String::as_str).collect::<Vec<_>>())
}

fn check(ran: &Ran) {
    let spans = spans(&ran.requests);
    let mut by_instance: ByInstance<'_> = HashMap::new();
    for span in &spans {
        by_instance.entry(instance(span)).or_default().push((span, attributes(&span.record.attributes)));
    }
    let by_id: HashMap<&[u8], &Span> =
        spans.iter().map(|span| (&span.record.span_id[..], &span.record)).collect();
    let delta = ran.settings.temporality == Temporality::Delta;
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let metrics = metrics(&ran.requests);
    for metric in &metrics {
        let of = by_instance.get(&instance(metric)).map_or(&[][..], Vec::as_slice);
        let name = metric.record.name.as_str();
        match metric.record.data.as_ref().unwrap() {
            Data::Histogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality, if delta { 1 } else { 2 });
                let table = DURATIONS.iter().find(|row| row.0 == name).unwrap();
                durations(table, &histogram.data_points, of, &by_id);
                *seen.entry(table.0).or_default() += 1;
            }
            Data::Sum(sum) => {
                let expected = if delta && sum.is_monotonic { 1 } else { 2 };
                assert_eq!(sum.aggregation_temporality, expected, "{name}");
                for point in &sum.data_points {
                    counted(name, point, of);
                }
            }
            Data::Gauge(gauge) => assert_eq!((name, gauge.data_points.len()), ("process.cpu.utilization", 1)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen.len(), DURATIONS.len(), "{seen:?}");
    nothing_is_left_out(ran, &by_instance, &metrics);
}

/// The spans of a metric that ended in the time of a point.
fn of_point<'a>(
    (_, kind, marker, _): &(&str, i32, &str, &[&str]),
    start_ns: u64,
    time_ns: u64,
    of: &'a [(&Placed<Span>, Attributes)],
) -> impl Iterator<Item = (&'a Span, &'a Attributes)> {
    let (kind, marker) = (*kind, (*marker).to_owned());
    of.iter()
        .filter(move |(span, attributes)| {
            let end = span.record.end_time_unix_nano;
            span.record.kind == kind && attributes.contains_key(&marker) && start_ns < end && end <= time_ns
        })
        .map(|(span, attributes)| (&span.record, attributes))
}

fn durations(
    row: &(&str, i32, &str, &[&str]),
    points: &[HistogramDataPoint],
    of: &[(&Placed<Span>, Attributes)],
    by_id: &HashMap<&[u8], &Span>,
) {
    let (start_ns, time_ns) = (points[0].start_time_unix_nano, points[0].time_unix_nano);
    let mut expected: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (span, attributes) in of_point(row, start_ns, time_ns, of) {
        let ns = span.end_time_unix_nano - span.start_time_unix_nano;
        expected.entry(key(attributes, row.3)).or_default().push(ns);
    }
    assert_eq!(points.len(), expected.len(), "{}", row.0);
    for point in points {
        let found = attributes(&point.attributes);
        let ns = &expected[&all_keys(&found)];
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (start_ns, time_ns));
        assert_eq!(point.count, ns.len() as u64);
        assert_eq!(point.sum, Some(ns.iter().sum::<u64>() as f64 / 1e9));
        assert_eq!(point.min, ns.iter().min().map(|ns| *ns as f64 / 1e9));
        assert_eq!(point.max, ns.iter().max().map(|ns| *ns as f64 / 1e9));
        let bounds: Vec<u64> =
            point.explicit_bounds.iter().map(|bound| (bound * 1e9).round() as u64).collect();
        let mut low = 0;
        for (i, count) in point.bucket_counts.iter().enumerate() {
            let high = bounds.get(i).copied().unwrap_or(u64::MAX);
            assert_eq!(*count, ns.iter().filter(|ns| (low + 1..=high).contains(*ns)).count() as u64);
            low = high;
        }
        for exemplar in &point.exemplars {
            // A span that is exported later than the last request of the run was read, or never, cannot be compared.
            let span = by_id[&exemplar.span_id[..]];
            let took = span.end_time_unix_nano - span.start_time_unix_nano;
            assert_eq!(format!("{:?}", exemplar.value), format!("Some(AsDouble({:?}))", took as f64 / 1e9));
            assert_eq!(
                (exemplar.time_unix_nano, &exemplar.trace_id),
                (span.end_time_unix_nano, &span.trace_id)
            );
            assert_eq!(key(&attributes(&span.attributes), row.3), all_keys(&found));
        }
        assert!(point.exemplars.len() <= point.bucket_counts.iter().filter(|count| **count > 0).count());
    }
}

fn counted(name: &str, point: &NumberDataPoint, of: &[(&Placed<Span>, Attributes)]) {
    let Some(number_data_point::Value::AsInt(value)) = point.value else { panic!("{name} counts") };
    let (start_ns, time_ns) = (point.start_time_unix_nano, point.time_unix_nano);
    let found = attributes(&point.attributes);
    let expected = match name {
        "process.memory.usage" => return assert!(value > 0),
        "http.server.active_requests" => {
            let active = |(span, attributes): &&(&Placed<Span>, Attributes)| {
                span.record.kind == 2
                    && (span.record.start_time_unix_nano..span.record.end_time_unix_nano).contains(&time_ns)
                    && attributes.get("http.request.method") == found.get("http.request.method")
            };
            of.iter().filter(active).count()
        }
        "shop.orders" => {
            let placed = text(&found, "shop.order.outcome") == Some("placed");
            of_point(&DURATIONS[2], start_ns, time_ns, of)
                .filter(|(span, attributes)| {
                    span.name.ends_with("/PlaceOrder")
                        && (text(attributes, "rpc.response.status_code") == Some("OK")) == placed
                })
                .count()
        }
        "messaging.client.sent.messages" => of_point(&DURATIONS[5], start_ns, time_ns, of).count(),
        "messaging.client.consumed.messages" => of_point(&DURATIONS[6], start_ns, time_ns, of)
            .filter(|(_, attributes)| key(attributes, PROCESS) == all_keys(&found))
            .map(|(span, _)| span.links.len())
            .sum(),
        other => panic!("{other} is not known"),
    };
    assert_eq!(value, expected as i64, "{name} {found:?}");
}

/// Every span that is measured is in the last export of its instance, or (as differences) in exactly one.
fn nothing_is_left_out(
    ran: &Ran,
    by_instance: &ByInstance<'_>,
    metrics: &[Placed<opentelemetry_proto::tonic::metrics::v1::Metric>],
) {
    for row in &DURATIONS {
        let mut counts: HashMap<String, Vec<u64>> = HashMap::new();
        for metric in metrics.iter().filter(|metric| metric.record.name == row.0) {
            let Some(Data::Histogram(histogram)) = &metric.record.data else { panic!() };
            let count = histogram.data_points.iter().map(|point| point.count).sum();
            counts.entry(instance(metric)).or_default().push(count);
        }
        for (instance, of) in by_instance {
            let measured = of_point(row, 0, u64::MAX, of).count() as u64;
            let said = counts.get(instance).map_or(0, |counts| match ran.settings.temporality {
                Temporality::Cumulative => counts[counts.len() - 1],
                Temporality::Delta => counts.iter().sum(),
            });
            assert_eq!(said, measured, "{}", row.0);
        }
    }
}

#[test]
fn cumulative_metrics_are_what_spans_say() {
    let settings =
        Settings { metric_interval_ns: SECOND, clock_skew_ns_max: 3 * SECOND, ..Settings::default() };
    check(&run(Settings { traces_per_second: 50, ..settings }, 50_000));
}

#[test]
fn differences_are_what_spans_say() {
    let settings = Settings { metric_interval_ns: 2 * SECOND, temporality: Temporality::Delta, ..quiet() };
    check(&run(settings, 20_000));
}

/// What is lost on the way has been measured.
#[test]
fn spans_that_are_not_exported_are_measured() {
    let of = |missing_per_million| {
        let ran = run(Settings { missing_per_million, ..quiet() }, 3_000);
        metrics(&ran.requests).into_iter().map(|metric| metric.record).collect::<Vec<_>>()
    };
    assert!(of(0) == of(500_000));
}
