//! Appending lines, beside other processes that do the same.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    FILE_BYTES, FILE_BYTES_MAX, LINE_BYTES_MAX, ReviewerEvent, ReviewerProjectionEvent, lock, put_aside,
};

/// How every line begins.
const BEGINNING: &[u8] = br#"{"schema_version":"#;

/// When a line is on the disk, and not only with the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FsyncPolicy {
    /// When the kernel sees fit: a process that is killed loses nothing, a machine that loses power may.
    Never,
    /// When a run has ended, with all that was said before.
    #[default]
    Outcomes,
    /// With every line.
    Always,
}

/// How to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// Size, in bytes, beyond which the file is put aside under its name with `.1` behind it: 10 MiB; at least one longest line, at most
    /// [`FILE_BYTES_MAX`], which is what a reader reads.
    pub file_bytes: u64,
    /// When a line is on the disk.
    pub fsync: FsyncPolicy,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { file_bytes: FILE_BYTES, fsync: FsyncPolicy::default() }
    }
}

/// Why a line was not written. Nothing of it is in the file then.
#[derive(Debug)]
pub enum ReviewerError {
    /// The event is none, or an option is out of its bounds: mend the call.
    Invalid(String),
    /// The last line of the file is no event, so its number is not known: have a look at the file, or move it away.
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another process does not let go of the file: try again.
    Busy(PathBuf),
    /// The file system refuses: make room, or give the right to write.
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
}

impl fmt::Display for ReviewerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(reason) => f.write_str(reason),
            Self::Malformed { path, reason } => {
                write!(f, "{}: the last line is no event, move the file away: {reason}", path.display())
            }
            Self::Busy(path) => write!(f, "{}: another process writes and does not end", path.display()),
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for ReviewerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// What a writer has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Lines written.
    pub events: u64,
    /// Files put aside.
    pub rotations: u64,
    /// Bytes taken off the end of a file: what a process had written of a line when it died. It was told of no success.
    pub healed_bytes: u64,
}

/// Appends events to a file of lines of JSON; see the [module](super).
///
/// Any number of processes may write at once: a lock on the file beside it, `<path>.lock`, lets one in at a time, and each line is there whole
/// or not at all.
#[derive(Debug)]
pub struct ReviewerTelemetryWriter {
    path: PathBuf,
    options: WriterOptions,
    lock: File,
    /// The file as this writer left it.
    left: Option<Left>,
    stats: WriterStats,
}

#[derive(Debug)]
struct Left {
    file: File,
    /// Device and number: what tells a file from another that got its name.
    identity: (u64, u64),
    length: u64,
    /// The number of the last line, here or in the file that was put aside.
    seq: u64,
}

impl ReviewerTelemetryWriter {
    /// A writer. The file is made by the first event.
    ///
    /// # Errors
    /// `file_bytes` is out of its bounds, or the file for the lock cannot be made.
    pub fn open(path: impl Into<PathBuf>, options: WriterOptions) -> Result<Self, ReviewerError> {
        let path = path.into();
        if !(LINE_BYTES_MAX as u64..=FILE_BYTES_MAX).contains(&options.file_bytes) {
            let bounds =
                format!("file_bytes is {}: give {LINE_BYTES_MAX} to {FILE_BYTES_MAX}", options.file_bytes);
            return Err(ReviewerError::Invalid(bounds));
        }
        let lock =
            lock::for_writing(&path).map_err(|error| ReviewerError::Io { path: path.clone(), error })?;
        Ok(Self { path, options, lock, left: None, stats: WriterStats::default() })
    }

