//! Processes of `/proc`, where no cgroup tells: a process with all its descendants, or whatever a cgroup lists.

mod account;
mod files;
mod listing;
mod signalling;

use std::{fmt, io, path::Path};

use rustix::{
    fd::OwnedFd,
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
};

use crate::{
    cgroup::{CgroupError, checked},
    clock::process_cpu_ns,
    file::{FileError, KeptFile, Scratch, read_once},
    limits::MAX_SCANNED_PROCESSES,
    parse::{self, ProcStat},
    stats::{CpuStats, IoStats, MemoryStats, Metric, ResourceStats},
};
use account::{Account, Process, Usage};
use files::{KeptFiles, NO_ROOM, ProcessFiles, ROOM};
use listing::{Listed, Table};

const PROC: &str = "/proc";

/// One process for certain: a number is given to another process after its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// Ticks between the machine's start and its own.
    pub start_ticks: u64,
}

/// Why `/proc` gave nothing.
#[derive(Debug)]
pub enum ProcError {
    /// There is no such process (any more).
    Gone {
        /// Its number.
        pid: u32,
    },
    /// `/proc` is not mounted, or cannot be read.
    Unavailable {
        /// The kernel's answer.
        source: io::Error,
    },
    /// The machine has more processes than are looked at ([`MAX_SCANNED_PROCESSES`]), or a list of them is longer than is read.
    TooMany,
    /// A process may not be sent a signal: it is another user's.
    NotSignalled {
        /// Its number.
        pid: u32,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The list of a cgroup's processes cannot be opened.
    Cgroup(CgroupError),
}

impl fmt::Display for ProcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone { pid } => write!(f, "there is no process {pid} (any more)"),
            Self::Unavailable { source } => write!(f, "/proc cannot be read: {source}"),
            Self::TooMany => {
                write!(f, "more than {MAX_SCANNED_PROCESSES} processes: descendants are not searched for")
            }
            Self::NotSignalled { pid, source } => write!(f, "process {pid} may not be signalled: {source}"),
            Self::Cgroup(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ProcError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unavailable { source } | Self::NotSignalled { source, .. } => Some(source),
            Self::Cgroup(error) => Some(error),
            _ => None,
        }
    }
}

/// Adds up processes of `/proc`: the fallback where cgroups do not tell ([`MetricSource::Proc`](crate::MetricSource::Proc)).
///
/// What it cannot see: a process that begins and ends between two readings, unless its parent waits for it; a descendant whose parents
/// all ended before it was ever seen ([`Self::adopting_orphans`] helps); files of processes of other users.
///
/// ```
/// use aldis_host::ProcReader;
///
/// let mut reader = ProcReader::of_tree(std::process::id())?;
/// let stats = reader.read()?;
/// assert!(stats.memory.rss_bytes.get() > Some(0) && stats.pids.get() >= Some(1));
/// # Ok::<(), aldis_host::ProcError>(())
/// ```
#[derive(Debug)]
pub struct ProcReader {
    proc: OwnedFd,
    members: Members,
    account: Account,
    kept: KeptFiles,
    now: Vec<Process>,
    units: Units,
    peak_bytes: u64,
    /// The highest sum of CPU time that was told, in nanoseconds.
    told_ns: u64,
    /// Numbers of processes are those of this machine, whose clocks can be asked.
    with_clocks: bool,
}

#[derive(Debug)]
enum Members {
    Tree { root: ProcessId, table: Table, orphans: Option<Orphans>, left_out: Option<u32> },
    Scope { procs: KeptFile },
}

/// What a process that is to get the orphans of its descendants knows.
#[derive(Debug)]
struct Orphans {
    /// The process that gets them, this one.
    reaper: u32,
    /// Children that it had before, which are none.
    others: Vec<ProcessId>,
}

/// What the kernel counts in.
#[derive(Debug, Clone, Copy)]
struct Units {
    tick_ns: u64,
    page_bytes: u64,
}

impl Units {
    fn of_this_machine() -> Self {
        Self {
            tick_ns: 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1),
            page_bytes: rustix::param::page_size() as u64,
        }
    }
}

impl ProcReader {
    /// A process, its children, theirs, and so on, whoever their parents are later: once seen, a process belongs to it until its end.
    ///
    /// # Errors
    /// There is no such process, or `/proc` is not mounted.
    pub fn of_tree(pid: u32) -> Result<Self, ProcError> {
        Self::at(Path::new(PROC), pid)
    }

    /// As [`Self::of_tree`], of a `/proc` that is mounted elsewhere.
    ///
    /// # Errors
    /// As there.
    pub fn at(proc: &Path, pid: u32) -> Result<Self, ProcError> {
        let with_clocks = proc == Path::new(PROC);
        let proc = open_proc(proc)?;
        let stat = stat_of(&proc, pid, Scratch::take().of_file()).ok_or(ProcError::Gone { pid })?;
        let root = ProcessId { pid, start_ticks: stat.start_ticks };
        let members = Members::Tree { root, table: Table::default(), orphans: None, left_out: None };
        Ok(Self::over(proc, members, with_clocks))
    }

