//! Exponential buckets for durations: which one a value falls into, and what it holds.
//!
//! ```
//! use aldis_operators::buckets::{bounds, bucket};
//!
//! let (low, high) = bounds(bucket(1_000_000));
//! assert!((low..=high).contains(&1_000_000) && high - low < 1_000_000 / 8);
//! ```

/// Each power of two is cut into 2^this buckets, linearly: the middle of one is off by at most one part in 16.
const SUB_BITS: u32 = 3;
const SUBS: usize = 1 << SUB_BITS;

/// Buckets for all values there are.
pub const COUNT: usize = (64 - SUB_BITS as usize + 1) * SUBS;

/// The bucket of a value. Those below 8 have one each; above, the leading bits choose.
#[inline]
pub fn bucket(value: u64) -> usize {
    if value < SUBS as u64 {
        return value as usize;
    }
    let exponent = 63 - value.leading_zeros() - SUB_BITS;
    (exponent as usize + 1) * SUBS + ((value >> exponent) as usize & (SUBS - 1))
}

/// The least and the greatest value of bucket `i`, which is below [`COUNT`].
pub fn bounds(i: usize) -> (u64, u64) {
    if i < SUBS {
        return (i as u64, i as u64);
    }
    let exponent = i / SUBS - 1;
    let low = ((SUBS + i % SUBS) as u64) << exponent;
    (low, low + ((1u64 << exponent) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_tile_all_values() {
        assert_eq!((bucket(0), bounds(COUNT - 1).1), (0, u64::MAX));
        for i in 0..COUNT {
            let (low, high) = bounds(i);
            assert_eq!((bucket(low), bucket(high)), (i, i));
            assert!(i == 0 || bounds(i - 1).1 + 1 == low);
        }
    }
}
