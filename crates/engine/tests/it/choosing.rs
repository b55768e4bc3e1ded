//! Which records `attributes` changes and `filter` takes out.

use aldis_engine::check;
use otlp::{Batch, Signal, TelemetryEvent, event::Metric};
use pipeline::Outcome;

use crate::ends::{BOTH, Far, Near, block_on, record, request};

/// What arrives of a request behind this processor.
fn behind(processor: &str, records: &[TelemetryEvent]) -> Vec<Batch> {
    let far = Far::taking();
    let exporter = far.exporter("otlp", "sending_queue: {enabled: false}");
    let near = Near::carrying(&[records[0].signal()], BOTH, processor, &exporter);
    let outcome = block_on(near.ask(request(records)));
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

/// Marks the records that a processor chooses, and says which got the mark.
fn marked(choice: &str, records: &[TelemetryEvent]) -> Vec<bool> {
    let processor = format!("attributes: {{actions: [{{action: insert, key: mark, value: x}}], {choice}}}");
    let batches = behind(&processor, records);
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

#[test]
fn filter_takes_out_all_records_of_a_resource() {
    for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
        let processor =
            format!("filter: {{{signal}: {{resource: ['attributes[\"service.name\"] == \"a\"']}}}}");
        assert_eq!(services(&behind(&processor, &two_services(signal))), ["b"], "{signal}");
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
        assert_eq!(services(&behind(&processor, &records)), ["text", "a", "b"], "{mode}");
    }
    let problems = check("processors: {filter: {error_mode: sometimes}}\n", &|_| None).problems;
    assert!(problems.iter().any(|p| p.message == "`error_mode` cannot be `sometimes`"), "{problems:?}");
}
