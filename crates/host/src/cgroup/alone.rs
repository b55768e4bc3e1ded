//! Whether the cgroup of a process is its own.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::{CgroupError, Hierarchy, scope::children};
use crate::{
    file::{self, FileError, KeptFile, read_once},
    limits::{MAX_CGROUP_DEPTH, MAX_PROCS_FILE_SIZE, MAX_TELEMETRY_FILE_SIZE},
    parse,
    proc_fallback::{ProcError, ProcReader},
};

/// Why what a process uses is not read from its cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAlone {
    /// No hierarchy of version 2 is mounted, or the process's cgroup is outside of what it shows.
    Unavailable,
    /// It lives in the root, with whoever has no other place.
    Root,
    /// Somebody else lives in its cgroup too, or in one below.
    Shared {
        /// The cgroup.
        cgroup: PathBuf,
        /// One of them.
        with: u32,
    },
    /// One that descends from it lives elsewhere.
    Scattered {
        /// The cgroup.
        cgroup: PathBuf,
        /// That process.
        pid: u32,
    },
    /// The cgroup cannot be read.
    Unread {
        /// The cgroup.
        cgroup: PathBuf,
    },
}

impl fmt::Display for NotAlone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable => write!(f, "its cgroup (version 2) is not to be seen"),
            Self::Root => write!(f, "it lives in the root of the cgroups"),
            Self::Shared { cgroup, with } => {
                write!(f, "process {with} lives in its cgroup too: {}", cgroup.display())
            }
            Self::Scattered { cgroup, pid } => {
                write!(
                    f,
                    "process {pid}, which descends from it, does not live in its cgroup: {}",
                    cgroup.display()
                )
            }
            Self::Unread { cgroup } => write!(f, "its cgroup cannot be read: {}", cgroup.display()),
        }
    }
}

/// The directory of the cgroup in which, and below which, this tree of processes lives and nobody else.
///
/// # Errors
/// Only that `/proc` cannot be read; that it is not alone is an answer.
pub(crate) fn alone_in_its_cgroup(
    pid: u32,
    tree: &mut ProcReader,
) -> Result<Result<PathBuf, NotAlone>, ProcError> {
    let (directory, mount) = match of_process(pid) {
        Some(Hierarchy { mount, own: Some(own), .. }) => (own, mount),
        _ => return Ok(Err(NotAlone::Unavailable)),
    };
    // It may be written with a slash at its end.
    let cgroup: PathBuf = directory.components().collect();
    if cgroup == mount {
        return Ok(Err(NotAlone::Root));
    }
    // The list first: who is forked later is not on it.
    let mut listed = Vec::new();
    if list(&cgroup, 0, &mut listed).is_err() {
        return Ok(Err(NotAlone::Unread { cgroup }));
    }
    tree.read()?;
    let is_in_tree = |pid: u32| tree.processes().any(|process| process.pid == pid);
    if let Some(with) = listed.iter().find(|pid| !is_in_tree(**pid) && of_process(**pid).is_some()) {
        return Ok(Err(NotAlone::Shared { cgroup, with: *with }));
    }
    // One that has ended keeps its cgroup's name and is on no list.
    let elsewhere = |pid: &u32| {
        !listed.contains(pid)
            && of_process(*pid).is_some_and(|found| found.own.is_none_or(|own| !own.starts_with(&cgroup)))
    };
    let scattered = tree.processes().map(|process| process.pid).find(elsewhere);
    Ok(match scattered {
        Some(pid) => Err(NotAlone::Scattered { cgroup, pid }),
        None => Ok(cgroup),
    })
}

/// The hierarchy with the cgroup of another process as its `own`; `None` if there is no such process.
fn of_process(pid: u32) -> Option<Hierarchy> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let process = openat(CWD, format!("/proc/{pid}"), flags, Mode::empty()).ok()?;
    let mut buffer = file::buffer(MAX_TELEMETRY_FILE_SIZE + 1);
    let bytes = read_once(&process, "cgroup", &mut buffer).ok()?;
    Hierarchy::find_for(bytes).ok()
}

/// Whether a process, or what is left of it until it is waited for, is in this cgroup or below it.
pub(crate) fn lives_in(pid: u32, cgroup: &Path) -> bool {
    of_process(pid).and_then(|found| found.own).is_some_and(|own| own.starts_with(cgroup))
}

/// The processes of a cgroup and of those below it.
pub(super) fn list(path: &Path, depth: usize, pids: &mut Vec<u32>) -> Result<(), CgroupError> {
    if depth == MAX_CGROUP_DEPTH {
        return Ok(());
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let refused = |errno| CgroupError::io(path, errno);
    let directory = openat(CWD, path, flags, Mode::empty()).map_err(refused)?;
    let procs = KeptFile::open(&directory, "cgroup.procs").map_err(refused)?;
    if let Some(procs) = procs {
        let mut buffer = file::buffer(MAX_PROCS_FILE_SIZE + 1);
        match procs.read_in_parts(&mut buffer) {
            Ok(bytes) => pids.extend(parse::pids(bytes)),
            Err(FileError::Gone) => {}
            Err(FileError::Kernel(errno)) => return Err(refused(errno)),
            Err(FileError::TooLong) => {
                return Err(CgroupError::io(path, std::io::Error::from(std::io::ErrorKind::InvalidData)));
            }
        }
    }
    children(path, depth)?.into_iter().try_for_each(|child| list(&child, depth + 1, pids))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that has ended, or that another namespace hides.
    #[test]
    fn of_a_process_that_is_not_to_be_seen_no_cgroup_is_known() {
        let mut tree = ProcReader::of_tree(std::process::id()).unwrap();
        let found = alone_in_its_cgroup(u32::MAX, &mut tree).unwrap();
        assert_eq!(found, Err(NotAlone::Unavailable));
        assert!(!lives_in(u32::MAX, Path::new("/")));
    }
}
