//! Records say what the semantic conventions (1.40) ask for, and nothing that they have renamed.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::decoded::{attributes, logs, metrics, run, spans, text};
use aldis_workload::{Incident, Settings};

/// Kind of span, an attribute that tells its convention, the attributes it must have.
const REQUIRED: [(i32, &str, &[&str]); 7] = [
    (
        2,
        "http.request.method",
        &[
            "url.path",
            "url.scheme",
            "http.route",
            "http.response.status_code",
            "server.address",
            "network.protocol.version",
        ],
    ),
    (3, "http.request.method", &["url.full", "server.address", "server.port"]),
    (2, "rpc.system.name", &["rpc.method", "rpc.response.status_code", "server.address"]),
    (3, "rpc.system.name", &["rpc.method", "rpc.response.status_code", "server.address", "server.port"]),
    (3, "db.system.name", &["db.operation.name", "db.namespace", "server.address", "server.port"]),
    (
        4,
        "messaging.system",
        &[
            "messaging.operation.name",
            "messaging.operation.type",
            "messaging.destination.name",
            "server.address",
        ],
    ),
    (
        5,
        "messaging.system",
        &[
            "messaging.operation.name",
            "messaging.operation.type",
            "messaging.destination.name",
            "messaging.consumer.group.name",
        ],
    ),
];

/// Every name from the conventions that is used on spans, log records, their events, and points.
const NAMES: [&str; 41] = [
    "client.address",
    "db.collection.name",
    "db.namespace",
    "db.operation.name",
    "db.query.summary",
    "db.query.text",
    "db.response.status_code",
    "db.system.name",
    "error.type",
    "exception.message",
    "exception.stacktrace",
    "exception.type",
    "http.request.method",
    "http.request.resend_count",
    "http.response.status_code",
    "http.route",
    "messaging.batch.message_count",
    "messaging.consumer.group.name",
    "messaging.destination.name",
    "messaging.destination.partition.id",
    "messaging.kafka.message.key",
    "messaging.kafka.offset",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.system",
    "network.protocol.version",
    "rpc.method",
    "rpc.response.status_code",
    "rpc.system.name",
    "server.address",
    "server.port",
    "url.full",
    "url.path",
    "url.scheme",
    "url.template",
    "user_agent.original",
    // The shop's own.
    "shop.currency",
    "shop.order.amount",
    "shop.order.id",
    "shop.order.outcome",
    "shop.product.id",
];

const RESOURCE: [&str; 15] = [
    "deployment.environment.name",
    "host.arch",
    "host.id",
    "host.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "os.type",
    "process.pid",
    "service.instance.id",
    "service.name",
    "service.namespace",
    "service.version",
    "telemetry.sdk.language",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
];

fn busy() -> Settings {
    Settings { traces_per_second: 50, ..Settings::default() }
}

#[test]
fn spans_have_what_their_convention_requires() {
    let mut met = BTreeSet::new();
    for span in spans(&run(busy(), 60_000).requests) {
        let found = attributes(&span.record.attributes);
        let name = &span.record.name;
        assert!(span.resource.keys().eq(RESOURCE));
        assert!(!span.scope.is_empty());
        if span.record.kind != 1 {
            let mut rows = REQUIRED.iter().enumerate();
            let (row, (_, _, required)) = rows
                .find(|(_, (kind, marker, _))| *kind == span.record.kind && found.contains_key(*marker))
                .unwrap();
            met.insert(row);
            for key in *required {
                assert!(found.contains_key(*key), "{name} lacks {key}");
            }
        }
        let status = span.record.status.as_ref();
        let error = status.is_some_and(|status| status.code == 2);
        assert_eq!(error, found.contains_key("error.type"), "{name}");
        if let Some(Value::IntValue(status)) = found.get("http.response.status_code") {
            let least = if span.record.kind == 2 { 500 } else { 400 };
            assert_eq!(error, *status >= least, "{name} {status}");
        }
        assert_eq!(span.record.flags & 0x103, 0x103, "sampled, random, remoteness known");
        let has_remote_parent = !span.record.parent_span_id.is_empty() && [2, 5].contains(&span.record.kind);
        assert_eq!(span.record.flags & 0x200 != 0, has_remote_parent);
        for event in &span.record.events {
            assert_eq!(
                (event.name.as_str(), event.time_unix_nano),
                ("exception", span.record.end_time_unix_nano)
            );
            let found = attributes(&event.attributes);
            assert!(found.keys().eq(["exception.message", "exception.stacktrace", "exception.type"]));
            assert!(error);
        }
    }
    assert_eq!(met.len(), REQUIRED.len(), "every convention is met");
}

#[test]
fn every_name_is_used_and_no_other() {
    let mut settings = busy();
    let payment = settings.incidents[0].clone();
    settings.incidents.push(Incident { service: "shipping".into(), ..payment });
    let ran = run(settings, 180_000);
    let mut used = BTreeSet::new();
    for span in spans(&ran.requests) {
        used.extend(attributes(&span.record.attributes).into_keys());
        used.extend(span.record.events.iter().flat_map(|event| attributes(&event.attributes).into_keys()));
    }
    for log in logs(&ran.requests) {
        used.extend(attributes(&log.record.attributes).into_keys());
    }
    for metric in metrics(&ran.requests) {
        use opentelemetry_proto::tonic::metrics::v1::metric::Data;
        let pairs = match metric.record.data.unwrap() {
            Data::Gauge(gauge) => gauge.data_points.into_iter().map(|point| point.attributes).collect(),
            Data::Sum(sum) => sum.data_points.into_iter().map(|point| point.attributes).collect(),
            Data::Histogram(of) => of.data_points.into_iter().map(|point| point.attributes).collect(),
            other => panic!("{other:?}"),
        };
        let pairs: Vec<_> = pairs;
        used.extend(pairs.iter().flat_map(|pairs| attributes(pairs).into_keys()));
    }
    let names: BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(used, names);
}

#[test]
fn log_records_say_how_bad_it_is_and_where() {
    let ran = run(busy(), 60_000);
    let mut severities = BTreeSet::new();
    for log in logs(&ran.requests) {
        let record = &log.record;
        severities.insert((record.severity_number, record.severity_text.clone()));
        assert!(matches!(record.body.as_ref().unwrap().value, Some(Value::StringValue(_))));
        let started = matches!(record.body.as_ref().unwrap().value, Some(Value::StringValue(ref text)) if text.ends_with("started"));
        let expected = if started { (0, 0, 0) } else { (16, 8, 3) };
        assert_eq!((record.trace_id.len(), record.span_id.len(), record.flags), expected);
        assert!(record.time_unix_nano > 0 && record.observed_time_unix_nano >= record.time_unix_nano);
        let found = attributes(&record.attributes);
        if record.event_name == "shop.order.placed" {
            assert!(text(&found, "shop.order.id").is_some());
        }
    }
    let names: Vec<&str> = severities.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["DEBUG", "INFO", "WARN", "ERROR"]);
}
