//! Cgroups of version 2: where they are, what one says, and those of episodes.

mod alone;
mod delegation;
mod entry;
mod hierarchy;
mod os_limits;
mod reader;
mod scope;
mod slice;
mod writing;

pub use alone::NotAlone;
pub(crate) use alone::{alone_in_its_cgroup, lives_in};
pub use entry::{EpisodeEntry, Owner, list_episodes};
pub use hierarchy::{Hierarchy, is_cgroup_v2_available};
pub use os_limits::{OsResourceLimits, UnsetLimit};
pub use reader::{CgroupReader, Fault};
pub use scope::{EpisodeScope, create_episode_scope, remove_episode_scope};
pub use slice::{Leftover, MissingController, Slice};

use std::{
    fmt, io,
    path::{Component, Path, PathBuf},
};

use crate::limits::MAX_CGROUP_PATH_LEN;

/// Why something about a cgroup could not be done.
#[derive(Debug)]
pub enum CgroupError {
    /// No hierarchy of version 2 is mounted: read `/proc` instead ([`ProcReader`](crate::ProcReader)).
    Unavailable,
    /// The path is longer than [`MAX_CGROUP_PATH_LEN`].
    PathTooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// The path is not absolute, or leads up.
    InvalidPath {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is no such cgroup, or there is none any more.
    Gone {
        /// Its directory.
        path: PathBuf,
    },
    /// A limit would let nothing run.
    InvalidLimit {
        /// Which, and why.
        why: &'static str,
    },
    /// Something lives in the cgroup that cannot be ended, or the cgroup does not go: try again later.
    Busy {
        /// Its directory.
        path: PathBuf,
    },
    /// Its owner lives, and ends it.
    Owned {
        /// Its directory.
        path: PathBuf,
        /// The owner's number, where the kernel tells.
        pid: Option<u32>,
    },
    /// The kernel refused.
    Io {
        /// What was to be done, and with what.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl CgroupError {
    pub(crate) fn io(path: &Path, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        // ENODEV is what a file says that outlived its cgroup.
        let gone = source.kind() == io::ErrorKind::NotFound
            || source.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error());
        if gone { Self::Gone { path: path.into() } } else { Self::Io { path: path.into(), source } }
    }
}

impl fmt::Display for CgroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable => write!(f, "no cgroup v2 hierarchy is mounted; /proc can be read instead"),
            Self::PathTooLong { bytes } => {
                write!(f, "the path of the cgroup has {bytes} bytes, at most {MAX_CGROUP_PATH_LEN} are taken")
            }
            Self::InvalidPath { path, why } => write!(f, "{}: {why}", path.display()),
            Self::Gone { path } => write!(f, "{}: there is no such cgroup (any more)", path.display()),
            Self::InvalidLimit { why } => write!(f, "{why}"),
            Self::Busy { path } => {
                write!(f, "{}: something lives in it still, or it does not go", path.display())
            }
            Self::Owned { path, pid: Some(pid) } => {
                write!(f, "{}: process {pid} runs this episode, and ends it", path.display())
            }
            Self::Owned { path, pid: None } => {
                write!(f, "{}: somebody runs this episode, and ends it", path.display())
            }
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

impl std::error::Error for CgroupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// A path that may be opened: bounded (INV-TL04), absolute, leading nowhere up.
pub(crate) fn checked(path: &Path) -> Result<&Path, CgroupError> {
    let bytes = path.as_os_str().len();
    if bytes > MAX_CGROUP_PATH_LEN {
        return Err(CgroupError::PathTooLong { bytes });
    }
    let invalid = |why| Err(CgroupError::InvalidPath { path: path.into(), why });
    if !path.is_absolute() {
        return invalid("the path of a cgroup is absolute");
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return invalid("the path of a cgroup does not lead up (`..`)");
    }
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return invalid("the path of a cgroup holds no zero byte");
    }
    Ok(path)
}
