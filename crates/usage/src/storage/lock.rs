//! Who may write into a directory: those who send, several at a time, or a user who decides, alone.
//!
//! What a user decides is to hold at once, also for those who have asked before. So whoever sends asks anew while they have their share of the
//! directory, and writes only with it; whoever decides waits until nobody has a share. What is locked is the directory
//! itself: nothing is made for it, and nothing of it is left.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use nix::fcntl::OFlag;

use super::{Storage, is_absence};
use crate::limits::LOCK_PAUSE;

/// A directory that is locked until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    /// None where its file system knows no locks, or it cannot be opened.
    folder: Option<File>,
}

impl Storage {
    /// A share of the directory, for a moment.
    ///
    /// # Errors
    /// It is not there, or somebody who decides has it for longer than this.
    pub(crate) fn share(&self, patience: Duration) -> io::Result<Lock> {
        self.lock(patience, File::try_lock_shared)
    }

    /// The directory for oneself.
    ///
    /// # Errors
    /// It is not there, or others write into it for longer than this.
    pub(crate) fn own(&self, patience: Duration) -> io::Result<Lock> {
        let lock = self.lock(patience, File::try_lock)?;
        // Nobody else writes now: what is there has been left behind.
        if lock.folder.is_some() {
            self.sweep();
        }
        Ok(lock)
    }

    fn lock(&self, patience: Duration, attempt: fn(&File) -> Result<(), TryLockError>) -> io::Result<Lock> {
        let begin = Instant::now();
        loop {
            // A pipe of that name would be waited for.
            let mut options = OpenOptions::new();
            options.read(true).custom_flags((OFlag::O_DIRECTORY | OFlag::O_NONBLOCK).bits());
            let folder = match options.open(&self.directory) {
                Ok(folder) => folder,
                Err(error) if is_absence(&error) => return Err(error),
                Err(_) => return Ok(Lock { folder: None }),
            };
            match attempt(&folder) {
                Ok(()) if is_still(&folder, &self.directory) => return Ok(Lock { folder: Some(folder) }),
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(_)) => return Ok(Lock { folder: None }),
            }
            if begin.elapsed() >= patience {
                let message = format!("others are at work in {}", self.directory.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            thread::sleep(LOCK_PAUSE);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A process that another thread starts at this moment has the same open file until its program begins.
        let _ = self.folder.as_ref().map(File::unlock);
    }
}

/// Whether an open file is what stands at this place: locks of what has been removed hold nobody up.
pub(crate) fn is_still(file: &File, path: &Path) -> bool {
    let of = |found: fs::Metadata| (found.dev(), found.ino());
    file.metadata().ok().map(of) == fs::metadata(path).ok().map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_share_and_one_owns() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path().join("a"));
        let now = Duration::ZERO;
        assert!(storage.share(now).is_err() && storage.own(now).is_err(), "there is none");
        fs::create_dir(storage.path("")).unwrap();
        let shares = [storage.share(now).unwrap(), storage.share(now).unwrap()];
        assert_eq!(storage.own(now).unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(shares);
        let own = storage.own(now).unwrap();
        assert!(storage.share(now).is_err() && storage.own(now).is_err());
        fs::remove_dir(storage.path("")).unwrap();
        fs::create_dir(storage.path("")).unwrap();
        storage.share(now).expect("another directory of that name is nobody's");
        drop(own);
    }

    #[test]
    fn who_waits_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path().to_path_buf());
        let share = storage.share(Duration::ZERO).unwrap();
        thread::scope(|scope| {
            let own = scope.spawn(|| storage.own(Duration::from_secs(30)).is_ok());
            drop(share);
            assert!(own.join().unwrap());
        });
    }
}
