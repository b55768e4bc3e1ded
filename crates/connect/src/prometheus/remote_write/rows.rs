//! A stream as the series that the protocol has: a histogram is one for each bucket, and two more.

use super::streams::{Described, NAME, Point, Reading, Stream};
use crate::prometheus::{exemplars::Exemplar, exponential::Exponential, family::Kind, value::Value};

/// The value that ends a series: <https://prometheus.io/docs/specs/prw/remote_write_spec/#stale-markers>.
pub(super) const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// A number and its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) value: f64,
    pub(super) time_ms: i64,
    pub(super) start_ms: i64,
}

/// A native histogram and its time; `None` ends the series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Native<'a> {
    pub(super) value: Option<&'a Exponential>,
    pub(super) time_ms: i64,
    pub(super) start_ms: i64,
}

/// An exemplar, and a time for it where it has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Example<'a> {
    pub(super) exemplar: &'a Exemplar,
    pub(super) time_ms: i64,
}

/// One series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) described: &'a Described,
    pub(super) labels: &'a crate::prometheus::labels::Labels,
    /// Put behind the metric's name.
    pub(super) suffix: &'static str,
    /// `le` or `quantile`.
    pub(super) extra: Option<(&'static str, &'a str)>,
    pub(super) samples: &'a [Sample],
    pub(super) natives: &'a [Native<'a>],
    pub(super) exemplars: &'a [Example<'a>],
}

impl Row<'_> {
    /// Its labels, sorted by name.
    pub(super) fn each_label(&self, mut put: impl FnMut(&str, &str)) {
        let mut extra = self.extra;
        for (name, value) in self.labels.texts() {
            if let Some((own, says)) = extra.filter(|(own, _)| *own < name) {
                put(own, says);
                extra = None;
            }
            match name {
                NAME if !self.suffix.is_empty() => put(name, &format!("{value}{}", self.suffix)),
                _ => put(name, value),
            }
        }
        if let Some((own, says)) = extra {
            put(own, says);
        }
    }
}

/// Samples and exemplars that have one `le` or `quantile`.
struct Part<'a> {
    at: f64,
    samples: Vec<Sample>,
    exemplars: Vec<Example<'a>>,
}

/// The series of a stream, one after the other.
pub(super) fn each_row(stream: &Stream, described: &Described, mut put: impl FnMut(&Row<'_>)) {
    let row = Row {
        described,
        labels: &stream.labels,
        suffix: "",
        extra: None,
        samples: &[],
        natives: &[],
        exemplars: &[],
    };
    match described.kind {
        Kind::Histogram if described.is_native => native(stream, row, &mut put),
        Kind::Histogram => {
            totals(stream, &row, &mut put);
            each_part(stream, &Row { suffix: "_bucket", ..row }, "le", &mut put);
        }
        Kind::Summary => {
            totals(stream, &row, &mut put);
            each_part(stream, &row, "quantile", &mut put);
        }
        Kind::Counter | Kind::Gauge | Kind::Unknown => {
            let samples: Vec<Sample> =
                stream.points.iter().filter_map(|point| sample(point, number(&point.reading))).collect();
            let exemplars: Vec<Example<'_>> = stream.points.iter().flat_map(examples).collect();
            put(&Row { samples: &samples, exemplars: &exemplars, ..row });
        }
    }
}

fn sample(point: &Point, value: Option<f64>) -> Option<Sample> {
    Some(Sample { value: value?, time_ms: point.time_ms, start_ms: point.start_ms })
}

fn number(reading: &Reading) -> Option<f64> {
    match reading {
        Reading::Stale(_) => Some(STALE),
        Reading::Value(Value::Number(number)) => Some(number.as_f64()),
        Reading::Value(_) => None,
    }
}

fn examples(point: &Point) -> impl Iterator<Item = Example<'_>> {
    point.exemplars.all().iter().map(|exemplar| example(exemplar, point))
}

fn example<'a>(exemplar: &'a Exemplar, point: &Point) -> Example<'a> {
    let own_ms = (exemplar.time_ns / 1_000_000) as i64;
    Example { exemplar, time_ms: if own_ms > 0 { own_ms } else { point.time_ms } }
}

fn native(stream: &Stream, row: Row<'_>, put: &mut impl FnMut(&Row<'_>)) {
    let value = |reading| match reading {
        &Reading::Value(Value::Exponential(ref value)) => Some(&**value),
        _ => None,
    };
    let natives = stream.points.iter().map(|point| Native {
        value: value(&point.reading),
        time_ms: point.time_ms,
        start_ms: point.start_ms,
    });
    let mut exemplars: Vec<Example<'_>> = stream.points.iter().flat_map(examples).collect();
    exemplars.sort_by_key(|example| example.time_ms);
    put(&Row { natives: &natives.collect::<Vec<_>>(), exemplars: &exemplars, ..row });
}

