//! Samples as they come: written down, and drawn in the end.

use std::{
    fmt::{Display, Write as _},
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use host::{TelemetryFrame, TelemetryHandle};
use serde_json::Value;

/// Points of the drawing that are kept: when there are more each second one goes.
const POINTS_MAX: usize = 1024;

/// What has been seen.
pub(super) struct Story {
    file: Option<Lines>,
    next_seq: u64,
    /// Frames that were overwritten before they were taken over.
    pub(super) missed: u64,
    /// Time and CPU time, in nanoseconds.
    points: Vec<(u64, u64)>,
    every: u64,
    /// The most resident memory, and the most processes, that a sample saw.
    pub(super) rss_bytes: u64,
    pub(super) processes: Option<u64>,
}

impl Story {
    /// Written to a file, if one is named.
    pub(super) fn of(path: Option<&Path>) -> Result<Self, String> {
        let file = path.map(Lines::create).transpose()?;
        Ok(Self { file, next_seq: 0, missed: 0, points: Vec::new(), every: 1, rss_bytes: 0, processes: None })
    }

    /// Takes over what is new, and shows it to `see`.
    pub(super) fn follow(&mut self, handle: &TelemetryHandle, mut see: impl FnMut(&TelemetryFrame)) {
        self.processes = handle.snapshot().most_processes;
        let known = self.next_seq;
        for frame in handle.frames().iter().skip_while(|frame| frame.seq < known) {
            self.missed += frame.seq - self.next_seq;
            self.next_seq = frame.seq + 1;
            self.take(frame);
            see(frame);
        }
        if let Some(file) = &mut self.file {
            file.write();
        }
    }

    fn take(&mut self, frame: &TelemetryFrame) {
        self.rss_bytes = self.rss_bytes.max(frame.mem_rss_bytes);
        if frame.seq.is_multiple_of(self.every) || frame.o11y_flags.terminal {
            self.points.push((frame.ts_mono, frame.cpu_ns));
        }
        if self.points.len() > POINTS_MAX {
            let mut at = 0;
            self.points.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.every *= 2;
        }
        if let Some(file) = &mut self.file {
            file.push(frame);
        }
    }

    /// CPU time by time, in as many equal parts as asked for. What was used between two samples is spread over the time between them.
    pub(super) fn cpu_by_time(&self, parts: usize) -> Vec<u64> {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else { return Vec::new() };
        let part_ns = ((last.0 - first.0) as f64 / parts as f64).max(1.0);
        let mut drawn = vec![0.0; parts];
        for two in self.points.windows(2) {
            let (from, to) = ((two[0].0 - first.0) as f64 / part_ns, (two[1].0 - first.0) as f64 / part_ns);
            let used = (two[1].1 - two[0].1) as f64;
            for (at, cell) in drawn.iter_mut().enumerate() {
                let shared = (to.min(at as f64 + 1.0) - from.max(at as f64)).max(0.0);
                *cell += if to > from { used * shared / (to - from) } else { 0.0 };
            }
        }
        drawn.into_iter().map(|used: f64| used as u64).collect()
    }

    /// How many points there are to draw.
    pub(super) fn points(&self) -> usize {
        self.points.len()
    }

    /// Writes the last line.
    pub(super) fn end(mut self, summary: &Value) -> Result<(), String> {
        self.file.take().map_or(Ok(()), |file| file.end(summary))
    }
}

/// A file of lines. Once something could not be written nothing more is, but for the last line.
struct Lines {
    path: PathBuf,
    file: File,
    pending: String,
    failed: Option<io::Error>,
    /// The last line has no end.
    is_torn: bool,
}

impl Lines {
    fn create(path: &Path) -> Result<Self, String> {
        match File::create(path) {
            Ok(file) => {
                Ok(Self { path: path.to_owned(), file, pending: String::new(), failed: None, is_torn: false })
            }
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    fn push(&mut self, line: impl Display) {
        if self.failed.is_none() {
            // A text takes whatever it is given.
            let _ = writeln!(self.pending, "{line}");
        }
    }

    fn write(&mut self) {
        let mut rest = self.pending.as_bytes();
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(written) if written > 0 => {
                    self.is_torn = rest[written - 1] != b'\n';
                    rest = &rest[written..];
                }
                Ok(_) => {
                    self.failed.get_or_insert(io::ErrorKind::WriteZero.into());
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed.get_or_insert(error);
                    break;
                }
            }
        }
        self.pending.clear();
    }

    /// Writes the last line, also where others are missing.
    fn end(mut self, last: &Value) -> Result<(), String> {
        self.write();
        let failed = self.failed.take();
        if self.is_torn {
            self.pending.push('\n');
        }
        self.push(last);
        self.write();
        match failed.or(self.failed) {
            Some(error) => Err(format!("{}: {error}", self.path.display())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_spread_over_the_time_in_which_it_was_used() {
        let mut story = Story::of(None).unwrap();
        // A quarter of the time at full speed, then a sample in the midst of nothing, then half speed.
        story.points = vec![(100, 0), (200, 100), (250, 100), (300, 100), (500, 200)];
        assert_eq!(story.cpu_by_time(4), [100, 0, 50, 50]);
        assert_eq!(story.cpu_by_time(2), [100, 100]);
        assert_eq!(story.cpu_by_time(8).iter().sum::<u64>(), 200);
        story.points.clear();
        assert!(story.cpu_by_time(4).is_empty());
    }

    #[test]
    fn after_a_failure_nothing_is_written_but_the_last_line_on_a_line_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let mut lines = Lines::create(&path).unwrap();
        lines.push("first");
        lines.write();
        // As a disk that was full in the midst of a line leaves it.
        lines.pending.push_str("torn");
        lines.write();
        lines.failed = Some(io::ErrorKind::StorageFull.into());
        lines.push("lost");
        lines.write();
        let told = lines.end(&serde_json::json!({"record": "summary"})).unwrap_err();
        assert!(told.starts_with(path.to_str().unwrap()), "{told}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\ntorn\n{\"record\":\"summary\"}\n");
    }

    #[test]
    fn points_are_bounded_and_the_last_stays() {
        let mut story = Story::of(None).unwrap();
        for seq in 0..100_000 {
            let frame = TelemetryFrame::builder(host::EpisodeId::from_u128(1), seq);
            story.take(&frame.ts_mono(seq * 10).cpu(seq, 0, 0).build());
        }
        assert!(story.points.len() <= POINTS_MAX, "{}", story.points.len());
        assert!(story.points.last().unwrap().1 > 99_000 && story.points[0].1 == 0);
        let drawn = story.cpu_by_time(10);
        assert!(drawn.iter().all(|part| part.abs_diff(drawn[0]) <= 1 + drawn[0] / 10), "{drawn:?}");
    }
}
