//! What a series holds: one value of any of the five kinds, replaced by cumulative points and added to by deltas.

use std::sync::Arc;

use otlp::{
    index::MetricKind,
    view::{NumberView, PointView},
};

use super::{exponential::Exponential, rejection::Rejection};
use crate::limits::MAX_BUCKETS;

/// A number as it was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Double(f64),
}

impl Number {
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Double(value) => value,
        }
    }

    fn plus(self, other: Number) -> Number {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => match a.checked_add(b) {
                Some(sum) => Number::Int(sum),
                None => Number::Double(a as f64 + b as f64),
            },
            (a, b) => Number::Double(a.as_f64() + b.as_f64()),
        }
    }
}

impl From<NumberView> for Number {
    fn from(view: NumberView) -> Self {
        match view {
            NumberView::Int(value) => Number::Int(value),
            NumberView::Double(value) => Number::Double(value),
        }
    }
}

/// A histogram with explicit bounds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Explicit {
    /// What is in all buckets.
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    /// Upper bounds of all buckets but the last: rising, finite or minus infinity. Shared by the series of a metric.
    pub(super) bounds: Arc<[f64]>,
    /// One more than bounds; none where the point had no buckets.
    pub(super) counts: Box<[u64]>,
}

/// Quantiles.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) sum: f64,
    /// Rising quantiles and their values.
    pub(super) quantiles: Box<[(f64, f64)]>,
}

/// What a series holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(Number),
    Explicit(Explicit),
    /// Boxed: it is large, and series of it are few.
    Exponential(Box<Exponential>),
    Summary(Summary),
}

impl Value {
    /// Reads a point. `hint` are bounds that it probably has: they are shared then.
    pub(super) fn read(
        point: PointView<'_>,
        is_counter: bool,
        hint: Option<&Arc<[f64]>>,
    ) -> Result<Value, Rejection> {
        match point.kind() {
            MetricKind::Gauge | MetricKind::Sum => {
                let number: Number = point.number().ok_or(Rejection::Malformed)?.into();
                let value = number.as_f64();
                if is_counter && (value < 0.0 || value.is_nan()) {
                    return Err(Rejection::Malformed);
                }
                Ok(Value::Number(number))
            }
            MetricKind::Histogram => Explicit::read(point, hint).map(Value::Explicit),
            MetricKind::ExponentialHistogram => {
                Exponential::read(point).map(|value| Value::Exponential(Box::new(value)))
            }
            MetricKind::Summary => Summary::read(point).map(Value::Summary),
            MetricKind::None => Err(Rejection::Malformed),
        }
    }

    /// Takes the place of what was there, in the memory of what was there where that will do.
    pub(super) fn replace(&mut self, new: Value) {
        match (self, new) {
            (Value::Explicit(old), Value::Explicit(new)) if old.counts.len() == new.counts.len() => {
                let bounds = if old.bounds == new.bounds { old.bounds.clone() } else { new.bounds.clone() };
                *old = Explicit { bounds, ..new };
            }
            (old, new) => *old = new,
        }
    }

    /// Adds a delta. `false`: they do not fit together (other bounds, another kind), nothing was added.
    pub(super) fn add(&mut self, delta: &Value) -> bool {
        match (self, delta) {
            (Value::Number(total), Value::Number(delta)) => {
                *total = total.plus(*delta);
                true
            }
            (Value::Explicit(total), Value::Explicit(delta)) => total.add(delta),
            (Value::Exponential(total), Value::Exponential(delta)) => {
                total.add(delta);
                true
            }
            _ => false,
        }
    }

    /// Bytes on the heap. Shared bounds are counted with the metric.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Value::Number(_) => 0,
            Value::Explicit(value) => size_of_val(&*value.counts),
            Value::Exponential(value) => size_of::<Exponential>() + value.heap_bytes(),
            Value::Summary(value) => size_of_val(&*value.quantiles),
        }
    }
}

impl Explicit {
    fn read(point: PointView<'_>, hint: Option<&Arc<[f64]>>) -> Result<Self, Rejection> {
        let buckets = point.bucket_counts().take(MAX_BUCKETS + 2).count();
        if buckets > MAX_BUCKETS + 1 {
            return Err(Rejection::Resolution);
        }
        let count = point.count().unwrap_or_default();
        if buckets == 0 {
            // Nothing is known but count and sum: one bucket.
            let has_bounds = point.explicit_bounds().next().is_some();
            let value = Explicit { count, sum: point.sum(), bounds: [].into(), counts: [count].into() };
            return if has_bounds { Err(Rejection::Malformed) } else { Ok(value) };
        }
        let bounds = match hint.filter(|hint| same(hint, point.explicit_bounds())) {
            Some(hint) => hint.clone(),
            None => point.explicit_bounds().take(MAX_BUCKETS + 1).collect(),
        };
        let mut counts: Vec<u64> = point.bucket_counts().collect();
        let rises = bounds.windows(2).all(|pair| pair[0] < pair[1]) && !bounds.iter().any(|b| b.is_nan());
        if !rises || counts.len() != bounds.len() + 1 {
            return Err(Rejection::Malformed);
        }
        // A last bound of infinity says what every histogram ends with anyway.
        let (bounds, counts) = match bounds.split_last() {
            Some((last, rest)) if *last == f64::INFINITY => {
                let above = counts.pop().unwrap_or_default();
                if let Some(last) = counts.last_mut() {
                    *last = last.saturating_add(above);
                }
                (rest.into(), counts)
            }
            _ => (bounds, counts),
        };
        // Formats want the count to be that of the last bucket; where a sender says otherwise its buckets are believed.
        let count = counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
        Ok(Explicit { count, sum: point.sum(), bounds, counts: counts.into() })
    }

    fn add(&mut self, delta: &Explicit) -> bool {
        if self.bounds != delta.bounds {
            return false;
        }
        for (total, more) in self.counts.iter_mut().zip(&delta.counts) {
            *total = total.saturating_add(*more);
        }
        self.count = self.count.saturating_add(delta.count);
        self.sum = add_sums(self.sum, delta.sum);
        true
    }

    /// The sum, where it only grows: nothing below zero can have been measured, as far as is known.
    pub(super) fn monotonic_sum(&self) -> Option<f64> {
        self.sum.filter(|sum| *sum >= 0.0 && self.bounds.first().is_none_or(|first| *first >= 0.0))
    }
}

/// A sum that is not known at one time is not known afterwards.
pub(super) fn add_sums(total: Option<f64>, more: Option<f64>) -> Option<f64> {
    Some(total? + more?)
}

fn same(bounds: &[f64], mut others: impl Iterator<Item = f64>) -> bool {
    bounds.iter().all(|bound| others.next() == Some(*bound)) && others.next().is_none()
}

impl Summary {
    fn read(point: PointView<'_>) -> Result<Self, Rejection> {
        let mut quantiles: Vec<(f64, f64)> = point.quantiles().take(MAX_BUCKETS + 1).collect();
        if quantiles.len() > MAX_BUCKETS {
            return Err(Rejection::Resolution);
        }
        if quantiles.iter().any(|(quantile, _)| !(0.0..=1.0).contains(quantile)) {
            return Err(Rejection::Malformed);
        }
        quantiles.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        quantiles.dedup_by(|(a, _), (b, _)| a == b);
        Ok(Summary {
            count: point.count().unwrap_or_default(),
            sum: point.sum().unwrap_or_default(),
            quantiles: quantiles.into(),
        })
    }
}
