//! A data point of a metric to the wire.

use super::AttributeValue;
use super::value::{self, AttributeSink};
use crate::index::MetricKind;
use crate::put::{self, fixed64_tag, len_tag, varint_tag};

/// One data point of a metric as a program states it. Points of one service with the same name, unit, description and kind are put
/// under one metric.
///
/// ```
/// use aldis_otlp::event::{Metric, MetricData, Number, Temporality};
///
/// let orders = Metric {
///     name: "shop.orders".into(),
///     unit: "{order}".into(),
///     data: MetricData::Sum { value: Number::Int(3), monotonic: true, temporality: Temporality::Delta },
///     time_ns: 2_000,
///     start_time_ns: 1_000,
///     ..Metric::default()
/// };
/// assert_eq!(orders.data.kind_name(), "sum");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metric {
    /// What is measured.
    pub name: String,
    /// What it means.
    pub description: String,
    /// Its unit, as UCUM writes it.
    pub unit: String,
    /// Kind and value.
    pub data: MetricData,
    /// Key-values of this point. `service.name` is taken from here to the resource.
    pub attributes: Vec<(String, AttributeValue)>,
    /// When the time that it covers began, Unix nanoseconds; zero where that is unknown or the point is a gauge.
    pub start_time_ns: u64,
    /// Unix nanoseconds.
    pub time_ns: u64,
}

/// A measured number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
}

/// Whether a sum or a histogram tells what happened since the last point or since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// Since the last point.
    Delta,
    /// Since the beginning, `start_time_ns`.
    #[default]
    Cumulative,
}

/// The kind of a metric, with the value of one point.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricData {
    /// A value at a time.
    Gauge(Number),
    /// A value that adds up.
    Sum {
        /// The sum.
        value: Number,
        /// Whether it never falls.
        monotonic: bool,
        /// Since when it is summed.
        temporality: Temporality,
    },
    /// A distribution.
    Histogram {
        /// The distribution.
        histogram: HistogramData,
        /// Since when it is collected.
        temporality: Temporality,
    },
}

impl Default for MetricData {
    /// A gauge at zero.
    fn default() -> Self {
        MetricData::Gauge(Number::Int(0))
    }
}

impl MetricData {
    /// `gauge`, `sum` or `histogram`.
    pub fn kind_name(&self) -> &'static str {
        match self {
            MetricData::Gauge(_) => "gauge",
            MetricData::Sum { .. } => "sum",
            MetricData::Histogram { .. } => "histogram",
        }
    }
}

/// Observations counted in buckets with explicit bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramData {
    /// How many observations there are.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest and the largest, where there is any.
    pub min_max: Option<(f64, f64)>,
    /// Upper bounds of all buckets but the last, inclusive and rising.
    pub bounds: Vec<f64>,
    /// One count more than there are bounds.
    pub counts: Vec<u64>,
}

impl HistogramData {
    /// Counts `values` into buckets with these upper bounds.
    ///
    /// ```
    /// use aldis_otlp::event::HistogramData;
    ///
    /// let histogram = HistogramData::of(&[1.0, 5.0], &[0.5, 1.0, 9.0]);
    /// assert_eq!(histogram.counts, [2, 0, 1]);
    /// assert_eq!(histogram.min_max, Some((0.5, 9.0)));
    /// ```
    pub fn of(bounds: &[f64], values: &[f64]) -> Self {
        let mut counts = vec![0; bounds.len() + 1];
        let mut min_max: Option<(f64, f64)> = None;
        for &value in values {
            counts[bounds.partition_point(|bound| *bound < value)] += 1;
            min_max = Some(min_max.map_or((value, value), |(min, max)| (min.min(value), max.max(value))));
        }
        HistogramData {
            count: values.len() as u64,
            sum: values.iter().sum(),
            min_max,
            bounds: bounds.to_vec(),
            counts,
        }
    }
}

/// What has to be known of a data point before its first byte is written.
pub(crate) struct PointPlan<'a> {
    metric: &'a Metric,
    /// Bytes of the point's body.
    pub(crate) len: usize,
    /// What the attribute `service.name` says.
    pub(crate) service: Option<&'a str>,
    /// The number of that attribute.
    skip: usize,
}

