//! What is written says what was meant: prost reads it.

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList, any_value};
use opentelemetry_proto::tonic::{logs, metrics, trace};
use proptest::prelude::*;
use prost::Message;
use sha2::{Digest, Sha256};

use super::*;
use crate::limits::MAX_EVENT_VALUE_DEPTH;
use crate::{Check, Checker, Depth, TraceId};

mod arbitrary;
mod expected;

use arbitrary::*;
use expected::*;

type Pair = (String, AttributeValue);

/// Groups as the builder promises: services in order of first appearance.
fn by_service<T>(items: impl IntoIterator<Item = (String, T)>) -> Vec<(String, Vec<T>)> {
    let mut groups: Vec<(String, Vec<T>)> = Vec::new();
    for (service, item) in items {
        match groups.iter_mut().find(|(name, _)| *name == service) {
            Some((_, group)) => group.push(item),
            None => groups.push((service, vec![item])),
        }
    }
    groups
}

fn service_of(attributes: Option<&[KeyValue]>) -> String {
    match attributes {
        None => String::new(),
        Some(
            [
                KeyValue {
                    key,
                    value: Some(AnyValue { value: Some(any_value::Value::StringValue(name)) }),
                    ..
                },
            ],
        ) if key == "service.name" => name.clone(),
        Some(other) => panic!("not a service: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn a_request_of_spans_says_what_was_pushed(spans in proptest::collection::vec(arb_span(), 0..12)) {
        let mut builder = RequestBuilder::new(Signal::Traces, Depth::Counts);
        for span in &spans {
            builder.push_span(span).expect("room");
        }
        let bound = builder.byte_len();
        let batch = builder.finish();
        prop_assert_eq!(batch.len(), spans.len());
        prop_assert!(batch.raw().len() <= bound);
        let request = ExportTraceServiceRequest::decode(batch.raw().clone()).expect("well-formed");
        let got: Vec<_> = request.resource_spans.into_iter().map(|mut group| {
            prop_assert_eq!(group.scope_spans.len(), 1);
            let scope = group.scope_spans.remove(0);
            prop_assert_eq!(scope.scope.expect("a scope").name, "aldis");
            Ok((service_of(group.resource.as_ref().map(|resource| &resource.attributes[..])), scope.spans))
        }).collect::<Result<_, _>>()?;
        prop_assert_eq!(got, by_service(spans.iter().map(expected_span)));
    }

    #[test]
    fn a_request_of_logs_says_what_was_pushed(logs in proptest::collection::vec(arb_log(), 0..12)) {
        let mut builder = RequestBuilder::new(Signal::Logs, Depth::Counts);
        for log in &logs {
            builder.push(&log.clone().into()).expect("room");
        }
        let batch = builder.finish();
        let request = ExportLogsServiceRequest::decode(batch.raw().clone()).expect("well-formed");
        let got: Vec<_> = request.resource_logs.into_iter().map(|mut group| {
            let scope = group.scope_logs.remove(0);
            (service_of(group.resource.as_ref().map(|resource| &resource.attributes[..])), scope.log_records)
        }).collect();
        prop_assert_eq!(got, by_service(logs.iter().map(expected_log)));
    }

    #[test]
    fn a_request_of_points_says_what_was_pushed(points in proptest::collection::vec(arb_metric(), 0..12)) {
        let mut builder = RequestBuilder::new(Signal::Metrics, Depth::Counts);
        for point in &points {
            builder.push_metric(point).expect("room");
        }
        let bound = builder.byte_len();
        let batch = builder.finish();
        prop_assert!(batch.raw().len() <= bound);
        let request = ExportMetricsServiceRequest::decode(batch.raw().clone()).expect("well-formed");
        let got: Vec<_> = request.resource_metrics.into_iter().map(|mut group| {
            let scope = group.scope_metrics.remove(0);
            (service_of(group.resource.as_ref().map(|resource| &resource.attributes[..])), scope.metrics)
        }).collect();
        let expected: Vec<_> = by_service(points.iter().map(expected_point))
            .into_iter()
            .map(|(service, points)| (service, merged_metrics(points)))
            .collect();
        prop_assert_eq!(got, expected);
    }
}

/// Builds at every depth; the index must be what a check of the bytes finds.
fn assert_index_is_fresh(signal: Signal, events: &[TelemetryEvent]) {
    for depth in [Depth::Counts, Depth::Records, Depth::Attributes] {
        let mut builder = RequestBuilder::new(signal, depth);
        for _ in 0..2 {
            events.iter().for_each(|event| builder.push(event).expect("room"));
            let batch = builder.finish();
            let fresh = Checker::new(signal, Check::Full, depth).check(batch.raw().clone()).expect("valid");
            assert_eq!(fresh.counts(), batch.counts());
            assert_eq!(fresh.index(), batch.index());
        }
    }
}

/// The form in which an event comes back: what is said twice or in other words is said once.
fn normal(event: &TelemetryEvent) -> TelemetryEvent {
    fn id(text: &str, digits: usize) -> Option<String> {
        let hexadecimal = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let none = text.is_empty() || (hexadecimal && text.bytes().all(|byte| byte == b'0'));
        (!none).then(|| if hexadecimal { text.to_ascii_lowercase() } else { text.to_owned() })
    }
    fn named(attributes: &[(String, AttributeValue)]) -> (Option<Pair>, Vec<Pair>) {
        let (service, rest) = without_service(attributes);
        ((!service.is_empty()).then(|| ("service.name".to_owned(), text(&service))), rest)
    }
    match event {
        TelemetryEvent::Span(span) => {
            let (service, mut rest) = named(&span.attributes);
            let words = ["internal", "server", "client", "producer", "consumer"];
            let at = rest.iter().position(|(key, value)| {
                let known = |word: &String| words.contains(&word.to_ascii_lowercase().as_str());
                key == "span.kind" && matches!(value, AttributeValue::String(word) if known(word))
            });
            let kind = at.map(|at| rest.remove(at)).and_then(|(key, value)| match value {
                AttributeValue::String(word) if !word.eq_ignore_ascii_case("internal") => {
                    Some((key, text(&word.to_ascii_lowercase())))
                }
                _ => None,
            });
            let end = if span.end_time_ns == 0 {
                span.start_time_ns.saturating_add(span.duration_ns)
            } else {
                span.end_time_ns
            };
            TelemetryEvent::Span(Span {
                trace_id: id(&span.trace_id, 32).unwrap_or_default(),
                span_id: id(&span.span_id, 16).unwrap_or_default(),
                parent_span_id: span.parent_span_id.as_deref().and_then(|text| id(text, 16)),
                attributes: service.into_iter().chain(kind).chain(rest).collect(),
                duration_ns: end.saturating_sub(span.start_time_ns),
                end_time_ns: end,
                ..span.clone()
            })
        }
        TelemetryEvent::Log(log) => {
            let (service, rest) = named(&log.attributes);
            TelemetryEvent::Log(LogRecord {
                attributes: service.into_iter().chain(rest).collect(),
                trace_id: log.trace_id.as_deref().and_then(|text| id(text, 32)),
                span_id: log.span_id.as_deref().and_then(|text| id(text, 16)),
                ..log.clone()
            })
        }
        TelemetryEvent::Metric(metric) => {
            let (service, rest) = named(&metric.attributes);
            let is_summary = matches!(metric.data, MetricData::Summary(_));
            let exemplars = if is_summary { vec![] } else { metric.exemplars.clone() };
            let exemplar = |one: Exemplar| Exemplar {
                trace_id: one.trace_id.as_deref().and_then(|text| id(text, 32)),
                span_id: one.span_id.as_deref().and_then(|text| id(text, 16)),
                ..one
            };
            TelemetryEvent::Metric(Metric {
                attributes: service.into_iter().chain(rest).collect(),
                exemplars: exemplars.into_iter().map(exemplar).collect(),
                ..metric.clone()
            })
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn the_index_of_what_is_built_is_that_of_a_check(spans in proptest::collection::vec(arb_span(), 0..6),
                                                     logs in proptest::collection::vec(arb_log(), 0..6),
                                                     points in proptest::collection::vec(arb_metric(), 0..8)) {
        assert_index_is_fresh(Signal::Traces, &spans.into_iter().map(Into::into).collect::<Vec<_>>());
        assert_index_is_fresh(Signal::Logs, &logs.into_iter().map(Into::into).collect::<Vec<_>>());
        assert_index_is_fresh(Signal::Metrics, &points.into_iter().map(Into::into).collect::<Vec<_>>());
    }

    #[test]
    fn events_come_back_in_normal_form(span in arb_span(), log in arb_log(), metric in arb_metric()) {
        for event in [TelemetryEvent::Span(span), TelemetryEvent::Log(log), TelemetryEvent::Metric(metric)] {
            let mut builder = RequestBuilder::new(event.signal(), Depth::Records);
            builder.push(&event).expect("room");
            let batch = builder.finish();
            let back: TelemetryEvent = match &event {
                TelemetryEvent::Span(_) => Span::from_view(batch.span(0), batch.resource_of(0)).into(),
                TelemetryEvent::Log(_) => LogRecord::from_view(batch.log(0), batch.resource_of(0)).into(),
                TelemetryEvent::Metric(_) => {
                    Metric::from_view(batch.point(0), batch.metric_of(0), batch.resource_of(0)).into()
                }
            };
            prop_assert_eq!(&back, &normal(&event));
        }
    }
}

/// Points of the same metric under one metric, in order of first appearance.
fn merged_metrics(points: Vec<metrics::v1::Metric>) -> Vec<metrics::v1::Metric> {
    use metrics::v1::metric::Data;
    let mut merged: Vec<metrics::v1::Metric> = Vec::new();
    for mut point in points {
        let same = merged.iter_mut().find(|metric| {
            metric.name == point.name
                && metric.unit == point.unit
                && metric.description == point.description
                && match (metric.data.as_ref(), point.data.as_ref()) {
                    (Some(Data::Gauge(_)), Some(Data::Gauge(_))) => true,
                    (Some(Data::Sum(a)), Some(Data::Sum(b))) => {
                        (a.is_monotonic, a.aggregation_temporality)
                            == (b.is_monotonic, b.aggregation_temporality)
                    }
                    (Some(Data::Histogram(a)), Some(Data::Histogram(b))) => {
                        a.aggregation_temporality == b.aggregation_temporality
                    }
                    (Some(Data::ExponentialHistogram(a)), Some(Data::ExponentialHistogram(b))) => {
                        a.aggregation_temporality == b.aggregation_temporality
                    }
                    (Some(Data::Summary(_)), Some(Data::Summary(_))) => true,
                    _ => false,
                }
        });
        let Some(same) = same else {
            merged.push(point);
            continue;
        };
        match (same.data.as_mut(), point.data.take()) {
            (Some(Data::Gauge(a)), Some(Data::Gauge(b))) => a.data_points.extend(b.data_points),
            (Some(Data::Sum(a)), Some(Data::Sum(b))) => a.data_points.extend(b.data_points),
            (Some(Data::Histogram(a)), Some(Data::Histogram(b))) => a.data_points.extend(b.data_points),
            (Some(Data::ExponentialHistogram(a)), Some(Data::ExponentialHistogram(b))) => {
                a.data_points.extend(b.data_points);
            }
            (Some(Data::Summary(a)), Some(Data::Summary(b))) => a.data_points.extend(b.data_points),
            _ => unreachable!("compared above"),
        }
    }
    merged
}

#[test]
fn wrong_ids_are_hashed_and_kept_as_text() {
    let span = Span { trace_id: "trace-123".into(), span_id: "g".repeat(16), ..Span::default() };
    let mut body = Vec::new();
    encode_span(&span, &mut body);
    let read = trace::v1::Span::decode(&body[..]).expect("well-formed");
    assert_eq!(read.trace_id, TraceId::from_text("trace-123").0);
    assert_eq!(read.trace_id[..], Sha256::digest("trace-123")[..16]);
    let kept: Vec<_> = read.attributes.iter().map(|pair| pair.key.as_str()).collect();
    assert_eq!(kept, [TRACE_ID_TEXT, SPAN_ID_TEXT]);
}

#[test]
fn a_builder_takes_one_signal_and_is_used_again() {
    let mut builder = RequestBuilder::new(Signal::Logs, Depth::Records);
    let wrong = builder.push(&Span::default().into());
    assert_eq!(wrong, Err(PushError::WrongSignal { expected: Signal::Logs, got: Signal::Traces }));
    assert!(builder.is_empty() && builder.finish().raw().is_empty());
    builder.push(&LogRecord::default().into()).expect("room");
    assert_eq!(builder.len(), 1);
    assert_eq!(builder.finish().len(), 1);
    assert!(builder.finish().is_empty());
}

#[test]
fn values_deeper_than_the_limit_are_unset_and_still_readable() {
    let mut value = text("bottom");
    for _ in 0..200 {
        value = AttributeValue::Map(vec![("down".into(), AttributeValue::Array(vec![value]))]);
    }
    let mut builder = RequestBuilder::new(Signal::Logs, Depth::Records);
    builder.push_log(&LogRecord { body: Some(value.clone()), ..LogRecord::default() }).expect("room");
    builder
        .push_log(&LogRecord { attributes: vec![("a".into(), value)], ..LogRecord::default() })
        .expect("room");
    let batch = builder.finish();
    let request =
        ExportLogsServiceRequest::decode(batch.raw().clone()).expect("within the depth that prost reads");
    let body = request.resource_logs[0].scope_logs[0].log_records[0].body.clone();
    let mut depth = 0;
    let mut at = body.expect("a body");
    while let Some(value) = at.value.take() {
        depth += 1;
        at = match value {
            any_value::Value::ArrayValue(mut array) => array.values.remove(0),
            any_value::Value::KvlistValue(mut map) => map.values.remove(0).value.expect("a value"),
            _ => panic!("the bottom is too deep to be there"),
        };
    }
    assert_eq!(depth, MAX_EVENT_VALUE_DEPTH);
}
