//! One file that is followed.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use otlp::Signal;

use super::{
    Next, ReadSettings, RecordFile, checkpoint::Entry, identity::Fingerprint, progress::Progress,
    receiver::FileReceiverConfig,
};
use crate::limits::FILE_TAIL_BYTES;

/// An open file, wherever it is moved.
#[derive(Debug)]
pub(super) struct Follow {
    /// Where it was seen last.
    pub(super) path: PathBuf,
    pub(super) inode: (u64, u64),
    pub(super) progress: Progress,
    /// Whether it is at its path no longer: it is read to its end and let go.
    pub(super) is_gone: bool,
    /// Whether it has been read to its end, or cannot be read any further.
    pub(super) is_over: bool,
    file: File,
    fingerprint: Fingerprint,
    records: RecordFile,
    /// How far it had come when that was looked at last, and the bytes before.
    marked: (u64, Vec<u8>),
    /// Its length when it was looked at last.
    length: u64,
    /// Up to where, in its own bytes, everything has been read.
    pub(super) read_to: Option<u64>,
}

/// What a look at a file that is being followed found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The same file, perhaps longer.
    Same,
    /// What was there has been replaced: it was cut and perhaps written again.
    Replaced,
}

impl Follow {
    /// Opens a file that is to be read from `offset`; its end if `None`.
    pub(super) fn open(path: &Path, config: &FileReceiverConfig, offset: Option<u64>) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let fingerprint = Fingerprint::of(&file, config.fingerprint_bytes)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let by_name = Signal::ALL.into_iter().find(|signal| name.contains(signal.name()));
        let settings = ReadSettings {
            signal: config.signal.or(by_name),
            form: config.form,
            max_bytes: config.max_request_bytes,
            follows: true,
        };
        // A handle of its own: duplicates share their position.
        let mut records = RecordFile::of(File::open(path)?, settings, offset.unwrap_or(0))?;
        if offset.is_none() {
            records.skip_to_end()?;
        }
        let progress = Progress::at(records.offset());
        let mut follow = Self {
            path: path.to_owned(),
            inode: inode(&metadata),
            progress,
            is_gone: false,
            is_over: false,
            file,
            fingerprint,
            records,
            length: metadata.len(),
            marked: (0, Vec::new()),
            read_to: None,
        };
        follow.mark();
        Ok(follow)
    }

    /// Looks whether it is what it was.
    pub(super) fn look(&mut self, most: usize) -> io::Result<Seen> {
        let length = self.file.metadata()?.len();
        let is_shorter = length < self.length;
        self.length = length;
        if is_shorter {
            return Ok(Seen::Replaced);
        }
        let now = Fingerprint::of(&self.file, most)?;
        if !self.fingerprint.is_empty() && !self.fingerprint.became(&now) {
            return Ok(Seen::Replaced);
        }
        self.fingerprint = now;
        Ok(Seen::Same)
    }

    /// Its length, in its own bytes.
    pub(super) fn length_now(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    /// What comes next in it, and the offset behind that.
    pub(super) fn read(&mut self) -> io::Result<(Next, u64)> {
        if self.is_gone {
            self.records.finish();
        }
        let next = self.records.read()?;
        Ok((next, self.records.offset()))
    }

    /// Notes how far it has come.
    pub(super) fn mark(&mut self) {
        let offset = self.progress.settled_to();
        if offset == self.marked.0 {
            return;
        }
        let mut tail = Vec::new();
        if !self.fingerprint.is_packed() {
            tail.resize(usize::try_from(offset).unwrap_or(usize::MAX).min(FILE_TAIL_BYTES), 0);
            let from = offset - tail.len() as u64;
            if self.file.read_exact_at(&mut tail, from).is_err() {
                // It was cut: what was noted before stays true of a copy.
                return;
            }
        }
        self.marked = (offset, tail);
    }

    /// Whether it has no name any more.
    pub(super) fn is_removed(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// How far it had come when that was noted last.
    pub(super) fn entry(&self) -> Entry {
        Entry {
            offset: self.marked.0,
            tail: self.marked.1.clone(),
            inode: self.inode,
            fingerprint: self.fingerprint.clone(),
            path: self.path.clone(),
        }
    }

    /// Removes it, if it still is what was read, all of it.
    pub(super) fn remove(&self) -> io::Result<bool> {
        let there = fs::metadata(&self.path)?;
        if inode(&there) != self.inode || Some(there.len()) != self.read_to {
            return Ok(false);
        }
        fs::remove_file(&self.path).map(|()| true)
    }
}

pub(super) fn inode(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
