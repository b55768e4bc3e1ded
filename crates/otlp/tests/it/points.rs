//! Data points of all kinds: what a view says and what prost says, in one shape. Floating-point numbers are compared by
//! their bits.

use aldis_otlp::view::{BucketsView, ExemplarView, NumberView, PointView};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, SummaryDataPoint,
    exemplar, number_data_point,
};

use crate::compare::same_attributes;

/// Everything a point says but attributes.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Point {
    start_ns: u64,
    pub(crate) time_ns: u64,
    flags: u32,
    number: Option<Number>,
    count: Option<u64>,
    sum: Option<u64>,
    min: Option<u64>,
    max: Option<u64>,
    bounds: Vec<u64>,
    counts: Vec<u64>,
    scale: Option<i32>,
    zero_count: Option<u64>,
    zero_threshold: Option<u64>,
    positive: (i32, Vec<u64>),
    negative: (i32, Vec<u64>),
    quantiles: Vec<(u64, u64)>,
    exemplars: usize,
}

#[derive(Debug, PartialEq)]
enum Number {
    Int(i64),
    /// Its bits.
    Double(u64),
}

impl From<NumberView> for Number {
    fn from(view: NumberView) -> Self {
        match view {
            NumberView::Double(value) => Number::Double(value.to_bits()),
            NumberView::Int(value) => Number::Int(value),
        }
    }
}

fn bits(value: Option<f64>) -> Option<u64> {
    value.map(f64::to_bits)
}

/// What a view says.
pub(crate) fn seen(view: PointView<'_>) -> Point {
    let buckets = |view: BucketsView<'_>| (view.offset(), view.counts().collect());
    Point {
        start_ns: view.start_ns(),
        time_ns: view.time_ns(),
        flags: view.flags(),
        number: view.number().map(Number::from),
        count: view.count(),
        sum: bits(view.sum()),
        min: bits(view.min()),
        max: bits(view.max()),
        bounds: view.explicit_bounds().map(f64::to_bits).collect(),
        counts: view.bucket_counts().collect(),
        scale: view.scale(),
        zero_count: view.zero_count(),
        zero_threshold: bits(view.zero_threshold()),
        positive: buckets(view.positive()),
        negative: buckets(view.negative()),
        quantiles: view.quantiles().map(|(quantile, value)| (quantile.to_bits(), value.to_bits())).collect(),
        exemplars: view.exemplars().count(),
    }
}

/// What prost says, with the point's attributes and exemplars.
pub(crate) type Expected<'a> = (&'a [KeyValue], &'a [Exemplar], Point);

fn number(point: &NumberDataPoint) -> Expected<'_> {
    let expected = Point {
        start_ns: point.start_time_unix_nano,
        time_ns: point.time_unix_nano,
        flags: point.flags,
        number: point.value.map(|value| match value {
            number_data_point::Value::AsDouble(value) => Number::Double(value.to_bits()),
            number_data_point::Value::AsInt(value) => Number::Int(value),
        }),
        exemplars: point.exemplars.len(),
        ..Point::default()
    };
    (&point.attributes, &point.exemplars, expected)
}

fn histogram(point: &HistogramDataPoint) -> Expected<'_> {
    let expected = Point {
        start_ns: point.start_time_unix_nano,
        time_ns: point.time_unix_nano,
        flags: point.flags,
        count: Some(point.count),
        sum: bits(point.sum),
        min: bits(point.min),
        max: bits(point.max),
        bounds: point.explicit_bounds.iter().map(|bound| bound.to_bits()).collect(),
        counts: point.bucket_counts.clone(),
        exemplars: point.exemplars.len(),
        ..Point::default()
    };
    (&point.attributes, &point.exemplars, expected)
}

fn exponential(point: &ExponentialHistogramDataPoint) -> Expected<'_> {
    let buckets = |buckets: &Option<Buckets>| match buckets {
        Some(buckets) => (buckets.offset, buckets.bucket_counts.clone()),
        None => Default::default(),
    };
    let expected = Point {
        start_ns: point.start_time_unix_nano,
        time_ns: point.time_unix_nano,
        flags: point.flags,
        count: Some(point.count),
        sum: bits(point.sum),
        min: bits(point.min),
        max: bits(point.max),
        scale: Some(point.scale),
        zero_count: Some(point.zero_count),
        zero_threshold: Some(point.zero_threshold.to_bits()),
        positive: buckets(&point.positive),
        negative: buckets(&point.negative),
        exemplars: point.exemplars.len(),
        ..Point::default()
    };
    (&point.attributes, &point.exemplars, expected)
}

fn summary(point: &SummaryDataPoint) -> Expected<'_> {
    let quantiles = point.quantile_values.iter();
    let expected = Point {
        start_ns: point.start_time_unix_nano,
        time_ns: point.time_unix_nano,
        flags: point.flags,
        count: Some(point.count),
        sum: Some(point.sum.to_bits()),
        quantiles: quantiles.map(|at| (at.quantile.to_bits(), at.value.to_bits())).collect(),
        ..Point::default()
    };
    (&point.attributes, &[], expected)
}

/// What prost says of every point of a metric.
pub(crate) fn expected(metric: &Metric) -> Vec<Expected<'_>> {
    match &metric.data {
        None => Vec::new(),
        Some(Data::Gauge(data)) => data.data_points.iter().map(number).collect(),
        Some(Data::Sum(data)) => data.data_points.iter().map(number).collect(),
        Some(Data::Histogram(data)) => data.data_points.iter().map(histogram).collect(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.iter().map(exponential).collect(),
        Some(Data::Summary(data)) => data.data_points.iter().map(summary).collect(),
    }
}

/// An exemplar's view says what prost says.
pub(crate) fn same_exemplar(view: ExemplarView<'_>, expected: &Exemplar) {
    let id = |id: &[u8]| if id.iter().all(|byte| *byte == 0) { vec![] } else { id.to_vec() };
    assert_eq!(id(&view.trace_id().0), id(&expected.trace_id));
    assert_eq!(id(&view.span_id().0), id(&expected.span_id));
    assert_eq!(view.time_ns(), expected.time_unix_nano);
    let number = expected.value.map(|value| match value {
        exemplar::Value::AsDouble(value) => Number::Double(value.to_bits()),
        exemplar::Value::AsInt(value) => Number::Int(value),
    });
    assert_eq!(view.number().map(Number::from), number);
    same_attributes(view.filtered_attributes(), &expected.filtered_attributes);
}
