//! Exponential histograms, which Prometheus calls native: one resolution to another, sums, and explicit buckets.
//!
//! Rules: <https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram>.

mod layout;

use otlp::view::{BucketsView, PointView};

use super::{rejection::Rejection, value::add_sums};
use crate::limits::{MAX_BUCKETS, MAX_CONVERTED_BUCKETS};

/// Scales that are schemas of native histograms too.
const SCALES: std::ops::RangeInclusive<i32> = -4..=8;
/// No finite double has a bucket further from zero at the finest of these scales: 1075 powers of two, 2^8 buckets each.
const MAX_INDEX: i64 = 1075 << 8;
/// What counts as zero where the sender does not say it.
pub(super) const DEFAULT_ZERO_THRESHOLD: f64 = 1e-128;

/// An exponential histogram at a scale that Prometheus has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Exponential {
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) scale: i32,
    pub(super) zero_count: u64,
    /// Zero where the sender did not say it.
    pub(super) zero_threshold: f64,
    pub(super) positive: Dense,
    /// By magnitude.
    pub(super) negative: Dense,
}

/// Adjacent buckets; the first and the last are not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dense {
    /// Index of the first: bucket `i` holds what is above base^i and up to base^(i+1).
    pub(super) offset: i64,
    pub(super) counts: Vec<u64>,
}

impl Exponential {
    pub(super) fn read(point: PointView<'_>) -> Result<Self, Rejection> {
        let zero_threshold = point.zero_threshold().unwrap_or_default();
        if !(zero_threshold >= 0.0 && zero_threshold.is_finite()) {
            return Err(Rejection::Malformed);
        }
        let mut value = Exponential {
            count: 0,
            sum: point.sum(),
            scale: point.scale().unwrap_or_default(),
            zero_count: point.zero_count().unwrap_or_default(),
            zero_threshold,
            positive: Dense::read(point.positive())?,
            negative: Dense::read(point.negative())?,
        };
        value.coarsen(value.scale.saturating_sub(*SCALES.end()).max(0).unsigned_abs());
        if !SCALES.contains(&value.scale) {
            return Err(Rejection::Resolution);
        }
        let within = |dense: &Dense| {
            dense.offset >= -MAX_INDEX && dense.offset + dense.counts.len() as i64 <= MAX_INDEX
        };
        if !within(&value.positive) || !within(&value.negative) {
            return Err(Rejection::Malformed);
        }
        value.count =
            value.zero_count.saturating_add(value.positive.total()).saturating_add(value.negative.total());
        Ok(value)
    }

    /// Adds another: at the coarser of both scales, or coarser still, until it has few enough buckets.
    pub(super) fn add(&mut self, other: &Exponential) {
        let mut other = other.clone();
        self.coarsen((self.scale - other.scale).max(0).unsigned_abs());
        other.coarsen((other.scale - self.scale).max(0).unsigned_abs());
        self.widen_zero(&mut other);
        while self.scale > *SCALES.start()
            && (self.positive.span_with(&other.positive) > MAX_BUCKETS
                || self.negative.span_with(&other.negative) > MAX_BUCKETS)
        {
            self.coarsen(1);
            other.coarsen(1);
        }
        self.positive.add(&other.positive);
        self.negative.add(&other.negative);
        self.zero_count = self.zero_count.saturating_add(other.zero_count);
        self.count = self.count.saturating_add(other.count);
        self.sum = add_sums(self.sum, other.sum);
    }

    /// Makes both count the same as zero: up to the larger threshold, and up to the end of the bucket that it is in.
    fn widen_zero(&mut self, other: &mut Exponential) {
        if self.zero_threshold == other.zero_threshold {
            return;
        }
        let mut threshold = self.zero_threshold.max(other.zero_threshold);
        for value in [&mut *self, &mut *other] {
            let scale = value.scale;
            for dense in [&mut value.positive, &mut value.negative] {
                while !dense.counts.is_empty() && bound(scale, dense.offset) < threshold {
                    threshold = threshold.max(bound(scale, dense.offset + 1));
                    value.zero_count = value.zero_count.saturating_add(dense.counts.remove(0));
                    dense.offset += 1;
                    dense.trim();
                }
            }
        }
        self.zero_threshold = threshold;
        other.zero_threshold = threshold;
    }

    /// Halves the resolution that many times.
    fn coarsen(&mut self, times: u32) {
        if times > 0 {
            self.positive.coarsen(times);
            self.negative.coarsen(times);
            self.scale -= times as i32;
        }
    }

