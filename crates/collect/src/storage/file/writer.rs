//! The end of a file storage at which it is written.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use super::{
    FileSettings, FileStats, SyncPolicy,
    disk::{Append, Disk},
    frame,
    index::Block,
    indexer::Indexer,
};
use crate::{
    StorageError, TelemetryData, TelemetryEvent, TelemetryMetric,
    limits::{MAX_LINE_BYTES, PIECE_BYTES},
    storage::{OTHERS_STORED, Refused, line},
};

/// Times that a piece is written because others remove the file in the same moment.
const WRITES: usize = 100;

/// What one process writes.
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    settings: FileSettings,
    open: Option<Open>,
    lines: Vec<u8>,
    stats: FileStats,
}

/// The file that is open.
struct Open {
    file: Box<dyn Append>,
    index: Option<Indexer>,
    /// Bytes in the file when this process last wrote.
    len: u64,
    /// The last line is not whole: end it before anything else is written.
    is_torn: bool,
    is_dirty: bool,
    synced: Instant,
}

/// What lines that are written at once hold.
struct Piece {
    records: usize,
    /// Where blocks of lines are; positions count from the beginning of what is written. The last is not full.
    blocks: Vec<Block>,
    whole: Block,
}

/// An event or a metric of a batch.
#[derive(Clone, Copy)]
enum Written<'a> {
    Event(&'a TelemetryEvent),
    Metric(&'a TelemetryMetric),
}

impl Writer {
    pub(crate) fn new(disk: Arc<dyn Disk>, path: &Path, settings: FileSettings) -> Self {
        let path = path.to_owned();
        Self { disk, path, settings, open: None, lines: Vec::new(), stats: FileStats::default() }
    }

    pub(crate) fn stats(&self) -> FileStats {
        self.stats
    }

    /// Opens the file if it is not open yet.
    pub(crate) fn open(&mut self) -> Result<(), StorageError> {
        if self.open.is_none() {
            let opened = self.try_open().map_err(|error| self.failed("open", error))?;
            self.open = Some(opened);
        }
        Ok(())
    }

    fn try_open(&mut self) -> io::Result<Open> {
        let folder = folder(&self.path).to_owned();
        self.disk.create_folder(&folder)?;
        if self.is_of_other_kind() {
            self.put_aside()?;
        }
        let file = self.disk.append(&self.path)?;
        if self.settings.sync != SyncPolicy::Never {
            self.disk.sync_folder(&folder)?;
        }
        let look = file.look()?;
        let len = look.len;
        // A torn frame needs no end: the next header is found all the same.
        let is_torn = self.settings.compression.is_none() && self.is_torn(&*file, len)?;
        self.stats.healed += u64::from(is_torn);
        // What is left of others' indexes is in nobody's way.
        let _ = self.disk.sweep(&index_path(&self.path));
        // Without an index everything is read.
        let index = if self.settings.compression.is_none() {
            Indexer::open(&self.disk, &self.path, look.identity).ok()
        } else {
            None
        };
        Ok(Open { file, index, len, is_torn, is_dirty: false, synced: Instant::now() })
    }

    /// Whether the file's last line has no end.
    fn is_torn(&self, file: &dyn Append, len: u64) -> io::Result<bool> {
        let there = match self.disk.read(&self.path) {
            // Another process has put it aside since it was opened: that one has ended its lines.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            there => there?,
        };
        let mut last = [b'\n'];
        if len > 0 && there.identity()? == file.look()?.identity {
            there.read_at(&mut last, len - 1)?;
        }
        Ok(last != [b'\n'])
    }

    /// Whether the file is compressed and is to have lines, or the other way round.
    fn is_of_other_kind(&self) -> bool {
        let Ok(file) = self.disk.read(&self.path) else { return false };
        let has_any = file.len().is_ok_and(|len| len > 0);
        has_any
            && frame::is_in(&*file).is_ok_and(|has_frames| has_frames != self.settings.compression.is_some())
    }

    pub(crate) fn store(&mut self, data: &TelemetryData) -> Result<(), StorageError> {
        if data.is_empty() {
            return Ok(());
        }
        self.follow()?;
        self.rotate_if_full()?;
        self.open()?;
        let (mut stored, mut refused) = (0, Refused::default());
        let events = data.events.iter().map(Written::Event);
        let mut records = events.chain(data.metrics.iter().map(Written::Metric)).enumerate();
        loop {
            let piece = self.write_lines(&mut records, &mut refused);
            if piece.records == 0 {
                break;
            }
            match self.put(&piece) {
                Ok(()) => stored += piece.records,
                Err(error) => {
                    let before = stored + error.stored;
                    return Err(error.after(before).besides(refused.error(
                        data.len(),
                        self.path.display(),
                        "",
                    )));
                }
            }
        }
        self.lines.clear();
        self.lines.shrink_to(PIECE_BYTES);
        let synced = match self.settings.sync {
            SyncPolicy::EveryBatch => self.sync(),
            SyncPolicy::Never | SyncPolicy::Interval(_) => self.tick(),
        };
        let refused = refused.error(data.len(), self.path.display(), OTHERS_STORED);
        match synced {
            Ok(()) => refused.map_or(Ok(()), |refused| Err(refused.after(stored))),
            Err(error) => Err(error.after(stored).besides(refused)),
        }
    }

    /// Writes the lines of the next records, up to the size of a piece, in `lines`, behind what ends a torn one.
    fn write_lines<'a>(
        &mut self,
        records: &mut impl Iterator<Item = (usize, Written<'a>)>,
        refused: &mut Refused,
    ) -> Piece {
        let lines = &mut self.lines;
        lines.clear();
        if self.open.as_ref().is_some_and(|open| open.is_torn) {
            lines.push(b'\n');
        }
        let mut block = Block::at(lines.len() as u64);
        let mut piece = Piece { records: 0, blocks: Vec::new(), whole: block };
        while lines.len() < PIECE_BYTES {
            let Some((number, record)) = records.next() else { break };
            let start = lines.len();
            let time_ns = match record.write(lines) {
                Ok(time_ns) => time_ns,
                Err(reason) => {
                    lines.truncate(start);
                    refused.add(number, &reason);
                    continue;
                }
            };
            let bytes = lines.len() - start;
            piece.records += 1;
            piece.whole.add(bytes, time_ns);
            block.add(bytes, time_ns);
            if block.is_full() {
                block.sample(lines);
                piece.blocks.push(std::mem::replace(&mut block, Block::at(lines.len() as u64)));
            }
        }
        block.sample(lines);
        piece.blocks.push(block);
        piece
    }

    fn put(&mut self, piece: &Piece) -> Result<(), StorageError> {
        let packed = match self.settings.compression {
            None => None,
            Some(level) => {
                let packed = frame::pack(&self.lines, &piece.whole, level);
                Some(packed.map_err(|error| self.failed("compress for", error))?)
            }
        };
        for _ in 0..WRITES {
            if self.put_once(piece, packed.as_deref())? {
                return Ok(());
            }
            // A file that another process put aside and removed in this moment: what is in no file now goes to the next.
            self.open = None;
            self.open()?;
        }
        let too_fast = io::Error::other("others remove files faster than they can be written");
        Err(self.failed("write", too_fast))
    }

    /// `false`: the file has been removed, and so has what was written.
    fn put_once(&mut self, piece: &Piece, packed: Option<&[u8]>) -> Result<bool, StorageError> {
        self.check_index();
        let Some(open) = &mut self.open else { return Ok(true) };
        let bytes = packed.unwrap_or(&self.lines);
        // No line begins so: it ends the torn one that these were to be written behind.
        let ends_torn = packed.is_none() && bytes.first() == Some(&b'\n');
        let (mut written, mut result) = (0, Ok(()));
        if open.is_torn && !ends_torn {
            result = write_all(&mut *open.file, b"\n").1;
        }
        if result.is_ok() {
            (written, result) = write_all(&mut *open.file, bytes);
        }
        // Whether it was removed before that or right after: nobody reads it.
        if !open.file.look().map_or(true, |look| look.has_name) {
            return result.map(|()| false).map_err(|error| self.failed("write", error));
        }
        open.is_dirty |= written > 0;
        open.len = open.file.position().unwrap_or(open.len + written as u64);
        self.stats.written_bytes += written as u64;
        if let Some(index) = &mut open.index {
            let start = open.len - written as u64;
            let noted = if result.is_ok() { index.note(start, &piece.blocks) } else { Ok(()) };
            if noted.and_then(|()| index.stamp()).is_err() {
                open.index = None;
            }
        }
        if let Err(error) = result {
            let stored = if packed.is_some() { 0 } else { whole_lines(bytes, written, ends_torn) };
            if packed.is_none() && written > 0 {
                open.is_torn = bytes[written - 1] != b'\n';
            }
            self.stats.written_records += stored as u64;
            return Err(self.failed("write", error).after(stored));
        }
        open.is_torn = false;
        self.stats.written_records += piece.records as u64;
        Ok(true)
    }

    /// Syncs if that is due.
    pub(crate) fn tick(&mut self) -> Result<(), StorageError> {
        let is_due = |open: &Open| match self.settings.sync {
            SyncPolicy::Interval(interval) => open.is_dirty && open.synced.elapsed() >= interval,
            SyncPolicy::Never | SyncPolicy::EveryBatch => false,
        };
        if self.open.as_ref().is_some_and(is_due) { self.sync() } else { Ok(()) }
    }

    pub(crate) fn sync(&mut self) -> Result<(), StorageError> {
        let Some(open) = self.open.as_mut().filter(|open| open.is_dirty) else { return Ok(()) };
        match open.file.sync() {
            Ok(()) => {
                (open.is_dirty, open.synced) = (false, Instant::now());
                self.stats.syncs += 1;
                Ok(())
            }
            Err(error) => Err(self.failed("sync", error)),
        }
    }

    /// Lets go of a file that has lost its name: another process has put it aside, and may remove it while this one goes on writing to
    /// it. And of one that was cut off, whose index may say what it no longer holds.
    fn follow(&mut self) -> Result<(), StorageError> {
        let Some(open) = &self.open else { return Ok(()) };
        let look = open.file.look().map_err(|error| self.failed("look at", error))?;
        let len = look.len;
        let is_same = self.disk.identity(&self.path).is_ok_and(|there| there == look.identity);
        // Another may have begun it as well, with what this one would not read its own in.
        let is_other = is_same && len > open.len && self.is_of_other_kind();
        if !is_same || is_other || len < open.len {
            self.sync()?;
            self.open = None;
        } else if len > open.len && self.settings.compression.is_none() {
            // Whoever wrote there may have been killed over it: what is written next would be joined to what has no end.
            let is_torn = self.is_torn(&*open.file, len).map_err(|error| self.failed("look at", error))?;
            if let Some(open) = &mut self.open {
                open.is_torn = is_torn;
            }
        }
        Ok(())
    }

    /// Puts a file that is large enough aside, and removes the oldest where there are too many.
    fn rotate_if_full(&mut self) -> Result<(), StorageError> {
        let Some(limit) = self.settings.rotate_bytes else { return Ok(()) };
        let Some(open) = self.open.as_ref().filter(|open| open.len >= limit) else { return Ok(()) };
        // Another process may have put it aside already: then this one goes on with the new file.
        let there = self.disk.identity(&self.path);
        let is_ours = there.is_ok_and(|there| open.file.look().is_ok_and(|own| own.identity == there));
        self.sync()?;
        self.open = None;
        if !is_ours {
            return Ok(());
        }
        self.put_aside().map_err(|error| self.failed("rotate", error))
    }

    fn put_aside(&mut self) -> io::Result<()> {
        let mut aside = rotated(&*self.disk, &self.path)?;
        let mut number = aside.last().map_or(1, |(number, _)| number + 1);
        let to = loop {
            let to = with_suffix(&self.path, &format!(".{number:06}"));
            match self.disk.rename(&self.path, &to) {
                Ok(()) => break to,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                // Another process was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            }
        };
        // An index that is left behind is not that of the next file, and is replaced.
        let _ = self.disk.rename(&index_path(&self.path), &index_path(&to));
        self.stats.rotations += 1;
        aside.push((number, to));
        let keep = self.settings.keep_files.unwrap_or(usize::MAX);
        for (_, path) in aside.iter().take(aside.len().saturating_sub(keep)) {
            match self.disk.remove(path) {
                Ok(()) => self.stats.removed_files += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            let _ = self.disk.remove(&index_path(path));
        }
        if self.settings.sync != SyncPolicy::Never {
            self.disk.sync_folder(folder(&self.path))?;
        }
        Ok(())
    }

    /// Begins a new index: the old one was replaced.
    pub(crate) fn forget_index(&mut self) {
        if let Some(mut open) = self.open.take() {
            if let Some(index) = open.index.take() {
                index.discard();
            }
            let look = open.file.look();
            open.index = look.and_then(|own| Indexer::open(&self.disk, &self.path, own.identity)).ok();
            self.open = Some(open);
        }
    }

    /// Makes sure that the index, if there is one, is that of the file as it is.
    pub(crate) fn check_index(&mut self) {
        if let Some(open) = &mut self.open
            && open.index.as_mut().is_some_and(|index| index.check().is_err())
        {
            open.index = None;
        }
    }

    fn failed(&self, doing: &str, error: io::Error) -> StorageError {
        StorageError::io(format_args!("{doing} {}", self.path.display()), error)
    }
}

impl Written<'_> {
    /// Writes the line, and says the record's time, or why it is none that can be read.
    fn write(self, lines: &mut Vec<u8>) -> Result<u64, String> {
        let start = lines.len();
        let time_ns = match self {
            Self::Event(event) => {
                if !line::is_shallow(&event.metadata) {
                    return Err(line::too_deep());
                }
                line::write_event(event, lines);
                event.time_ns
            }
            Self::Metric(metric) => {
                line::write_metric(metric, lines);
                metric.time_ns
            }
        };
        let bytes = lines.len() - start;
        if bytes > MAX_LINE_BYTES {
            return Err(format!("has a line of {bytes} bytes, of which there may be {MAX_LINE_BYTES}"));
        }
        Ok(time_ns)
    }
}

/// Writes everything, by one `write(2)` if the system takes it so; says how much was written.
fn write_all(file: &mut dyn Append, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// Lines of which so many bytes were written that they are read as whole: what ends a torn line is no line, and one that only lacks its
/// end gets that by what is written next.
fn whole_lines(bytes: &[u8], written: usize, ends_torn: bool) -> usize {
    let ended = memchr::memchr_iter(b'\n', &bytes[..written]).count();
    let lacks_end = written > 0 && bytes[written - 1] != b'\n' && bytes.get(written) == Some(&b'\n');
    (ended + usize::from(lacks_end)).saturating_sub(usize::from(ends_torn && written > 0))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(crate) fn index_path(path: &Path) -> PathBuf {
    with_suffix(path, ".idx")
}

/// The files that were put aside, by number: the oldest first.
pub(crate) fn rotated(disk: &dyn Disk, path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    let number = |other: &String| -> Option<u64> {
        let digits = other.strip_prefix(name)?.strip_prefix('.')?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let names = disk.list(folder(path))?;
    let mut found: Vec<(u64, PathBuf)> =
        names.iter().filter_map(|other| Some((number(other)?, folder(path).join(other)))).collect();
    found.sort();
    Ok(found)
}
