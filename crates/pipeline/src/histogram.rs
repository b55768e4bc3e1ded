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

    /// What was observed so far.
    pub fn snapshot(&self) -> Distribution {
        Distribution {
            counts: self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect(),
            sum_ns: self.sum_ns.load(Ordering::Relaxed),
        }
    }

    /// See [`Distribution::count`].
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// See [`Distribution::mean_ns`].
    pub fn mean_ns(&self) -> f64 {
        self.snapshot().mean_ns()
    }

    /// See [`Distribution::quantile_ns`].
    pub fn quantile_ns(&self, q: f64) -> f64 {
        self.snapshot().quantile_ns(q)
    }
}

/// What a [`Histogram`] has observed up to a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// By bucket of [`operators::buckets`]; empty where nothing was ever observed.
    counts: Vec<u64>,
    sum_ns: u64,
}

impl Distribution {
    /// Adds what another one has observed.
    pub fn add(&mut self, other: &Distribution) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.sum_ns += other.sum_ns;
    }

    /// How many were observed.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all, in nanoseconds.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// Buckets with something in them: the least and the greatest nanoseconds that they are for, and how many there are.
    pub fn buckets(&self) -> impl Iterator<Item = ((u64, u64), u64)> {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(i, count)| (bounds(i), *count))
    }

    /// The arithmetic mean in nanoseconds; 0.0 where nothing was observed.
    pub fn mean_ns(&self) -> f64 {
        match self.count() {
            0 => 0.0,
            count => self.sum_ns as f64 / count as f64,
        }
    }

    /// The value in nanoseconds below or at which a share `q` (0 to 1) of all observations lies, to one part in 16; 0.0
    /// where nothing was observed.
    pub fn quantile_ns(&self, q: f64) -> f64 {
        let rank = ((self.count() as f64 * q.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut below = 0;
        for ((low, high), count) in self.buckets() {
            below += count;
            if below >= rank {
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

    #[test]
    fn distributions_add_up() {
        let (fast, slow) = (Histogram::default(), Histogram::default());
        fast.observe(3);
        slow.observe(1_000);
        slow.observe(3);
        let mut all = Distribution::default();
        all.add(&fast.snapshot());
        all.add(&slow.snapshot());
        assert_eq!((all.count(), all.sum_ns()), (3, 1_006));
        assert_eq!(all.buckets().collect::<Vec<_>>(), [((3, 3), 2), ((960, 1_023), 1)]);
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
