use std::time::Duration;

use otlp::{
    AttributeValue, TelemetryEvent,
    event::{
        Buckets, Exemplar, ExponentialHistogramData, HistogramData, Metric, MetricData, Number, SummaryData,
        Temporality,
    },
};
use proptest::prelude::*;

use crate::{TelemetryPipeline, telemetry::tests::now};

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![any::<i64>().prop_map(Number::Int), (-1e9..1e9f64).prop_map(Number::Double)]
}

fn temporality() -> impl Strategy<Value = Temporality> {
    prop_oneof![Just(Temporality::Delta), Just(Temporality::Cumulative)]
}

fn histogram() -> impl Strategy<Value = HistogramData> {
    prop::collection::vec(-9.0..9.0f64, 0..5).prop_map(|values| HistogramData::of(&[-1.0, 2.0], &values))
}

fn exponential() -> impl Strategy<Value = ExponentialHistogramData> {
    let buckets = || {
        let counts = prop::collection::vec(any::<u64>(), 0..4);
        (any::<i32>(), counts).prop_map(|(offset, counts)| Buckets { offset, counts })
    };
    let sum = proptest::option::of(-1e9..1e9f64);
    (any::<u64>(), sum, -10..20i32, any::<u64>(), buckets(), buckets()).prop_map(
        |(count, sum, scale, zero_count, positive, negative)| ExponentialHistogramData {
            count,
            sum,
            max: sum,
            scale,
            zero_count,
            zero_threshold: 0.5,
            positive,
            negative,
            ..ExponentialHistogramData::default()
        },
    )
}

fn data() -> impl Strategy<Value = MetricData> {
    let quantiles = prop::collection::vec((0.0..1.0f64, -1e9..1e9f64), 0..3);
    prop_oneof![
        number().prop_map(MetricData::Gauge),
        (number(), any::<bool>(), temporality())
            .prop_map(|(value, monotonic, temporality)| MetricData::Sum { value, monotonic, temporality }),
        (histogram(), temporality())
            .prop_map(|(histogram, temporality)| MetricData::Histogram { histogram, temporality }),
        (exponential(), temporality())
            .prop_map(|(histogram, temporality)| MetricData::ExponentialHistogram { histogram, temporality }),
        (any::<u64>(), -1e9..1e9f64, quantiles)
            .prop_map(|(count, sum, quantiles)| MetricData::Summary(SummaryData { count, sum, quantiles })),
    ]
}

fn attribute() -> impl Strategy<Value = (String, AttributeValue)> {
    let value = prop_oneof![
        "[a-zé]{0,9}".prop_map(AttributeValue::String),
        any::<i64>().prop_map(AttributeValue::Int),
        any::<bool>().prop_map(AttributeValue::Bool),
    ];
    ("[a-z]{1,4}", value)
}

fn exemplar() -> impl Strategy<Value = Exemplar> {
    let trace = proptest::option::of(prop_oneof!["[1-9a-f]{32}", "trace-[0-9]{1,9}"]);
    let span = proptest::option::of(prop_oneof!["[1-9a-f]{16}", "span-[0-9]{1,9}"]);
    (number(), any::<u64>(), trace, span, prop::collection::vec(attribute(), 0..2)).prop_map(
        |(value, time_ns, trace_id, span_id, attributes)| Exemplar {
            value,
            time_ns,
            trace_id,
            span_id,
            attributes,
        },
    )
}

/// A data point in the form in which it comes back: the service first, no exemplars where there is no place for them.
fn metric() -> impl Strategy<Value = Metric> {
    let service = proptest::option::of("(shop|cart)");
    let attributes = prop::collection::vec(attribute(), 0..4);
    let exemplars = prop::collection::vec(exemplar(), 0..3);
    (("[ab]", "[ab]", "[ab]?"), data(), service, attributes, exemplars, any::<u64>()).prop_map(
        |((name, unit, description), data, service, attributes, exemplars, start_time_ns)| {
            let service =
                service.map(|name| ("service.name".to_owned(), AttributeValue::String(name.to_owned())));
            let has_place = !matches!(data, MetricData::Summary(_));
            Metric {
                name,
                description,
                unit,
                data,
                attributes: service.into_iter().chain(attributes).collect(),
                exemplars: if has_place { exemplars } else { Vec::new() },
                start_time_ns,
                time_ns: 0,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn metrics_come_back_as_they_were_recorded(mut metrics in prop::collection::vec(metric(), 1..12)) {
        let pipeline = TelemetryPipeline::builder().with_shards(1).build().expect("built");
        for (i, metric) in metrics.iter_mut().enumerate() {
            // The stream groups; the time tells which is which.
            metric.time_ns = i as u64;
            prop_assert!(now(pipeline.record_metric(metric.clone())).is_ok());
        }
        let mut back: Vec<Metric> = pipeline
            .event_stream()
            .map(|event| match event {
                TelemetryEvent::Metric(metric) => metric,
                other => panic!("{other:?}"),
            })
            .collect();
        back.sort_by_key(|metric| metric.time_ns);
        prop_assert_eq!(back, metrics);
        prop_assert!(pipeline.shutdown(Duration::from_secs(120)).is_clean());
    }
}