    /// Appends an event; `now` is its time. Returns its number: from 1, and one more than that of the line before it, whoever wrote that.
    ///
    /// # Errors
    /// See [`ReviewerError`]. The event is not in the file then; to emit it again is right.
    pub fn emit(&mut self, event: &ReviewerEvent, now: SystemTime) -> Result<u64, ReviewerError> {
        // Before anything is touched.
        ReviewerProjectionEvent::new(event, 1, now).map_err(ReviewerError::Invalid)?;
        lock::exclusive(&self.path, &mut self.lock).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => ReviewerError::Busy(self.path.clone()),
            _ => ReviewerError::Io { path: self.path.clone(), error },
        })?;
        let written = self.emit_alone(event, now);
        let unlocked = self.lock.unlock();
        if unlocked.is_err() {
            // What a lock file that cannot be unlocked keeps is let go of with the file.
            self.lock = lock::for_writing(&self.path).map_err(|error| self.io(error))?;
        }
        written
    }

    /// What has been written.
    pub fn stats(&self) -> WriterStats {
        self.stats
    }

    fn emit_alone(&mut self, event: &ReviewerEvent, now: SystemTime) -> Result<u64, ReviewerError> {
        let mut left = self.found()?;
        let seq = left.seq + 1;
        let line = ReviewerProjectionEvent::new(event, seq, now).map_err(ReviewerError::Invalid)?.to_line();
        if left.length > 0 && left.length + line.len() as u64 > self.options.file_bytes {
            left = self.rotate(&left)?;
        }
        let sync = match self.options.fsync {
            FsyncPolicy::Never => false,
            FsyncPolicy::Outcomes => event.kind.ends_the_run(),
            FsyncPolicy::Always => true,
        };
        let written = left.file.write_all(line.as_bytes());
        if let Err(error) = written.and_then(|()| if sync { left.file.sync_data() } else { Ok(()) }) {
            // If that fails too a line without its end is healed by the next writer.
            let _ = left.file.set_len(left.length);
            return Err(self.io(error));
        }
        left.length += line.len() as u64;
        left.seq = seq;
        self.left = Some(left);
        self.stats.events += 1;
        Ok(seq)
    }

    /// The file as it is now: others may have written to it, put it aside, or died as they wrote.
    fn found(&mut self) -> Result<Left, ReviewerError> {
        let known = self.left.take();
        let now = fs::metadata(&self.path).ok();
        if let (Some(left), Some(now)) = (known, now)
            && left.identity == (now.dev(), now.ino())
            && left.length == now.len()
        {
            return Ok(left);
        }
        let mut left = self.open_file()?;
        let healed = heal(&left.file, left.length).map_err(|error| self.io(error))?;
        left.length -= healed;
        self.stats.healed_bytes += healed;
        left.seq = match last_seq(&self.path, &left.file, left.length)? {
            Some(seq) => seq,
            None => self.seq_put_aside()?,
        };
        Ok(left)
    }

    fn open_file(&self) -> Result<Left, ReviewerError> {
        let opened = OpenOptions::new().create(true).append(true).read(true).open(&self.path);
        let file = opened.map_err(|error| self.io(error))?;
        let found = file.metadata().map_err(|error| self.io(error))?;
        if !found.is_file() {
            return Err(ReviewerError::Invalid(format!("{}: is no file", self.path.display())));
        }
        Ok(Left { identity: (found.dev(), found.ino()), length: found.len(), file, seq: 0 })
    }

    fn seq_put_aside(&self) -> Result<u64, ReviewerError> {
        let path = put_aside(&self.path);
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(ReviewerError::Io { path, error }),
            Ok(file) => {
                let length = file.metadata().map_err(|error| self.io(error))?.len();
                Ok(last_seq(&path, &file, length)?.unwrap_or(0))
            }
        }
    }

    /// Puts the file aside and makes a new one.
    fn rotate(&mut self, full: &Left) -> Result<Left, ReviewerError> {
        if self.options.fsync != FsyncPolicy::Never {
            full.file.sync_data().map_err(|error| self.io(error))?;
        }
        fs::rename(&self.path, put_aside(&self.path)).map_err(|error| self.io(error))?;
        self.stats.rotations += 1;
        let mut left = self.open_file()?;
        left.seq = full.seq;
        if self.options.fsync != FsyncPolicy::Never {
            sync_folder(&self.path).map_err(|error| self.io(error))?;
        }
        Ok(left)
    }

    fn io(&self, error: io::Error) -> ReviewerError {
        ReviewerError::Io { path: self.path.clone(), error }
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Takes off what stands behind the last end of a line, and says how much that was: the beginning of a line that was never told to be written.
/// Anything else is not ours, and stays.
fn heal(mut file: &File, length: u64) -> io::Result<u64> {
    let tail = tail(&mut file, length)?;
    let torn = tail.iter().rev().take_while(|byte| **byte != b'\n').count();
    let begun = &tail[tail.len() - torn..];
    let is_ours =
        begun.len() < LINE_BYTES_MAX && (begun.starts_with(BEGINNING) || BEGINNING.starts_with(begun));
    if torn == 0 || !is_ours {
        return Ok(0);
    }
    file.set_len(length - torn as u64)?;
    Ok(torn as u64)
}

/// The number of the last line; `None` if there is no line.
fn last_seq(path: &Path, mut file: &File, length: u64) -> Result<Option<u64>, ReviewerError> {
    let error = |error| ReviewerError::Io { path: path.to_owned(), error };
    let tail = tail(&mut file, length).map_err(error)?;
    let tail = tail.strip_suffix(b"\n").unwrap_or(&tail);
    if tail.is_empty() && length == 0 {
        return Ok(None);
    }
    let line = tail.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    match ReviewerProjectionEvent::parse(line) {
        Ok(event) => Ok(Some(event.seq)),
        Err(reason) => Err(ReviewerError::Malformed { path: path.to_owned(), reason }),
    }
}

/// The end of a file: longer than any line.
fn tail(file: &mut &File, length: u64) -> io::Result<Vec<u8>> {
    let size = length.min(LINE_BYTES_MAX as u64 + 1);
    file.seek(SeekFrom::Start(length - size))?;
    let mut tail = Vec::with_capacity(LINE_BYTES_MAX + 1);
    file.take(size).read_to_end(&mut tail)?;
    Ok(tail)
}
