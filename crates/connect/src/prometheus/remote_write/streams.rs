//! The points of a batch, by series and in the order of their times.

use std::collections::{BTreeMap, HashMap};

use otlp::{
    Batch, Signal,
    index::MetricKind,
    view::{MetricView, PointView},
};

use crate::prometheus::{
    exemplars::Exemplars,
    family::Kind,
    labels::{Labels, LabelsBuilder},
    naming::metric_name,
    origin::Origin,
    rejection::Rejection,
    rules::Rules,
    unit::UnitWords,
    value::Value,
};

/// OTLP: 2 is cumulative.
const CUMULATIVE: i32 = 2;
/// Bit 0 of a point's flags.
const NO_RECORDED_VALUE: u32 = 1;
/// The label that is a metric's name.
pub(super) const NAME: &str = "__name__";

/// A metric's name and what is said of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Whether its points are native histograms.
    pub(super) is_native: bool,
    pub(super) help: String,
    pub(super) unit: String,
}

/// What was observed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reading {
    Value(Value),
    /// Nothing: the series ends here. With the bounds or quantiles that the point names.
    Stale(Vec<f64>),
}

/// A point.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    /// Unix milliseconds.
    pub(super) time_ms: i64,
    /// When counting began, Unix milliseconds; zero where nobody knows.
    pub(super) start_ms: i64,
    pub(super) reading: Reading,
    pub(super) exemplars: Exemplars,
}

/// The points of a series, or of all series of a histogram or summary: rising times, none twice.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stream {
    /// Its number in [`Streams::described`].
    pub(super) described: usize,
    /// With [`NAME`], which is that of the metric.
    pub(super) labels: Labels,
    pub(super) points: Vec<Point>,
    /// Data points that it stands for: those that said the same twice included.
    pub(super) records: u64,
}

/// Everything to be sent of a batch. The same batch gives the same streams in the same order.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) described: Vec<Described>,
    /// Those of points.
    pub(super) all: Vec<Stream>,
    /// Labels of `target_info`, and when the last point of each was observed. No data point is lost with them.
    pub(super) infos: BTreeMap<Labels, i64>,
    /// Points that cannot be sent, by reason.
    pub(super) rejected: [u64; Rejection::ALL.len()],
}

/// What the points of a metric have in common.
#[derive(Clone, Copy)]
struct Common<'a> {
    origin: &'a Origin<'a>,
    described: usize,
    kind: Kind,
    is_native: bool,
}

/// Puts streams together.
struct Reader<'a> {
    rules: Rules<'a>,
    streams: Streams,
    described: HashMap<(String, Kind, bool), usize>,
    by_labels: HashMap<(usize, Labels), usize>,
}

impl Streams {
    /// Reads a batch of metrics; others have none. `target_info`: whether resources are series.
    pub(super) fn read(batch: &Batch, rules: Rules<'_>, target_info: bool) -> Self {
        let mut reader = Reader {
            rules,
            streams: Streams::default(),
            described: HashMap::new(),
            by_labels: HashMap::new(),
        };
        if batch.signal() != Signal::Metrics {
            return reader.streams;
        }
        let mut origin: Option<Origin<'_>> = None;
        let mut last_ms = 0;
        for entry in &batch.index().metrics {
            let points = entry.first_record as usize..(entry.first_record + entry.records) as usize;
            let kept = || points.clone().filter(|i| batch.is_kept(*i));
            let Some(first) = kept().next() else { continue };
            if origin.as_ref().is_none_or(|origin| origin.scope != entry.scope) {
                let next = Origin::read(batch, entry.scope, origin.as_ref());
                if let Some(before) = origin.filter(|before| !before.has_resource_of(&next)) {
                    reader.info(&before, last_ms, target_info);
                    last_ms = 0;
                }
                origin = Some(next);
            }
            let Some(origin) = &origin else { continue };
            let metric = batch.metric_of(first);
            match reader.common(&metric, origin) {
                Err(why) => reader.streams.rejected[why as usize] += kept().count() as u64,
                Ok(common) => {
                    for i in kept() {
                        match reader.point(common, batch.point(i)) {
                            Ok(time_ms) => last_ms = last_ms.max(time_ms),
                            Err(why) => reader.streams.rejected[why as usize] += 1,
                        }
                    }
                }
            }
        }
        if let Some(origin) = origin {
            reader.info(&origin, last_ms, target_info);
        }
        reader.streams.settle();
        reader.streams
    }