    /// Upper bounds and what is up to each of them, for formats that have only explicit buckets. Bounds are powers of
    /// two, so that they stay the same while a histogram moves; where that makes too many, powers of powers of two.
    pub(super) fn explicit(&self) -> Vec<(f64, u64)> {
        let mut coarse = self.clone();
        coarse.coarsen(self.scale.max(0).unsigned_abs());
        while coarse.positive.counts.len() + coarse.negative.counts.len() > MAX_CONVERTED_BUCKETS {
            coarse.coarsen(1);
        }
        let mut buckets = Vec::with_capacity(coarse.positive.counts.len() + coarse.negative.counts.len() + 1);
        let mut below: u64 = 0;
        // A value that is exactly such a bound is counted one bucket too high: buckets of magnitudes include their other end.
        for (i, count) in coarse.negative.counts.iter().enumerate().rev() {
            below = below.saturating_add(*count);
            buckets.push((-bound(coarse.scale, coarse.negative.offset + i as i64), below));
        }
        if coarse.zero_count > 0 || !coarse.negative.counts.is_empty() {
            below = below.saturating_add(coarse.zero_count);
            buckets.push((coarse.zero_threshold, below));
        }
        for (i, count) in coarse.positive.counts.iter().enumerate() {
            below = below.saturating_add(*count);
            let upper = bound(coarse.scale, coarse.positive.offset + i as i64 + 1);
            if upper.is_finite() {
                buckets.push((upper, below));
            }
        }
        // A coarse bucket may end below the threshold of zero: what is counted must rise with the bounds all the same.
        buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut most = 0;
        for (_, below) in &mut buckets {
            most = most.max(*below);
            *below = most;
        }
        buckets.dedup_by(|later, first| {
            let is_same = later.0 == first.0;
            if is_same {
                first.1 = later.1;
            }
            is_same
        });
        buckets
    }

    /// The sum, where it only grows.
    pub(super) fn monotonic_sum(&self) -> Option<f64> {
        self.sum.filter(|sum| *sum >= 0.0 && self.negative.counts.is_empty())
    }

    pub(super) fn heap_bytes(&self) -> usize {
        (self.positive.counts.capacity() + self.negative.counts.capacity()) * size_of::<u64>()
    }
}

/// base^index at a scale: 2^(index · 2^-scale).
fn bound(scale: i32, index: i64) -> f64 {
    let exponent = if scale > 0 {
        index as f64 / f64::from(1_u32 << scale.min(20))
    } else {
        index as f64 * f64::from(1_u32 << (-scale).min(20))
    };
    exponent.exp2()
}

impl Dense {
    fn read(view: BucketsView<'_>) -> Result<Self, Rejection> {
        let counts: Vec<u64> = view.counts().take(MAX_BUCKETS + 1).collect();
        if counts.len() > MAX_BUCKETS {
            return Err(Rejection::Resolution);
        }
        let mut dense = Dense { offset: i64::from(view.offset()), counts };
        dense.trim();
        Ok(dense)
    }

    /// Takes empty buckets off both ends.
    fn trim(&mut self) {
        while self.counts.last() == Some(&0) {
            self.counts.pop();
        }
        let empty = self.counts.iter().take_while(|count| **count == 0).count();
        self.counts.drain(..empty);
        self.offset = if self.counts.is_empty() { 0 } else { self.offset + empty as i64 };
    }

    fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn coarsen(&mut self, times: u32) {
        // Further than this every index is 0 or -1 anyway.
        let shift = times.min(62);
        if self.counts.is_empty() {
            return;
        }
        let first = self.offset >> shift;
        let last = (self.offset + self.counts.len() as i64 - 1) >> shift;
        let mut counts = vec![0_u64; usize::try_from(last - first + 1).unwrap_or_default()];
        for (i, count) in self.counts.iter().enumerate() {
            let at = ((self.offset + i as i64) >> shift) - first;
            if let Some(slot) = usize::try_from(at).ok().and_then(|at| counts.get_mut(at)) {
                *slot = slot.saturating_add(*count);
            }
        }
        *self = Dense { offset: first, counts };
    }

    /// How many buckets both together reach over.
    fn span_with(&self, other: &Dense) -> usize {
        if self.counts.is_empty() || other.counts.is_empty() {
            return self.counts.len().max(other.counts.len());
        }
        let first = self.offset.min(other.offset);
        let end = (self.offset + self.counts.len() as i64).max(other.offset + other.counts.len() as i64);
        usize::try_from(end - first).unwrap_or(usize::MAX)
    }

    fn add(&mut self, other: &Dense) {
        if other.counts.is_empty() {
            return;
        }
        if self.counts.is_empty() {
            *self = other.clone();
            return;
        }
        let first = self.offset.min(other.offset);
        let mut counts = vec![0_u64; self.span_with(other)];
        for dense in [&*self, other] {
            let from = usize::try_from(dense.offset - first).unwrap_or_default();
            for (slot, count) in counts.iter_mut().skip(from).zip(&dense.counts) {
                *slot = slot.saturating_add(*count);
            }
        }
        *self = Dense { offset: first, counts };
    }
}

#[cfg(test)]
mod tests;
