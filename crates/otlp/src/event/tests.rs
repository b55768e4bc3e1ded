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

type Pair = (String, AttributeValue);

fn any(value: &AttributeValue) -> AnyValue {
    use any_value::Value;
    AnyValue {
        value: Some(match value {
            AttributeValue::String(text) => Value::StringValue(text.clone()),
            AttributeValue::Int(number) => Value::IntValue(*number),
            AttributeValue::Double(number) => Value::DoubleValue(*number),
            AttributeValue::Bool(yes) => Value::BoolValue(*yes),
            AttributeValue::Bytes(bytes) => Value::BytesValue(bytes.clone()),
            AttributeValue::Array(items) => {
                Value::ArrayValue(ArrayValue { values: items.iter().map(any).collect() })
            }
            AttributeValue::Map(entries) => Value::KvlistValue(KeyValueList { values: pairs(entries) }),
        }),
    }
}

fn pairs(entries: &[(String, AttributeValue)]) -> Vec<KeyValue> {
    entries.iter().map(|(key, value)| pair(key, any(value))).collect()
}

fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::String(value.to_owned())
}

/// The id on the wire, and the attribute that keeps its text.
fn id(from: &str, len: usize, name: &str) -> (Vec<u8>, Option<KeyValue>) {
    let digits: Option<Vec<u8>> = (from.len() == 2 * len && from.is_ascii())
        .then(|| (0..len).map(|i| u8::from_str_radix(&from[2 * i..2 * i + 2], 16).ok()).collect())
        .flatten();
    match digits {
        Some(digits) if digits.iter().all(|byte| *byte == 0) => (vec![], None),
        Some(digits) => (digits, None),
        None if from.is_empty() => (vec![], None),
        None => (Sha256::digest(from)[..len].to_vec(), Some(pair(name, any(&text(from))))),
    }
}

/// What is left for the record once the service has gone to the resource.
fn without_service(attributes: &[(String, AttributeValue)]) -> (String, Vec<(String, AttributeValue)>) {
    let mut rest = attributes.to_vec();
    let at = rest
        .iter()
        .position(|(key, value)| key == "service.name" && matches!(value, AttributeValue::String(_)));
    match at.map(|at| rest.remove(at)) {
        Some((_, AttributeValue::String(service))) => (service, rest),
        _ => (String::new(), rest),
    }
}

fn expected_span(span: &Span) -> (String, trace::v1::Span) {
    let (service, mut attributes) = without_service(&span.attributes);
    let words = ["internal", "server", "client", "producer", "consumer"];
    let kind_of = |value: &AttributeValue| match value {
        AttributeValue::String(word) => words.iter().position(|known| *known == word.to_ascii_lowercase()),
        _ => None,
    };
    let at = attributes.iter().position(|(key, value)| key == "span.kind" && kind_of(value).is_some());
    let kind = at.and_then(|at| kind_of(&attributes.remove(at).1)).unwrap_or(0) as i32 + 1;
    let (trace_id, trace_text) = id(&span.trace_id, 16, "aldis.trace_id.text");
    let (span_id, span_text) = id(&span.span_id, 8, "aldis.span_id.text");
    let (parent_span_id, parent_text) =
        id(span.parent_span_id.as_deref().unwrap_or(""), 8, "aldis.parent_span_id.text");
    let mut attributes = pairs(&attributes);
    attributes.extend([trace_text, span_text, parent_text].into_iter().flatten());
    let code = match span.status {
        SpanStatus::Unset => None,
        SpanStatus::Ok => Some(1),
        SpanStatus::Error => Some(2),
    };
    let expected = trace::v1::Span {
        trace_id,
        span_id,
        parent_span_id,
        name: span.name.clone(),
        kind,
        start_time_unix_nano: span.start_time_ns,
        end_time_unix_nano: match span.end_time_ns {
            0 => span.start_time_ns.saturating_add(span.duration_ns),
            end => end,
        },
        attributes,
        status: code.map(|code| trace::v1::Status { code, ..Default::default() }),
        ..Default::default()
    };
    (service, expected)
}

