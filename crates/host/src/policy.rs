//! How often an episode is looked at, how much is kept, and when that is written down.

use std::fmt;

use crate::limits::{
    MAX_RING_BUFFER_CAPACITY, MAX_SAMPLE_PERIOD_MS, MIN_RING_BUFFER_CAPACITY, MIN_SAMPLE_PERIOD_MS,
};

/// What has the frames of the ring written to the recorder's file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PromoteTriggers {
    /// The episode ended otherwise than it should: a signal, an exit code, an exhausted budget, a scope that somebody removed.
    pub abnormal_end: bool,
    /// A budget is used up to so many percent. Once.
    pub budget_percent: Option<u8>,
    /// Some task stood still for want of a resource for so many percent of the last ten seconds, as the kernel tells in each sample: a stall
    /// between two of them is seen in the next. Again once it was less.
    pub pressure_percent: Option<u8>,
    /// So many frames have come since the last time.
    pub every_frames: Option<u32>,
    /// The episode ended, however it did.
    pub termination: bool,
}

/// A trigger that fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// [`PromoteTriggers::abnormal_end`].
    AbnormalEnd,
    /// [`PromoteTriggers::budget_percent`].
    Budget,
    /// [`PromoteTriggers::pressure_percent`].
    Pressure,
    /// [`PromoteTriggers::every_frames`].
    EveryFrames,
    /// [`PromoteTriggers::termination`].
    Termination,
}

impl Trigger {
    /// As it stands in a recorder's file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AbnormalEnd => "abnormal_end",
            Self::Budget => "budget",
            Self::Pressure => "pressure",
            Self::EveryFrames => "every_frames",
            Self::Termination => "termination",
        }
    }
}

/// How an episode is watched.
///
/// - INV-TL06: the period is between [`MIN_SAMPLE_PERIOD_MS`] and [`MAX_SAMPLE_PERIOD_MS`].
/// - INV-TL07: the ring holds between [`MIN_RING_BUFFER_CAPACITY`] and [`MAX_RING_BUFFER_CAPACITY`] frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelemetryPolicy {
    /// Milliseconds between two samples. A budget that might be used up sooner is looked at sooner.
    pub sample_period_ms: u64,
    /// Frames that are kept; then the oldest goes, and is counted.
    pub ring_buffer_capacity: usize,
    /// From so many percent of any budget on the period is a quarter.
    pub high_freq_threshold_percent: u8,
    /// What has the ring written down.
    pub promote_triggers: PromoteTriggers,
}

/// Ten samples a second, of which a minute is kept; four times as many from 80 % of a budget on; nothing is written down.
impl Default for TelemetryPolicy {
    fn default() -> Self {
        Self {
            sample_period_ms: 100,
            ring_buffer_capacity: 600,
            high_freq_threshold_percent: 80,
            promote_triggers: PromoteTriggers::default(),
        }
    }
}

/// A policy that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyError {
    /// INV-TL06.
    SamplePeriod {
        /// What was asked for.
        ms: u64,
    },
    /// INV-TL07.
    RingBufferCapacity {
        /// What was asked for.
        frames: usize,
    },
    /// A percentage is not between 1 and 100.
    Percent {
        /// Which.
        of: &'static str,
        /// What was asked for.
        percent: u8,
    },
    /// A ring that is to be written after more frames than it holds would lose some each time, or after none.
    EveryFrames {
        /// What was asked for.
        frames: u32,
    },
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SamplePeriod { ms } => write!(
                f,
                "sample_period_ms is {ms}: it must be between {MIN_SAMPLE_PERIOD_MS} and {MAX_SAMPLE_PERIOD_MS}"
            ),
            Self::RingBufferCapacity { frames } => write!(
                f,
                "ring_buffer_capacity is {frames}: it must be between {MIN_RING_BUFFER_CAPACITY} and {MAX_RING_BUFFER_CAPACITY}"
            ),
            Self::Percent { of, percent } => write!(f, "{of} is {percent}: it must be between 1 and 100"),
            Self::EveryFrames { frames } => {
                write!(f, "every_frames is {frames}: it must be between 1 and ring_buffer_capacity")
            }
        }
    }
}

impl std::error::Error for PolicyError {}

impl TelemetryPolicy {
    /// Begins with the default.
    #[must_use]
    pub fn builder() -> TelemetryPolicyBuilder {
        TelemetryPolicyBuilder { policy: Self::default() }
    }

    /// Whether it is one: its fields are open, so that whoever takes a policy asks.
    ///
    /// # Errors
    /// A number is out of its bounds.
    pub fn check(&self) -> Result<(), PolicyError> {
        if !(MIN_SAMPLE_PERIOD_MS..=MAX_SAMPLE_PERIOD_MS).contains(&self.sample_period_ms) {
            return Err(PolicyError::SamplePeriod { ms: self.sample_period_ms });
        }
        let frames = self.ring_buffer_capacity;
        if !(MIN_RING_BUFFER_CAPACITY..=MAX_RING_BUFFER_CAPACITY).contains(&frames) {
            return Err(PolicyError::RingBufferCapacity { frames });
        }
        let triggers = self.promote_triggers;
        for (of, percent) in [
            ("high_freq_threshold_percent", Some(self.high_freq_threshold_percent)),
            ("budget_percent", triggers.budget_percent),
            ("pressure_percent", triggers.pressure_percent),
        ] {
            if let Some(percent) = percent.filter(|percent| !(1..=100).contains(percent)) {
                return Err(PolicyError::Percent { of, percent });
            }
        }
        match triggers.every_frames {
            Some(every) if every == 0 || every as usize > frames => {
                Err(PolicyError::EveryFrames { frames: every })
            }
            _ => Ok(()),
        }
    }
}

