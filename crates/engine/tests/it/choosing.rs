//! Which records `attributes` changes and `filter` takes out.

use aldis_engine::check;
use otlp::{
    AttributeValue, Batch, Check, Checker, Depth, LogRecord, Signal, Span, TelemetryEvent,
    event::{Metric, MetricData, Number},
};
use pipeline::Outcome;

use crate::ends::{BOTH, Far, Near, block_on, record, request};

/// What arrives of a request behind this processor.
fn behind(processor: &str, batch: Batch) -> Vec<Batch> {
    let far = Far::taking();
    let exporter = far.exporter("otlp", "sending_queue: {enabled: false}");
    let near = Near::carrying(&[batch.signal()], BOTH, processor, &exporter);
    let outcome = block_on(near.ask(batch));
    assert!(matches!(outcome, Outcome::Delivered { rejected: 0 }), "{processor}: {outcome:?}");
    far.batches()
}

/// The services whose records arrived.
fn services(batches: &[Batch]) -> Vec<String> {
    let of = |batch: &Batch| {
        (0..batch.len()).map(|i| batch.resource_of(i).service_name().to_owned()).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

fn two_services(signal: Signal) -> [TelemetryEvent; 2] {
    ["a", "b"].map(|name| record(signal, &[("service.name", name)]))
}

/// A processor that marks the records that it chooses.
fn marking(choice: &str) -> String {
    format!("attributes: {{actions: [{{action: insert, key: mark, value: x}}], {choice}}}")
}

/// Which records got the mark.
fn marked(choice: &str, records: &[TelemetryEvent]) -> Vec<bool> {
    let batches = behind(&marking(choice), request(records));
    let of = |batch: &Batch| {
        (0..batch.len()).map(|i| batch.attributes_of(i).get("mark").is_some()).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

#[test]
fn attributes_changes_records_of_chosen_services_and_resources() {
    let rows = [
        ("include", "match_type: strict, services: [a]", [true, false]),
        ("include", "match_type: regexp, services: ['[ab]']", [true, true]),
        ("exclude", "match_type: strict, services: [a]", [false, true]),
        ("include", "match_type: strict, resources: [{key: service.name, value: b}]", [false, true]),
        ("include", "match_type: strict, resources: [{key: service.name}]", [true, true]),
        ("include", "match_type: strict, resources: [{key: host.name}]", [false, false]),
        ("exclude", "match_type: strict, resources: [{key: service.name, value: b}]", [true, false]),
        ("exclude", "match_type: strict, resources: [{key: host.name, value: b}]", [true, true]),
    ];
    for (way, choice, expected) in rows {
        let records = two_services(Signal::Traces);
        assert_eq!(marked(&format!("{way}: {{{choice}}}"), &records), expected, "{way} {choice}");
    }
}

#[test]
fn attributes_changes_points_of_chosen_metrics() {
    let metrics = ["up", "down"].map(|name| Metric { name: name.into(), ..Metric::default() }.into());
    let rows = [
        ("include", "match_type: strict, metric_names: [up]", [true, false]),
        ("include", "match_type: regexp, metric_names: ['^d', p]", [true, true]),
        ("exclude", "match_type: strict, metric_names: [up]", [false, true]),
    ];
    for (way, choice, expected) in rows {
        assert_eq!(marked(&format!("{way}: {{{choice}}}"), &metrics), expected, "{way} {choice}");
    }
}

/// Two spans, two log records: the properties that one may be chosen by.
fn spans() -> [TelemetryEvent; 2] {
    let kind = |kind: &str| ("span.kind".to_owned(), AttributeValue::String(kind.to_owned()));
    let n = |n: i64| ("n".to_owned(), AttributeValue::Int(n));
    [
        Span { name: "GET /a".into(), attributes: vec![kind("server"), n(1)], ..Span::default() }.into(),
        Span { name: "GET /b".into(), attributes: vec![kind("client"), n(2)], ..Span::default() }.into(),
    ]
}

fn logs() -> [TelemetryEvent; 2] {
    let log = |body: &str, severity_text: &str, severity_number| LogRecord {
        body: Some(AttributeValue::String(body.into())),
        severity_text: severity_text.into(),
        severity_number,
        ..LogRecord::default()
    };
    [log("started", "", 0).into(), log("failed", "ERROR", 17).into()]
}

#[test]
fn attributes_changes_records_with_chosen_properties() {
    let rows = [
        (spans(), "match_type: strict, span_names: ['GET /a']", [true, false]),
        (spans(), "match_type: strict, span_names: ['GET']", [false, false]),
        (spans(), "match_type: regexp, span_names: ['GET']", [true, true]),
        (spans(), "match_type: strict, span_kinds: [SPAN_KIND_CLIENT]", [false, true]),
        (spans(), "match_type: strict, attributes: [{key: n}]", [true, true]),
        (spans(), "match_type: strict, attributes: [{key: n, value: 2}]", [false, true]),
        (spans(), "match_type: strict, attributes: [{key: absent}]", [false, false]),
        (logs(), "match_type: strict, log_bodies: [failed]", [false, true]),
        (logs(), "match_type: strict, log_severity_texts: [ERROR]", [false, true]),
        (logs(), "log_severity_number: {min: 9}", [false, true]),
        (logs(), "log_severity_number: {min: 18}", [false, false]),
        (logs(), "log_severity_number: {min: 18, match_undefined: true}", [true, false]),
    ];
    for (records, choice, [first, second]) in rows {
        assert_eq!(marked(&format!("include: {{{choice}}}"), &records), [first, second], "{choice}");
        assert_eq!(marked(&format!("exclude: {{{choice}}}"), &records), [!first, !second], "not {choice}");
    }
    assert_eq!(marked("condition: 'name == \"GET /b\"'", &spans()), [false, true]);
}

#[test]
fn attributes_changes_records_of_chosen_libraries() {
    // ExportTraceServiceRequest, ResourceSpans, ScopeSpans with the scope `lib` `1` and an empty span.
    let request = b"\x0a\x0e\x12\x0c\x0a\x08\x0a\x03lib\x12\x011\x12\x00";
    let rows = [
        ("{name: lib, version: '1'}", true),
        ("{name: lib, version: '2'}", false),
        ("{name: lib}", true),
        ("{name: other}", false),
    ];
    for (library, chosen) in rows {
        for (way, expected) in [("include", chosen), ("exclude", !chosen)] {
            let batch = Checker::new(Signal::Traces, Check::Full, Depth::Counts).check(request[..].into());
            let choice = format!("{way}: {{match_type: strict, libraries: [{library}]}}");
            let batches = behind(&marking(&choice), batch.unwrap());
            assert_eq!(batches[0].attributes_of(0).get("mark").is_some(), expected, "{choice}");
        }
    }
}

#[test]
fn filter_takes_out_records_for_which_a_condition_holds() {
    let points = [1, 2].map(|n| {
        Metric { data: MetricData::Gauge(Number::Int(n)), name: n.to_string(), ..Metric::default() }.into()
    });
    let rows: [(&str, &[TelemetryEvent], usize); 5] = [
        (r#"traces: {span: ['name == "GET /a"']}"#, &spans(), 1),
        (r#"traces: {span: ['name == "GET /a"', 'attributes["n"] == 2']}"#, &spans(), 0),
        (r#"logs: {log_record: ['severity_number >= SEVERITY_NUMBER_ERROR']}"#, &logs(), 1),
        (r#"logs: {log_record: ['IsMatch(body, "^nothing")']}"#, &logs(), 2),
        (r#"metrics: {datapoint: ['metric.name == "1"']}"#, &points, 1),
    ];
    for (conditions, records, left) in rows {
        let batches = behind(&format!("filter: {{{conditions}}}"), request(records));
        assert_eq!(batches.iter().map(Batch::len).sum::<usize>(), left, "{conditions}");
    }
}

#[test]
fn filter_takes_out_all_records_of_a_resource() {
    for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
        let processor =
            format!("filter: {{{signal}: {{resource: ['attributes[\"service.name\"] == \"a\"']}}}}");
        assert_eq!(services(&behind(&processor, request(&two_services(signal)))), ["b"], "{signal}");
    }
}

/// The modes say what to do with a condition that fails on a record, as these would in the Collector. Here none does.
#[test]
fn every_error_mode_comes_to_the_same_because_no_condition_fails() {
    let conditions =
        r#"['attributes["n"] > 5', 'IsMatch(attributes["absent"], "x")', 'attributes["n"] == "go"']"#;
    let texts = ["text", "go"].map(|text| record(Signal::Logs, &[("n", text), ("service.name", text)]));
    let records = [&texts[..], &two_services(Signal::Logs)].concat();
    for mode in ["propagate", "ignore", "silent"] {
        let processor = format!("filter: {{error_mode: {mode}, logs: {{log_record: {conditions}}}}}");
        assert_eq!(services(&behind(&processor, request(&records))), ["text", "a", "b"], "{mode}");
    }
    let problems = check("processors: {filter: {error_mode: sometimes}}\n", &|_| None).problems;
    assert!(problems.iter().any(|p| p.message == "`error_mode` cannot be `sometimes`"), "{problems:?}");
}
