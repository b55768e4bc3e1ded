//! One of the few places that there are for senders at a time: a lock, which the system takes back when its holder ends.

use std::{
    fs::{File, TryLockError},
    io,
    path::PathBuf,
};

use crate::{
    config,
    limits::SENDERS_MAX,
    storage::{Storage, is_still},
};

/// A place that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    lock: File,
    path: PathBuf,
}

impl Slot {
    /// A place, if one is free. Where no file can be made the configuration is locked instead, and there is one place only.
    pub(super) fn take(storage: &Storage) -> Option<Self> {
        for number in 0..SENDERS_MAX {
            let path = storage.path(&name(number));
            match storage.open_to_append(&name(number)) {
                Ok(lock) if is_free(&lock) => return Some(Self { lock, path }),
                Ok(_) => {}
                Err(_) => {
                    let path = storage.path(config::FILE);
                    let lock = File::open(&path).ok()?;
                    return is_free(&lock).then_some(Self { lock, path });
                }
            }
        }
        None
    }

    /// Whether nobody has had it removed since it was taken.
    pub(super) fn is_there(&self) -> bool {
        is_still(&self.lock, &self.path)
    }

    /// Removes the files that were locked.
    pub(super) fn forget(storage: &Storage) -> io::Result<()> {
        (0..SENDERS_MAX).try_for_each(|number| storage.remove(&name(number)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // A process that another thread starts at this moment has the same open file until its program begins.
        let _ = self.lock.unlock();
    }
}

/// Takes the lock; whether nobody has it. Where the file system knows no locks nobody has any.
fn is_free(lock: &File) -> bool {
    !matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
}

fn name(number: usize) -> String {
    format!("sender-{number}.lock")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn there_are_so_many_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path().to_path_buf());
        let mut held: Vec<_> = (0..SENDERS_MAX).map(|_| Slot::take(&storage).unwrap()).collect();
        assert!(Slot::take(&storage).is_none());
        held.remove(3);
        held.push(Slot::take(&storage).unwrap());
        assert!(Slot::take(&storage).is_none());
    }

    #[test]
    fn where_nothing_can_be_made_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path().to_path_buf());
        fs::create_dir(storage.path(&name(0))).unwrap();
        assert!(Slot::take(&storage).is_none(), "nothing to lock");
        fs::write(storage.path(config::FILE), "").unwrap();
        let slot = Slot::take(&storage).unwrap();
        assert!(Slot::take(&storage).is_none());
        drop(slot);
        assert!(Slot::take(&storage).is_some());
    }
}
