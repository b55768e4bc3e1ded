//! Metrics, whose records are one level further down: the data points of a gauge, sum, histogram or summary.

use super::message::{Pass, Refused};
use super::value::BELOW_ATTRIBUTE;
use super::{ATTRIBUTES, COUNTS};
use crate::index::{MetricEntry, MetricKind, RecordAt};
use crate::schema::{self, METRIC, Shape};

/// Messages that may be nested into a metric; its points and their attributes are two levels further.
const BELOW_METRIC: u32 = BELOW_ATTRIBUTE + 1;
const BELOW_DATA: u32 = BELOW_METRIC - 1;
const BELOW_POINT: u32 = BELOW_DATA - 1;

/// `data_points` of every kind of data.
pub(super) const POINTS: u32 = 0x0a;

/// The kind of data that this key of `Metric` opens, its message, that of its points, and the key of their attributes.
fn data(key: u32) -> Option<(MetricKind, &'static Shape, &'static Shape, u32)> {
    Some(match key {
        0x2a => (MetricKind::Gauge, &schema::GAUGE, &schema::NUMBER_POINT, 0x3a),
        0x3a => (MetricKind::Sum, &schema::SUM, &schema::NUMBER_POINT, 0x3a),
        0x4a => (MetricKind::Histogram, &schema::HISTOGRAM, &schema::HISTOGRAM_POINT, 0x4a),
        0x52 => (
            MetricKind::ExponentialHistogram,
            &schema::EXPONENTIAL_HISTOGRAM,
            &schema::EXPONENTIAL_HISTOGRAM_POINT,
            0x0a,
        ),
        0x5a => (MetricKind::Summary, &schema::SUMMARY, &schema::SUMMARY_POINT, 0x3a),
        _ => return None,
    })
}

impl<'a, const DEPTH: u8> Pass<'a, '_, DEPTH> {
    /// Validates a metric of scope number `scope` and its points, and remembers what is asked for.
    pub(super) fn metric(&mut self, at: &'a [u8], body: &'a [u8], scope: u32) -> Result<(), Refused> {
        let range = self.range(body);
        let mut entry = MetricEntry {
            scope,
            start: self.offset(at),
            body: range,
            data_start: range.end,
            first_record: self.counts.records,
            ..MetricEntry::default()
        };
        let mut ahead = body;
        let mut seen = 0;
        while !ahead.is_empty() {
            let (key, rest) = self.key(&METRIC, ahead)?;
            let once = METRIC.field(key >> 3).once;
            self.repeats |= seen & once;
            seen |= once;
            ahead = match data(key) {
                Some((kind, shape, point, attributes)) => {
                    let (body, rest) = self.delimited(&METRIC, rest)?;
                    entry.kind = kind;
                    entry.data_start = self.offset(ahead);
                    entry.data = self.range(body);
                    self.points(shape, body, |pass, at, body| {
                        pass.point(point, attributes, at, body, scope)
                    })?;
                    rest
                }
                None => self.field(&METRIC, key, ahead, rest, BELOW_METRIC)?,
            };
        }
        if DEPTH != COUNTS {
            entry.records = self.counts.records - entry.first_record;
            self.columns.metrics.push(entry);
        }
        Ok(())
    }

    /// Validates a `Gauge`, `Sum`, … and each of its points.
    fn points(
        &mut self,
        shape: &'static Shape,
        body: &'a [u8],
        point: impl Fn(&mut Self, &'a [u8], &'a [u8]) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let mut ahead = body;
        let mut seen = 0;
        while !ahead.is_empty() {
            let (key, rest) = self.key(shape, ahead)?;
            let once = shape.field(key >> 3).once;
            self.repeats |= seen & once;
            seen |= once;
            ahead = match key {
                POINTS => {
                    let (body, rest) = self.delimited(shape, rest)?;
                    point(self, ahead, body)?;
                    rest
                }
                _ => self.field(shape, key, ahead, rest, BELOW_DATA)?,
            };
        }
        Ok(())
    }

    fn point(
        &mut self,
        shape: &'static Shape,
        attributes: u32,
        at: &'a [u8],
        body: &'a [u8],
        scope: u32,
    ) -> Result<(), Refused> {
        if DEPTH == ATTRIBUTES {
            self.columns.attribute_first.push(self.columns.attributes.len() as u32);
        }
        self.counts.records += 1;
        let mut time_ns = 0;
        let mut ahead = body;
        let mut seen = 0;
        while !ahead.is_empty() {
            let (key, rest) = self.key(shape, ahead)?;
            let once = shape.field(key >> 3).once;
            self.repeats |= seen & once;
            seen |= once;
            ahead = if key == attributes {
                let (body, rest) = self.delimited(shape, rest)?;
                self.attribute(ahead, body, BELOW_POINT - 1)?;
                rest
            } else if key == 0x19 {
                // `time_unix_nano` has the same number in all kinds of points.
                let (time, rest) = self.fixed64(shape, rest)?;
                time_ns = time;
                rest
            } else {
                self.field(shape, key, ahead, rest, BELOW_POINT)?
            };
        }
        if DEPTH != COUNTS {
            let at = RecordAt { start: self.offset(at), body: self.range(body), scope };
            let metric = self.columns.metrics.len() as u32;
            self.columns.push_point(at, metric, time_ns);
        }
        Ok(())
    }
}