impl<'a> PointPlan<'a> {
    pub(crate) fn new(metric: &'a Metric) -> Self {
        let mut plan = PointPlan { metric, len: 9, service: None, skip: usize::MAX };
        if metric.start_time_ns != 0 {
            plan.len += 9;
        }
        for (i, (key, value)) in metric.attributes.iter().enumerate() {
            match value {
                AttributeValue::String(text) if key == super::SERVICE_NAME && plan.skip == usize::MAX => {
                    plan.skip = i;
                    plan.service = Some(text);
                }
                _ => plan.len += value::attribute_len(key, value),
            }
        }
        plan.len += match &metric.data {
            MetricData::Gauge(_) | MetricData::Sum { .. } => 9,
            MetricData::Histogram { histogram, .. } => {
                let columns = [histogram.counts.len(), histogram.bounds.len()];
                let packed = columns.iter().filter(|len| **len > 0).map(|len| put::len_field(len * 8));
                9 + 9 + packed.sum::<usize>() + histogram.min_max.map_or(0, |_| 9 + 9)
            }
        };
        plan
    }

    /// Appends the point's body: exactly `len` bytes.
    pub(crate) fn put(&self, out: &mut Vec<u8>, sink: &mut impl AttributeSink) {
        let metric = self.metric;
        if metric.start_time_ns != 0 {
            put::fixed64(fixed64_tag(2), metric.start_time_ns, out);
        }
        put::fixed64(fixed64_tag(3), metric.time_ns, out);
        match &metric.data {
            MetricData::Gauge(value) | MetricData::Sum { value, .. } => {
                match value {
                    Number::Double(number) => put::fixed64(fixed64_tag(4), number.to_bits(), out),
                    Number::Int(number) => put::fixed64(fixed64_tag(6), *number as u64, out),
                }
                self.put_attributes(len_tag(7), out, sink);
            }
            MetricData::Histogram { histogram, .. } => {
                put::fixed64(fixed64_tag(4), histogram.count, out);
                put::fixed64(fixed64_tag(5), histogram.sum.to_bits(), out);
                put_packed(len_tag(6), histogram.counts.iter().copied(), out);
                put_packed(len_tag(7), histogram.bounds.iter().map(|bound| bound.to_bits()), out);
                self.put_attributes(len_tag(9), out, sink);
                if let Some((min, max)) = histogram.min_max {
                    put::fixed64(fixed64_tag(11), min.to_bits(), out);
                    put::fixed64(fixed64_tag(12), max.to_bits(), out);
                }
            }
        }
    }

    fn put_attributes(&self, tag: u8, out: &mut Vec<u8>, sink: &mut impl AttributeSink) {
        for (i, (key, value)) in self.metric.attributes.iter().enumerate() {
            if i != self.skip {
                value::put_attribute(tag, key, value, out, sink);
            }
        }
    }
}

fn put_packed(tag: u8, values: impl ExactSizeIterator<Item = u64>, out: &mut Vec<u8>) {
    if values.len() > 0 {
        put::open(tag, values.len() * 8, out);
        for value in values {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// What the points of one metric share, as it is written around them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MetricHead {
    pub(crate) kind: MetricKind,
    /// Name, description and unit: the fields of `Metric` in front of its data.
    pub(crate) head: Vec<u8>,
    /// Temporality and monotonicity: the fields of `Sum` or `Histogram` behind the points.
    pub(crate) tail: Vec<u8>,
}

impl MetricHead {
    pub(crate) fn new(metric: &Metric) -> Self {
        let mut head =
            Vec::with_capacity(metric.name.len() + metric.description.len() + metric.unit.len() + 15);
        for (number, text) in [(1, &metric.name), (2, &metric.description), (3, &metric.unit)] {
            if !text.is_empty() {
                put::bytes(len_tag(number), text.as_bytes(), &mut head);
            }
        }
        let wire = |temporality: &Temporality| match temporality {
            Temporality::Delta => 1,
            Temporality::Cumulative => 2,
        };
        let (kind, tail) = match &metric.data {
            MetricData::Gauge(_) => (MetricKind::Gauge, Vec::new()),
            MetricData::Sum { monotonic: false, temporality, .. } => {
                (MetricKind::Sum, vec![varint_tag(2), wire(temporality)])
            }
            MetricData::Sum { monotonic: true, temporality, .. } => {
                (MetricKind::Sum, vec![varint_tag(2), wire(temporality), varint_tag(3), 1])
            }
            MetricData::Histogram { temporality, .. } => {
                (MetricKind::Histogram, vec![varint_tag(2), wire(temporality)])
            }
        };
        MetricHead { kind, head, tail }
    }
}
