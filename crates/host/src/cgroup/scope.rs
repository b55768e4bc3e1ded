//! The cgroup of one episode: made, frozen, killed, removed.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    io::Errno,
};

use super::{
    CgroupError, CgroupReader, Hierarchy, MissingController, OsResourceLimits, Slice, UnsetLimit, entry,
    slice, writing::write,
};
use crate::{
    file::{self, FileError, KeptFile},
    id::EpisodeId,
    limits::{EMPTY_POLL, FREEZE_TIMEOUT, MAX_CGROUP_DEPTH, MAX_PROCS_FILE_SIZE, REMOVE_TIMEOUT},
    parse::{self, CgroupEvents},
};

/// Times that a scope is made anew because somebody removed its slice, or took it for a leftover, at that moment.
const CREATE_TRIES: usize = 64;

/// Milliseconds that somebody who looks for leftovers may hold a scope that has just been made.
const LOCK_TRIES: usize = 1000;

/// The cgroup of an episode.
///
/// It belongs to whoever has this value, as a lock on the directory tells others. Dropping it removes nothing: what still lives in it goes on
/// living, and [`Slice::leftovers`] finds it; [`remove_episode_scope`] ends it.
#[derive(Debug)]
pub struct EpisodeScope {
    id: EpisodeId,
    path: PathBuf,
    directory: OwnedFd,
    missing: Vec<MissingController>,
    unset: Vec<UnsetLimit>,
}

/// Makes the scope of an episode, empty, with its limits set.
///
/// Controllers that are not there, and limits that therefore cannot be set, are no errors: the scope says which
/// ([`EpisodeScope::missing_controllers`], [`EpisodeScope::unset_limits`]).
///
/// ```no_run
/// use aldis_host::{EpisodeId, OsResourceLimits, Slice, create_episode_scope, remove_episode_scope};
///
/// let limits = OsResourceLimits { memory_max_bytes: Some(512 << 20), ..OsResourceLimits::default() };
/// let scope = create_episode_scope(&Slice::of_this_process()?, EpisodeId::random()?, &limits)?;
/// let mut reader = scope.reader()?;
/// // … `Placement` starts commands in it.
/// println!("{}", reader.read()?);
/// remove_episode_scope(&scope)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A limit would let nothing run; there is a scope of that name; the path is too long; the kernel does not let this process make cgroups there
/// (a file system that is read-only, or no right).
pub fn create_episode_scope(
    slice: &Slice,
    id: EpisodeId,
    limits: &OsResourceLimits,
) -> Result<EpisodeScope, CgroupError> {
    limits.check()?;
    let path = slice.scope_path(id)?;
    // CPU time is counted without its controller, which costs a layer of scheduling.
    let controllers: &[&str] = if limits.cpu_millis.is_some() {
        &["memory", "io", "pids", "cpu"]
    } else {
        &["memory", "io", "pids"]
    };
    for _ in 0..CREATE_TRIES {
        let missing = match slice.prepare(controllers) {
            // The slice went as its last scope was removed.
            Err(CgroupError::Gone { path }) if path == slice.path() => continue,
            other => other?,
        };
        match fs::create_dir(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(CgroupError::InvalidPath {
                    path,
                    why: "an episode of that name has its scope already",
                });
            }
            Err(error) => return Err(CgroupError::io(&path, error)),
        }
        if let Some(directory) = own(&path)? {
            entry::remember_time(&directory);
            let unset = limits.apply(&directory, &path);
            return Ok(EpisodeScope { id, path, directory, missing, unset });
        }
    }
    Err(CgroupError::Gone { path })
}

/// Takes the scope that has just been made, or says that it is gone: somebody who looks for leftovers may have found it before its owner
/// had it.
fn own(path: &Path) -> Result<Option<OwnedFd>, CgroupError> {
    for _ in 0..LOCK_TRIES {
        match slice::owned(path) {
            Ok(Some(directory)) => return Ok(path.exists().then_some(directory)),
            Ok(None) => std::thread::sleep(Duration::from_millis(1)),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(CgroupError::io(path, errno)),
        }
    }
    Err(CgroupError::Busy { path: path.into() })
}

