//! Metrics and their data points.

use super::{Attributes, find, text, varint};
use crate::index::MetricKind;
use crate::wire::Payload;

/// A metric, read in place: what its points have in common.
#[derive(Clone, Copy, Debug)]
pub struct MetricView<'a> {
    body: &'a [u8],
    kind: MetricKind,
    /// The body of its `Gauge`, `Sum`, ….
    data: &'a [u8],
}

impl<'a> MetricView<'a> {
    pub(super) fn new(body: &'a [u8], kind: MetricKind, data: &'a [u8]) -> Self {
        Self { body, kind, data }
    }

    /// What is measured.
    pub fn name(&self) -> &'a str {
        text(self.body, 1)
    }

    /// What that means.
    pub fn description(&self) -> &'a str {
        text(self.body, 2)
    }

    /// The unit, as UCUM writes it.
    pub fn unit(&self) -> &'a str {
        text(self.body, 3)
    }

    /// What its points are.
    pub fn kind(&self) -> MetricKind {
        self.kind
    }

    /// 0 unspecified, 1 delta, 2 cumulative; 0 for gauges and summaries, which have none.
    pub fn temporality(&self) -> i32 {
        match self.kind {
            MetricKind::Sum | MetricKind::Histogram | MetricKind::ExponentialHistogram => {
                varint(self.data, 2) as i32
            }
            MetricKind::None | MetricKind::Gauge | MetricKind::Summary => 0,
        }
    }

    /// Whether it is a sum that never falls.
    pub fn is_monotonic(&self) -> bool {
        self.kind == MetricKind::Sum && varint(self.data, 3) != 0
    }

    /// Key-values about the metric that do not identify it.
    pub fn metadata(&self) -> Attributes<'a> {
        Attributes::new(self.body, 12)
    }
}

/// The number that a point of a gauge or a sum holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NumberView {
    /// A floating-point number.
    Double(f64),
    /// A signed integer.
    Int(i64),
}

/// A data point, read in place.
#[derive(Clone, Copy, Debug)]
pub struct PointView<'a> {
    body: &'a [u8],
    kind: MetricKind,
    attributes: Attributes<'a>,
}

impl<'a> PointView<'a> {
    pub(super) fn new(body: &'a [u8], kind: MetricKind, attributes: Attributes<'a>) -> Self {
        Self { body, kind, attributes }
    }

    /// What identifies its series within the metric.
    pub fn attributes(&self) -> Attributes<'a> {
        self.attributes
    }

    /// When the interval began that it covers, Unix nanoseconds; zero where nothing is said.
    pub fn start_ns(&self) -> u64 {
        super::fixed64(self.body, 2)
    }

    /// When it was observed, Unix nanoseconds.
    pub fn time_ns(&self) -> u64 {
        super::fixed64(self.body, 3)
    }

    /// The number of a gauge or a sum; `None` for other kinds and where none was recorded.
    pub fn number(&self) -> Option<NumberView> {
        if !matches!(self.kind, MetricKind::Gauge | MetricKind::Sum) {
            return None;
        }
        match (find(self.body, 4), find(self.body, 6)) {
            (Some(Payload::Fixed64(bits)), _) => Some(NumberView::Double(f64::from_bits(bits))),
            (_, Some(Payload::Fixed64(bits))) => Some(NumberView::Int(bits as i64)),
            _ => None,
        }
    }

    /// How many measurements a histogram or a summary holds; `None` for other kinds.
    pub fn count(&self) -> Option<u64> {
        self.is_distribution().then(|| super::fixed64(self.body, 4))
    }

    /// Their sum; `None` for other kinds and where it was not recorded. A summary always has one.
    pub fn sum(&self) -> Option<f64> {
        if !self.is_distribution() {
            return None;
        }
        match find(self.body, 5) {
            Some(Payload::Fixed64(bits)) => Some(f64::from_bits(bits)),
            _ => (self.kind == MetricKind::Summary).then_some(0.0),
        }
    }

    /// Bit 0: no value was recorded.
    pub fn flags(&self) -> u32 {
        let number = match self.kind {
            MetricKind::Histogram | MetricKind::ExponentialHistogram => 10,
            MetricKind::None | MetricKind::Gauge | MetricKind::Sum | MetricKind::Summary => 8,
        };
        varint(self.body, number) as u32
    }

    fn is_distribution(&self) -> bool {
        matches!(self.kind, MetricKind::Histogram | MetricKind::ExponentialHistogram | MetricKind::Summary)
    }
}