/// `_count`, and `_sum` where it is known.
fn totals(stream: &Stream, row: &Row<'_>, put: &mut impl FnMut(&Row<'_>)) {
    let count = |reading: &Reading| match reading {
        Reading::Stale(_) => Some(STALE),
        Reading::Value(Value::Explicit(histogram)) => Some(histogram.count as f64),
        Reading::Value(Value::Summary(summary)) => Some(summary.count as f64),
        Reading::Value(_) => None,
    };
    let sum = |reading: &Reading| match reading {
        Reading::Stale(_) => Some(STALE),
        Reading::Value(Value::Explicit(histogram)) => histogram.sum,
        Reading::Value(Value::Summary(summary)) => Some(summary.sum),
        Reading::Value(_) => None,
    };
    let mut one = |suffix, value: &dyn Fn(&Reading) -> Option<f64>| {
        let samples: Vec<Sample> =
            stream.points.iter().filter_map(|point| sample(point, value(&point.reading))).collect();
        if !samples.is_empty() {
            put(&Row { suffix, samples: &samples, ..*row });
        }
    };
    one("_count", &count);
    one("_sum", &sum);
}

/// Parts in the order of their bounds or quantiles.
#[derive(Default)]
struct Parts<'a> {
    all: Vec<Part<'a>>,
    /// Where the next is, if it is what came behind the last one before.
    hint: usize,
}

impl<'a> Parts<'a> {
    fn add(&mut self, at: f64, point: &Point, value: f64, exemplar: Option<&'a Exemplar>) {
        let is_there = self.all.get(self.hint).is_some_and(|part| part.at.total_cmp(&at).is_eq());
        let place = match is_there {
            true => self.hint,
            false => self.all.binary_search_by(|part| part.at.total_cmp(&at)).unwrap_or_else(|place| {
                self.all.insert(place, Part { at, samples: Vec::with_capacity(1), exemplars: Vec::new() });
                place
            }),
        };
        self.hint = place + 1;
        let part = &mut self.all[place];
        part.samples.push(Sample { value, time_ms: point.time_ms, start_ms: point.start_ms });
        part.exemplars.extend(exemplar.map(|exemplar| example(exemplar, point)));
    }
}

/// The series of buckets or quantiles. Bounds may change from one point to the next: what has one bound is one series.
fn each_part(stream: &Stream, row: &Row<'_>, label: &'static str, put: &mut impl FnMut(&Row<'_>)) {
    let mut put = |at: f64, samples: &[Sample], exemplars: &[Example<'_>]| {
        put(&Row { extra: Some((label, &at_text(at))), samples, exemplars, ..*row });
    };
    // Nearly always there is one point, and its bounds rise.
    if let [point] = &stream.points[..]
        && rises(&point.reading)
    {
        each_value(point, row.described.kind, |at, value, exemplar| {
            let sample = Sample { value, time_ms: point.time_ms, start_ms: point.start_ms };
            put(at, &[sample], exemplar.map(|exemplar| example(exemplar, point)).as_slice());
        });
        return;
    }
    let mut parts = Parts::default();
    for point in &stream.points {
        parts.hint = 0;
        each_value(point, row.described.kind, |at, value, exemplar| parts.add(at, point, value, exemplar));
    }
    parts.all.iter().for_each(|part| put(part.at, &part.samples, &part.exemplars));
}

/// Whether each bound or quantile of a value is larger than the one before.
fn rises(reading: &Reading) -> bool {
    let is_less = |one: &f64, two: &f64| one.total_cmp(two).is_lt();
    match reading {
        Reading::Value(Value::Explicit(histogram)) => {
            histogram.bounds.iter().chain(&[f64::INFINITY]).is_sorted_by(|one, two| is_less(one, two))
        }
        Reading::Value(Value::Summary(summary)) => {
            summary.quantiles.is_sorted_by(|(one, _), (two, _)| is_less(one, two))
        }
        Reading::Value(_) | Reading::Stale(_) => false,
    }
}

/// What a point says of each bound or quantile.
fn each_value<'a>(point: &'a Point, kind: Kind, mut put: impl FnMut(f64, f64, Option<&'a Exemplar>)) {
    match &point.reading {
        Reading::Stale(named) => {
            let last = (kind == Kind::Histogram).then_some(f64::INFINITY);
            named.iter().copied().chain(last).for_each(|at| put(at, STALE, None));
        }
        Reading::Value(Value::Explicit(histogram)) => {
            let (mut below, mut lower) = (0_u64, f64::NEG_INFINITY);
            let uppers = histogram.bounds.iter().copied().chain(std::iter::once(f64::INFINITY));
            for (upper, count) in uppers.zip(&histogram.counts) {
                below = below.saturating_add(*count);
                put(upper, below as f64, point.exemplars.within(lower, upper));
                lower = upper;
            }
        }
        Reading::Value(Value::Summary(summary)) => {
            summary.quantiles.iter().for_each(|(at, value)| put(*at, *value, None));
        }
        Reading::Value(_) => {}
    }
}

/// A bound or quantile as the Collector's exporter writes it, so that series stay the same where one takes the other's place.
fn at_text(at: f64) -> String {
    if at == f64::INFINITY { "+Inf".to_owned() } else { at.to_string() }
}
