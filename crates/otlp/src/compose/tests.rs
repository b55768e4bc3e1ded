//! What is composed says what was meant: prost reads it, and writes the same bytes where it keeps the order of fields.

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
use opentelemetry_proto::tonic::{logs, metrics, trace};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::event::{Number, Temporality};
use crate::{Check, Checker, Depth, Signal, SpanId, TraceId};

fn wire(value: &Value<'_>) -> AnyValue {
    use any_value::Value as Any;
    let text = |text: &str| AnyValue { value: Some(Any::StringValue(text.to_owned())) };
    match value {
        Value::Text(said) => text(said),
        Value::Int(number) => AnyValue { value: Some(Any::IntValue(*number)) },
        Value::Double(number) => AnyValue { value: Some(Any::DoubleValue(*number)) },
        Value::Bool(yes) => AnyValue { value: Some(Any::BoolValue(*yes)) },
        Value::Texts(texts) => {
            let values = texts.iter().map(|said| text(said)).collect();
            AnyValue { value: Some(Any::ArrayValue(ArrayValue { values })) }
        }
    }
}

fn pairs(attributes: &[Attribute<'_>]) -> Vec<KeyValue> {
    let pair = |(key, value): &Attribute<'_>| KeyValue {
        key: (*key).to_owned(),
        value: Some(wire(value)),
        ..KeyValue::default()
    };
    attributes.iter().map(pair).collect()
}

