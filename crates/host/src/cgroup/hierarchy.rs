//! Where version 2 of cgroups is mounted, and where in it this process is.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::{CgroupError, checked};
use crate::{
    file::{self, FileError, read_once},
    limits::{MAX_MOUNTINFO_SIZE, MAX_TELEMETRY_FILE_SIZE},
    parse::{Mount, cgroup2_mounts, own_cgroup},
};

/// Whether a hierarchy of version 2 is mounted, at its usual place or elsewhere, alone or beside hierarchies of version 1 (then mostly
/// with no controllers: CPU time, lifecycle and pressure are told, memory and I/O are not).
///
/// It says nothing about whether cgroups can be made there: `create_episode_scope` does.
#[must_use]
pub fn is_cgroup_v2_available() -> bool {
    Hierarchy::find().is_ok()
}

/// The hierarchy of version 2, as this process sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    pub(super) mount: PathBuf,
    pub(super) own: Option<PathBuf>,
    read_only: bool,
}

impl Hierarchy {
    /// Looks into `/proc/self/mountinfo` and `/proc/self/cgroup`.
    ///
    /// # Errors
    /// [`CgroupError::Unavailable`] where none is mounted, or `/proc` is not.
    pub fn find() -> Result<Self, CgroupError> {
        let mut buffer = file::buffer(MAX_TELEMETRY_FILE_SIZE + 1);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let process =
            openat(CWD, "/proc/self", flags, Mode::empty()).map_err(|_| CgroupError::Unavailable)?;
        Self::find_for(read_once(&process, "cgroup", &mut buffer).unwrap_or_default())
    }

    /// As [`Self::find`], with the cgroup of another process as its own: the bytes are those of its `/proc/PID/cgroup`.
    pub(super) fn find_for(cgroup: &[u8]) -> Result<Self, CgroupError> {
        let mut buffer = file::buffer(MAX_MOUNTINFO_SIZE);
        let process =
            openat(CWD, "/proc/self", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|_| CgroupError::Unavailable)?;
        // Mounts come in several parts.
        let mounts = match file::KeptFile::open(&process, "mountinfo") {
            Ok(Some(mounts)) => mounts.read_in_parts(&mut buffer).map(<[u8]>::to_vec),
            _ => Err(FileError::Gone),
        };
        let mounts = mounts.map_err(|_| CgroupError::Unavailable)?;
        Self::of(&mounts, own_cgroup(cgroup))
    }

    /// Of several mounts the first that shows the process's own cgroup, else the first.
    fn of(mountinfo: &[u8], own: Option<&[u8]>) -> Result<Self, CgroupError> {
        let mut first = None;
        for mount in cgroup2_mounts(mountinfo) {
            let found = Self {
                own: own.and_then(|own| directory_of(&mount, own)),
                mount: path(&mount.point),
                read_only: mount.read_only,
            };
            if checked(&found.mount).is_err() {
                continue;
            }
            if found.own.is_some() {
                return Ok(found);
            }
            first = first.or(Some(found));
        }
        first.ok_or(CgroupError::Unavailable)
    }

    /// Where it is mounted: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` beside version 1.
    #[must_use]
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// The directory of the cgroup that this process is in; `None` where it lies outside of what is mounted.
    #[must_use]
    pub fn own(&self) -> Option<&Path> {
        self.own.as_deref()
    }

    /// Nothing can be made there, as in most containers.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// Where below a mount the cgroup `own` is.
fn directory_of(mount: &Mount, own: &[u8]) -> Option<PathBuf> {
    let inside = path(own).strip_prefix(path(&mount.root)).ok()?.to_path_buf();
    let directory = path(&mount.point).join(inside);
    checked(&directory).is_ok().then_some(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TMP: &str = "24 1 0:22 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n";
    const V1: &str = "25 24 0:23 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";

    /// Mount point, own directory, whether it is read-only.
    type Found = Option<(&'static str, Option<&'static str>, bool)>;

    /// Mounts, own cgroup, and what is found.
    #[test]
    fn the_hierarchy_is_found_wherever_it_is() {
        let hybrid =
            format!("{TMP}{V1}30 24 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
        let cases: [(&str, Option<&str>, Found); 9] = [
            ("", Some("/"), None),
            (V1, Some("/"), None),
            (&hybrid, Some("/"), Some(("/sys/fs/cgroup/unified", Some("/sys/fs/cgroup/unified/"), false))),
            // A service of systemd.
            (
                "30 24 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
                Some("/system.slice/a.service"),
                Some(("/sys/fs/cgroup", Some("/sys/fs/cgroup/system.slice/a.service"), false)),
            ),
            // A container with a cgroup namespace, which may not write.
            (
                "30 24 0:28 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n",
                Some("/"),
                Some(("/sys/fs/cgroup", Some("/sys/fs/cgroup/"), true)),
            ),
            // A container without one: the mount shows a part of the hierarchy.
            (
                "30 24 0:28 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
                Some("/docker/abc/job"),
                Some(("/sys/fs/cgroup", Some("/sys/fs/cgroup/job"), true)),
            ),
            // A process outside of what its mount shows.
            ("30 24 0:28 / /cg rw - cgroup2 cgroup rw\n", Some("/../other"), Some(("/cg", None, false))),
            ("30 24 0:28 / /a\\040b rw - cgroup2 c rw\n", None, Some(("/a b", None, false))),
            // Two mounts: that which shows the process's own cgroup.
            (
                "1 2 0:3 /x /first rw - cgroup2 c rw\n2 2 0:3 / /second rw - cgroup2 c rw\n",
                Some("/y"),
                Some(("/second", Some("/second/y"), false)),
            ),
        ];
        for (mounts, own, expected) in cases {
            let found = match Hierarchy::of(mounts.as_bytes(), own.map(str::as_bytes)) {
                Err(CgroupError::Unavailable) => None,
                other => Some(other.unwrap()),
            };
            let text = |path: &'_ Path| path.to_str().unwrap().to_owned();
            let found = found.map(|found| (text(found.mount()), found.own().map(text), found.is_read_only()));
            let expected = expected
                .map(|(mount, own, is_read_only)| (mount.into(), own.map(str::to_owned), is_read_only));
            assert_eq!(found, expected, "{mounts} {own:?}");
        }
    }
}
