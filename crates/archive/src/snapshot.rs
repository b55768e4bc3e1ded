//! An immutable copy of what was counted and measured.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    counters::TelemetryCounters,
    timers::{Stage, StageTimes, TelemetryTimer, seconds},
};

/// Which way a pipeline goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Plaintext becomes an archive.
    Seal,
    /// An archive becomes plaintext.
    Open,
}

impl Direction {
    /// The stages that every pipeline of this direction has.
    pub fn stages(self) -> [Stage; 4] {
        match self {
            Direction::Seal => [Stage::Read, Stage::Compress, Stage::Encrypt, Stage::Write],
            Direction::Open => [Stage::Read, Stage::Decrypt, Stage::Decompress, Stage::Write],
        }
    }
}

/// Where the result went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
}

/// What a pipeline did, at its end. Always finite; in JSON, times are seconds.
///
/// ```
/// use aldis_archive::{Direction, TelemetryCounters, TelemetrySnapshot};
///
/// let mut counters = TelemetryCounters::new();
/// counters.add_header(96);
/// counters.add_encrypt_data(4000, 1000, 32);
/// counters.add_digest(72);
/// counters.add_terminator(72);
/// counters.end();
/// let snapshot = TelemetrySnapshot::from(counters).attach_output("a.sealed", 1272);
/// assert_eq!(snapshot.compression_ratio, 0.25);
/// assert!(snapshot.sanity_check().is_empty());
/// assert!(!snapshot.has_all_stages(Direction::Seal), "nothing was measured");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TelemetrySnapshot {
    /// Frames that hold a part of the stream.
    pub frames_data: u64,
    /// Frames that end an archive.
    pub frames_terminator: u64,
    /// Frames that hold the digest of the plaintext.
    pub frames_digest: u64,
    /// Bytes of the stream as it was given, or came back.
    pub bytes_plaintext: u64,
    /// Bytes of the stream after compression.
    pub bytes_compressed: u64,
    /// Bytes of the archive: compressed and overhead.
    pub bytes_ciphertext: u64,
    /// Bytes of the archive that are no part of the stream.
    pub bytes_overhead: u64,
    /// Compressed by plaintext bytes: below 1 is good; 0 where there is no plaintext.
    pub compression_ratio: f64,
    /// Plaintext bytes by seconds that have passed; 0 where no time has.
    pub throughput_bytes_per_sec: f64,
    /// Busy time by stage, summed over workers.
    pub stage_times: StageTimes,
    /// Time that has passed from start to end.
    #[serde(with = "seconds")]
    pub elapsed: Duration,
    /// Where the result went, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
}

/// A sum of a snapshot that does not close. It is a bug of whoever counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Violation {
    /// `bytes_ciphertext` is not `bytes_compressed + bytes_overhead`.
    Ciphertext,
    /// Bytes without a data frame, or data frames without bytes.
    Frames,
    /// More bytes after compression than before: what does not become smaller is stored as it is.
    Grown,
    /// Not exactly one terminator.
    Terminator,
    /// Not exactly one digest.
    Digest,
    /// `compression_ratio` is not what the bytes say, or is not finite.
    Ratio,
    /// `throughput_bytes_per_sec` is not what bytes and time say, or is not finite.
    Throughput,
    /// The output is as long as neither the archive nor the plaintext.
    Output,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Violation::Ciphertext => "bytes_ciphertext is not bytes_compressed + bytes_overhead",
            Violation::Frames => "bytes_plaintext and frames_data do not fit together",
            Violation::Grown => "bytes_compressed exceeds bytes_plaintext",
            Violation::Terminator => "frames_terminator is not 1",
            Violation::Digest => "frames_digest is not 1",
            Violation::Ratio => "compression_ratio is not bytes_compressed / bytes_plaintext",
            Violation::Throughput => "throughput_bytes_per_sec is not bytes_plaintext / elapsed",
            Violation::Output => "the output is as long as neither the archive nor the plaintext",
        })
    }
}

impl TelemetrySnapshot {
    /// Every identity of a whole archive that does not hold.
    pub fn sanity_check(&self) -> Vec<Violation> {
        let sum = self.bytes_compressed.checked_add(self.bytes_overhead);
        let is_output_known = self
            .output
            .as_ref()
            .is_none_or(|output| [self.bytes_ciphertext, self.bytes_plaintext].contains(&output.bytes));
        let rules = [
            (sum == Some(self.bytes_ciphertext), Violation::Ciphertext),
            ((self.frames_data == 0) == (self.bytes_plaintext == 0), Violation::Frames),
            (self.bytes_compressed <= self.bytes_plaintext, Violation::Grown),
            (self.frames_terminator == 1, Violation::Terminator),
            (self.frames_digest == 1, Violation::Digest),
            (
                same(self.compression_ratio, ratio(self.bytes_compressed, self.bytes_plaintext)),
                Violation::Ratio,
            ),
            (
                same(self.throughput_bytes_per_sec, rate(self.bytes_plaintext, self.elapsed)),
                Violation::Throughput,
            ),
            (is_output_known, Violation::Output),
        ];
        rules.into_iter().filter(|(holds, _)| !holds).map(|(_, violation)| violation).collect()
    }

    /// Whether every stage of this direction was measured.
    pub fn has_all_stages(&self, direction: Direction) -> bool {
        direction.stages().into_iter().all(|stage| !self.stage_times.get(stage).is_zero())
    }

    /// Says where the result went, and how long that file is.
    #[must_use]
    pub fn attach_output(mut self, path: impl AsRef<Path>, bytes: u64) -> Self {
        self.output = Some(Output { path: path.as_ref().to_owned(), bytes });
        self
    }
}

