//! Generated requests, as the oracle's types.

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    metric::Data,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use otlp::{Batch, Check, Checker, Depth, Signal};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

/// A request of the oracle, checked into a batch.
pub(crate) fn batch(signal: Signal, request: &impl Message, depth: Depth) -> Batch {
    let body = request.encode_to_vec();
    Checker::new(signal, Check::Full, depth).check(body.into()).unwrap()
}

/// A batch back into the oracle's types.
pub(crate) fn decode<M: Message + Default>(batch: &Batch) -> M {
    M::decode(batch.to_wire()).unwrap()
}

pub(crate) const KEYS: [&str; 6] = ["a", "b", "c", "http.route", "service.name", "token.secret"];
pub(crate) const TEXTS: [&str; 6] = ["", "x", "/healthz", "17", "-2.5", "user=42"];

pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => prop::sample::select(&TEXTS[..]).prop_map(|text| Value::StringValue(text.into())),
        2 => (-3..300i64).prop_map(Value::IntValue),
        1 => prop::sample::select(vec![0.0, 1.0, -2.5, 1e300]).prop_map(Value::DoubleValue),
        1 => any::<bool>().prop_map(Value::BoolValue),
        1 => vec(any::<u8>(), 0..4).prop_map(Value::BytesValue),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        let any = inner.prop_map(|value| AnyValue { value: Some(value) });
        prop_oneof![
            vec(any.clone(), 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec(any, 0..3).prop_map(|values| {
                let entries = KEYS.iter().zip(values);
                let values = entries.map(|(key, value)| KeyValue {
                    key: (*key).into(),
                    value: Some(value),
                    ..KeyValue::default()
                });
                Value::KvlistValue(KeyValueList { values: values.collect() })
            }),
        ]
    })
}

/// Attributes with unique keys, in any order.
pub(crate) fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let keys = prop::sample::subsequence(KEYS.to_vec(), 0..KEYS.len()).prop_shuffle();
    keys.prop_flat_map(|keys| {
        let values = vec(value(), keys.len());
        values.prop_map(move |values| {
            let entries = keys.iter().zip(values);
            entries
                .map(|(key, value)| KeyValue {
                    key: (*key).into(),
                    value: Some(AnyValue { value: Some(value) }),
                    ..KeyValue::default()
                })
                .collect()
        })
    })
}

fn resource() -> impl Strategy<Value = Option<Resource>> {
    prop::option::weighted(
        0.9,
        attributes().prop_map(|attributes| Resource { attributes, ..Resource::default() }),
    )
}

fn scope() -> impl Strategy<Value = Option<InstrumentationScope>> {
    let names = prop::sample::select(vec![("", ""), ("lib", "1"), ("lib", "2"), ("other", "")]);
    prop::option::of(names.prop_map(|(name, version)| InstrumentationScope {
        name: name.into(),
        version: version.into(),
        ..InstrumentationScope::default()
    }))
}

prop_compose! {
    fn span()(attributes in attributes(), name in prop::sample::select(&TEXTS[..]), kind in 0..6i32, status in 0..3i32,
              id in any::<[u8; 16]>(), root: bool,
              trace_state in prop::sample::select(vec!["", "", "v=1", "ot=th:8", "v=1,ot=th:c;rv:8000000000000f;x:y"]))
             -> Span {
        Span {
            trace_id: id.to_vec(),
            span_id: id[..8].to_vec(),
            trace_state: trace_state.into(),
            parent_span_id: if root { vec![] } else { vec![7; 8] },
            name: name.into(),
            kind,
            start_time_unix_nano: 1_000,
            end_time_unix_nano: 1_000 + u64::from(id[0]),
            attributes,
            status: Some(Status { code: status, ..Status::default() }),
            ..Span::default()
        }
    }
}

prop_compose! {
    fn log()(attributes in attributes(), body in prop::option::of(value()), severity in 0..25i32,
             text in prop::sample::select(vec!["", "INFO", "ERROR"]), id in prop::option::of(any::<[u8; 16]>()))
            -> LogRecord {
        LogRecord {
            time_unix_nano: 5,
            severity_number: severity,
            severity_text: text.into(),
            body: body.map(|value| AnyValue { value: Some(value) }),
            attributes,
            trace_id: id.map_or(vec![], |id| id.to_vec()),
            ..LogRecord::default()
        }
    }
}

fn metric() -> impl Strategy<Value = Metric> {
    let number =
        || attributes().prop_map(|attributes| NumberDataPoint { attributes, ..NumberDataPoint::default() });
    let histogram =
        attributes().prop_map(|attributes| HistogramDataPoint { attributes, count: 1, ..Default::default() });
    let data = prop_oneof![
        vec(number(), 0..4).prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        vec(number(), 0..4).prop_map(|data_points| {
            Data::Sum(Sum { data_points, aggregation_temporality: 2, is_monotonic: true })
        }),
        vec(histogram, 0..3)
            .prop_map(|data_points| Data::Histogram(Histogram { data_points, aggregation_temporality: 1 })),
    ];
    (data, prop::sample::select(vec!["up", "http.requests"])).prop_map(|(data, name)| Metric {
        name: name.into(),
        data: Some(data),
        ..Metric::default()
    })
}

pub(crate) fn traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scopes = (scope(), vec(span(), 0..6)).prop_map(|(scope, spans)| ScopeSpans {
        scope,
        spans,
        schema_url: "s".into(),
    });
    let resources = (resource(), vec(scopes, 0..4)).prop_map(|(resource, scope_spans)| ResourceSpans {
        resource,
        scope_spans,
        schema_url: "r".into(),
    });
    vec(resources, 0..4).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

pub(crate) fn logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scopes = (scope(), vec(log(), 0..6)).prop_map(|(scope, log_records)| ScopeLogs {
        scope,
        log_records,
        ..ScopeLogs::default()
    });
    let resources = (resource(), vec(scopes, 0..4)).prop_map(|(resource, scope_logs)| ResourceLogs {
        resource,
        scope_logs,
        ..ResourceLogs::default()
    });
    vec(resources, 0..4).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

pub(crate) fn metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let scopes = (scope(), vec(metric(), 0..4)).prop_map(|(scope, metrics)| ScopeMetrics {
        scope,
        metrics,
        ..ScopeMetrics::default()
    });
    let resources = (resource(), vec(scopes, 0..3)).prop_map(|(resource, scope_metrics)| ResourceMetrics {
        resource,
        scope_metrics,
        ..ResourceMetrics::default()
    });
    vec(resources, 0..3).prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}
