//! Where scopes of episodes are made, and those that nobody owns any more.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::{
    fd::OwnedFd,
    fs::{CWD, FlockOperation, Mode, OFlags, flock, openat},
};

use super::{
    CgroupError, EpisodeScope, Hierarchy, checked, delegation, remove_episode_scope, writing::write,
};
use crate::{file, id::EpisodeId, limits::MAX_TELEMETRY_FILE_SIZE};

/// The slice that is taken where none is named.
const DEFAULT_SLICE: &str = "aldis.slice";

/// Bytes of a name in a directory.
const NAME_BYTES_MAX: usize = 255;

/// A cgroup below which every episode has its scope: `ROOT/NAME/episode-UUID.scope`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    root: PathBuf,
    path: PathBuf,
}

/// A controller that could not be enabled for scopes, or whose state cannot be read: its metrics come from `/proc`.
#[derive(Debug)]
pub struct MissingController {
    /// `memory`, `io`, `pids` or `cpu`.
    pub controller: &'static str,
    /// Why.
    pub error: CgroupError,
}

impl Slice {
    /// The slice `aldis.slice` below the cgroup that this process is in: where a service manager lets it do as it likes. Controllers can only
    /// be enabled there if no process lives in that cgroup itself (a rule of the kernel), or if it is the root.
    ///
    /// # Errors
    /// No hierarchy of version 2 is mounted, or it does not show this process's cgroup.
    pub fn of_this_process() -> Result<Self, CgroupError> {
        let hierarchy = Hierarchy::find()?;
        Self::new(hierarchy.own().ok_or(CgroupError::Unavailable)?, DEFAULT_SLICE)
    }

    /// As [`Self::of_this_process`]; but where a service manager says that it leaves the cgroup to its processes (systemd's `Delegate=yes`), this
    /// process, with all its threads, moves into a cgroup below it first, `aldis.main`, and stays there: so the kernel can account for scopes
    /// beside it. For programs that have their cgroup for themselves, as those that `systemd-run --scope` starts.
    ///
    /// # Errors
    /// As there. That this process cannot move is none: then the scopes tell which controllers they miss.
    pub fn beside_this_process() -> Result<Self, CgroupError> {
        let hierarchy = Hierarchy::find()?;
        let own = hierarchy.own().ok_or(CgroupError::Unavailable)?;
        Self::new(delegation::beside(own), DEFAULT_SLICE)
    }

    /// A slice of any name below a cgroup that was delegated to this process. It is made with its first scope.
    ///
    /// # Errors
    /// The path is too long (INV-TL04), relative or leads up; the name is none of one directory, or one of the kernel's (`cgroup.…`).
    pub fn new(root: &Path, name: &str) -> Result<Self, CgroupError> {
        let invalid = |why| Err(CgroupError::InvalidPath { path: name.into(), why });
        match name {
            "" | "." | ".." => return invalid("a slice has the name of a directory"),
            _ if name.contains(['/', '\0']) => {
                return invalid("the name of a slice is one of a single directory");
            }
            _ if name.starts_with("cgroup.") => {
                return invalid("names that begin with `cgroup.` are the kernel's");
            }
            _ if name.len() > NAME_BYTES_MAX => {
                return invalid("the name of a directory has at most 255 bytes");
            }
            _ => {}
        }
        let root: PathBuf = checked(root)?.components().collect();
        let path = root.join(name);
        checked(&path)?;
        Ok(Self { root, path })
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of an episode's scope.
    ///
    /// # Errors
    /// It is longer than a path may be (INV-TL04).
    pub fn scope_path(&self, id: EpisodeId) -> Result<PathBuf, CgroupError> {
        let path = self.path.join(format!("episode-{id}.scope"));
        checked(&path)?;
        Ok(path)
    }

    /// Makes the slice, and has the kernel account for scopes in it. Controllers that are there already are left as they are.
    pub(super) fn prepare(
        &self,
        controllers: &[&'static str],
    ) -> Result<Vec<MissingController>, CgroupError> {
        let mut missing = enable(&self.root, controllers)?;
        match fs::create_dir(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(CgroupError::io(&self.path, error));
            }
            _ => {}
        }
        for below in enable(&self.path, controllers)? {
            if missing.iter().all(|above| above.controller != below.controller) {
                missing.push(below);
            }
        }
        Ok(missing)
    }

    /// Scopes of episodes in this slice whose owner has ended without removing them.
    ///
    /// # Errors
    /// The slice cannot be read. That there is none means that there are none.
    pub fn leftovers(&self) -> Result<Vec<Leftover>, CgroupError> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(CgroupError::io(&self.path, error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            // A scope that goes meanwhile ends no listing.
            let Ok(entry) = entry else { continue };
            let Some(id) = episode_of(&entry.file_name()) else { continue };
            if let Ok(Some(lock)) = owned(&entry.path()) {
                found.push(Leftover { scope: EpisodeScope::taken_over(id, entry.path(), lock) });
            }
        }
        Ok(found)
    }
}

/// A scope whose owner is gone. As long as this lives nobody else takes it for one.
#[derive(Debug)]
pub struct Leftover {
    scope: EpisodeScope,
}

impl Leftover {
    /// What was left over; its processes may live still.
    #[must_use]
    pub fn scope(&self) -> &EpisodeScope {
        &self.scope
    }

