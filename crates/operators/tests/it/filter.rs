//! The filter against the oracle, and its accounting.

use aldis_operators::filter::{Condition, Context, Filter};
use aldis_operators::{Operator, Output, StepContext};
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use otlp::Signal;
use proptest::prelude::*;

use crate::requests::{batch, decode, logs, metrics, traces};

type Resource<'a> = &'a [KeyValue];

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match attributes.iter().find(|entry| entry.key == key)?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn has(attributes: &[KeyValue], key: &str) -> bool {
    attributes.iter().any(|entry| entry.key == key)
}

/// A condition and what it means, done by hand.
type SpanCase = (&'static str, Context, fn(&Span, Resource<'_>) -> bool);

const SPAN_CASES: &[SpanCase] = &[
    (r#"attributes["http.route"] == "/healthz""#, Context::Record, |span, _| {
        text(&span.attributes, "http.route") == Some("/healthz")
    }),
    (r#"attributes["a"] != "x""#, Context::Record, |span, _| text(&span.attributes, "a") != Some("x")),
    (r#"span.attributes["b"] == nil"#, Context::Record, |span, _| !has(&span.attributes, "b")),
    (r#"resource.attributes["service.name"] == "x""#, Context::Record, |_, resource| {
        text(resource, "service.name") == Some("x")
    }),
    (r#"attributes["service.name"] == "x""#, Context::Resource, |_, resource| {
        text(resource, "service.name") == Some("x")
    }),
    (r#"IsMatch(name, "^/health") and kind != SPAN_KIND_CLIENT"#, Context::Record, |span, _| {
        span.name.starts_with("/health") && span.kind != 3
    }),
    (r#"not status.code == STATUS_CODE_ERROR and IsRootSpan()"#, Context::Record, |span, _| {
        span.status.as_ref().unwrap().code != 2 && span.parent_span_id.is_empty()
    }),
    (r#"end_time_unix_nano - start_time_unix_nano > 200"#, Context::Record, |span, _| {
        span.end_time_unix_nano - span.start_time_unix_nano > 200
    }),
    (r#"kind == KIND_SERVER || kind == KIND_CLIENT"#, Context::Record, |span, _| matches!(span.kind, 2 | 3)),
];