    /// The processes that live in a cgroup, for what its controllers do not tell: none is missed that lives in it when it is read, whoever its
    /// parents were. Those of cgroups that were made below it are not on its list.
    ///
    /// # Errors
    /// The path is none of a cgroup, or `/proc` is not mounted.
    pub fn of_scope(cgroup: &Path) -> Result<Self, ProcError> {
        let cgroup = checked(cgroup).map_err(ProcError::Cgroup)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let refused = |errno: Errno| ProcError::Cgroup(CgroupError::io(cgroup, errno));
        let directory = openat(CWD, cgroup, flags, Mode::empty()).map_err(refused)?;
        let procs = KeptFile::open(&directory, "cgroup.procs").and_then(|file| file.ok_or(Errno::NOENT));
        let procs = procs.map_err(refused)?;
        Ok(Self::over(open_proc(Path::new(PROC))?, Members::Scope { procs }, true))
    }

    fn over(proc: OwnedFd, members: Members, with_clocks: bool) -> Self {
        Scratch::prepare();
        let (account, now, units) = (Account::default(), Vec::new(), Units::of_this_machine());
        let kept = KeptFiles::within(if with_clocks { &ROOM } else { &NO_ROOM });
        Self { proc, members, account, kept, now, units, peak_bytes: 0, told_ns: 0, with_clocks }
    }

    /// Makes this process the one that gets the orphans of its descendants (`PR_SET_CHILD_SUBREAPER`, until its end), counts those it
    /// did not know as descendants of the process that is read, and waits for them when they have ended.
    ///
    /// For programs that run one command and start nothing else from now on: any other new child would be counted too.
    ///
    /// # Errors
    /// The kernel refuses, or `/proc` cannot be read. A reader of a cgroup needs none of this and is returned as it is.
    pub fn adopting_orphans(mut self) -> Result<Self, ProcError> {
        let unavailable = |errno: Errno| ProcError::Unavailable { source: errno.into() };
        if let Members::Tree { table, orphans, .. } = &mut self.members {
            let reaper = std::process::id();
            rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(unavailable)?;
            table.scan(&self.proc, Scratch::take().of_file())?;
            let others =
                table.listed().iter().filter(|listed| listed.parent == reaper).map(|listed| listed.id);
            *orphans = Some(Orphans { reaper, others: others.collect() });
        }
        Ok(self)
    }

    /// Never counts this process, nor what it starts from now on, and sends it no signal, though it may descend from the process that is read.
    #[must_use]
    pub(crate) fn leaving_out_this_process(mut self) -> Self {
        if let Members::Tree { left_out, .. } = &mut self.members {
            *left_out = Some(std::process::id());
        }
        self
    }

    /// The process of whose tree it is.
    pub(crate) fn root(&self) -> Option<ProcessId> {
        match &self.members {
            Members::Tree { root, .. } => Some(*root),
            Members::Scope { .. } => None,
        }
    }

    /// What they have used until now, ended ones included.
    ///
    /// Bytes of I/O are unavailable while one of them is a process whose `io` this one may not read.
    ///
    /// # Errors
    /// `/proc` is not there any more, or there are too many processes. That there are none is no error: what they used stays.
    pub fn read(&mut self) -> Result<ResourceStats, ProcError> {
        self.now.clear();
        self.list()?;
        let mut seen = Seen { io: true, ..Seen::default() };
        let (mut scratch, clocks) = (Scratch::take(), self.with_clocks.then_some(self.units));
        for process in &mut self.now {
            let (pid, account) = (process.id.pid, (&self.account, clocks));
            self.kept.read(&self.proc, pid, scratch.of_file(), |files, stat, buffer| {
                look_at(process, (files, stat), account, buffer, &mut seen);
            });
        }
        drop(scratch);
        self.kept.close_others();
        self.now.retain(|process| process.alive_or_zombie);
        self.now.sort_unstable_by_key(|process| process.id);
        self.reap();
        let usage = self.account.settle(&mut self.now);
        Ok(self.stats(usage, seen))
    }

    /// The members that live now, or have ended and are not waited for yet; of the last reading.
    pub fn processes(&self) -> impl Iterator<Item = ProcessId> {
        self.account.processes().map(|process| process.id)
    }

    /// Fills `now` with who belongs to it.
    fn list(&mut self) -> Result<(), ProcError> {
        match &mut self.members {
            Members::Scope { procs } => match procs.read_in_parts(Scratch::take().of_list()) {
                Ok(bytes) => self.now.extend(parse::pids(bytes).map(|pid| Process::named(pid, None))),
                Err(FileError::Gone) => {}
                Err(FileError::TooLong) => return Err(ProcError::TooMany),
                Err(FileError::Kernel(errno)) => return Err(ProcError::Unavailable { source: errno.into() }),
            },
            Members::Tree { root, table, orphans, left_out } => {
                table.scan(&self.proc, Scratch::take().of_file())?;
                if let Some(pid) = left_out {
                    table.leave_out(*pid);
                }
                let orphans = orphans.as_ref();
                let account = &self.account;
                let adopted = |listed: &Listed| {
                    orphans.is_some_and(|all| listed.parent == all.reaper && !all.others.contains(&listed.id))
                };
                table.mark(|listed| listed.id == *root || account.knows(listed.id) || adopted(listed));
                self.now.extend(table.marked().map(|id| Process::named(id.pid, Some(id.start_ticks))));
            }
        }
        Ok(())
    }

