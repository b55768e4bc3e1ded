//! A data point of a metric to the wire.

use super::exemplar::ExemplarPlan;
use super::metric::{Buckets, ExponentialHistogramData, HistogramData, SummaryData};
use super::value::{self, AttributeSink};
use super::{AttributeValue, Metric, MetricData, Number, Temporality};
use crate::index::MetricKind;
use crate::put::{self, fixed64_tag, len_tag, varint_tag};

/// Bytes of one quantile of a summary, tag and length included: both of its numbers are written, zeros too.
const QUANTILE_FIELD: usize = put::len_field(9 + 9);

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
            MetricData::Histogram { histogram, .. } => histogram_len(histogram),
            MetricData::ExponentialHistogram { histogram, .. } => exponential_len(histogram),
            MetricData::Summary(summary) => 9 + 9 + summary.quantiles.len() * QUANTILE_FIELD,
        };
        if exemplars_number(&metric.data).is_some() {
            let exemplars = metric.exemplars.iter();
            plan.len += exemplars.map(|one| put::len_field(ExemplarPlan::new(one).len)).sum::<usize>();
        }
        plan
    }

    /// Appends the point's body: exactly `len` bytes.
    pub(crate) fn put(&self, out: &mut Vec<u8>, sink: &mut impl AttributeSink) {
        let metric = self.metric;
        let attributes = attributes_tag(&metric.data);
        for (i, (key, value)) in metric.attributes.iter().enumerate() {
            if i != self.skip {
                value::put_attribute(attributes, key, value, out, sink);
            }
        }
        if metric.start_time_ns != 0 {
            put::fixed64(fixed64_tag(2), metric.start_time_ns, out);
        }
        put::fixed64(fixed64_tag(3), metric.time_ns, out);
        match &metric.data {
            MetricData::Gauge(value) | MetricData::Sum { value, .. } => match value {
                Number::Double(number) => put::fixed64(fixed64_tag(4), number.to_bits(), out),
                Number::Int(number) => put::fixed64(fixed64_tag(6), *number as u64, out),
            },
            MetricData::Histogram { histogram, .. } => put_histogram(histogram, out),
            MetricData::ExponentialHistogram { histogram, .. } => put_exponential(histogram, out),
            MetricData::Summary(summary) => put_summary(summary, out),
        }
        if let Some(number) = exemplars_number(&metric.data) {
            for exemplar in &metric.exemplars {
                let plan = ExemplarPlan::new(exemplar);
                put::open(len_tag(number), plan.len, out);
                plan.put(out);
            }
        }
    }
}

/// The field of a point that holds one attribute.
fn attributes_tag(data: &MetricData) -> u8 {
    match data {
        MetricData::Gauge(_) | MetricData::Sum { .. } | MetricData::Summary(_) => len_tag(7),
        MetricData::Histogram { .. } => len_tag(9),
        MetricData::ExponentialHistogram { .. } => len_tag(1),
    }
}

/// The field of a point that holds one exemplar, where it may have any.
fn exemplars_number(data: &MetricData) -> Option<u8> {
    match data {
        MetricData::Gauge(_) | MetricData::Sum { .. } => Some(5),
        MetricData::Histogram { .. } => Some(8),
        MetricData::ExponentialHistogram { .. } => Some(11),
        MetricData::Summary(_) => None,
    }
}

fn histogram_len(histogram: &HistogramData) -> usize {
    let columns = [histogram.counts.len(), histogram.bounds.len()];
    let packed = columns.iter().filter(|len| **len > 0).map(|len| put::len_field(len * 8));
    9 + packed.sum::<usize>() + doubles_len([histogram.sum, histogram.min, histogram.max])
}

fn put_histogram(histogram: &HistogramData, out: &mut Vec<u8>) {
    put::fixed64(fixed64_tag(4), histogram.count, out);
    put_doubles([(5, histogram.sum), (11, histogram.min), (12, histogram.max)], out);
    put_packed(len_tag(6), histogram.counts.iter().copied(), out);
    put_packed(len_tag(7), histogram.bounds.iter().map(|bound| bound.to_bits()), out);
}