/// Makes a [`TelemetryPolicy`].
///
/// ```
/// use aldis_host::{PolicyError, TelemetryPolicy};
///
/// let policy = TelemetryPolicy::builder().sample_period_ms(10).ring_buffer_capacity(1000).build()?;
/// assert_eq!(policy.high_freq_threshold_percent, 80);
/// let wrong = TelemetryPolicy::builder().sample_period_ms(0).build();
/// assert_eq!(wrong, Err(PolicyError::SamplePeriod { ms: 0 }));
/// # Ok::<(), PolicyError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TelemetryPolicyBuilder {
    policy: TelemetryPolicy,
}

impl TelemetryPolicyBuilder {
    /// Milliseconds between two samples.
    #[must_use]
    pub fn sample_period_ms(mut self, ms: u64) -> Self {
        self.policy.sample_period_ms = ms;
        self
    }

    /// Frames that are kept.
    #[must_use]
    pub fn ring_buffer_capacity(mut self, frames: usize) -> Self {
        self.policy.ring_buffer_capacity = frames;
        self
    }

    /// From so many percent of any budget on the period is a quarter.
    #[must_use]
    pub fn high_freq_threshold_percent(mut self, percent: u8) -> Self {
        self.policy.high_freq_threshold_percent = percent;
        self
    }

    /// What has the ring written down.
    #[must_use]
    pub fn promote_triggers(mut self, triggers: PromoteTriggers) -> Self {
        self.policy.promote_triggers = triggers;
        self
    }

    /// The policy.
    ///
    /// # Errors
    /// A number is out of its bounds.
    pub fn build(self) -> Result<TelemetryPolicy, PolicyError> {
        self.policy.check().map(|()| self.policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// INV-TL06: the sample period is bounded.
    #[test]
    fn inv_tl06_the_sample_period_is_bounded() {
        let with = |ms| TelemetryPolicy::builder().sample_period_ms(ms).build();
        for ms in [MIN_SAMPLE_PERIOD_MS, MAX_SAMPLE_PERIOD_MS] {
            assert_eq!(with(ms).map(|policy| policy.sample_period_ms), Ok(ms));
        }
        for ms in [0, MIN_SAMPLE_PERIOD_MS - 1, MAX_SAMPLE_PERIOD_MS + 1, u64::MAX] {
            assert_eq!(with(ms), Err(PolicyError::SamplePeriod { ms }));
        }
        assert_eq!(MIN_SAMPLE_PERIOD_MS, 1);
    }

    /// INV-TL07: the capacity of the ring is bounded.
    #[test]
    fn inv_tl07_the_ring_buffer_capacity_is_bounded() {
        let with = |frames| TelemetryPolicy::builder().ring_buffer_capacity(frames).build();
        for frames in [MIN_RING_BUFFER_CAPACITY, MAX_RING_BUFFER_CAPACITY] {
            assert_eq!(with(frames).map(|policy| policy.ring_buffer_capacity), Ok(frames));
        }
        for frames in [0, MIN_RING_BUFFER_CAPACITY - 1, MAX_RING_BUFFER_CAPACITY + 1, usize::MAX] {
            assert_eq!(with(frames), Err(PolicyError::RingBufferCapacity { frames }));
        }
    }

    #[test]
    fn percentages_and_intervals_are_bounded() {
        let with =
            |triggers| TelemetryPolicy::builder().promote_triggers(triggers).ring_buffer_capacity(10).build();
        let none = PromoteTriggers::default();
        for percent in [0, 101, 255] {
            let threshold = TelemetryPolicy::builder().high_freq_threshold_percent(percent).build();
            assert!(matches!(threshold, Err(PolicyError::Percent { .. })));
            for triggers in [
                PromoteTriggers { budget_percent: Some(percent), ..none },
                PromoteTriggers { pressure_percent: Some(percent), ..none },
            ] {
                let error = with(triggers).unwrap_err();
                assert!(error.to_string().contains(&percent.to_string()), "{error}");
            }
        }
        for (every, fits) in [(0, false), (1, true), (10, true), (11, false)] {
            let triggers = PromoteTriggers { every_frames: Some(every), ..none };
            let refused = if fits { Ok(()) } else { Err(PolicyError::EveryFrames { frames: every }) };
            let open = TelemetryPolicy {
                ring_buffer_capacity: 10,
                promote_triggers: triggers,
                ..Default::default()
            };
            assert_eq!((open.check(), with(triggers)), (refused, refused.map(|()| open)), "{every}");
        }
    }
}