    /// Bytes that they take up, more or less.
    pub(super) fn memory_bytes(&self) -> usize {
        let reading = |reading: &Reading| match reading {
            Reading::Value(value) => value.heap_bytes(),
            Reading::Stale(named) => size_of_val(&**named),
        };
        let point =
            |point: &Point| size_of::<Point>() + reading(&point.reading) + point.exemplars.heap_bytes();
        let stream = |stream: &Stream| {
            let points: usize = stream.points.iter().map(point).sum();
            size_of::<Stream>() + stream.labels.memory_bytes() + points
        };
        self.all.iter().map(stream).sum()
    }

    /// Orders points by time. Of those of one time the last stays; others that say something else are refused.
    fn settle(&mut self) {
        for stream in &mut self.all {
            stream.points.sort_by_key(|point| point.time_ms);
            let mut other = 0;
            stream.points.dedup_by(|later, first| {
                let is_same = later.time_ms == first.time_ms;
                if is_same {
                    other += u64::from(later.reading != first.reading);
                    std::mem::swap(later, first);
                }
                is_same
            });
            stream.records -= other;
            self.rejected[Rejection::Duplicate as usize] += other;
        }
    }
}

impl Reader<'_> {
    fn info(&mut self, origin: &Origin<'_>, last_ms: i64, target_info: bool) {
        if target_info && last_ms > 0 && origin.has_info() {
            let time_ms = self.streams.infos.entry(origin.info_labels(self.rules)).or_default();
            *time_ms = last_ms.max(*time_ms);
        }
    }

    fn common<'a>(
        &mut self,
        metric: &MetricView<'_>,
        origin: &'a Origin<'a>,
    ) -> Result<Common<'a>, Rejection> {
        let kind = Kind::of(metric).ok_or(Rejection::Malformed)?;
        let has_temporality = matches!(
            metric.kind(),
            MetricKind::Sum | MetricKind::Histogram | MetricKind::ExponentialHistogram
        );
        // A delta would have to be added up, and a restart would begin anew behind the far side's back.
        if has_temporality && metric.temporality() != CUMULATIVE {
            return Err(Rejection::Temporality);
        }
        let is_native = metric.kind() == MetricKind::ExponentialHistogram;
        let Rules { strategy, namespace, .. } = self.rules;
        let name = metric_name(strategy, namespace, metric.name(), metric.unit(), kind.suffix());
        let name = name.ok_or(Rejection::Name)?;
        let all = &mut self.streams.described;
        let described = *self.described.entry((name, kind, is_native)).or_insert_with_key(|(name, ..)| {
            all.push(Described {
                name: name.clone(),
                kind,
                is_native,
                help: metric.description().to_owned(),
                unit: UnitWords::of(metric.unit()).joined(),
            });
            all.len() - 1
        });
        Ok(Common { origin, described, kind, is_native })
    }

    fn point(&mut self, common: Common<'_>, point: PointView<'_>) -> Result<i64, Rejection> {
        let time_ms = milliseconds(point.time_ns());
        if time_ms == 0 {
            return Err(Rejection::Time);
        }
        let reading = if point.flags() & NO_RECORDED_VALUE != 0 {
            let quantiles = point.quantiles().map(|(quantile, _)| quantile);
            let named = point.explicit_bounds().chain(quantiles).filter(|at| at.is_finite());
            Reading::Stale(named.take(crate::limits::MAX_BUCKETS).collect())
        } else {
            Reading::Value(Value::read(point, common.kind == Kind::Counter, None)?)
        };
        let mut exemplars = Exemplars::default();
        if let Reading::Value(value) = &reading
            && matches!(common.kind, Kind::Counter | Kind::Histogram)
        {
            exemplars.take(point, value);
        }
        let labels = self.labels(common, point);
        let all = &mut self.streams.all;
        let number = *self.by_labels.entry((common.described, labels)).or_insert_with_key(|(_, labels)| {
            all.push(Stream {
                described: common.described,
                labels: labels.clone(),
                points: Vec::with_capacity(1),
                records: 0,
            });
            all.len() - 1
        });
        let start_ms = if common.kind == Kind::Gauge { 0 } else { milliseconds(point.start_ns()) };
        self.streams.all[number].records += 1;
        self.streams.all[number].points.push(Point { time_ms, start_ms, reading, exemplars });
        Ok(time_ms)
    }

    fn labels(&self, common: Common<'_>, point: PointView<'_>) -> Labels {
        let reserved = if common.is_native { "" } else { common.kind.reserved_label() };
        let mut labels = LabelsBuilder::new(self.rules.strategy, reserved);
        labels.fixed(NAME, self.streams.described[common.described].name.as_str());
        common.origin.label(self.rules, &mut labels);
        labels.attributes(point.attributes(), &[]);
        labels.build()
    }
}

fn milliseconds(ns: u64) -> i64 {
    // No 64-bit count of nanoseconds has more milliseconds than that.
    (ns / 1_000_000) as i64
}
