//! A file that requests are appended to, whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{Form, Rotation, backups, sealing::Sealing};
use crate::limits::{FILE_READ_BYTES, MAX_FRAME_LENGTH};

/// Permissions of the files that are made, before the process' mask: those of the Collector's.
const FILE_MODE: u32 = 0o644;

/// An open file and what has been written to it.
pub(super) struct Output {
    path: PathBuf,
    form: Form,
    rotation: Option<Rotation>,
    /// Permissions of folders that are made where they are missing.
    folder_mode: Option<u32>,
    file: File,
    identity: (u64, u64),
    /// Bytes up to the end of the last whole request.
    length: u64,
    /// What is to be done before anything is appended.
    mend: Option<Mend>,
    /// What seals files that were moved away.
    sealing: Option<Sealing>,
}

/// What makes the next request begin where one may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mend {
    /// What stands behind the last whole request is taken off.
    Cut,
    /// The last line is ended: readers pass over a torn one, and one that only lacks its line feed is whole.
    EndLine,
}

impl Output {
    /// Opens the file, or makes it. What it has is as it was until [`begin`](Output::begin); then it is kept if `keeps`, but for
    /// a request that was torn.
    pub(super) fn open(
        path: &Path,
        form: Form,
        rotation: Option<Rotation>,
        folder_mode: Option<u32>,
        keeps: bool,
    ) -> io::Result<Self> {
        let file = append_to(path, folder_mode)?;
        let metadata = file.metadata()?;
        let (length, mend) = match (metadata.len(), keeps) {
            // What is empty, as pipes and terminals are, need not be emptied, and they cannot be.
            (0, _) => (0, None),
            (_, false) => (0, Some(Mend::Cut)),
            (length, true) => whole(path, &file, form, length)?,
        };
        let path = path.to_owned();
        let identity = identity(&metadata);
        Ok(Self { path, form, rotation, folder_mode, file, identity, length, mend, sealing: None })
    }

    /// Files that were moved away are sealed, from [`begin`](Output::begin) on.
    pub(super) fn seal_with(&mut self, sealing: Sealing) {
        self.sealing = Some(sealing);
    }

    /// Makes it ready to be appended to. What fails is done before the next request.
    pub(super) fn begin(&mut self) {
        let _ = self.mend();
        // What an earlier process did not come to.
        self.sealing.iter().for_each(Sealing::wake);
    }

    /// Appends the bytes of whole requests, all of them or, with an error, none. They go into one file.
    pub(super) fn append(&mut self, requests: &[u8], now_ns: u64) -> io::Result<()> {
        self.make_ready()?;
        if self.is_full(requests.len() as u64) {
            self.rotate(now_ns)?;
        }
        let written = self.file.write_all(requests);
        if written.is_ok() {
            self.length += requests.len() as u64;
        } else {
            self.mend = Some(Mend::Cut);
            // If that fails too it is done before the next write.
            let _ = self.mend();
        }
        written
    }

    /// Whether that many bytes more would be too many for the file.
    pub(super) fn is_full(&self, more: u64) -> bool {
        let fits = |rotation: &Rotation| self.length == 0 || self.length + more <= rotation.max_bytes;
        !self.rotation.as_ref().is_none_or(fits)
    }

    /// Has the system write down what it was given.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Makes sure that what is written is at the path, and whole: the file may have been moved away, removed or cut.
    fn make_ready(&mut self) -> io::Result<()> {
        match fs::metadata(&self.path) {
            Ok(there) if identity(&there) == self.identity => {
                if self.mend.is_some() {
                    self.mend()?;
                } else if there.len() < self.length {
                    self.length = there.len();
                }
                Ok(())
            }
            _ => {
                self.open_anew()?;
                self.mend()
            }
        }
    }

    /// Opens what is at the path now, which is not what was there.
    fn open_anew(&mut self) -> io::Result<()> {
        let opened = Self::open(&self.path, self.form, self.rotation, self.folder_mode, true)?;
        *self = Self { sealing: self.sealing.take(), ..opened };
        Ok(())
    }

    fn mend(&mut self) -> io::Result<()> {
        match self.mend {
            None => {}
            Some(Mend::Cut) => self.file.set_len(self.length)?,
            Some(Mend::EndLine) => {
                self.file.write_all(b"\n")?;
                self.length += 1;
            }
        }
        self.mend = None;
        Ok(())
    }

    /// Moves the file away and begins another. Between the two there is no file at the path.
    fn rotate(&mut self, now_ns: u64) -> io::Result<()> {
        let Some(rotation) = self.rotation else { return Ok(()) };
        fs::rename(&self.path, backups::next_name(&self.path, now_ns))?;
        self.open_anew()?;
        match &self.sealing {
            // Who seals them removes them, too: else one came back that was being sealed.
            Some(sealing) => sealing.rotated(),
            // What cannot be removed now may be the next time; telemetry does not wait for it.
            None => drop(backups::prune(&self.path, &rotation, now_ns)),
        }
        Ok(())
    }
}

fn append_to(path: &Path, folder_mode: Option<u32>) -> io::Result<File> {
    if let Some(mode) = folder_mode
        && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::DirBuilder::new().recursive(true).mode(mode).create(folder)?;
    }
    OpenOptions::new().read(true).append(true).create(true).mode(FILE_MODE).open(path)
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Where the last request ends that is whole, whatever an earlier writer was stopped in, and what is to be done about the rest.
fn whole(path: &Path, file: &File, form: Form, length: u64) -> io::Result<(u64, Option<Mend>)> {
    let mut reader = BufReader::with_capacity(FILE_READ_BYTES, file);
    match form {
        Form::Lines => {
            reader.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            reader.read_exact(&mut last)?;
            Ok((length, (last != *b"\n").then_some(Mend::EndLine)))
        }
        Form::Frames => {
            let whole = whole_frames(path, &mut reader, length)?;
            Ok((whole, (whole < length).then_some(Mend::Cut)))
        }
    }
}

/// Bytes of the whole frames that a file begins with.
fn whole_frames(path: &Path, reader: &mut BufReader<&File>, length: u64) -> io::Result<u64> {
    reader.seek(SeekFrom::Start(0))?;
    let mut at = 0;
    while at < length {
        let mut prefix = [0; size_of::<u32>()];
        if length - at < prefix.len() as u64 {
            break;
        }
        reader.read_exact(&mut prefix)?;
        let frame = u32::from_be_bytes(prefix);
        if frame as usize > MAX_FRAME_LENGTH {
            let message =
                format!("{} is no file of requests with their lengths; move it away", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let end = at + prefix.len() as u64 + u64::from(frame);
        if end > length {
            break;
        }
        reader.seek_relative(i64::from(frame))?;
        at = end;
    }
    Ok(at)
}
