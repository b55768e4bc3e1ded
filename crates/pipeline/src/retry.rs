//! Whether, and when, to try again.

use std::time::Duration;

use crate::Outcome;

/// How failed sends are repeated: the keys, meanings and defaults of the Collector's `retry_on_failure`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetrySettings {
    /// Whether to try again at all.
    pub enabled: bool,
    /// The first interval.
    pub initial_interval: Duration,
    /// Each interval is drawn from `interval × (1 ± this)`. 0 to 1.
    pub randomization_factor: f64,
    /// Each interval is so many times the one before.
    pub multiplier: f64,
    /// No interval is longer than this, before it is randomised.
    pub max_interval: Duration,
    /// No attempt is made later than this after the first; zero means no such bound.
    pub max_elapsed_time: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            enabled: true,
            initial_interval: Duration::from_secs(5),
            randomization_factor: 0.5,
            multiplier: 1.5,
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Duration::from_secs(300),
        }
    }
}

/// What is known about an attempt that has just been answered.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Its number; the first is 1.
    pub number: u32,
    /// When the first one began, Unix nanoseconds.
    pub first_ns: u64,
    /// When its sender stops waiting, Unix nanoseconds.
    pub deadline_ns: Option<u64>,
}

/// What to do with an item after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is settled: delivered, removed, or refused for good.
    Settled,
    /// Try again, not before this time (Unix nanoseconds).
    Again(u64),
    /// Give up, although another attempt might have helped.
    GiveUp(GaveUp),
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// Retrying is switched off.
    Disabled,
    /// `max_elapsed_time` would be over by then.
    Elapsed,
    /// The sender would have stopped waiting by then.
    Deadline,
}

impl RetrySettings {
    /// The pause after attempt `number` (from 1) failed. `random` is uniform in [0, 1).
    ///
    /// ```
    /// use std::time::Duration;
    /// use aldis_pipeline::RetrySettings;
    ///
    /// let retry = RetrySettings::default();
    /// assert_eq!(retry.backoff(1, 0.5), Duration::from_secs(5));
    /// assert_eq!(retry.backoff(2, 0.5), Duration::from_millis(7500));
    /// assert_eq!(retry.backoff(99, 0.5), Duration::from_secs(30));
    /// assert_eq!(retry.backoff(1, 0.0), Duration::from_millis(2500));
    /// ```
    pub fn backoff(&self, number: u32, random: f64) -> Duration {
        let exponent = i32::try_from(number.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial_interval.as_secs_f64() * self.multiplier.max(1.0).powi(exponent);
        let interval = grown.min(self.max_interval.as_secs_f64());
        let spread = self.randomization_factor.clamp(0.0, 1.0);
        let drawn = interval * (1.0 - spread + 2.0 * spread * random.clamp(0.0, 1.0));
        Duration::try_from_secs_f64(drawn).unwrap_or(self.max_interval)
    }

    /// What to do after an attempt was answered. A pause the far side asked for is honoured where it is longer than ours.
    pub fn decide(&self, outcome: &Outcome, attempt: Attempt, now_ns: u64, random: f64) -> Verdict {
        let Outcome::Retry { after, .. } = outcome else { return Verdict::Settled };
        if !self.enabled {
            return Verdict::GiveUp(GaveUp::Disabled);
        }
        let pause = self.backoff(attempt.number, random).max(after.unwrap_or_default());
        let at_ns = now_ns.saturating_add(nanoseconds(pause));
        let elapsed = nanoseconds(self.max_elapsed_time);
        if elapsed > 0 && at_ns > attempt.first_ns.saturating_add(elapsed) {
            return Verdict::GiveUp(GaveUp::Elapsed);
        }
        if attempt.deadline_ns.is_some_and(|deadline_ns| at_ns > deadline_ns) {
            return Verdict::GiveUp(GaveUp::Deadline);
        }
        Verdict::Again(at_ns)
    }
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn busy(after: Option<u64>) -> Outcome {
        let after = after.map(Duration::from_secs);
        Outcome::Retry { after, maybe_delivered: false, overloaded: false, reason: "busy".to_owned() }
    }

    #[test]
    fn verdicts() {
        let retry = RetrySettings::default();
        let first = Attempt { number: 1, first_ns: 10 * SECOND, deadline_ns: None };
        let decide =
            |retry: &RetrySettings, outcome, attempt, now| retry.decide(&outcome, attempt, now * SECOND, 0.5);
        assert_eq!(decide(&retry, Outcome::DELIVERED, first, 10), Verdict::Settled);
        assert_eq!(
            decide(&retry, Outcome::Permanent { code: "400".into(), reason: String::new() }, first, 10),
            Verdict::Settled
        );
        assert_eq!(decide(&retry, busy(None), first, 11), Verdict::Again(16 * SECOND));
        assert_eq!(decide(&retry, busy(Some(2)), first, 11), Verdict::Again(16 * SECOND));
        assert_eq!(decide(&retry, busy(Some(60)), first, 11), Verdict::Again(71 * SECOND));
        assert_eq!(decide(&retry, busy(None), first, 305), Verdict::Again(310 * SECOND));
        assert_eq!(decide(&retry, busy(None), first, 306), Verdict::GiveUp(GaveUp::Elapsed));
        let forever = RetrySettings { max_elapsed_time: Duration::ZERO, ..retry };
        assert_eq!(decide(&forever, busy(None), first, 9000), Verdict::Again(9005 * SECOND));
        let off = RetrySettings { enabled: false, ..retry };
        assert_eq!(decide(&off, busy(None), first, 11), Verdict::GiveUp(GaveUp::Disabled));
        let pressed = Attempt { deadline_ns: Some(15 * SECOND), ..first };
        assert_eq!(decide(&retry, busy(None), pressed, 10), Verdict::Again(15 * SECOND));
        assert_eq!(decide(&retry, busy(None), pressed, 11), Verdict::GiveUp(GaveUp::Deadline));
    }

    proptest! {
        #[test]
        fn pauses_stay_in_their_band(number in any::<u32>(), random in 0.0..1.0f64) {
            let retry = RetrySettings::default();
            let middle = retry.backoff(number, 0.5);
            let drawn = retry.backoff(number, random);
            prop_assert!(middle <= retry.max_interval);
            prop_assert!(drawn >= middle.mul_f64(0.499) && drawn <= middle.mul_f64(1.501));
            prop_assert!(retry.backoff(number.saturating_add(1), 0.5) >= middle);
        }
    }
}
