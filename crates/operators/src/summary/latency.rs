//! How long things take, in a few kilobytes.

use crate::buckets::{bounds, bucket};

/// Counts durations in exponential buckets of base 2^(1/8), nearly: linear within each power of two. As many buckets as the
/// longest needs, at most 496.
#[derive(Clone, Debug, Default)]
pub(super) struct Latency {
    buckets: Vec<u32>,
}

impl Latency {
    pub(super) fn observe(&mut self, ns: u64) {
        let bucket = bucket(ns);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] = self.buckets[bucket].saturating_add(1);
    }

    /// Forgets everything but its memory.
    pub(super) fn clear(&mut self) {
        self.buckets.fill(0);
    }

    /// The values in nanoseconds at or below which these shares (0 to 1, ascending) of all observations of both lie, to one
    /// part in 16; zero where there are none.
    pub(super) fn quantiles_ns<const N: usize>(one: &Latency, other: &Latency, shares: [f64; N]) -> [u64; N] {
        let count = |bucket: usize| {
            let of = |latency: &Latency| latency.buckets.get(bucket).copied().map_or(0, u64::from);
            of(one) + of(other)
        };
        let buckets = one.buckets.len().max(other.buckets.len());
        let total: u64 = (0..buckets).map(count).sum();
        let mut values = [0; N];
        let (mut below, mut next) = (0, 0);
        for bucket in 0..buckets {
            below += count(bucket);
            while next < N && below >= ((total as f64 * shares[next]).ceil() as u64).max(1) {
                let (low, high) = bounds(bucket);
                values[next] = low + (high - low) / 2;
                next += 1;
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quantiles_of_two_are_near_the_exact_ones_of_both(
            mut values in prop::collection::vec(0u64..1 << 50, 1..200), cut in 0usize..200, mut shares in prop::array::uniform3(0.0..=1.0f64),
        ) {
            shares.sort_by(f64::total_cmp);
            let mut of = [Latency::default(), Latency::default()];
            for (i, value) in values.iter().enumerate() {
                of[usize::from(i < cut)].observe(*value);
            }
            values.sort_unstable();
            for (share, told) in shares.iter().zip(Latency::quantiles_ns(&of[0], &of[1], shares)) {
                let exact = values[((values.len() as f64 * share).ceil() as usize).max(1) - 1];
                prop_assert!(told.abs_diff(exact) <= exact / 16 + 1, "{told} {exact}");
            }
        }
    }
}