const RESOURCE: [Attribute<'static>; 2] =
    [("service.name", Value::Text("shop")), ("host.cpu.count", Value::Int(-4))];

const SCOPE: (&str, &str) = ("io.shop", "2");

fn checked(signal: Signal, body: &[u8]) {
    let batch = Checker::new(signal, Check::Full, Depth::Attributes).check(body.to_vec().into());
    assert_eq!(batch.unwrap().len(), 1);
}

fn spans(records: &[u8]) -> Vec<trace::v1::Span> {
    let body = request(&RESOURCE, &[Scope { name: SCOPE.0, version: SCOPE.1, records }]);
    checked(Signal::Traces, &body);
    let mut decoded = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    assert_eq!(decoded.encode_to_vec(), body, "prost writes the same bytes");
    let mut resource = decoded.resource_spans.remove(0);
    assert_eq!(resource.resource.unwrap().attributes, pairs(&RESOURCE));
    let scope = resource.scope_spans.remove(0);
    let said = scope.scope.unwrap();
    assert_eq!((said.name.as_str(), said.version.as_str()), SCOPE);
    scope.spans
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_span_is_what_prost_reads(
        ids in any::<([u8; 16], [u8; 8], [u8; 8])>(),
        texts in ("[a-z]{0,9}", ".{0,300}", ".{0,20}"),
        numbers in any::<(u64, u64, i64, f64)>(),
        small in (0u8..6, 0u8..3, any::<u32>(), 0u32..300),
        nested in (0usize..3, 0usize..3, 0usize..40),
    ) {
        let parts = [texts.0.as_str(), &texts.1];
        let kinds = [
            ("text", Value::Text(&texts.1)), ("int", Value::Int(numbers.2)), ("double", Value::Double(numbers.3)),
            ("bool", Value::Bool(small.0 > 2)), ("texts", Value::Texts(&parts)),
        ];
        let all: Vec<Attribute<'_>> = kinds.iter().copied().cycle().take(nested.2).collect();
        let event = EventParts { time_ns: numbers.0, name: &texts.0, attributes: &all, dropped_attributes: small.3 };
        let link = LinkParts {
            trace_id: TraceId(ids.0), span_id: SpanId(ids.2), trace_state: &texts.0, attributes: &kinds,
            dropped_attributes: small.3, flags: small.2,
        };
        let span = SpanParts {
            trace_id: TraceId(ids.0), span_id: SpanId(ids.1), parent: SpanId(ids.2), trace_state: &texts.0,
            flags: small.2, name: &texts.1, kind: small.0, start_ns: numbers.0, end_ns: numbers.1,
            attributes: &all, dropped_attributes: small.3, events: &vec![event; nested.0], dropped_events: small.3,
            links: &vec![link; nested.1], dropped_links: small.3, status: small.1, status_message: &texts.2,
        };
        let mut records = Vec::new();
        span.put(&mut records);
        let id = |bytes: &[u8]| if bytes.iter().all(|byte| *byte == 0) { vec![] } else { bytes.to_vec() };
        let expected = trace::v1::Span {
            trace_id: id(&ids.0), span_id: id(&ids.1), parent_span_id: id(&ids.2), trace_state: texts.0.clone(),
            flags: small.2, name: texts.1.clone(), kind: small.0.into(), start_time_unix_nano: numbers.0,
            end_time_unix_nano: numbers.1, attributes: pairs(&all), dropped_attributes_count: small.3,
            events: vec![trace::v1::span::Event {
                time_unix_nano: numbers.0, name: texts.0.clone(), attributes: pairs(&all),
                dropped_attributes_count: small.3,
            }; nested.0],
            dropped_events_count: small.3,
            links: vec![trace::v1::span::Link {
                trace_id: id(&ids.0), span_id: id(&ids.2), trace_state: texts.0.clone(), attributes: pairs(&kinds),
                dropped_attributes_count: small.3, flags: small.2,
            }; nested.1],
            dropped_links_count: small.3,
            status: (small.1 != 0 || !texts.2.is_empty())
                .then(|| trace::v1::Status { message: texts.2.clone(), code: small.1.into() }),
};
        // Times of zero are written by us and left out by prost.
        if numbers.0 != 0 && numbers.1 != 0 {
            prop_assert_eq!(spans(&records), vec![expected]);
        }
    }
}

#[test]
fn a_log_record_is_what_prost_reads() {
    let attributes = [("exception.type", Value::Text("java.net.ConnectException"))];
    let mut records = Vec::new();
    LogParts {
        time_ns: 5,
        observed_ns: 6,
        severity_number: 17,
        severity_text: "ERROR",
        body: Some(Value::Text("refused")),
        attributes: &attributes,
        dropped_attributes: 200,
        flags: 1,
        trace_id: TraceId([1; 16]),
        span_id: SpanId([2; 8]),
        event_name: "payment.refused",
    }
    .put(&mut records);
    let body = request(&[], &[Scope { records: &records, ..Scope::default() }]);
    checked(Signal::Logs, &body);
    let decoded = ExportLogsServiceRequest::decode(body.as_slice()).unwrap();
    let expected = logs::v1::LogRecord {
        time_unix_nano: 5,
        observed_time_unix_nano: 6,
        severity_number: 17,
        severity_text: "ERROR".into(),
        body: Some(wire(&Value::Text("refused"))),
        attributes: pairs(&attributes),
        dropped_attributes_count: 200,
        flags: 1,
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        event_name: "payment.refused".into(),
    };
    assert_eq!(decoded.resource_logs[0].scope_logs[0].log_records, [expected]);
}

fn metric(data: DataParts, value: PointValue<'_>, exemplars: &[ExemplarParts]) -> metrics::v1::metric::Data {
    let mut points = Points::default();
    let mut records = Vec::new();
    let mut parts = |points: &Points| {
        MetricParts { name: "shop.orders", description: "Orders.", unit: "{order}", data, points }
            .put(&mut records);
    };
    parts(&points);
    points.push(&value, &[("currency", Value::Text("CHF"))], 3, 9, exemplars);
    parts(&points);
    let body = request(&RESOURCE, &[Scope { name: "m", version: "", records: &records }]);
    checked(Signal::Metrics, &body);
    let mut decoded = ExportMetricsServiceRequest::decode(body.as_slice()).unwrap();
    let metrics = &mut decoded.resource_metrics[0].scope_metrics[0].metrics;
    assert_eq!(metrics.len(), 1, "one without points is not written");
    let metric = metrics.remove(0);
    assert_eq!((metric.name.as_str(), metric.unit.as_str()), ("shop.orders", "{order}"));
    assert_eq!(metric.description, "Orders.");
    metric.data.unwrap()
}

#[test]
fn metrics_are_what_prost_reads() {
    use metrics::v1::{exemplar, metric::Data, number_data_point};
    let number = |value| metrics::v1::NumberDataPoint {
        attributes: pairs(&[("currency", Value::Text("CHF"))]),
        start_time_unix_nano: 3,
        time_unix_nano: 9,
        value: Some(value),
        ..Default::default()
    };
    let gauge = metric(DataParts::Gauge, PointValue::Number(Number::Double(0.5)), &[]);
    let data_points = vec![number(number_data_point::Value::AsDouble(0.5))];
    assert_eq!(gauge, Data::Gauge(metrics::v1::Gauge { data_points }));

    let sum = DataParts::Sum { temporality: Temporality::Cumulative, monotonic: true };
    let data_points = vec![number(number_data_point::Value::AsInt(-7))];
    let expected = metrics::v1::Sum { data_points, aggregation_temporality: 2, is_monotonic: true };
    assert_eq!(metric(sum, PointValue::Number(Number::Int(-7)), &[]), Data::Sum(expected));

    let exemplar =
        ExemplarParts { time_ns: 8, value: 2.5, trace_id: TraceId([3; 16]), span_id: SpanId([4; 8]) };
    let value = PointValue::Histogram {
        count: 3,
        sum: 4.5,
        min_max: Some((0.5, 2.5)),
        bounds: &[1.0, 2.0],
        counts: &[1, 1, 1],
    };
    let point = metrics::v1::HistogramDataPoint {
        attributes: pairs(&[("currency", Value::Text("CHF"))]),
        start_time_unix_nano: 3,
        time_unix_nano: 9,
        count: 3,
        sum: Some(4.5),
        bucket_counts: vec![1, 1, 1],
        explicit_bounds: vec![1.0, 2.0],
        exemplars: vec![metrics::v1::Exemplar {
            time_unix_nano: 8,
            span_id: vec![4; 8],
            trace_id: vec![3; 16],
            value: Some(exemplar::Value::AsDouble(2.5)),
            ..Default::default()
        }],
        min: Some(0.5),
        max: Some(2.5),
        ..Default::default()
    };
    let expected = metrics::v1::Histogram { data_points: vec![point], aggregation_temporality: 1 };
    let data = DataParts::Histogram { temporality: Temporality::Delta };
    assert_eq!(metric(data, value, &[exemplar]), Data::Histogram(expected));
}