/// Kills what lives in a scope, waits until nothing does, and removes it, with cgroups that were made below it, and its slice if that is empty
/// then. A scope that is gone already is removed.
///
/// # Errors
/// [`CgroupError::Busy`] where something lives after five seconds (a process that the kernel cannot end, as it waits for a device), or a
/// cgroup stays busy for as long; the kernel refuses; this process lives in the scope.
pub fn remove_episode_scope(scope: &EpisodeScope) -> Result<(), CgroupError> {
    let deadline = Instant::now() + REMOVE_TIMEOUT;
    match scope.kill().and_then(|()| scope.wait_until_empty(deadline)) {
        Ok(()) => remove_tree(&scope.path, deadline, 0)?,
        Err(CgroupError::Gone { .. }) => {}
        Err(other) => return Err(other),
    }
    if let Some(slice) = scope.path.parent() {
        // Others may have scopes in it: then it stays.
        let _ = fs::remove_dir(slice);
    }
    Ok(())
}

impl EpisodeScope {
    pub(super) fn taken_over(id: EpisodeId, path: PathBuf, directory: OwnedFd) -> Self {
        Self { id, path, directory, missing: Vec::new(), unset: Vec::new() }
    }

    /// The episode.
    #[must_use]
    pub fn id(&self) -> EpisodeId {
        self.id
    }

    /// The scope's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Controllers that could not be enabled: what they would tell comes from `/proc`.
    #[must_use]
    pub fn missing_controllers(&self) -> &[MissingController] {
        &self.missing
    }

    /// Limits that were asked for and are not held.
    #[must_use]
    pub fn unset_limits(&self) -> &[UnsetLimit] {
        &self.unset
    }

    /// Opens its files.
    ///
    /// # Errors
    /// As [`CgroupReader::open`].
    pub fn reader(&self) -> Result<CgroupReader, CgroupError> {
        CgroupReader::open(&self.path)
    }

    /// Has every process in it stand still, and waits until they do, at most half a second: a process that waits for a device is frozen
    /// when it comes back. Whether all stand still.
    ///
    /// # Errors
    /// The scope is gone, or the kernel is older than 5.2.
    pub fn freeze(&self) -> Result<bool, CgroupError> {
        self.write("cgroup.freeze", b"1")?;
        self.wait_for(Instant::now() + FREEZE_TIMEOUT, |events| events.frozen)
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// As [`Self::freeze`].
    pub fn thaw(&self) -> Result<(), CgroupError> {
        self.write("cgroup.freeze", b"0")
    }

    /// Ends every process in it, frozen ones too. They may be there for a moment still.
    ///
    /// # Errors
    /// The scope is gone; this process lives in it; the kernel refuses.
    pub fn kill(&self) -> Result<(), CgroupError> {
        self.kill_by("cgroup.kill")
    }

    /// By this file, or one by one if there is none.
    fn kill_by(&self, file: &str) -> Result<(), CgroupError> {
        self.refuse_own()?;
        match write(&self.directory, file, b"1") {
            // Kernels before 5.14 have no such file.
            Err(Errno::NOENT) if self.path.exists() => kill_tree(&self.path, 0),
            other => other.map_err(|errno| CgroupError::io(&self.path, errno)),
        }
    }

    /// Whether a process lives in it or below it.
    ///
    /// # Errors
    /// The scope is gone, or its events cannot be read.
    pub fn is_populated(&self) -> Result<bool, CgroupError> {
        let mut buffer = [0; 256];
        Ok(self.events(&self.events_file()?, &mut buffer)?.populated)
    }

    fn wait_until_empty(&self, deadline: Instant) -> Result<(), CgroupError> {
        loop {
            // What a process forks while processes are killed one by one lives: it is killed again.
            let next = deadline.min(Instant::now() + EMPTY_POLL);
            if self.wait_for(next, |events| !events.populated)? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(CgroupError::Busy { path: self.path.clone() });
            }
            self.kill()?;
        }
    }

