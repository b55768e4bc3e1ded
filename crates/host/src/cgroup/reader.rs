//! What one cgroup says of itself.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use rustix::{
    fd::OwnedFd,
    fs::{CWD, Mode, OFlags, openat},
};

use super::{CgroupError, checked};
use crate::{
    file::{FileError, KeptFile, Scratch},
    parse::{self, CgroupEvents, ParseError},
    stats::{CpuStats, IoStats, MemoryStats, Metric, PressureStats, ResourceStats},
};

/// A file that is there and could not be read as what it should be; its metrics are unavailable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Its name.
    pub file: &'static str,
    problem: Problem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    Unread(FileError),
    Malformed(ParseError),
    /// A limit stands where an amount should.
    Max,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem {
            Problem::Unread(error) => write!(f, "{} {error}", self.file),
            Problem::Malformed(error) => write!(f, "{}: {error}", self.file),
            Problem::Max => write!(f, "{}: `max` is no amount", self.file),
        }
    }
}

/// Reads the files of one cgroup, which stay open: a sample is a `pread(2)` for each file and allocates nothing.
///
/// Which files there are depends on the controllers of the cgroup: CPU time is in every one, memory, I/O and tasks only where somebody
/// has enabled them. A metric without its file is [`MetricSource::Unavailable`](crate::MetricSource::Unavailable).
///
/// ```
/// use aldis_host::{CgroupReader, Hierarchy};
///
/// let own = Hierarchy::find().ok().and_then(|found| found.own().map(<std::path::Path>::to_path_buf));
/// if let Some(Ok(mut reader)) = own.map(|own| CgroupReader::open(&own)) {
///     print!("{}", reader.read()?);
/// }
/// # Ok::<(), aldis_host::CgroupError>(())
/// ```
#[derive(Debug)]
pub struct CgroupReader {
    path: PathBuf,
    files: Files,
    faults: u64,
    last_fault: Option<Fault>,
}

/// Each file that there was when the reader was opened.
#[derive(Debug)]
struct Files {
    cpu_stat: Option<KeptFile>,
    memory_current: Option<KeptFile>,
    memory_peak: Option<KeptFile>,
    memory_stat: Option<KeptFile>,
    io_stat: Option<KeptFile>,
    pids_current: Option<KeptFile>,
    cpu_pressure: Option<KeptFile>,
    memory_pressure: Option<KeptFile>,
    io_pressure: Option<KeptFile>,
    events: Option<KeptFile>,
}

impl Files {
    /// A file that may not be opened is as good as none; of one that is missing for another reason the error tells.
    fn open(directory: &OwnedFd) -> Result<Self, rustix::io::Errno> {
        let open = |name| match KeptFile::open(directory, name) {
            Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => Ok(None),
            other => other,
        };
        Ok(Self {
            cpu_stat: open("cpu.stat")?,
            memory_current: open("memory.current")?,
            memory_peak: open("memory.peak")?,
            memory_stat: open("memory.stat")?,
            io_stat: open("io.stat")?,
            pids_current: open("pids.current")?,
            cpu_pressure: open("cpu.pressure")?,
            memory_pressure: open("memory.pressure")?,
            io_pressure: open("io.pressure")?,
            events: open("cgroup.events")?,
        })
    }
}

