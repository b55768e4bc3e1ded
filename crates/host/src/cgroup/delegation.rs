//! A cgroup that a service manager leaves to its processes.

use std::{fs, path::Path};

use rustix::{
    fs::{CWD, Mode, OFlags, getxattr, openat},
    io::Errno,
};

use super::writing::write;

/// Where a process goes that makes room.
const MAIN: &str = "aldis.main";

/// What systemd marks a cgroup with that it does not touch any more (systemd, *Control Group APIs and Delegation*): who may see the second
/// depends on the user.
const MARKS: [&str; 2] = ["user.delegate", "trusted.delegate"];

/// The cgroup to make slices in, for a process that lives in `own`: it, if this process has moved out of its way or must not.
pub(super) fn beside(own: &Path) -> &Path {
    match own.parent() {
        // It has moved already.
        Some(parent) if own.ends_with(MAIN) && is_delegated(parent) => parent,
        _ => {
            if is_delegated(own) {
                // If it fails scopes are made all the same, and say what they miss.
                let _ = make_room(own);
            }
            own
        }
    }
}

fn is_delegated(cgroup: &Path) -> bool {
    MARKS.iter().any(|name| {
        let mut value = [0; 8];
        getxattr(cgroup, *name, &mut value[..]).is_ok_and(|length| &value[..length] == b"1")
    })
}

fn make_room(cgroup: &Path) -> Result<(), Errno> {
    let main = cgroup.join(MAIN);
    // Another process may have made it.
    let _ = fs::create_dir(&main);
    let directory = openat(CWD, &main, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // 0 is whoever writes.
    write(&directory, "cgroup.procs", b"0")
}