impl From<&TelemetryCounters> for TelemetrySnapshot {
    /// If the counters' clock still runs, as if it ended now.
    fn from(counters: &TelemetryCounters) -> Self {
        let elapsed = match counters.end_time {
            Some(end) => end.saturating_duration_since(counters.start_time),
            None => counters.start_time.elapsed(),
        };
        Self {
            frames_data: counters.frames_data,
            frames_terminator: counters.frames_terminator,
            frames_digest: counters.frames_digest,
            bytes_plaintext: counters.bytes_plaintext,
            bytes_compressed: counters.bytes_compressed,
            bytes_ciphertext: counters.bytes_ciphertext,
            bytes_overhead: counters.bytes_overhead,
            compression_ratio: ratio(counters.bytes_compressed, counters.bytes_plaintext),
            throughput_bytes_per_sec: rate(counters.bytes_plaintext, elapsed),
            stage_times: counters.stage_times,
            elapsed,
            output: None,
        }
    }
}

impl From<TelemetryCounters> for TelemetrySnapshot {
    fn from(counters: TelemetryCounters) -> Self {
        Self::from(&counters)
    }
}

impl From<(TelemetryCounters, TelemetryTimer)> for TelemetrySnapshot {
    fn from((mut counters, timer): (TelemetryCounters, TelemetryTimer)) -> Self {
        counters.add_timer(&timer);
        Self::from(&counters)
    }
}

fn ratio(compressed: u64, plaintext: u64) -> f64 {
    if plaintext == 0 { 0.0 } else { compressed as f64 / plaintext as f64 }
}

fn rate(bytes: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { bytes as f64 / elapsed.as_secs_f64() }
}

/// Equal but for what a number loses on its way through JSON.
fn same(a: f64, b: f64) -> bool {
    a.is_finite() && (a - b).abs() <= b.abs() * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> TelemetryCounters {
        let mut counters = TelemetryCounters::new();
        counters.add_header(96);
        counters.add_encrypt_data(4000, 1000, 32);
        counters.add_digest(72);
        counters.add_terminator(72);
        counters.end_time = Some(counters.start_time + Duration::from_secs(2));
        counters
    }

    #[test]
    fn ratio_and_throughput_are_what_they_say() {
        let snapshot = TelemetrySnapshot::from(whole());
        assert_eq!((snapshot.compression_ratio, snapshot.throughput_bytes_per_sec), (0.25, 2000.0));
        assert_eq!((snapshot.elapsed, snapshot.sanity_check()), (Duration::from_secs(2), vec![]));
        let mut nothing = TelemetryCounters::new();
        nothing.end_time = Some(nothing.start_time);
        let nothing = TelemetrySnapshot::from(nothing);
        assert_eq!((nothing.compression_ratio, nothing.throughput_bytes_per_sec), (0.0, 0.0));
        assert_eq!(nothing.sanity_check(), [Violation::Terminator, Violation::Digest]);
    }

    #[test]
    fn every_identity_that_does_not_hold_is_told() {
        let good = TelemetrySnapshot::from(whole());
        let broken = |change: fn(&mut TelemetrySnapshot)| {
            let mut snapshot = good.clone();
            change(&mut snapshot);
            snapshot.sanity_check()
        };
        assert_eq!(broken(|s| s.bytes_ciphertext += 1), [Violation::Ciphertext]);
        assert_eq!(broken(|s| s.frames_data = 0), [Violation::Frames]);
        assert_eq!(broken(|s| s.frames_terminator = 2), [Violation::Terminator]);
        assert_eq!(broken(|s| s.frames_digest = 0), [Violation::Digest]);
        assert_eq!(broken(|s| s.compression_ratio = f64::NAN), [Violation::Ratio]);
        assert_eq!(broken(|s| s.throughput_bytes_per_sec = f64::INFINITY), [Violation::Throughput]);
        assert_eq!(
            broken(|s| (s.bytes_compressed, s.bytes_overhead) = (u64::MAX, 2)),
            [Violation::Ciphertext, Violation::Grown, Violation::Ratio,]
        );
        assert_eq!(good.clone().attach_output("x", 7).sanity_check(), [Violation::Output]);
        assert_eq!(good.clone().attach_output("x", 1272).sanity_check(), []);
        assert_eq!(good.attach_output("x", 4000).sanity_check(), []);
        assert!([Violation::Ciphertext, Violation::Output].iter().all(|v| v.to_string().len() > 20));
    }

    #[test]
    fn all_stages_means_those_of_the_direction() {
        for direction in [Direction::Seal, Direction::Open] {
            let mut timer = TelemetryTimer::new();
            for stage in direction.stages() {
                assert!(!TelemetrySnapshot::from((whole(), timer)).has_all_stages(direction));
                timer.add(stage, Duration::from_nanos(1));
            }
            let snapshot = TelemetrySnapshot::from((whole(), timer));
            assert!(snapshot.has_all_stages(direction));
            assert_eq!(snapshot.stage_times, timer.stage_times());
        }
    }

    #[test]
    fn a_snapshot_comes_back_from_json_with_the_names_of_its_fields() {
        let snapshot = TelemetrySnapshot::from(whole()).attach_output("a.sealed", 1272);
        let json = serde_json::to_value(&snapshot).unwrap();
        assert_eq!(json["elapsed"], 2.0);
        assert_eq!(json["output"]["bytes"], 1272);
        let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        for name in ["bytes_overhead", "compression_ratio", "frames_digest", "stage_times"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert_eq!(serde_json::from_value::<TelemetrySnapshot>(json).unwrap(), snapshot);
    }
}
