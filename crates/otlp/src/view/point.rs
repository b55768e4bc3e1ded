//! Data points of all five kinds.

use super::exemplar::Exemplars;
use super::numbers::{Doubles, Fixed64s, Varints};
use super::{Attributes, bytes, find, fixed64, varint};
use crate::index::MetricKind;
use crate::wire::{self, Fields, Payload};

/// The number that a point of a gauge or a sum, or an exemplar, holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NumberView {
    /// A floating-point number.
    Double(f64),
    /// A signed integer.
    Int(i64),
}

impl NumberView {
    /// Reads the number of which field `double` or field `int` states one; `None` where neither does.
    pub(super) fn of(body: &[u8], double: u32, int: u32) -> Option<Self> {
        match (find(body, double), find(body, int)) {
            (Some(Payload::Fixed64(bits)), _) => Some(Self::Double(f64::from_bits(bits))),
            (_, Some(Payload::Fixed64(bits))) => Some(Self::Int(bits as i64)),
            _ => None,
        }
    }
}

/// A data point, read in place. What its kind does not have is `None` or empty.
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

    /// What kind of metric it belongs to.
    pub fn kind(&self) -> MetricKind {
        self.kind
    }

    /// What identifies its series within the metric.
    pub fn attributes(&self) -> Attributes<'a> {
        self.attributes
    }

    /// When the interval began that it covers, Unix nanoseconds; zero where nothing is said.
    pub fn start_ns(&self) -> u64 {
        fixed64(self.body, 2)
    }

    /// When it was observed, Unix nanoseconds.
    pub fn time_ns(&self) -> u64 {
        fixed64(self.body, 3)
    }

    /// The number of a gauge or a sum; `None` for other kinds and where none was recorded.
    pub fn number(&self) -> Option<NumberView> {
        let has_one = matches!(self.kind, MetricKind::Gauge | MetricKind::Sum);
        has_one.then(|| NumberView::of(self.body, 4, 6)).flatten()
    }

    /// How many measurements a histogram or a summary holds; `None` for other kinds.
    pub fn count(&self) -> Option<u64> {
        self.is_distribution().then(|| fixed64(self.body, 4))
    }

    /// Their sum; `None` for other kinds and where it was not recorded. A summary always has one.
    pub fn sum(&self) -> Option<f64> {
        if !self.is_distribution() {
            return None;
        }
        self.double(5).or((self.kind == MetricKind::Summary).then_some(0.0))
    }

    /// The smallest measurement of a histogram, where it was recorded.
    pub fn min(&self) -> Option<f64> {
        match self.kind {
            MetricKind::Histogram => self.double(11),
            MetricKind::ExponentialHistogram => self.double(12),
            _ => None,
        }
    }

    /// The largest measurement of a histogram, where it was recorded.
    pub fn max(&self) -> Option<f64> {
        match self.kind {
            MetricKind::Histogram => self.double(12),
            MetricKind::ExponentialHistogram => self.double(13),
            _ => None,
        }
    }

    /// Measurements in each bucket of a histogram with explicit bounds: none, or (as senders should) one more than there
    /// are bounds.
    pub fn bucket_counts(&self) -> Fixed64s<'a> {
        Fixed64s::new(self.body_of(MetricKind::Histogram), 6)
    }

    /// Upper bounds of all buckets but the last, inclusive.
    pub fn explicit_bounds(&self) -> Doubles<'a> {
        Doubles::new(self.body_of(MetricKind::Histogram), 7)
    }

    /// The scale `s` of an exponential histogram, whose buckets grow by 2^(2^-s); `None` for other kinds.
    pub fn scale(&self) -> Option<i32> {
        self.is_exponential().then(|| zigzag(varint(self.body, 6)))
    }

    /// Measurements of an exponential histogram that count as zero; `None` for other kinds.
    pub fn zero_count(&self) -> Option<u64> {
        self.is_exponential().then(|| fixed64(self.body, 7))
    }

    /// Up to which magnitude they do; `None` for other kinds.
    pub fn zero_threshold(&self) -> Option<f64> {
        self.is_exponential().then(|| f64::from_bits(fixed64(self.body, 14)))
    }

    /// Buckets of an exponential histogram for positive measurements. Empty where there are none.
    pub fn positive(&self) -> BucketsView<'a> {
        BucketsView { body: bytes(self.body_of(MetricKind::ExponentialHistogram), 8) }
    }

    /// Buckets of an exponential histogram for negative measurements, by their magnitude. Empty where there are none.
    pub fn negative(&self) -> BucketsView<'a> {
        BucketsView { body: bytes(self.body_of(MetricKind::ExponentialHistogram), 9) }
    }

    /// Quantiles of a summary and their values.
    pub fn quantiles(&self) -> Quantiles<'a> {
        Quantiles { ahead: wire::fields(self.body_of(MetricKind::Summary)) }
    }

    /// Single measurements that it keeps as examples. A summary has none.
    pub fn exemplars(&self) -> Exemplars<'a> {
        let number = match self.kind {
            MetricKind::Gauge | MetricKind::Sum => 5,
            MetricKind::Histogram => 8,
            MetricKind::ExponentialHistogram => 11,
            MetricKind::None | MetricKind::Summary => return Exemplars::new(&[], 0),
        };
        Exemplars::new(self.body, number)
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

    fn is_exponential(&self) -> bool {
        self.kind == MetricKind::ExponentialHistogram
    }

    /// The body if it is of that kind: the same field number means something else in another.
    fn body_of(&self, kind: MetricKind) -> &'a [u8] {
        if self.kind == kind { self.body } else { &[] }
    }

    fn double(&self, number: u32) -> Option<f64> {
        match find(self.body, number) {
            Some(Payload::Fixed64(bits)) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }
}

/// Adjacent buckets of an exponential histogram, read in place.
#[derive(Clone, Copy, Debug)]
pub struct BucketsView<'a> {
    body: &'a [u8],
}

impl<'a> BucketsView<'a> {
    /// The index of the first bucket: bucket `i` holds what is above base^i and up to base^(i+1).
    pub fn offset(&self) -> i32 {
        zigzag(varint(self.body, 1))
    }

    /// Measurements in each bucket.
    pub fn counts(&self) -> Varints<'a> {
        Varints::new(self.body, 2)
    }
}

/// `sint32`: small magnitudes in few bytes, whatever the sign.
fn zigzag(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// The quantiles of a summary: `(quantile, value)`.
#[derive(Clone, Copy, Debug)]
pub struct Quantiles<'a> {
    ahead: Fields<'a>,
}

impl Iterator for Quantiles<'_> {
    type Item = (f64, f64);

    fn next(&mut self) -> Option<(f64, f64)> {
        let body = super::next_message(&mut self.ahead, 6)?;
        Some((f64::from_bits(fixed64(body, 1)), f64::from_bits(fixed64(body, 2))))
    }
}
