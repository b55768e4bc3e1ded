//! What the records should be on the wire, in the types of the official definitions.

use super::*;

pub(super) fn any(value: &AttributeValue) -> AnyValue {
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

pub(super) fn pairs(entries: &[(String, AttributeValue)]) -> Vec<KeyValue> {
    entries.iter().map(|(key, value)| pair(key, any(value))).collect()
}

pub(super) fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

pub(super) fn text(value: &str) -> AttributeValue {
    AttributeValue::String(value.to_owned())
}

/// The id on the wire, and the attribute that keeps its text.
pub(super) fn id(from: &str, len: usize, name: &str) -> (Vec<u8>, Option<KeyValue>) {
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
pub(super) fn without_service(
    attributes: &[(String, AttributeValue)],
) -> (String, Vec<(String, AttributeValue)>) {
    let mut rest = attributes.to_vec();
    let at = rest
        .iter()
        .position(|(key, value)| key == "service.name" && matches!(value, AttributeValue::String(_)));
    match at.map(|at| rest.remove(at)) {
        Some((_, AttributeValue::String(service))) => (service, rest),
        _ => (String::new(), rest),
    }
}

pub(super) fn expected_span(span: &Span) -> (String, trace::v1::Span) {
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

pub(super) fn expected_log(log: &LogRecord) -> (String, logs::v1::LogRecord) {
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

/// An exemplar as prost has it.
pub(super) fn expected_exemplar(exemplar: &Exemplar) -> metrics::v1::Exemplar {
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

pub(super) fn expected_exponential(
    histogram: &ExponentialHistogramData,
) -> metrics::v1::ExponentialHistogramDataPoint {
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
pub(super) fn expected_data(point: &Metric, attributes: Vec<KeyValue>) -> metrics::v1::metric::Data {
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
pub(super) fn expected_point(point: &Metric) -> (String, metrics::v1::Metric) {
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