fn expected_log(log: &LogRecord) -> (String, logs::v1::LogRecord) {
    let (service, attributes) = without_service(&log.attributes);
    let (trace_id, trace_text) = id(log.trace_id.as_deref().unwrap_or(""), 16, "aldis.trace_id.text");
    let (span_id, span_text) = id(log.span_id.as_deref().unwrap_or(""), 8, "aldis.span_id.text");
    let mut attributes = pairs(&attributes);
    attributes.extend([trace_text, span_text].into_iter().flatten());
    let expected = logs::v1::LogRecord {
        time_unix_nano: log.time_ns,
        observed_time_unix_nano: log.time_ns,
        severity_number: log.severity_number.into(),
        severity_text: log.severity_text.clone(),
        body: log.body.as_ref().map(any),
        attributes,
        trace_id,
        span_id,
        ..Default::default()
    };
    (service, expected)
}

pub(crate) fn arb_value() -> impl Strategy<Value = AttributeValue> {
    let leaf = prop_oneof![
        ".{0,8}".prop_map(AttributeValue::String),
        any_i64().prop_map(AttributeValue::Int),
        (-1e9..1e9f64).prop_map(AttributeValue::Double),
        proptest::bool::ANY.prop_map(AttributeValue::Bool),
        proptest::collection::vec(0..=255u8, 0..200).prop_map(AttributeValue::Bytes),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(AttributeValue::Array),
            proptest::collection::vec(("[a-z]{0,4}", inner), 0..4).prop_map(AttributeValue::Map),
        ]
    })
}

fn any_i64() -> impl Strategy<Value = i64> {
    prop_oneof![proptest::num::i64::ANY, -3..300i64]
}

fn arb_attributes() -> impl Strategy<Value = Vec<(String, AttributeValue)>> {
    let entry = prop_oneof![
        4 => ("[a-z.]{0,12}", arb_value()),
        1 => (Just("service.name".to_owned()), prop_oneof!["(cart|shop|)".prop_map(AttributeValue::String), arb_value()]),
        1 => (Just("span.kind".to_owned()), prop_oneof!["(SERVER|client|Internal|other)".prop_map(AttributeValue::String), arb_value()]),
        1 => (Just(TRACE_ID_TEXT.to_owned()), "text of (no|another) id".prop_map(AttributeValue::String)),
    ];
    proptest::collection::vec(entry, 0..6)
}

fn arb_id(digits: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => proptest::string::string_regex(&format!("[0-9a-fA-F]{{{digits}}}")).expect("a pattern"),
        1 => Just("0".repeat(digits)),
        1 => Just("trace-123".to_owned()),
        1 => Just(String::new()),
        1 => proptest::string::string_regex(&format!("[0-9a-gé]{{{digits}}}")).expect("a pattern"),
        1 => ".{0,40}",
    ]
}

pub(crate) fn arb_span() -> impl Strategy<Value = Span> {
    let times = (0..=u64::MAX, prop_oneof![Just(0), 0..=u64::MAX], prop_oneof![Just(0), 0..=u64::MAX]);
    let status = prop_oneof![Just(SpanStatus::Unset), Just(SpanStatus::Ok), Just(SpanStatus::Error)];
    let ids = (arb_id(32), arb_id(16), proptest::option::of(arb_id(16)));
    (".{0,20}", ids, arb_attributes(), times, status).prop_map(|(name, ids, attributes, times, status)| {
        Span {
            name,
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            attributes,
            start_time_ns: times.0,
            end_time_ns: times.1,
            duration_ns: times.2,
            status,
        }
    })
}

pub(crate) fn arb_log() -> impl Strategy<Value = LogRecord> {
    let ids = (proptest::option::of(arb_id(32)), proptest::option::of(arb_id(16)));
    let time = prop_oneof![Just(0), 0..=u64::MAX];
    let body = proptest::option::of(arb_value());
    (time, 0..=24u8, "[A-Z]{0,5}", body, arb_attributes(), ids).prop_map(
        |(time_ns, severity_number, severity_text, body, attributes, ids)| LogRecord {
            time_ns,
            severity_number,
            severity_text,
            body,
            attributes,
            trace_id: ids.0,
            span_id: ids.1,
        },
    )
}

fn arb_number() -> impl Strategy<Value = Number> + Clone {
    prop_oneof![any_i64().prop_map(Number::Int), (-1e9..1e9f64).prop_map(Number::Double)]
}

