//! What runs already, and is nobody's child here.

use std::{
    ffi::{OsStr, OsString},
    fmt, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open, test_kill_process},
};

use crate::{
    cgroup::{CgroupError, CgroupReader, NotAlone, alone_in_its_cgroup},
    collector::{TelemetryError, Watch, WhenExhausted},
    episode::{Baseline, Sample},
    file::{self, KeptFile, Scratch, read_once},
    id::EpisodeId,
    limits::MAX_TELEMETRY_FILE_SIZE,
    proc_fallback::{ProcError, ProcReader, ProcessId},
    stats::{Metric, PressureStats, ResourceStats},
    subject::Subject,
    urgency::visit_cpus,
};

/// Why a process cannot be watched, or not as asked.
#[derive(Debug)]
pub enum AttachError {
    /// There is no such process (any more), or the number is that of a thread.
    Gone {
        /// The number.
        pid: u32,
    },
    /// It has ended already, and its parent has not asked how.
    Ended {
        /// Its number.
        pid: u32,
    },
    /// It is this process itself.
    Itself,
    /// This user may not see it, or may not end it though that is what a used up budget is to do.
    NotPermitted {
        /// Its number.
        pid: u32,
        /// What may not be done.
        what: &'static str,
    },
    /// The kernel refuses for another reason: before 5.3 it cannot tell a process from another that has its number later.
    Kernel {
        /// The process's number.
        pid: u32,
        /// The kernel's answer.
        source: io::Error,
    },
    /// `/proc` gave nothing.
    Proc(ProcError),
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone { pid } => write!(f, "there is no process {pid}"),
            Self::Ended { pid } => {
                write!(f, "process {pid} has ended already (a zombie: its parent has not waited for it)")
            }
            Self::Itself => write!(f, "a process cannot watch itself as another"),
            Self::NotPermitted { pid, what } => write!(f, "process {pid} {what}: it is another user's"),
            Self::Kernel { pid, source } => write!(f, "process {pid} cannot be watched: {source}"),
            Self::Proc(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AttachError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Kernel { source, .. } => Some(source),
            Self::Proc(error) => Some(error),
            _ => None,
        }
    }
}

/// A process that runs already, with what descends from it; this process, if it does, excepted.
///
/// It is held by a descriptor: whoever has its number later is not it. What it uses is read from its cgroup where that is its own (nobody but
/// it and its descendants lives there, none of them lives elsewhere, it is not the root, and this user may read it), else from `/proc`. If it is
/// moved out of that cgroup while it is watched, what it and its descendants use from the next look on is from `/proc`, and frames say that
/// ([`O11yFlags::degraded`](crate::O11yFlags)); what it used between the move and that look is not seen.
///
/// ```
/// use aldis_host::*;
/// use std::process::{Command, Stdio};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut somebody = Command::new("cat").stdin(Stdio::piped()).spawn()?;
/// let attached = Attached::to(somebody.id())?;
/// let collector = new_shared_collector(TelemetryPolicy::default())?;
/// let handle = collector.start(attached.watch(EpisodeId::random()?, WhenExhausted::LetGo)?, monotonic_ns())?;
/// // Its input ends, and so does it.
/// drop(somebody.stdin.take());
/// while !attached.wait(None)? {}
/// collector.finish(&handle, EndReason::Ended, None, monotonic_ns());
/// println!("{:?}: {}", attached.command(), handle.snapshot().stats);
/// # somebody.wait()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Attached {
    process: ProcessId,
    descriptor: Arc<OwnedFd>,
    command: Vec<OsString>,
    cgroup: Result<PathBuf, NotAlone>,
}

impl Attached {
    /// Finds the process.
    ///
    /// # Errors
    /// There is none; it has ended; it is this one; this user may not see it.
    pub fn to(pid: u32) -> Result<Self, AttachError> {
        if pid == std::process::id() {
            return Err(AttachError::Itself);
        }
        let number = number(pid)?;
        let descriptor = match pidfd_open(number, PidfdFlags::empty()) {
            // A thread's number is not valid either.
            Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => return Err(AttachError::Gone { pid }),
            other => other.map_err(|errno| AttachError::Kernel { pid, source: errno.into() })?,
        };
        let mut tree = match ProcReader::of_tree(pid) {
            Err(ProcError::Gone { .. }) if is_over(&descriptor) => return Err(AttachError::Gone { pid }),
            // A `/proc` that hides the processes of others.
            Err(ProcError::Gone { .. }) => {
                return Err(AttachError::NotPermitted { pid, what: "may not be seen" });
            }
            other => other.map_err(AttachError::Proc)?.leaving_out_this_process(),
        };
        let process = tree.root().unwrap_or_default();
        let command = command_of(pid);
        let cgroup = alone_in_its_cgroup(pid, &mut tree).map_err(AttachError::Proc)?;
        // Whatever was read of this number until now was read of this process, as it lives.
        if is_over(&descriptor) {
            return Err(AttachError::Ended { pid });
        }
        Ok(Self { process, descriptor: Arc::new(descriptor), command, cgroup })
    }

