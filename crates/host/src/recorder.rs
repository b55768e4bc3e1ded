//! The file that frames are written to when something happened that somebody will ask about.

use std::{
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use crate::{
    episode::{EndReason, Episode},
    lines,
    policy::Trigger,
};

/// Appends lines of JSON to a file: for each promotion a line that says why, and the frames of the ring that were not written before; in the end
/// one that says how the episode ended.
///
/// A promotion is one `write(2)`. What cannot be written is counted, and tried again with the next promotion as long as it is in the ring. A line
/// that a full disk, or the end of whoever wrote, has torn is closed before the next begins, and counted: what follows can be read.
#[derive(Debug)]
pub struct Recorder {
    file: File,
    /// The same file, to see how it ends; none where there is nothing to see: a pipe, a terminal.
    ending: Option<File>,
    next_seq: u64,
    lines: String,
    failures: u64,
    torn_lines: u64,
}

impl Recorder {
    /// Appends to a file, which is made if it is not there, for its owner alone.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn append(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let ending = if file.metadata()?.is_file() { File::open(path).ok() } else { None };
        Ok(Self { file, ending, next_seq: 0, lines: String::new(), failures: 0, torn_lines: 0 })
    }

    /// Times that something could not be written.
    pub(crate) fn failures(&self) -> u64 {
        self.failures
    }

    /// Lines that were found torn, and closed: each is none of JSON.
    pub(crate) fn torn_lines(&self) -> u64 {
        self.torn_lines
    }

    /// Writes what is new in the ring. Returns the bytes.
    pub(crate) fn promote(&mut self, episode: &Episode, trigger: Trigger) -> u64 {
        let mut lines = std::mem::take(&mut self.lines);
        self.begin(&mut lines);
        let begun = lines.len();
        let new = || episode.frames().filter(|frame| frame.seq >= self.next_seq);
        let (frames, first) = (new().count(), new().next().map_or(self.next_seq, |frame| frame.seq));
        // Gone from the ring before they could be written.
        let missed = first - self.next_seq;
        let (id, trigger) = (episode.id(), trigger.as_str());
        // Writing to a string does not fail.
        let _ = writeln!(
            lines,
            r#"{{"record":"promotion","episode_id":"{id}","trigger":"{trigger}","frames":{frames},"missed":{missed}}}"#
        );
        for frame in new() {
            let _ = writeln!(lines, "{frame}");
        }
        self.lines = lines;
        let written = self.write();
        // The first line is the promotion's own. What was written of a frame that is not whole is written anew.
        let whole = self.lines.as_bytes().get(begun..written).unwrap_or_default();
        let whole = whole.iter().filter(|byte| **byte == b'\n').count();
        if whole > 0 {
            self.next_seq = first + (whole as u64 - 1);
        }
        written as u64
    }

    /// Writes the last line. Returns the bytes.
    pub(crate) fn end(&mut self, episode: &Episode, reason: EndReason) -> u64 {
        let mut lines = std::mem::take(&mut self.lines);
        self.begin(&mut lines);
        lines::end(&mut lines, episode.id(), reason, episode.seq());
        self.lines = lines;
        self.write() as u64
    }

    /// Begins with the end of the line that stands last in the file, if that has none.
    fn begin(&mut self, lines: &mut String) {
        lines.clear();
        if self.ends_torn() {
            lines.push('\n');
        }
    }

    /// Whoever wrote to it: several may.
    fn ends_torn(&self) -> bool {
        use std::os::unix::fs::FileExt;
        let Some(ending) = &self.ending else { return false };
        let Some(last) = ending.metadata().ok().and_then(|found| found.len().checked_sub(1)) else {
            return false;
        };
        let mut byte = [0];
        matches!(ending.read_at(&mut byte, last), Ok(1)) && byte != *b"\n"
    }

    /// Writes as much as there is room for, and says how much that was.
    fn write(&mut self) -> usize {
        let (bytes, mut written) = (self.lines.as_bytes(), 0);
        while written < bytes.len() {
            match self.file.write(&bytes[written..]) {
                Ok(more @ 1..) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => {
                    self.failures = self.failures.saturating_add(1);
                    break;
                }
            }
        }
        self.torn_lines += u64::from(written > 0 && bytes.first() == Some(&b'\n'));
        written
    }
}