fn conditions(signal: &str, cases: impl Iterator<Item = (&'static str, Context)>) -> Vec<Condition> {
    cases
        .enumerate()
        .map(|(i, (text, context))| Condition { path: format!("{signal}[{i}]"), text: text.into(), context })
        .collect()
}

/// Runs a filter and checks its books: what came in is what went out and what each rule removed.
fn run(filter: &mut Filter, input: otlp::Batch, out: &mut Output) -> Vec<u64> {
    let before = input.len() as u64;
    out.clear();
    filter.step(input, &StepContext::default(), out);
    assert_eq!(out.accounted(), before);
    assert_eq!((out.made_records(), filter.held().records), (0, 0));
    assert!(out.drops().is_empty());
    let mut removed = vec![0; filter.rules().len()];
    out.removals().iter().for_each(|&(rule, n)| removed[rule] += n);
    removed
}

proptest! {
    /// Spans that any condition holds for are gone, each counted under the first; the rest is as it was.
    #[test]
    fn spans_are_filtered_as_by_hand(
        request in traces(),
        cases in prop::sample::subsequence(SPAN_CASES.to_vec(), 1..4),
    ) {
        let settings = conditions("traces.span", cases.iter().map(|(text, context, _)| (*text, *context)));
        let mut filter = Filter::new(Signal::Traces, &settings).unwrap();
        let mut out = Output::default();
        let input = batch(Signal::Traces, &request, filter.needs());
        let removed = run(&mut filter, input, &mut out);

        let mut expected = request;
        let mut expected_removed = vec![0; cases.len()];
        for resource in &mut expected.resource_spans {
            let attributes = resource.resource.clone().unwrap_or_default().attributes;
            for scope in &mut resource.scope_spans {
                scope.spans.retain(|span| {
                    let rule = cases.iter().position(|(_, _, holds)| holds(span, &attributes));
                    rule.map(|rule| expected_removed[rule] += 1).is_none()
                });
            }
        }
        prop_assert_eq!(&removed, &expected_removed);
        let something_went = expected_removed.iter().sum::<u64>() > 0;
        if something_went {
            expected.resource_spans.iter_mut().for_each(|resource| resource.scope_spans.retain(|scope| !scope.spans.is_empty()));
            expected.resource_spans.retain(|resource| !resource.scope_spans.is_empty());
        }
        match out.main() {
            [] => prop_assert!(expected.resource_spans.iter().all(|resource| resource.scope_spans.iter().all(|scope| scope.spans.is_empty()))),
            [batch] => prop_assert_eq!(decode::<ExportTraceServiceRequest>(batch), expected),
            more => prop_assert!(false, "{} batches", more.len()),
        }
    }

    /// A condition on a metric takes all its points, one on points takes some; a metric left without points goes.
    #[test]
    fn points_are_filtered_as_by_hand(request in metrics(), whole: bool) {
        let case = match whole {
            true => (r#"name == "up" and type != METRIC_DATA_TYPE_GAUGE"#, Context::Metric),
            false => (r#"metric.name == "up" and datapoint.attributes["a"] == nil"#, Context::Record),
        };
        let settings = conditions("metrics.metric", [case].into_iter());
        let mut filter = Filter::new(Signal::Metrics, &settings).unwrap();
        let mut out = Output::default();
        let input = batch(Signal::Metrics, &request, filter.needs());
        run(&mut filter, input, &mut out);

        let points = |request: &ExportMetricsServiceRequest, filtered: bool| {
            let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
            let mut all = Vec::new();
            for metric in scopes.flat_map(|scope| &scope.metrics) {
                let (attributes, gauge): (Vec<&Vec<KeyValue>>, bool) = match metric.data.as_ref().unwrap() {
                    Data::Gauge(data) => (data.data_points.iter().map(|point| &point.attributes).collect(), true),
                    Data::Sum(data) => (data.data_points.iter().map(|point| &point.attributes).collect(), false),
                    Data::Histogram(data) => (data.data_points.iter().map(|point| &point.attributes).collect(), false),
                    _ => unreachable!(),
                };
                all.extend(attributes.into_iter().filter(|attributes| {
                    let goes = metric.name == "up" && if whole { !gauge } else { !has(attributes, "a") };
                    filtered || !goes
                }).map(|attributes| (metric.name.clone(), attributes.clone())));
            }
            all
        };
        let left: Vec<_> = out.main().iter().flat_map(|batch| points(&decode(batch), true)).collect();
        prop_assert_eq!(left, points(&request, false));
    }

    #[test]
    fn logs_are_filtered_as_by_hand(request in logs()) {
        let dropped = |record: &LogRecord| {
            let body = record.body.as_ref().and_then(|body| body.value.as_ref());
            record.severity_number < 9 || matches!(body, Some(Value::StringValue(text)) if text.contains("health"))
        };
        let cases = [
            ("log.severity_number < SEVERITY_NUMBER_INFO", Context::Record),
            (r#"IsMatch(body, "health")"#, Context::Record),
        ];
        let settings = conditions("logs.log_record", cases.into_iter());
        let mut filter = Filter::new(Signal::Logs, &settings).unwrap();
        let mut out = Output::default();
        let input = batch(Signal::Logs, &request, filter.needs());
        run(&mut filter, input, &mut out);
        let records = |request: &ExportLogsServiceRequest| {
            let scopes = request.resource_logs.iter().flat_map(|resource| resource.scope_logs.clone());
            scopes.flat_map(|scope| scope.log_records).collect::<Vec<_>>()
        };
        let mut expected = records(&request);
        expected.retain(|record| !dropped(record));
        let left: Vec<_> = out.main().iter().flat_map(|batch| records(&decode(batch))).collect();
        prop_assert_eq!(left, expected);
    }
}

#[test]
fn every_fault_is_told_with_its_place() {
    let condition =
        |path: &str, text: &str| Condition { path: path.into(), text: text.into(), ..Condition::default() };
    let errors = Filter::new(
        Signal::Traces,
        &[
            condition("traces.span[0]", r#"name == "x""#),
            condition("traces.span[1]", r#"IsRootSpan() and nam == "x""#),
            condition("traces.span[2]", r#"spanevent.name == "x""#),
        ],
    )
    .unwrap_err();
    assert_eq!(errors[0].path, "traces.span[1]");
    assert_eq!(errors[0].at, Some(17..20));
    assert!(errors[0].message.contains("did you mean `name`"), "{}", errors[0]);
    assert!(errors.iter().any(|error| error.path == "traces.span[2]"));
    assert!(errors.iter().all(|error| error.path != "traces.span[0]"));
}

#[test]
fn rules_are_named_by_their_conditions() {
    let long = format!("name == \"{}\"", "é".repeat(200));
    let settings = [
        Condition { text: "is_root".into(), ..Condition::default() },
        Condition { text: long, ..Condition::default() },
    ];
    let filter = Filter::new(Signal::Traces, &settings).unwrap();
    assert_eq!(&*filter.rules()[0], "is_root");
    assert!(filter.rules()[1].len() <= 120);
}