fn arb_buckets() -> impl Strategy<Value = Buckets> {
    let offset = prop_oneof![Just(0), Just(i32::MIN), Just(i32::MAX), -300..300i32];
    let counts = proptest::collection::vec(prop_oneof![0..200u64, 0..=u64::MAX], 0..4);
    (offset, counts).prop_map(|(offset, counts)| Buckets { offset, counts })
}

fn arb_exponential() -> impl Strategy<Value = ExponentialHistogramData> {
    let maybe = || proptest::option::of(-1e9..1e9f64);
    let counts = (0..=u64::MAX, -20..21i32, 0..=u64::MAX, prop_oneof![Just(0.0), 0.0..1.0f64]);
    (counts, (maybe(), maybe(), maybe()), arb_buckets(), arb_buckets()).prop_map(
        |((count, scale, zero_count, zero_threshold), (sum, min, max), positive, negative)| {
            ExponentialHistogramData {
                count,
                sum,
                min,
                max,
                scale,
                zero_count,
                zero_threshold,
                positive,
                negative,
            }
        },
    )
}

fn arb_data() -> impl Strategy<Value = MetricData> {
    let temporality = || prop_oneof![Just(Temporality::Delta), Just(Temporality::Cumulative)];
    let histogram = proptest::collection::vec(-10.0..10.0f64, 0..5)
        .prop_map(|values| HistogramData::of(&[-1.0, 2.0], &values));
    // Bounds and counts may be left out, and so may the sum.
    let bare = (0..9u64).prop_map(|count| HistogramData { count, ..HistogramData::default() });
    let quantiles = proptest::collection::vec((0.0..1.0f64, -1e9..1e9f64), 0..3);
    prop_oneof![
        arb_number().prop_map(MetricData::Gauge),
        (arb_number(), proptest::bool::ANY, temporality())
            .prop_map(|(value, monotonic, temporality)| MetricData::Sum { value, monotonic, temporality }),
        (prop_oneof![histogram, bare], temporality())
            .prop_map(|(histogram, temporality)| MetricData::Histogram { histogram, temporality }),
        (arb_exponential(), temporality())
            .prop_map(|(histogram, temporality)| MetricData::ExponentialHistogram { histogram, temporality }),
        (0..=u64::MAX, -1e9..1e9f64, quantiles)
            .prop_map(|(count, sum, quantiles)| MetricData::Summary(SummaryData { count, sum, quantiles })),
    ]
}

fn arb_exemplar() -> impl Strategy<Value = Exemplar> {
    let ids = (proptest::option::of(arb_id(32)), proptest::option::of(arb_id(16)));
    (arb_number(), 0..=u64::MAX, ids, arb_attributes()).prop_map(
        |(value, time_ns, (trace_id, span_id), attributes)| Exemplar {
            value,
            time_ns,
            trace_id,
            span_id,
            attributes,
        },
    )
}

fn arb_metric() -> impl Strategy<Value = Metric> {
    let exemplars = proptest::collection::vec(arb_exemplar(), 0..3);
    let times = (prop_oneof![Just(0), 0..=u64::MAX], 0..=u64::MAX);
    ("(a|b|)", "(1|s|)", arb_data(), arb_attributes(), exemplars, times).prop_map(
        |(name, unit, data, attributes, exemplars, (start_time_ns, time_ns))| Metric {
            name,
            unit,
            description: String::new(),
            data,
            attributes,
            exemplars,
            start_time_ns,
            time_ns,
        },
    )
}

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

/// An exemplar as prost has it.
fn expected_exemplar(exemplar: &Exemplar) -> metrics::v1::Exemplar {
    let (trace_id, trace_text) = id(exemplar.trace_id.as_deref().unwrap_or(""), 16, "aldis.trace_id.text");
    let (span_id, span_text) = id(exemplar.span_id.as_deref().unwrap_or(""), 8, "aldis.span_id.text");
    let mut filtered_attributes = pairs(&exemplar.attributes);
    filtered_attributes.extend([trace_text, span_text].into_iter().flatten());
    metrics::v1::Exemplar {
        filtered_attributes,
        time_unix_nano: exemplar.time_ns,
        span_id,
        trace_id,
        value: Some(match exemplar.value {
            Number::Int(number) => metrics::v1::exemplar::Value::AsInt(number),
            Number::Double(number) => metrics::v1::exemplar::Value::AsDouble(number),
        }),
    }
}

