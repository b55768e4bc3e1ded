//! How hard to sample when a queue fills up.

use super::Threshold;

/// How full a queue may be before sampling begins.
pub const DEFAULT_LOW_WATER: f64 = 0.5;

/// Halvings of the probability between the low-water mark and a full queue: at worst one record in 1024 is kept.
pub const DEFAULT_HALVINGS: u32 = 10;

/// Turns the fullness of a queue into a sampling threshold.
///
/// Below the low-water mark everything is kept. Above it the probability halves in equal steps of fullness, down to a
/// floor that is never zero when the queue is full. A queue adds up what its consumer cannot take, so it settles where
/// the share kept is what the consumer takes, for any overload up to 2^`halvings`; since it is far from empty there, the
/// consumer never waits and nothing of its capacity is wasted, coarse as the steps are.
///
/// Steps and hysteresis keep the threshold still: the batches that carry one trace should meet the same one. It rises as
/// soon as fullness reaches the next step, and falls again only when fullness has gone half a step below the one it is
/// on. Whatever it is, counts stay unbiased, because it depends on nothing that the randomness of a trace is part of.
///
/// ```
/// use aldis_operators::sample::Pressure;
///
/// let mut pressure = Pressure::default();
/// assert_eq!(pressure.step(0.49).to_string(), "0");
/// assert_eq!(pressure.step(0.61).to_string(), "c"); // two halvings: a quarter is kept
/// assert_eq!(pressure.step(0.59).to_string(), "c"); // not yet far enough below 0.60
/// assert_eq!(pressure.step(0.57).to_string(), "8");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pressure {
    low_water: f64,
    halvings: u32,
    /// The step it is on: how often the probability is halved.
    level: u32,
}

impl Default for Pressure {
    fn default() -> Self {
        Self::new(DEFAULT_LOW_WATER, DEFAULT_HALVINGS)
    }
}

impl Pressure {
    /// Sampling begins at `low_water` (a fullness; put into 0 ..= 0.99) and halves the probability `halvings` times
    /// (put into 1 ..= 55) on the way to a full queue.
    pub fn new(low_water: f64, halvings: u32) -> Self {
        let low_water = if low_water.is_nan() { DEFAULT_LOW_WATER } else { low_water.clamp(0.0, 0.99) };
        Self { low_water, halvings: halvings.clamp(1, 55), level: 0 }
    }

    /// The threshold for this fullness (0 is empty, 1 is full), whatever was before. Never falls as fullness rises.
    pub fn at(&self, fullness: f64) -> Threshold {
        keep_one_in_two_to_the(self.level_at(fullness))
    }

    /// The threshold to use now, with hysteresis.
    pub fn step(&mut self, fullness: f64) -> Threshold {
        let half_a_step = (1.0 - self.low_water) / f64::from(self.halvings) / 2.0;
        let rising = self.level_at(fullness);
        let falling = self.level_at(fullness + half_a_step);
        self.level = self.level.clamp(rising, falling);
        keep_one_in_two_to_the(self.level)
    }

    fn level_at(&self, fullness: f64) -> u32 {
        // Not a number is read as full: rather too little than a queue that overflows.
        if fullness.is_nan() {
            return self.halvings;
        }
        let over = (fullness - self.low_water) / (1.0 - self.low_water);
        // The last step is reached when the queue is full. Below the mark this is negative, which is cast to 0.
        ((over * f64::from(self.halvings)) as u32).min(self.halvings)
    }
}

fn keep_one_in_two_to_the(halvings: u32) -> Threshold {
    let rejected = (1_u64 << 56) - (1_u64 << (56 - halvings));
    Threshold::from_bits(rejected).unwrap_or(Threshold::ALWAYS)
}