    /// Kills what lives in it and removes it.
    ///
    /// # Errors
    /// As [`remove_episode_scope`].
    pub fn remove(&self) -> Result<(), CgroupError> {
        remove_episode_scope(&self.scope)
    }
}

pub(super) fn episode_of(name: &OsStr) -> Option<EpisodeId> {
    name.to_str()?.strip_prefix("episode-")?.strip_suffix(".scope")?.parse().ok()
}

/// The lock on a scope's directory that says who owns it, while the process lives; `None` if another has it.
pub(super) fn owned(path: &Path) -> Result<Option<OwnedFd>, rustix::io::Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let directory = openat(CWD, path, flags, Mode::empty())?;
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(directory)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Enables controllers one by one for the children of a cgroup: one that cannot be had takes none of the others away.
fn enable(path: &Path, controllers: &[&'static str]) -> Result<Vec<MissingController>, CgroupError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, path, flags, Mode::empty()).map_err(|errno| CgroupError::io(path, errno))?;
    let mut buffer = file::buffer(MAX_TELEMETRY_FILE_SIZE + 1);
    let mut listed = |file: &str| -> Vec<Vec<u8>> {
        let bytes = file::read_once(&directory, file, &mut buffer).unwrap_or_default();
        bytes.split(u8::is_ascii_whitespace).map(<[u8]>::to_vec).collect()
    };
    let (available, enabled) = (listed("cgroup.controllers"), listed("cgroup.subtree_control"));
    // The root may have both; elsewhere a controller that is enabled beside processes closes all cgroups below to them.
    let is_inhabited =
        path.join("cgroup.type").exists() && listed("cgroup.procs").iter().any(|pid| !pid.is_empty());
    let mut missing = Vec::new();
    for controller in controllers {
        let is_in = |list: &[Vec<u8>]| list.iter().any(|name| name == OsStr::new(controller).as_bytes());
        if is_in(&enabled) {
            continue;
        }
        let file = path.join("cgroup.subtree_control");
        let invalid = |why| Some(CgroupError::InvalidPath { path: path.into(), why });
        let error = if !is_in(&available) {
            invalid("the controller is not delegated to this cgroup")
        } else if is_inhabited {
            invalid("processes live in the cgroup itself, so it cannot pass controllers on")
        } else {
            write(&directory, "cgroup.subtree_control", format!("+{controller}").as_bytes())
                .err()
                .map(|errno| CgroupError::io(&file, errno))
        };
        missing.extend(error.map(|error| MissingController { controller, error }));
    }
    Ok(missing)
}
