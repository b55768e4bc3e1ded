//! Records of every kind, by chance.

use super::*;

pub(super) fn any_i64() -> impl Strategy<Value = i64> {
    prop_oneof![proptest::num::i64::ANY, -3..300i64]
}

pub(super) fn arb_attributes() -> impl Strategy<Value = Vec<(String, AttributeValue)>> {
    let entry = prop_oneof![
        4 => ("[a-z.]{0,12}", arb_value()),
        1 => (Just("service.name".to_owned()), prop_oneof!["(cart|shop|)".prop_map(AttributeValue::String), arb_value()]),
        1 => (Just("span.kind".to_owned()), prop_oneof!["(SERVER|client|Internal|other)".prop_map(AttributeValue::String), arb_value()]),
        1 => (Just(TRACE_ID_TEXT.to_owned()), "text of (no|another) id".prop_map(AttributeValue::String)),
    ];
    proptest::collection::vec(entry, 0..6)
}

pub(super) fn arb_id(digits: usize) -> impl Strategy<Value = String> {
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

pub(super) fn arb_number() -> impl Strategy<Value = Number> + Clone {
    prop_oneof![any_i64().prop_map(Number::Int), (-1e9..1e9f64).prop_map(Number::Double)]
}

pub(super) fn arb_buckets() -> impl Strategy<Value = Buckets> {
    let offset = prop_oneof![Just(0), Just(i32::MIN), Just(i32::MAX), -300..300i32];
    let counts = proptest::collection::vec(prop_oneof![0..200u64, 0..=u64::MAX], 0..4);
    (offset, counts).prop_map(|(offset, counts)| Buckets { offset, counts })
}

pub(super) fn arb_exponential() -> impl Strategy<Value = ExponentialHistogramData> {
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

pub(super) fn arb_data() -> impl Strategy<Value = MetricData> {
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

pub(super) fn arb_exemplar() -> impl Strategy<Value = Exemplar> {
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

pub(super) fn arb_metric() -> impl Strategy<Value = Metric> {
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
