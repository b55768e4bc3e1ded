//! The episodes of a machine: where their scopes are, and whose they are.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    fd::OwnedFd,
    fs::{CWD, FlockOperation, Mode, OFlags, Stat, flock, fstat, major, minor, openat},
    io::Errno,
};

use super::{
    CgroupError, EpisodeScope, Hierarchy, Slice, alone, remove_episode_scope, scope::children, slice,
};
use crate::{
    file::{self, KeptFile},
    id::EpisodeId,
    limits::{MAX_CGROUP_DEPTH, MAX_LOCKS_SIZE, MAX_SCANNED_CGROUPS},
    parse,
};

/// Whose the scope of an episode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A process that lives: it has the scope's lock.
    Lives {
        /// Its number, where the kernel tells: not of one in another namespace.
        pid: Option<u32>,
    },
    /// Nobody's: whoever made it has ended without removing it.
    Gone,
    /// This user may not ask.
    Unknown,
}

/// The scope of an episode as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodeEntry {
    id: EpisodeId,
    path: PathBuf,
    owner: Owner,
    processes: Option<usize>,
    made: Option<SystemTime>,
}

/// The episodes that have a scope anywhere in the hierarchy of version 2 that this process sees, oldest first: those that live, and those that
/// were left behind. One without a cgroup has none.
///
/// ```
/// use aldis_host::{CgroupError, list_episodes};
///
/// match list_episodes() {
///     Ok(found) => for one in found {
///         println!("{} {:?} {:?} {}", one.id(), one.owner(), one.processes(), one.path().display());
///     },
///     Err(CgroupError::Unavailable) => println!("no cgroups, no scopes"),
///     Err(other) => return Err(other),
/// }
/// # Ok::<(), CgroupError>(())
/// ```
///
/// # Errors
/// No hierarchy is mounted; it has more than [`MAX_SCANNED_CGROUPS`]. What this user may not look into is passed over.
pub fn list_episodes() -> Result<Vec<EpisodeEntry>, CgroupError> {
    below(Hierarchy::find()?.mount())
}

impl Slice {
    /// The episodes that have their scope in this slice, oldest first, and those within them.
    ///
    /// # Errors
    /// There are too many cgroups. That the slice is not there means that there are none.
    pub fn episodes(&self) -> Result<Vec<EpisodeEntry>, CgroupError> {
        below(self.path())
    }
}

impl EpisodeEntry {
    /// The episode.
    #[must_use]
    pub fn id(&self) -> EpisodeId {
        self.id
    }

    /// The directory of its scope.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose it was when it was found.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Processes that lived in it then, and in cgroups below it; `None` where they may not be listed.
    #[must_use]
    pub fn processes(&self) -> Option<usize> {
        self.processes
    }

    /// When it was made, or a cgroup was last made directly below it.
    #[must_use]
    pub fn made(&self) -> Option<SystemTime> {
        self.made
    }

    /// Kills what lives in it and removes it, if it was left behind.
    ///
    /// # Errors
    /// [`CgroupError::Owned`], whatever was found before: its owner lives and ends it. Else as [`remove_episode_scope`]. One that is gone is
    /// removed.
    pub fn remove(&self) -> Result<(), CgroupError> {
        match slice::owned(&self.path) {
            Ok(Some(lock)) => {
                remove_episode_scope(&EpisodeScope::taken_over(self.id, self.path.clone(), lock))
            }
            Ok(None) => Err(CgroupError::Owned { path: self.path.clone(), pid: holder(&self.path) }),
            Err(errno) => gone_is_well(CgroupError::io(&self.path, errno)),
        }
    }

    /// As [`Self::remove`], also under an owner who lives: what runs in it is killed, and the owner finds it gone.
    ///
    /// # Errors
    /// As [`remove_episode_scope`].
    pub fn remove_from_its_owner(&self) -> Result<(), CgroupError> {
        match directory(&self.path) {
            Ok(directory) => {
                remove_episode_scope(&EpisodeScope::taken_over(self.id, self.path.clone(), directory))
            }
            Err(errno) => gone_is_well(CgroupError::io(&self.path, errno)),
        }
    }
}

