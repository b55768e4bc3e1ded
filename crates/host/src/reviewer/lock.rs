//! One process at a time.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{LOCK_SECONDS_MAX, beside};

/// How often a lock that is removed is made again.
const MADE_AGAIN_MAX: usize = 100;
/// How long to wait before asking again.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// The file that stands for the right to write. It is not the file itself, whose name changes hands as it is put aside.
pub(super) fn for_writing(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(beside(path, ".lock"))
}

/// Keeps writers away until what is returned is dropped. A reader who may not open the file of a writer reads without.
pub(super) fn shared(path: &Path) -> io::Result<Option<File>> {
    let Ok(file) = File::open(beside(path, ".lock")) else { return Ok(None) };
    wait(|| file.try_lock_shared())?;
    Ok(Some(file))
}

/// Waits for the right to write. A file that somebody has removed meanwhile is made again: it says nothing to those who come later.
pub(super) fn exclusive(path: &Path, file: &mut File) -> io::Result<()> {
    for _ in 0..MADE_AGAIN_MAX {
        wait(|| file.try_lock())?;
        let identity = |found: fs::Metadata| (found.dev(), found.ino());
        if fs::metadata(beside(path, ".lock")).ok().map(identity) == Some(identity(file.metadata()?)) {
            return Ok(());
        }
        *file = for_writing(path)?;
    }
    Err(io::Error::other("its lock is removed again and again"))
}

fn wait(mut attempt: impl FnMut() -> Result<(), TryLockError>) -> io::Result<()> {
    let until = Instant::now() + Duration::from_secs(LOCK_SECONDS_MAX);
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(ASK_AGAIN),
            Err(TryLockError::WouldBlock) => {
                let said = format!("another process has written for {LOCK_SECONDS_MAX} s");
                return Err(io::Error::new(io::ErrorKind::WouldBlock, said));
            }
        }
    }
}