    /// Waits for orphans that have ended: what they used has just been read.
    fn reap(&self) {
        let Members::Tree { root, orphans: Some(orphans), .. } = &self.members else { return };
        let ended = self.now.iter().filter(|process| process.ended && process.parent == orphans.reaper);
        for process in ended.filter(|process| process.id != *root) {
            let pid = i32::try_from(process.id.pid).ok().and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                // Another thread of this process may have waited for it: then there is nothing to do.
                let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
            }
        }
    }

    fn stats(&mut self, usage: Usage, seen: Seen) -> ResourceStats {
        let Units { tick_ns, page_bytes } = self.units;
        let ns = |ticks: u64| ticks.saturating_mul(tick_ns);
        let bytes = |pages: u64| pages.saturating_mul(page_bytes);
        let current = bytes(seen.resident_pages);
        self.peak_bytes = self.peak_bytes.max(current);
        let usage_ns = ns(usage.user.saturating_add(usage.system)).saturating_add(seen.rest_ns);
        // What a process has used beyond its ticks goes with it.
        self.told_ns = self.told_ns.max(usage_ns);
        let of_io = |value| if seen.io { Metric::of_proc(value) } else { Metric::UNAVAILABLE };
        ResourceStats {
            cpu: CpuStats {
                usage_ns: Metric::of_proc(self.told_ns),
                user_ns: Metric::of_proc(ns(usage.user)),
                system_ns: Metric::of_proc(ns(usage.system)),
            },
            memory: MemoryStats {
                rss_bytes: Metric::of_proc(bytes(seen.anonymous_pages)),
                current_bytes: Metric::of_proc(current),
                // None at all is what nobody saw.
                peak_bytes: if self.peak_bytes == 0 {
                    Metric::UNAVAILABLE
                } else {
                    Metric::of_proc(self.peak_bytes)
                },
            },
            io: IoStats {
                read_bytes: of_io(usage.io.read_bytes),
                write_bytes: of_io(usage.io.write_bytes),
                read_chars: of_io(usage.io.read_chars),
                write_chars: of_io(usage.io.write_chars),
            },
            pids: Metric::of_proc(seen.alive),
        }
    }
}

/// Sums over the processes of one reading.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    alive: u64,
    resident_pages: u64,
    anonymous_pages: u64,
    /// Nanoseconds of CPU time beyond the ticks.
    rest_ns: u64,
    /// The I/O of all could be read.
    io: bool,
}

fn open_proc(path: &Path) -> Result<OwnedFd, ProcError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).map_err(|errno| ProcError::Unavailable { source: errno.into() })
}

/// What `stat` says of a process, if there is one.
fn stat_of(proc: &OwnedFd, pid: u32, buffer: &mut [u8]) -> Option<ProcStat> {
    let bytes = listing::with_number(&mut [0; 16], pid, |path| read_once(proc, path, buffer));
    parse::proc_stat(bytes.ok()?).ok()
}

/// Takes what the files of one process say.
fn look_at(
    process: &mut Process,
    (files, stat): (&ProcessFiles, ProcStat),
    (account, clocks): (&Account, Option<Units>),
    buffer: &mut [u8],
    seen: &mut Seen,
) {
    if process.start_known && process.id.start_ticks != stat.start_ticks {
        return; // Another process has its number already.
    }
    process.fill(&stat);
    if !process.ended {
        seen.alive += 1;
    }
    if let Some(units) = clocks {
        let told_ns = stat.user_ticks.saturating_add(stat.system_ticks).saturating_mul(units.tick_ns);
        // Both of its times are cut off at whole ticks. More than that is another process's, which has its number already.
        let rest_ns = process_cpu_ns(process.id.pid).unwrap_or(0).saturating_sub(told_ns);
        seen.rest_ns += if rest_ns < 2 * units.tick_ns { rest_ns } else { 0 };
    }
    if let Some(statm) = files.statm(buffer) {
        seen.resident_pages = seen.resident_pages.saturating_add(statm.resident_pages);
        let anonymous = statm.resident_pages.saturating_sub(statm.shared_pages);
        seen.anonymous_pages = seen.anonymous_pages.saturating_add(anonymous);
    }
    let before = account.io_of(process.id);
    process.usage.io = match files.io(buffer) {
        Ok(io) => io.unwrap_or(before),
        // It has ended since: what is known of it stays.
        Err(FileError::Gone) => before,
        Err(_) => {
            seen.io = false;
            before
        }
    };
}
