//! How long things take: tables of quantiles.

use crate::random::{MILLION, Random};

/// A distribution of durations: its median and the shape around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) median_us: u32,
    pub(crate) shape: Shape,
}

/// Points of a quantile function: position in millionths, value in thousandths of the median. Between points the function is
/// linear, so no logarithm or power is computed, whose last digit would depend on the machine.
type Shape = &'static [(u32, u32)];

/// Computation: hardly varies.
const STEADY: Shape =
    &[(0, 600), (100_000, 800), (500_000, 1_000), (900_000, 1_300), (990_000, 1_700), (MILLION, 2_500)];

/// A network or a healthy store: right-skewed.
const USUAL: Shape = &[
    (0, 450),
    (100_000, 650),
    (500_000, 1_000),
    (900_000, 1_900),
    (990_000, 3_600),
    (999_000, 7_000),
    (MILLION, 15_000),
];

/// Something that queues, locks or collects garbage: one in a hundred is ten times slower than the median.
const HEAVY: Shape = &[
    (0, 300),
    (100_000, 500),
    (500_000, 1_000),
    (900_000, 3_000),
    (990_000, 11_000),
    (999_000, 40_000),
    (MILLION, 90_000),
];

/// The exponential distribution, in thousandths of its mean.
const WAITING: Shape = &[
    (0, 0),
    (100_000, 105),
    (250_000, 288),
    (500_000, 693),
    (750_000, 1_386),
    (900_000, 2_303),
    (950_000, 2_996),
    (990_000, 4_605),
    (999_000, 6_908),
    (MILLION, 9_210),
];

/// The mean of [`WAITING`] as it is drawn: chords lie above a convex function.
const WAITING_MEAN: u64 = 1_038;

pub(crate) const fn steady(median_us: u32) -> Latency {
    Latency { median_us, shape: STEADY }
}

pub(crate) const fn usual(median_us: u32) -> Latency {
    Latency { median_us, shape: USUAL }
}

pub(crate) const fn heavy(median_us: u32) -> Latency {
    Latency { median_us, shape: HEAVY }
}

impl Latency {
    /// A duration in nanoseconds, at least one microsecond.
    pub(crate) fn draw(self, random: &mut Random) -> u64 {
        // Thousandths of microseconds are nanoseconds.
        (u64::from(self.median_us) * quantile(self.shape, random)).max(1_000)
    }
}

/// The time until the next of many independent events that are `mean_ns` apart on average; at least one nanosecond.
pub(crate) fn waiting(mean_ns: u64, random: &mut Random) -> u64 {
    let scaled = u128::from(mean_ns) * u128::from(quantile(WAITING, random)) / u128::from(WAITING_MEAN);
    (scaled as u64).max(1)
}

fn quantile(shape: Shape, random: &mut Random) -> u64 {
    let at = random.below(u64::from(MILLION)) as u32;
    let above = shape.partition_point(|(position, _)| *position <= at).clamp(1, shape.len() - 1);
    let ((x0, y0), (x1, y1)) = (shape[above - 1], shape[above]);
    u64::from(y0) + u64::from(y1 - y0) * u64::from(at - x0) / u64::from(x1 - x0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_tails_are_where_the_tables_say() {
        let mut random = Random::stream(1, 0);
        let mut drawn: Vec<u64> = (0..100_000).map(|_| heavy(1_000).draw(&mut random)).collect();
        drawn.sort_unstable();
        assert!((970_000..1_030_000).contains(&drawn[50_000]), "{}", drawn[50_000]);
        assert!((10_000_000..12_500_000).contains(&drawn[99_000]), "{}", drawn[99_000]);
    }

    #[test]
    fn waiting_has_its_mean() {
        let mut random = Random::stream(2, 0);
        let sum: u64 = (0..100_000).map(|_| waiting(1_000_000, &mut random)).sum();
        assert!((990_000..1_010_000).contains(&(sum / 100_000)), "{}", sum / 100_000);
    }

    #[test]
    fn tables_rise_from_nothing_to_everything() {
        for shape in [STEADY, USUAL, HEAVY, WAITING] {
            assert_eq!((shape[0].0, shape[shape.len() - 1].0), (0, MILLION));
            assert!(shape.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
        }
    }
}
