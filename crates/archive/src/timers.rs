//! How long each stage was at work.

use std::{
    ops::AddAssign,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// What a pipeline does with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Taking bytes from the input.
    Read,
    /// zstd, on the way in.
    Compress,
    /// Encryption and the digest of the plaintext, on the way in.
    Encrypt,
    /// Decryption and the digest of the plaintext, on the way out.
    Decrypt,
    /// zstd, on the way out.
    Decompress,
    /// Handing bytes to the output.
    Write,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Stage; 6] =
        [Stage::Read, Stage::Compress, Stage::Encrypt, Stage::Decrypt, Stage::Decompress, Stage::Write];

    /// As fields and JSON call it.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Read => "read",
            Stage::Compress => "compress",
            Stage::Encrypt => "encrypt",
            Stage::Decrypt => "decrypt",
            Stage::Decompress => "decompress",
            Stage::Write => "write",
        }
    }
}

/// Busy time by stage, summed over all workers: the sum may exceed the time that has passed. In JSON, seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTimes {
    /// Taking bytes from the input.
    #[serde(with = "seconds")]
    pub read: Duration,
    /// zstd, on the way in.
    #[serde(with = "seconds")]
    pub compress: Duration,
    /// Encryption and the digest of the plaintext.
    #[serde(with = "seconds")]
    pub encrypt: Duration,
    /// Decryption and the digest of the plaintext.
    #[serde(with = "seconds")]
    pub decrypt: Duration,
    /// zstd, on the way out.
    #[serde(with = "seconds")]
    pub decompress: Duration,
    /// Handing bytes to the output.
    #[serde(with = "seconds")]
    pub write: Duration,
}

impl StageTimes {
    /// Adds to the time of one stage.
    pub fn add(&mut self, stage: Stage, busy: Duration) {
        let of = match stage {
            Stage::Read => &mut self.read,
            Stage::Compress => &mut self.compress,
            Stage::Encrypt => &mut self.encrypt,
            Stage::Decrypt => &mut self.decrypt,
            Stage::Decompress => &mut self.decompress,
            Stage::Write => &mut self.write,
        };
        *of = of.saturating_add(busy);
    }

    /// The time of one stage.
    pub fn get(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Read => self.read,
            Stage::Compress => self.compress,
            Stage::Encrypt => self.encrypt,
            Stage::Decrypt => self.decrypt,
            Stage::Decompress => self.decompress,
            Stage::Write => self.write,
        }
    }

    /// The time of all stages together.
    pub fn total(&self) -> Duration {
        self.iter().fold(Duration::ZERO, |sum, (_, busy)| sum.saturating_add(busy))
    }

    /// Every stage with its time.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, Duration)> {
        let times = *self;
        Stage::ALL.into_iter().map(move |stage| (stage, times.get(stage)))
    }
}

impl AddAssign for StageTimes {
    fn add_assign(&mut self, other: StageTimes) {
        for (stage, busy) in other.iter() {
            self.add(stage, busy);
        }
    }
}

/// A monotonic clock that was started, and the busy times that were measured since.
///
/// ```
/// use aldis_archive::{Stage, TelemetryTimer};
///
/// let mut timer = TelemetryTimer::new();
/// let sum: u64 = timer.measure(Stage::Compress, || (0..1000).sum());
/// assert_eq!(sum, 499_500);
/// assert!(timer.stage_times().compress <= timer.elapsed());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TelemetryTimer {
    started: Instant,
    times: StageTimes,
}

impl TelemetryTimer {
    /// Starts now.
    pub fn new() -> Self {
        Self { started: Instant::now(), times: StageTimes::default() }
    }

    /// Does work and adds the time that it took: two readings of the clock.
    pub fn measure<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.times.add(stage, begun.elapsed());
        done
    }

    /// Adds time that was measured elsewhere.
    pub fn add(&mut self, stage: Stage, busy: Duration) {
        self.times.add(stage, busy);
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Time since then.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Busy times so far.
    pub fn stage_times(&self) -> StageTimes {
        self.times
    }
}

impl Default for TelemetryTimer {
    fn default() -> Self {
        Self::new()
    }
}

/// Durations as seconds: what Python's `timedelta.total_seconds()` gives. Exact to the nanosecond up to fifty days.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_adds_to_its_own_field() {
        for (n, stage) in Stage::ALL.into_iter().enumerate() {
            let busy = Duration::from_nanos(n as u64 + 1);
            let mut times = StageTimes::default();
            times.add(stage, busy);
            times.add(stage, busy);
            assert_eq!((times.get(stage), times.total()), (busy * 2, busy * 2));
            let json = serde_json::to_value(times).unwrap();
            assert!(json[stage.name()].as_f64().unwrap() > 0.0, "{json}");
            assert_eq!(serde_json::to_value(stage).unwrap(), stage.name());
        }
    }

    #[test]
    fn a_timer_adds_what_it_measures() {
        let mut timer = TelemetryTimer::new();
        for _ in 0..2 {
            timer.measure(Stage::Read, || std::thread::sleep(Duration::from_millis(2)));
        }
        timer.add(Stage::Write, Duration::from_secs(7));
        let times = timer.stage_times();
        assert!(times.read >= Duration::from_millis(4) && times.read <= timer.elapsed());
        assert_eq!(times.write, Duration::from_secs(7));
        assert_eq!(times.total(), times.read + times.write);
        assert!(timer.started() <= Instant::now());
    }

    #[test]
    fn seconds_in_json_come_back_to_the_nanosecond() {
        for nanos in [0, 1, 999_999_999, 4_294_967_295_000_000_001, 40 * 86_400 * 1_000_000_000 + 7] {
            let times = StageTimes { read: Duration::from_nanos(nanos), ..StageTimes::default() };
            let back: StageTimes = serde_json::from_str(&serde_json::to_string(&times).unwrap()).unwrap();
            let exact = nanos < 1 << 52;
            assert!(!exact || back == times, "{nanos}");
        }
    }
}
