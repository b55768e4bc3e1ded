//! Words to files of cgroupfs.

use rustix::{
    fd::AsFd,
    fs::{Mode, OFlags, openat},
    io::Errno,
};

/// Writes a word to a file that is there. The kernel takes it whole or not at all.
pub(super) fn write(directory: impl AsFd, file: &str, word: &[u8]) -> Result<(), Errno> {
    let fd = openat(directory, file, OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
    loop {
        match rustix::io::write(&fd, word) {
            Err(Errno::INTR) => {}
            other => return other.map(|_| ()),
        }
    }
}