impl CgroupReader {
    /// Opens the files of a cgroup's directory.
    ///
    /// # Errors
    /// The path is too long (INV-TL04), relative or leads up; there is no such directory; it or a file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, CgroupError> {
        let path = checked(path)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            openat(CWD, path, flags, Mode::empty()).map_err(|errno| CgroupError::io(path, errno))?;
        let files = Files::open(&directory).map_err(|errno| CgroupError::io(path, errno))?;
        Scratch::prepare();
        Ok(Self { path: path.into(), files, faults: 0, last_fault: None })
    }

    /// The cgroup's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the cgroup has used since it was made. What `/proc` alone knows, the bytes of calls, is unavailable.
    ///
    /// # Errors
    /// [`CgroupError::Gone`] where somebody removed it. A file that cannot be read otherwise is a [fault](Self::faults).
    pub fn read(&mut self) -> Result<ResourceStats, CgroupError> {
        let (cpu, memory) = (self.cpu()?, self.memory()?);
        let io_stat = self.parsed("io.stat", |files| files.io_stat.as_ref(), parse::io_stat)?;
        let pids = self.amount("pids.current", |files| files.pids_current.as_ref())?;
        let io = io_stat.map_or(IoStats::default(), |stat| IoStats {
            read_bytes: Metric::of_cgroup(stat.read_bytes),
            write_bytes: Metric::of_cgroup(stat.write_bytes),
            ..IoStats::default()
        });
        Ok(ResourceStats { cpu, memory, io, pids })
    }

    fn cpu(&mut self) -> Result<CpuStats, CgroupError> {
        let stat = self.parsed("cpu.stat", |files| files.cpu_stat.as_ref(), parse::cpu_stat)?;
        let in_ns = |us: u64| Metric::of_cgroup(us.saturating_mul(1000));
        Ok(stat.map_or(CpuStats::default(), |stat| CpuStats {
            usage_ns: in_ns(stat.usage_us),
            user_ns: in_ns(stat.user_us),
            system_ns: in_ns(stat.system_us),
        }))
    }

    fn memory(&mut self) -> Result<MemoryStats, CgroupError> {
        let current_bytes = self.amount("memory.current", |files| files.memory_current.as_ref())?;
        let peak_bytes = self.amount("memory.peak", |files| files.memory_peak.as_ref())?;
        let stat = self.parsed("memory.stat", |files| files.memory_stat.as_ref(), parse::memory_stat)?;
        let rss = |stat: parse::MemoryStat| Metric::of_cgroup(stat.anon.saturating_add(stat.shmem));
        Ok(MemoryStats { rss_bytes: stat.map_or(Metric::UNAVAILABLE, rss), current_bytes, peak_bytes })
    }

    /// Pressure on each resource.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn pressure(&mut self) -> Result<PressureStats, CgroupError> {
        Ok(PressureStats {
            cpu: self.parsed("cpu.pressure", |files| files.cpu_pressure.as_ref(), parse::pressure)?,
            memory: self.parsed(
                "memory.pressure",
                |files| files.memory_pressure.as_ref(),
                parse::pressure,
            )?,
            io: self.parsed("io.pressure", |files| files.io_pressure.as_ref(), parse::pressure)?,
        })
    }

    /// Whether processes live in the cgroup, and whether they stand still; `None` at the root of the hierarchy, which does not say.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn events(&mut self) -> Result<Option<CgroupEvents>, CgroupError> {
        self.parsed("cgroup.events", |files| files.events.as_ref(), parse::cgroup_events)
    }

    /// How often a file was there and could not be read as what it should be.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// The last of these.
    #[must_use]
    pub fn last_fault(&self) -> Option<Fault> {
        self.last_fault
    }

    fn amount(
        &mut self,
        name: &'static str,
        file: impl Fn(&Files) -> Option<&KeptFile>,
    ) -> Result<Metric, CgroupError> {
        Ok(match self.parsed(name, file, parse::amount)?.map(parse::Amount::value) {
            Some(Some(value)) => Metric::of_cgroup(value),
            Some(None) => self.fault(name, Problem::Max).map_or(Metric::UNAVAILABLE, Metric::of_cgroup),
            None => Metric::UNAVAILABLE,
        })
    }

    fn parsed<T>(
        &mut self,
        name: &'static str,
        file: impl Fn(&Files) -> Option<&KeptFile>,
        parse: impl Fn(&[u8]) -> Result<T, ParseError>,
    ) -> Result<Option<T>, CgroupError> {
        let Some(file) = file(&self.files) else { return Ok(None) };
        let mut scratch = Scratch::take();
        match file.read(scratch.of_file()) {
            Ok(bytes) => match parse(bytes) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Ok(self.fault(name, Problem::Malformed(error))),
            },
            Err(FileError::Gone) => Err(CgroupError::Gone { path: self.path.clone() }),
            // Pressure that was switched off for the cgroup, or at boot, is no fault.
            Err(FileError::Kernel(rustix::io::Errno::OPNOTSUPP)) => Ok(None),
            Err(error) => Ok(self.fault(name, Problem::Unread(error))),
        }
    }

    fn fault<T>(&mut self, file: &'static str, problem: Problem) -> Option<T> {
        self.faults = self.faults.saturating_add(1);
        self.last_fault = Some(Fault { file, problem });
        None
    }
}