fn expected_exponential(histogram: &ExponentialHistogramData) -> metrics::v1::ExponentialHistogramDataPoint {
    use metrics::v1::exponential_histogram_data_point;
    // Buckets that say nothing are not written.
    let buckets = |buckets: &Buckets| {
        (*buckets != Buckets::default()).then(|| exponential_histogram_data_point::Buckets {
            offset: buckets.offset,
            bucket_counts: buckets.counts.clone(),
        })
    };
    metrics::v1::ExponentialHistogramDataPoint {
        count: histogram.count,
        sum: histogram.sum,
        scale: histogram.scale,
        zero_count: histogram.zero_count,
        positive: buckets(&histogram.positive),
        negative: buckets(&histogram.negative),
        min: histogram.min,
        max: histogram.max,
        zero_threshold: histogram.zero_threshold,
        ..Default::default()
    }
}

/// The points of a metric of one point.
fn expected_data(point: &Metric, attributes: Vec<KeyValue>) -> metrics::v1::metric::Data {
    use metrics::v1::{
        ExponentialHistogram, Gauge, Histogram, HistogramDataPoint, NumberDataPoint, Sum, Summary,
        SummaryDataPoint, metric::Data, number_data_point, summary_data_point::ValueAtQuantile,
    };
    let exemplars = point.exemplars.iter().map(expected_exemplar).collect();
    let (start_time_unix_nano, time_unix_nano) = (point.start_time_ns, point.time_ns);
    let wire = |temporality: &Temporality| if *temporality == Temporality::Delta { 1 } else { 2 };
    let number = |value: &Number, attributes, exemplars| NumberDataPoint {
        attributes,
        start_time_unix_nano,
        time_unix_nano,
        exemplars,
        value: Some(match value {
            Number::Int(number) => number_data_point::Value::AsInt(*number),
            Number::Double(number) => number_data_point::Value::AsDouble(*number),
        }),
        ..Default::default()
    };
    match &point.data {
        MetricData::Gauge(value) => {
            Data::Gauge(Gauge { data_points: vec![number(value, attributes, exemplars)] })
        }
        MetricData::Sum { value, monotonic, temporality } => Data::Sum(Sum {
            data_points: vec![number(value, attributes, exemplars)],
            aggregation_temporality: wire(temporality),
            is_monotonic: *monotonic,
        }),
        MetricData::Histogram { histogram, temporality } => Data::Histogram(Histogram {
            data_points: vec![HistogramDataPoint {
                attributes,
                start_time_unix_nano,
                time_unix_nano,
                count: histogram.count,
                sum: histogram.sum,
                bucket_counts: histogram.counts.clone(),
                explicit_bounds: histogram.bounds.clone(),
                exemplars,
                min: histogram.min,
                max: histogram.max,
                ..Default::default()
            }],
            aggregation_temporality: wire(temporality),
        }),
        MetricData::ExponentialHistogram { histogram, temporality } => {
            let mut data_point = expected_exponential(histogram);
            data_point.attributes = attributes;
            data_point.exemplars = exemplars;
            data_point.start_time_unix_nano = start_time_unix_nano;
            data_point.time_unix_nano = time_unix_nano;
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![data_point],
                aggregation_temporality: wire(temporality),
            })
        }
        MetricData::Summary(summary) => Data::Summary(Summary {
            data_points: vec![SummaryDataPoint {
                attributes,
                start_time_unix_nano,
                time_unix_nano,
                count: summary.count,
                sum: summary.sum,
                quantile_values: summary
                    .quantiles
                    .iter()
                    .map(|&(quantile, value)| ValueAtQuantile { quantile, value })
                    .collect(),
                ..Default::default()
            }],
        }),
    }
}

/// A metric of one point.
fn expected_point(point: &Metric) -> (String, metrics::v1::Metric) {
    let (service, attributes) = without_service(&point.attributes);
    let metric = metrics::v1::Metric {
        name: point.name.clone(),
        description: point.description.clone(),
        unit: point.unit.clone(),
        data: Some(expected_data(point, pairs(&attributes))),
        ..Default::default()
    };
    (service, metric)
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
