//! Records in files, a line of JSON for each.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use self::{
    disk::{Disk, System},
    index::Stamp,
    reading::{Reading, Readings},
    scan::{Scan, Visitor},
    survey::Survey,
    writer::{Writer, index_path},
};
use super::{
    Record, StorageError, TelemetryStorage,
    oldest::{Oldest, Span},
};
use crate::{
    TelemetryData,
    limits::{COMPRESSION_LEVELS, MIN_ROTATE_BYTES},
    process::PerProcess,
};

mod disk;
mod frame;
mod index;
mod indexer;
mod reading;
mod scan;
mod survey;
mod writer;

pub use scan::ScanReport;

/// When what was written is made to survive a crash of the machine. A crash of the process alone loses nothing that was stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// When the system sees fit; [`crate::TelemetryCollector::flush`] syncs all the same.
    #[default]
    Never,
    /// By the first batch, or tick of the stream, after so long.
    Interval(Duration),
    /// Before a batch counts as stored.
    EveryBatch,
}

/// How a [`FileStorage`] writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileSettings {
    /// When files are synced.
    pub sync: SyncPolicy,
    /// The level, 1 to 19, at which zstd compresses each batch. Any zstd decompresses the file.
    pub compression: Option<i32>,
    /// Puts the file aside, as `<path>.000001` and so on, once it has so many bytes: 4096 at least.
    pub rotate_bytes: Option<u64>,
    /// Of the files put aside, keeps so many of the newest.
    pub keep_files: Option<usize>,
}

impl FileSettings {
    fn validate(&self) -> Result<(), StorageError> {
        let (least, most) = COMPRESSION_LEVELS;
        if self.compression.is_some_and(|level| !(least..=most).contains(&level)) {
            return Err(StorageError::new("compression takes a level from 1 to 19"));
        }
        if self.rotate_bytes.is_some_and(|bytes| bytes < MIN_ROTATE_BYTES) {
            return Err(StorageError::new("rotate_bytes takes at least 4096 bytes"));
        }
        Ok(())
    }
}

/// What a [`FileStorage`] has done in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileStats {
    /// Records written.
    pub written_records: u64,
    /// Bytes written, as they are in files.
    pub written_bytes: u64,
    /// Torn last lines that were found on opening, and ended. Those that another process tears later are ended too, and not counted here.
    pub healed: u64,
    /// Files put aside.
    pub rotations: u64,
    /// Files removed to keep no more than asked for.
    pub removed_files: u64,
    /// Times that a file was synced.
    pub syncs: u64,
    /// Bad lines that readers came across, each time anew.
    pub bad_lines: u64,
}

/// Stores each record as a line of JSON behind the last, each batch by one `write(2)`, or one for every 16 MiB of it. Reading takes
/// constant memory, whatever the size of files; an index beside each file lets it pass over what is not asked for.
///
/// A record whose line has more than [`MAX_LINE_BYTES`](crate::limits::MAX_LINE_BYTES), or a value of more than
/// [`MAX_LINE_DEPTH`](crate::limits::MAX_LINE_DEPTH) levels, is refused, and the others of its batch are stored. No collector has one.
///
/// A line that was torn by a crash is ended when the file is opened again; it, and any other line that is none of ours, is passed over
/// by readers, and counted. Files may be read while they are written, and a forked child writes to the same file. Where another program
/// has changed a file, so that its length or the time of its last modification is another than the storage left, its index is not believed:
/// everything is read until [`FileStorage::rebuild_index`] is called.
///
/// ```
/// use aldis_collect::{FileStorage, TelemetryData, TelemetryEvent, TelemetryStorage};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("telemetry.jsonl");
/// let storage = FileStorage::open(&path)?;
/// let event = TelemetryEvent { time_ns: 17, message: "started".into(), ..TelemetryEvent::default() };
/// storage.store(&TelemetryData { events: vec![event.clone()], metrics: vec![] })?;
/// assert_eq!(storage.retrieve(Some(10), Some(20), None)?.events, [event]);
/// assert!(std::fs::read_to_string(&path)?.starts_with(r#"{"time_ns":17,"type":"event","#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FileStorage {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    settings: FileSettings,
    writer: PerProcess<Mutex<Writer>>,
    bad_lines: AtomicU64,
}