    /// Which process it is.
    #[must_use]
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// Its command and arguments, as it shows them; of a thread of the kernel its name.
    #[must_use]
    pub fn command(&self) -> &[OsString] {
        &self.command
    }

    /// The cgroup that is its own.
    ///
    /// # Errors
    /// Why it has none, or why that is not read: then everything is from `/proc`.
    pub fn cgroup(&self) -> Result<&Path, &NotAlone> {
        self.cgroup.as_deref()
    }

    /// How it is to be watched: what it has used until the first look does not count. What happens when a budget is used up is to be said, as
    /// the process is somebody else's.
    ///
    /// The most memory at once is that of the samples, since the kernel's own peak is older than the episode.
    ///
    /// # Errors
    /// It has ended; it is to be killed and may not be.
    pub fn watch(&self, id: EpisodeId, when: WhenExhausted) -> Result<Watch, AttachError> {
        let pid = self.process.pid;
        if when == WhenExhausted::Kill && test_kill_process(number(pid)?) == Err(Errno::PERM) {
            return Err(AttachError::NotPermitted { pid, what: "may not be ended" });
        }
        let tree = ProcReader::of_tree(pid).map(ProcReader::leaving_out_this_process);
        let tree = tree.ok().filter(|tree| tree.root() == Some(self.process));
        // It ended in between, or another process has its number.
        let Some(tree) = tree.filter(|_| !is_over(&self.descriptor)) else {
            return Err(AttachError::Ended { pid });
        };
        // One that is not there any more is no reason to watch nothing.
        let cgroup = self.cgroup.as_deref().ok().and_then(|path| OwnCgroup::open(path, pid));
        let descriptor = Arc::clone(&self.descriptor);
        let known = ResourceStats::default();
        let subject = AttachedSubject { tree, cgroup, left: None, descriptor, known, peak_bytes: 0 };
        Ok(Watch::new(id, pid, subject).baseline(Baseline::FirstSample).when_exhausted(when))
    }

    /// Waits until it has ended, at most so long; whether it has. How it ended its parent alone is told.
    ///
    /// A signal that this process handles ends the waiting early.
    ///
    /// # Errors
    /// The kernel refuses, which none is known to do.
    pub fn wait(&self, at_most: Option<Duration>) -> io::Result<bool> {
        let timeout = at_most.and_then(|time| Timespec::try_from(time).ok());
        match poll(&mut [PollFd::new(&*self.descriptor, PollFlags::IN)], timeout.as_ref()) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// It is readable when the process has ended, for loops that wait for other things too.
impl AsFd for Attached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn number(pid: u32) -> Result<Pid, AttachError> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(AttachError::Gone { pid })
}

fn is_over(process: &OwnedFd) -> bool {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&at_once)), Ok(1..))
}

/// What was executed, or else the name in brackets, as `ps` shows it.
fn command_of(pid: u32) -> Vec<OsString> {
    let mut buffer = file::buffer(MAX_TELEMETRY_FILE_SIZE + 1);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(process) = openat(CWD, format!("/proc/{pid}"), flags, Mode::empty()) else { return Vec::new() };
    let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    if let Ok(bytes) = read_once(&process, "cmdline", &mut buffer)
        && let Some(words) = bytes.strip_suffix(b"\0")
    {
        return words.split(|byte| *byte == 0).map(text).collect();
    }
    let name = read_once(&process, "comm", &mut buffer).unwrap_or_default();
    vec![text(&[b"[", name.trim_ascii_end(), b"]"].concat())]
}

/// The cgroup that is a process's own, as long as it stays there.
struct OwnCgroup {
    reader: CgroupReader,
    /// `/proc/PID/cgroup`, and what it said.
    of_process: KeptFile,
    name: Vec<u8>,
}

impl OwnCgroup {
    fn open(path: &Path, pid: u32) -> Option<Self> {
        let reader = CgroupReader::open(path).ok()?;
        let of_process = KeptFile::open(CWD, &format!("/proc/{pid}/cgroup")).ok()??;
        let name = version_2(of_process.read(Scratch::take().of_file()).ok()?)?.to_vec();
        Some(Self { reader, of_process, name })
    }