fn gone_is_well(error: CgroupError) -> Result<(), CgroupError> {
    match error {
        CgroupError::Gone { .. } => Ok(()),
        other => Err(other),
    }
}

/// Every scope below a cgroup.
fn below(root: &Path) -> Result<Vec<EpisodeEntry>, CgroupError> {
    let (mut found, mut seen) = (Vec::new(), 0);
    search(root, 0, &mut seen, &mut found)?;
    found.sort_by_key(|entry: &EpisodeEntry| (entry.made, entry.id));
    Ok(found)
}

fn search(
    path: &Path,
    depth: usize,
    seen: &mut usize,
    found: &mut Vec<EpisodeEntry>,
) -> Result<(), CgroupError> {
    *seen += 1;
    if *seen > MAX_SCANNED_CGROUPS {
        return Err(CgroupError::InvalidPath { path: path.into(), why: "more cgroups than are looked at" });
    }
    if let Some(id) = path.file_name().and_then(slice::episode_of) {
        found.extend(entry(id, path));
    }
    if depth == MAX_CGROUP_DEPTH {
        return Ok(());
    }
    // One that goes meanwhile, or may not be looked into, ends no search.
    let inner = children(path, depth).unwrap_or_default();
    inner.iter().try_for_each(|child| search(child, depth + 1, seen, found))
}

/// What there is to be said of a scope; `None` if it has gone meanwhile.
fn entry(id: EpisodeId, path: &Path) -> Option<EpisodeEntry> {
    let made = match directory(path) {
        Ok(directory) => {
            let stat = fstat(&directory).ok()?;
            let owner = owner(&directory, &stat);
            Some((owner, time(&stat)))
        }
        Err(Errno::NOENT | Errno::NODEV) => return None,
        Err(_) => None,
    };
    let (owner, made) = made.unwrap_or((Owner::Unknown, None));
    let mut pids = Vec::new();
    let processes = alone::list(path, 0, &mut pids).is_ok().then_some(pids.len());
    Some(EpisodeEntry { id, path: path.into(), owner, processes, made })
}

fn directory(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(CWD, path, flags, Mode::empty())
}

/// Shared, so that two who list do not take each other for owners, and only for a moment.
fn owner(directory: &OwnedFd, stat: &Stat) -> Owner {
    match flock(directory, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            // Not closed only: a child that another thread starts at this moment would have it until its program begins.
            let _ = flock(directory, FlockOperation::Unlock);
            Owner::Gone
        }
        Err(Errno::WOULDBLOCK) => Owner::Lives { pid: locked_by(stat) },
        Err(_) => Owner::Unknown,
    }
}

fn holder(path: &Path) -> Option<u32> {
    locked_by(&fstat(&directory(path).ok()?).ok()?)
}

/// Who has the lock, as the kernel lists it.
fn locked_by(stat: &Stat) -> Option<u32> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = openat(CWD, "/proc", flags, Mode::empty()).ok()?;
    let mut buffer = file::buffer(MAX_LOCKS_SIZE + 1);
    let bytes = KeptFile::open(&proc, "locks").ok()??.read_in_parts(&mut buffer).ok()?;
    parse::flock_owner(bytes, (major(stat.st_dev), minor(stat.st_dev)), stat.st_ino)
}

fn time(stat: &Stat) -> Option<SystemTime> {
    let seconds = Duration::from_secs(u64::try_from(stat.st_mtime).ok()?);
    let nanoseconds = Duration::from_nanos(stat.st_mtime_nsec);
    UNIX_EPOCH.checked_add(seconds.checked_add(nanoseconds)?)
}

/// Has the kernel keep the time that a scope was made: else it is that of the first look since it was last forgotten.
pub(super) fn remember_time(directory: &OwnedFd) {
    use rustix::fs::{Timestamps, UTIME_NOW, futimens};
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    // Without it an age is only too young.
    let _ = futimens(directory, &Timestamps { last_access: now, last_modification: now });
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn episodes_have_names_of_their_own() {
        let name = |text: &str| slice::episode_of(OsStr::new(text));
        assert!(name("episode-018f2d3e-7b1c-4a5b-9c0d-0123456789ab.scope").is_some());
        for other in ["episode-.scope", "episode-1.scope", "user-3.scope", "aldis.slice"] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
