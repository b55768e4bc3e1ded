//! The engine's metrics as a batch like any other: what exposes or sends metrics can have them.

use otlp::{
    Batch, Depth, Signal,
    event::{
        AttributeValue, Buckets, ExponentialHistogramData, HistogramData, Metric as Point, MetricData,
        Number, RequestBuilder, Temporality,
    },
};
use pipeline::Distribution;

use super::{
    settings::Level,
    table::{Kind, Metric},
};

/// Buckets of a native histogram grow by 2^(2^-3), which is 9 %: about as exact as what they are made of.
const SCALE: i32 = 3;
/// A histogram that would have more is made coarser.
const MAX_BUCKETS: i64 = 160;

/// Points that are collected.
pub(super) struct Points {
    level: Level,
    suffixes: bool,
    start_ns: u64,
    now_ns: u64,
    builder: RequestBuilder,
    full: Vec<Batch>,
}

impl Points {
    /// None yet. With `suffixes` metrics say their units.
    pub(super) fn new(level: Level, suffixes: bool, start_ns: u64, now_ns: u64) -> Self {
        let builder = RequestBuilder::new(Signal::Metrics, Depth::Records);
        Self { level, suffixes, start_ns, now_ns, builder, full: Vec::new() }
    }

    /// How much is told.
    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// One point.
    pub(super) fn put(&mut self, metric: &Metric, value: u64, labels: &[(&str, &str)]) {
        self.number(metric, metric.name, Number::Int(i64::try_from(value).unwrap_or(i64::MAX)), labels);
    }

    /// One point that is no whole number.
    pub(super) fn put_float(&mut self, metric: &Metric, value: f64, labels: &[(&str, &str)]) {
        self.number(metric, metric.name, Number::Double(value), labels);
    }

    /// One point of a metric whose name says what its records are; none where it cannot.
    pub(super) fn put_of(&mut self, metric: &Metric, signal: Signal, value: u64, labels: &[(&str, &str)]) {
        if let Some(name) = metric.name_of(signal) {
            self.number(metric, &name, Number::Int(i64::try_from(value).unwrap_or(i64::MAX)), labels);
        }
    }

    /// A histogram with explicit bounds: how many are up to each, and above, and their sum.
    pub(super) fn put_sizes(
        &mut self,
        metric: &Metric,
        (bounds, counts): (&[u64], &[u64]),
        sum: u64,
        labels: &[(&str, &str)],
    ) {
        let histogram = HistogramData {
            count: counts.iter().sum(),
            sum: Some(sum as f64),
            bounds: bounds.iter().map(|bound| *bound as f64).collect(),
            counts: counts.to_vec(),
            ..HistogramData::default()
        };
        let data = MetricData::Histogram { histogram, temporality: Temporality::Cumulative };
        self.push(metric, metric.name, data, labels);
    }

    /// A distribution of nanoseconds, in seconds.
    pub(super) fn put_times(&mut self, metric: &Metric, times: &Distribution, labels: &[(&str, &str)]) {
        let data = MetricData::ExponentialHistogram {
            histogram: exponential(times),
            temporality: Temporality::Cumulative,
        };
        self.push(metric, metric.name, data, labels);
    }

    /// Everything, as requests.
    pub(super) fn finish(mut self) -> Vec<Batch> {
        if !self.builder.is_empty() {
            self.full.push(self.builder.finish());
        }
        self.full
    }

    fn number(&mut self, metric: &Metric, name: &str, value: Number, labels: &[(&str, &str)]) {
        let data = match metric.kind {
            Kind::Counter => MetricData::Sum { value, monotonic: true, temporality: Temporality::Cumulative },
            _ => MetricData::Gauge(value),
        };
        self.push(metric, name, data, labels);
    }

    fn push(&mut self, metric: &Metric, name: &str, data: MetricData, labels: &[(&str, &str)]) {
        if metric.level > self.level {
            return;
        }
        debug_assert!(
            metric.labels.is_empty() || labels.iter().all(|(label, _)| metric.has_label(label)),
            "`{name}` has labels that its row does not list: {labels:?}"
        );
        let text =
            |(key, value): &(&str, &str)| ((*key).to_owned(), AttributeValue::String((*value).to_owned()));
        let point = Point {
            name: name.to_owned(),
            description: metric.text.to_owned(),
            unit: if self.suffixes { metric.unit.to_owned() } else { String::new() },
            data,
            attributes: labels.iter().map(text).collect(),
            exemplars: Vec::new(),
            start_time_ns: self.start_ns,
            time_ns: self.now_ns,
        };
        if self.builder.push_metric(&point).is_err() {
            // It is full; an empty one has room for any point of ours.
            self.full.push(self.builder.finish());
            let pushed = self.builder.push_metric(&point);
            debug_assert!(pushed.is_ok(), "a point of our own is larger than a request may be: {pushed:?}");
        }
    }
}

/// The buckets of a distribution, each counted where its middle is.
fn exponential(times: &Distribution) -> ExponentialHistogramData {
    let mut zero_count = 0;
    let mut middles: Vec<(f64, u64)> = Vec::new();
    for ((low, high), count) in times.buckets() {
        if high == 0 {
            zero_count += count;
        } else {
            middles.push(((low as f64 + high as f64) / 2e9, count));
        }
    }
    let index = |seconds: f64, scale: i32| (seconds.log2() * f64::from(scale).exp2()).ceil() as i64 - 1;
    let (least, most) = match (middles.first(), middles.last()) {
        (Some((least, _)), Some((most, _))) => (*least, *most),
        _ => (1.0, 1.0),
    };
    let mut scale = SCALE;
    while index(most, scale) - index(least, scale) >= MAX_BUCKETS {
        scale -= 1;
    }
    let offset = index(least, scale);
    let mut counts = vec![0; if middles.is_empty() { 0 } else { (index(most, scale) - offset + 1) as usize }];
    for (seconds, count) in middles {
        counts[(index(seconds, scale) - offset) as usize] += count;
    }
    ExponentialHistogramData {
        count: times.count(),
        sum: Some(times.sum_ns() as f64 / 1e9),
        scale,
        zero_count,
        positive: Buckets { offset: offset as i32, counts },
        ..ExponentialHistogramData::default()
    }
}

#[cfg(test)]
mod tests {
    use pipeline::Histogram;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn native_buckets_hold_everything_near_where_it_was(values in prop::collection::vec(0u64..1 << 50, 0..100)) {
            let histogram = Histogram::default();
            values.iter().for_each(|ns| histogram.observe(*ns));
            let made = exponential(&histogram.snapshot());
            let positive = &made.positive;
            prop_assert_eq!(made.count, values.len() as u64);
            prop_assert_eq!(positive.counts.iter().sum::<u64>() + made.zero_count, made.count);
            prop_assert!(positive.counts.len() as i64 <= MAX_BUCKETS);
            // The k-th value is in the k-th bucket, or one beside it by the width of what it was counted in before.
            let mut sorted = values;
            sorted.sort_unstable();
            let base = f64::from(-made.scale).exp2().exp2();
            let mut bounds = vec![0.0; made.zero_count as usize];
            for (i, count) in positive.counts.iter().enumerate() {
                let upper = base.powf(f64::from(positive.offset) + i as f64 + 1.0);
                bounds.extend(std::iter::repeat_n(upper, *count as usize));
            }
            for (ns, upper) in sorted.iter().zip(bounds) {
                let seconds = *ns as f64 / 1e9;
                prop_assert!(seconds <= upper * 17.0 / 16.0 && seconds >= upper / base * 15.0 / 16.0 || *ns == 0, "{ns} at {upper}");
            }
        }
    }
}
