//! How long things take, in constant memory.

use std::sync::atomic::{AtomicU64, Ordering};

use operators::buckets::{self, bounds, bucket};

/// Counts durations in exponential buckets: two atomic additions per observation, 4 KiB, any number of threads.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum_ns: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: (0..buckets::COUNT).map(|_| AtomicU64::new(0)).collect(), sum_ns: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts one duration, in nanoseconds.
    pub fn observe(&self, ns: u64) {
        self.buckets[bucket(ns)].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// How many were observed.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// The arithmetic mean in nanoseconds; 0.0 where nothing was observed.
    pub fn mean_ns(&self) -> f64 {
        match self.count() {
            0 => 0.0,
            count => self.sum_ns.load(Ordering::Relaxed) as f64 / count as f64,
        }
    }

    /// The value in nanoseconds below or at which a share `q` (0 to 1) of all observations lies, to one part in 16; 0.0
    /// where nothing was observed.
    pub fn quantile_ns(&self, q: f64) -> f64 {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let rank = ((total as f64 * q.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut below = 0;
        for (i, count) in counts.iter().enumerate() {
            below += count;
            if below >= rank {
                let (low, high) = bounds(i);
                return (low as f64 + high as f64) / 2.0;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_observed_is_zero() {
        let none = Histogram::default();
        assert_eq!((none.count(), none.mean_ns(), none.quantile_ns(0.99)), (0, 0.0, 0.0));
    }

    proptest! {
        #[test]
        fn quantiles_are_near_the_exact_ones(mut values in prop::collection::vec(0u64..1 << 50, 1..200), q in 0.0..=1.0f64) {
            let histogram = Histogram::default();
            values.iter().for_each(|value| histogram.observe(*value));
            values.sort_unstable();
            let rank = ((values.len() as f64 * q).ceil() as usize).max(1);
            let exact = values[rank - 1] as f64;
            prop_assert!((histogram.quantile_ns(q) - exact).abs() <= exact / 16.0);
            let mean = values.iter().sum::<u64>() as f64 / values.len() as f64;
            prop_assert!((histogram.mean_ns() - mean).abs() <= mean * 1e-9);
        }
    }
}
