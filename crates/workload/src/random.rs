//! Numbers that look random and are a function of a seed.

/// SplitMix64 (Steele, Lea, Flood: *Fast splittable pseudorandom number generators*, OOPSLA 2014, figure 16): a Weyl sequence behind
/// a mixing function. Integers only, so the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

/// The increment of the Weyl sequence: 2^64 divided by the golden ratio, odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Parts in which chances are counted.
pub(crate) const MILLION: u32 = 1_000_000;

impl Random {
    /// The stream with this number among those of `seed`: streams of one seed have nothing to do with one another.
    pub(crate) fn stream(seed: u64, number: u64) -> Self {
        Random(mix(seed ^ mix(number.wrapping_mul(GAMMA).wrapping_add(GAMMA))))
    }

    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// A number below `end`; zero if `end` is. By multiplication, biased by less than 2^-32 for the small ends used here.
    #[inline]
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// True once in a million for each of `per_million`.
    #[inline]
    pub(crate) fn chance(&mut self, per_million: u32) -> bool {
        self.below(u64::from(MILLION)) < u64::from(per_million)
    }

    /// An index into something of this length, which is not empty.
    #[inline]
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Eight bytes that are not all zero.
    #[inline]
    pub(crate) fn id(&mut self) -> [u8; 8] {
        self.next().max(1).to_be_bytes()
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs for seed 0 as the reference implementation prints them.
    #[test]
    fn the_sequence_is_that_of_splitmix64() {
        let mut random = Random(0);
        let first = [random.next(), random.next(), random.next()];
        assert_eq!(first, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
    }

    #[test]
    fn chances_come_out() {
        let mut random = Random::stream(7, 0);
        let hits = (0..100_000).filter(|_| random.chance(250_000)).count();
        assert!((24_000..26_000).contains(&hits), "{hits}");
        assert!(!random.chance(0));
        assert!(random.chance(MILLION));
    }
}