impl FileStorage {
    /// Opens a file, and makes it and its folder if they are not there.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        Self::with_settings(path, FileSettings::default())
    }

    /// Opens a file to be written in another way.
    ///
    /// ```
    /// use std::time::Duration;
    /// use aldis_collect::{FileSettings, FileStorage, SyncPolicy};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let settings = FileSettings {
    ///     sync: SyncPolicy::Interval(Duration::from_secs(1)),
    ///     compression: Some(3),
    ///     rotate_bytes: Some(64 << 20),
    ///     keep_files: Some(10),
    /// };
    /// let storage = FileStorage::with_settings(folder.path().join("telemetry.jsonl.zst"), settings)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be opened, or a setting is out of its range.
    pub fn with_settings(path: impl AsRef<Path>, settings: FileSettings) -> Result<Self, StorageError> {
        Self::on(Arc::new(System), path.as_ref(), settings)
    }

    fn on(disk: Arc<dyn Disk>, path: &Path, settings: FileSettings) -> Result<Self, StorageError> {
        settings.validate()?;
        // It is opened anew by readers, by a child, and after it was put aside: in the same place, wherever the process is then.
        let path = std::path::absolute(path)
            .map_err(|error| StorageError::io(format_args!("open {}", path.display()), error))?;
        let mut writer = Writer::new(disk.clone(), &path, settings);
        writer.open()?;
        let writer = PerProcess::new(Mutex::new(writer));
        Ok(Self { disk, path, settings, writer, bad_lines: AtomicU64::new(0) })
    }

    /// The file: an absolute path. A relative one is that of the current directory when it was opened, whatever that is later.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it has done in this process.
    pub fn stats(&self) -> FileStats {
        FileStats { bad_lines: self.bad_lines.load(Ordering::Relaxed), ..self.writer().stats() }
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A child has its own way to the file, and opens it when it first writes.
        let writer =
            self.writer.get(|_| Mutex::new(Writer::new(self.disk.clone(), &self.path, self.settings)));
        writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Visits the records from `start_ns` to before `end_ns` in the order in which they were stored, in constant memory.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn scan(
        &self,
        start_ns: Option<u64>,
        end_ns: Option<u64>,
        visit: impl FnMut(Record),
    ) -> Result<ScanReport, StorageError> {
        let mut visit = visit;
        self.scan_while(start_ns, end_ns, |record| {
            visit(record);
            true
        })
    }

    /// As [`FileStorage::scan`], until `visit` says `false`: what comes after is passed over.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn scan_while(
        &self,
        start_ns: Option<u64>,
        end_ns: Option<u64>,
        visit: impl FnMut(Record) -> bool,
    ) -> Result<ScanReport, StorageError> {
        struct While<F> {
            visit: F,
            goes_on: bool,
        }
        impl<F: FnMut(Record) -> bool> Visitor for While<F> {
            fn wants(&self, _: u64, _: u64) -> bool {
                self.goes_on
            }
            fn visit(&mut self, record: Record) {
                self.goes_on = self.goes_on && (self.visit)(record);
            }
        }
        self.scan_for(&mut While { visit, goes_on: true }, Span::of(start_ns, end_ns))
    }

    fn scan_for(&self, visitor: &mut impl Visitor, span: Span) -> Result<ScanReport, StorageError> {
        let mut scan = Scan::new(visitor, span);
        for file in self.files()? {
            let file = file.map_err(unopened)?;
            let index = file.index.as_deref();
            scan.file(&*file.file, index, file.len)
                .map_err(|error| StorageError::io(format_args!("read {}", file.path.display()), error))?;
        }
        let report = scan.report;
        self.bad_lines.fetch_add(report.bad_lines, Ordering::Relaxed);
        Ok(report)
    }

    /// All files, the oldest first, as they are between two batches.
    fn files(&self) -> Result<Readings<'_>, StorageError> {
        let _between_batches = self.writer();
        let failed =
            |error| StorageError::io(format_args!("list the files of {}", self.path.display()), error);
        Readings::list(&*self.disk, &self.path).map_err(failed)
    }

    /// Reads all files, in constant memory, and writes their indexes anew: for files that others wrote, or whose index was lost. Reading is
    /// right without. What is stored meanwhile does not wait for it, and may be covered by no entry.
    ///
    /// # Errors
    /// A file cannot be read, or an index cannot be written.
    pub fn rebuild_index(&self) -> Result<(), StorageError> {
        for file in self.files()? {
            let Reading { path, file, .. } = file.map_err(unopened)?;
            self.rebuild_index_of(&path, &*file)
                .map_err(|error| StorageError::io(format_args!("index {}", path.display()), error))?;
        }
        Ok(())
    }

    fn rebuild_index_of(&self, path: &Path, file: &dyn disk::Read) -> io::Result<()> {
        if frame::is_in(file)? {
            return Ok(());
        }
        for _ in 0..REBUILDS {
            if self.try_to_rebuild_index_of(path, file)? {
                return Ok(());
            }
        }
        Err(io::Error::other("others change the file while it is read; try again"))
    }

    /// `false`: the file was changed meanwhile by somebody who has not said so in its index.
    fn try_to_rebuild_index_of(&self, path: &Path, file: &dyn disk::Read) -> io::Result<bool> {
        let (place, is_own) = (index_path(path), path == self.path);
        let stamp = || Ok::<_, io::Error>(Stamp::of(&file.look()?));
        let (before, index_before) = {
            let mut writer = self.writer();
            if is_own {
                writer.check_index();
            }
            (stamp()?, self.disk.read(&place).ok())
        };
        let mut index = Survey::of(file, self.disk.begin(&place)?)?;
        // For this moment nothing is written, nor put aside: what comes afterwards gets its entries behind these.
        let mut writer = self.writer();
        let has_name = |path: &Path| match (self.disk.identity(path), file.identity()) {
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            (there, own) => Ok::<_, io::Error>(there? == own?),
        };
        if !has_name(path)? {
            return Ok(true);
        }
        let now = stamp()?;
        // Who finds that somebody else has changed the file puts another index in the place.
        let only_ours = |index: &dyn disk::Read| {
            let is_in_place = self.disk.identity(&place)? == index.identity()?;
            Ok::<_, io::Error>(is_in_place && index::agreed(index, file)? == Some(now))
        };
        if now != before && !index_before.is_some_and(|index| only_ours(&*index).unwrap_or(false)) {
            return Ok(false);
        }
        index.write_at(&now.bytes(), index::STAMP_AT)?;
        index.put()?;
        if is_own {
            writer.forget_index();
        } else if !has_name(path)? {
            // Another process has removed it.
            let _ = self.disk.remove(&place);
        }
        Ok(true)
    }
}

/// Times that a file is read to rebuild its index, because somebody has changed it meanwhile.
const REBUILDS: usize = 3;

fn unopened((path, error): (PathBuf, io::Error)) -> StorageError {
    StorageError::io(format_args!("open {}", path.display()), error)
}

impl Visitor for Oldest {
    fn wants(&self, min_ns: u64, _: u64) -> bool {
        Oldest::wants(self, min_ns)
    }

    fn visit(&mut self, record: Record) {
        self.offer(record);
    }
}

impl TelemetryStorage for FileStorage {
    fn store(&self, data: &TelemetryData) -> Result<(), StorageError> {
        self.writer().store(data)
    }

    fn retrieve(
        &self,
        start_ns: Option<u64>,
        end_ns: Option<u64>,
        limit: Option<usize>,
    ) -> Result<TelemetryData, StorageError> {
        let mut oldest = Oldest::new(limit);
        self.scan_for(&mut oldest, Span::of(start_ns, end_ns))?;
        Ok(oldest.finish())
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.writer().sync()
    }

    fn tick(&self) -> Result<(), StorageError> {
        self.writer().tick()
    }
}

#[cfg(test)]
mod tests;