    /// It is neither there nor below. One that has ended stays where it was.
    fn is_left(&self) -> bool {
        let mut scratch = Scratch::take();
        let Ok(bytes) = self.of_process.read(scratch.of_file()) else { return false };
        let below = version_2(bytes).map(|name| name.strip_prefix(&*self.name));
        below.is_some_and(|below| below.is_none_or(|rest| !rest.is_empty() && !rest.starts_with(b"/")))
    }
}

/// Of the lines of `/proc/PID/cgroup` that of the hierarchy of version 2.
fn version_2(bytes: &[u8]) -> Option<&[u8]> {
    bytes.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))
}

/// A process that is watched, and those that descend from it.
struct AttachedSubject {
    tree: ProcReader,
    cgroup: Option<OwnCgroup>,
    /// What the cgroup said in the end that it has left, and its processes then.
    left: Option<(ResourceStats, ResourceStats)>,
    descriptor: Arc<OwnedFd>,
    known: ResourceStats,
    peak_bytes: u64,
}

impl AttachedSubject {
    fn of_cgroup(&mut self, with_pressure: bool) -> Result<Sample, TelemetryError> {
        if let Some(mut own) = self.cgroup.take_if(|own| own.is_left()) {
            let began = self.tree.read()?;
            // It may have been removed already: then it is what it was.
            let last = own.reader.read().unwrap_or(self.known).or(began);
            self.left = Some((last, began));
        }
        let Some(OwnCgroup { reader: cgroup, .. }) = &mut self.cgroup else {
            let now = self.tree.read()?;
            let stats = self.left.as_ref().map_or(now, |(last, began)| now.going_on(began, last));
            return Ok(Sample { stats, ..Sample::default() });
        };
        let mut stats = cgroup.read()?;
        let pressure = if with_pressure { cgroup.pressure()? } else { PressureStats::default() };
        // The kernel's peak is that of the cgroup's whole life.
        stats.memory.peak_bytes = Metric::UNAVAILABLE;
        if let Some(now) = stats.memory.current_bytes.get() {
            self.peak_bytes = self.peak_bytes.max(now);
            stats.memory.peak_bytes = Metric::of_cgroup(self.peak_bytes);
        }
        if !stats.is_complete() {
            stats = stats.or(self.tree.read()?);
        }
        Ok(Sample { stats, pressure })
    }
}

impl Subject for AttachedSubject {
    fn sample(&mut self, with_pressure: bool) -> Result<Sample, TelemetryError> {
        match self.of_cgroup(with_pressure) {
            // Its cgroup went with it: what is known stays.
            Err(TelemetryError::Cgroup(CgroupError::Gone { .. })) if is_over(&self.descriptor) => {
                Ok(Sample { stats: self.known, ..Sample::default() })
            }
            other => {
                let sample = other?;
                self.known = sample.stats;
                Ok(sample)
            }
        }
    }

    fn settle(&mut self) {
        visit_cpus();
    }

    fn freeze(&mut self) -> Result<(), TelemetryError> {
        // One by one, as the cgroup is not ours to freeze.
        Ok(self.tree.signal_all(rustix::process::Signal::STOP)?)
    }

    fn kill(&mut self) -> Result<(), TelemetryError> {
        Ok(self.tree.signal_all(rustix::process::Signal::KILL)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_the_number_later_is_not_it() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let mut attached = Attached::to(child.id()).unwrap();
        let id = EpisodeId::from_u128(1);
        assert!(attached.watch(id, WhenExhausted::Kill).is_ok());
        attached.process.start_ticks += 1;
        let refused = attached.watch(id, WhenExhausted::Kill).err();
        assert!(matches!(refused, Some(AttachError::Ended { pid }) if pid == child.id()), "{refused:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// A shell that watches itself, `aldis run --pid $$`, neither pays for that nor ends it.
    #[test]
    fn who_watches_does_not_belong_to_what_is_watched() {
        let (parent, own) = (std::os::unix::process::parent_id(), std::process::id());
        // 0 is a parent outside of the namespace.
        if parent == 0 {
            return;
        }
        let members = |mut reader: ProcReader| {
            reader.read().unwrap();
            reader.processes().map(|process| process.pid).collect::<Vec<_>>()
        };
        let with = members(ProcReader::of_tree(parent).unwrap());
        let without = members(ProcReader::of_tree(parent).unwrap().leaving_out_this_process());
        assert!(with.contains(&own) && !without.contains(&own) && without.contains(&parent));
    }
}