fn exponential_len(histogram: &ExponentialHistogramData) -> usize {
    let buckets = [&histogram.positive, &histogram.negative];
    let buckets = buckets.into_iter().map(buckets_len).filter(|len| *len > 0).map(put::len_field);
    let scale = 1 + put::varint_len(zigzag(histogram.scale));
    9 + 9 + 9 + scale + buckets.sum::<usize>() + doubles_len([histogram.sum, histogram.min, histogram.max])
}

fn put_exponential(histogram: &ExponentialHistogramData, out: &mut Vec<u8>) {
    put::fixed64(fixed64_tag(4), histogram.count, out);
    out.push(varint_tag(6));
    put::varint(zigzag(histogram.scale), out);
    put::fixed64(fixed64_tag(7), histogram.zero_count, out);
    for (number, buckets) in [(8, &histogram.positive), (9, &histogram.negative)] {
        let len = buckets_len(buckets);
        if len > 0 {
            put::open(len_tag(number), len, out);
            put_buckets(buckets, out);
        }
    }
    put_doubles([(5, histogram.sum), (12, histogram.min), (13, histogram.max)], out);
    put::fixed64(fixed64_tag(14), histogram.zero_threshold.to_bits(), out);
}

/// Bytes of the body; 0 for buckets that say nothing.
fn buckets_len(buckets: &Buckets) -> usize {
    let offset = if buckets.offset == 0 { 0 } else { 1 + put::varint_len(zigzag(buckets.offset)) };
    offset + if buckets.counts.is_empty() { 0 } else { put::len_field(counts_len(buckets)) }
}

fn put_buckets(buckets: &Buckets, out: &mut Vec<u8>) {
    if buckets.offset != 0 {
        out.push(varint_tag(1));
        put::varint(zigzag(buckets.offset), out);
    }
    if !buckets.counts.is_empty() {
        put::open(len_tag(2), counts_len(buckets), out);
        buckets.counts.iter().for_each(|count| put::varint(*count, out));
    }
}

fn counts_len(buckets: &Buckets) -> usize {
    buckets.counts.iter().map(|count| put::varint_len(*count)).sum()
}

fn put_summary(summary: &SummaryData, out: &mut Vec<u8>) {
    put::fixed64(fixed64_tag(4), summary.count, out);
    put::fixed64(fixed64_tag(5), summary.sum.to_bits(), out);
    for (quantile, value) in &summary.quantiles {
        put::open(len_tag(6), 9 + 9, out);
        put::fixed64(fixed64_tag(1), quantile.to_bits(), out);
        put::fixed64(fixed64_tag(2), value.to_bits(), out);
    }
}

fn doubles_len(values: [Option<f64>; 3]) -> usize {
    values.iter().flatten().count() * 9
}

fn put_doubles(fields: [(u8, Option<f64>); 3], out: &mut Vec<u8>) {
    for (number, value) in fields {
        if let Some(value) = value {
            put::fixed64(fixed64_tag(number), value.to_bits(), out);
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

/// `sint32`: small magnitudes in few bytes, whatever the sign.
fn zigzag(value: i32) -> u64 {
    u64::from((value << 1 ^ value >> 31) as u32)
}

/// What the points of one metric share, as it is written around them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MetricHead {
    pub(crate) kind: MetricKind,
    /// Name, description and unit: the fields of `Metric` in front of its data.
    pub(crate) head: Vec<u8>,
    /// Temporality and monotonicity: the fields of `Sum` or a histogram behind the points.
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
            MetricData::ExponentialHistogram { temporality, .. } => {
                (MetricKind::ExponentialHistogram, vec![varint_tag(2), wire(temporality)])
            }
            MetricData::Summary(_) => (MetricKind::Summary, Vec::new()),
        };
        MetricHead { kind, head, tail }
    }
}