    /// Waits for what `cgroup.events` says, as the kernel tells of every change; whether it did.
    fn wait_for(&self, deadline: Instant, is: impl Fn(CgroupEvents) -> bool) -> Result<bool, CgroupError> {
        let (file, mut buffer) = (self.events_file()?, [0; 256]);
        loop {
            if is(self.events(&file, &mut buffer)?) {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
            match poll(&mut [PollFd::from_borrowed_fd(file.fd(), PollFlags::PRI)], Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(CgroupError::io(&self.path, errno)),
            }
        }
    }

    fn events_file(&self) -> Result<KeptFile, CgroupError> {
        let file = KeptFile::open(&self.directory, "cgroup.events")
            .map_err(|errno| CgroupError::io(&self.path, errno))?;
        file.ok_or_else(|| CgroupError::Gone { path: self.path.clone() })
    }

    fn events(&self, file: &KeptFile, buffer: &mut [u8]) -> Result<CgroupEvents, CgroupError> {
        let bytes = file.read(buffer).map_err(|error| self.unread(error))?;
        parse::cgroup_events(bytes).map_err(|error| {
            CgroupError::io(&self.path, std::io::Error::new(std::io::ErrorKind::InvalidData, error))
        })
    }

    fn unread(&self, error: FileError) -> CgroupError {
        match error {
            FileError::Gone => CgroupError::Gone { path: self.path.clone() },
            FileError::Kernel(errno) => CgroupError::io(&self.path, errno),
            FileError::TooLong => {
                CgroupError::io(&self.path, std::io::Error::from(std::io::ErrorKind::InvalidData))
            }
        }
    }

    fn write(&self, file: &str, word: &[u8]) -> Result<(), CgroupError> {
        write(&self.directory, file, word).map_err(|errno| CgroupError::io(&self.path.join(file), errno))
    }

    /// A process that killed all of its own scope would end before it has said so.
    fn refuse_own(&self) -> Result<(), CgroupError> {
        let inside = |own: &Path| own.starts_with(&self.path);
        if Hierarchy::find().ok().and_then(|found| found.own().map(inside)) == Some(true) {
            return Err(CgroupError::InvalidPath {
                path: self.path.clone(),
                why: "this process lives in the scope",
            });
        }
        Ok(())
    }
}

/// Kills the processes of a cgroup and of those below it one by one.
fn kill_tree(path: &Path, depth: usize) -> Result<(), CgroupError> {
    let mut buffer = file::buffer(MAX_PROCS_FILE_SIZE + 1);
    let directory = rustix::fs::openat(
        rustix::fs::CWD,
        path,
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(|errno| CgroupError::io(path, errno))?;
    let procs = KeptFile::open(&directory, "cgroup.procs").map_err(|errno| CgroupError::io(path, errno))?;
    if let Some(bytes) = procs.as_ref().and_then(|procs| procs.read_in_parts(&mut buffer).ok()) {
        for pid in parse::pids(bytes) {
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                // One that has ended meanwhile is what was wanted.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
    children(path, depth)?.into_iter().try_for_each(|child| kill_tree(&child, depth + 1))
}

/// Cgroups below a cgroup.
pub(super) fn children(path: &Path, depth: usize) -> Result<Vec<PathBuf>, CgroupError> {
    if depth == MAX_CGROUP_DEPTH {
        return Err(CgroupError::InvalidPath {
            path: path.into(),
            why: "cgroups are nested deeper than is followed",
        });
    }
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        // Gone while it was listed: ENODEV.
        Err(error) => match CgroupError::io(path, error) {
            CgroupError::Gone { .. } => return Ok(Vec::new()),
            other => return Err(other),
        },
    };
    let directories = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(directories.map(|entry| entry.path()).collect())
}

/// Removes a cgroup and those below it. One that is busy, as processes that have ended are not quite gone, is tried again.
fn remove_tree(path: &Path, deadline: Instant, depth: usize) -> Result<(), CgroupError> {
    loop {
        for child in children(path, depth)? {
            remove_tree(&child, deadline, depth + 1)?;
        }
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                if Instant::now() >= deadline {
                    return Err(CgroupError::Busy { path: path.into() });
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => match CgroupError::io(path, error) {
                CgroupError::Gone { .. } => return Ok(()),
                other => return Err(other),
            },
        }
    }
}

#[cfg(test)]
mod tests;
