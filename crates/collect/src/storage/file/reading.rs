//! The files of a storage as a reader has them.

use std::{
    io,
    path::{Path, PathBuf},
    vec,
};

use super::{
    disk::{Disk, Identity, Read},
    index,
    writer::{index_path, rotated},
};

/// Files put aside that are opened when they are listed, with their indexes twice as many: of those that others may remove soon. Later ones are
/// opened in their turn, so that many files take few descriptors.
const OPENED_AT_ONCE: usize = 32;

/// Times that files are listed anew because others have put one aside meanwhile.
const LISTINGS: usize = 100;

/// A file that is being read.
pub(crate) struct Reading {
    pub(crate) path: PathBuf,
    pub(crate) file: Box<dyn Read>,
    identity: Identity,
    /// One that agrees with the file.
    pub(crate) index: Option<Box<dyn Read>>,
    pub(crate) len: u64,
}

impl Reading {
    /// `None`: another process has put it aside, or removed it, a moment ago.
    fn open(disk: &dyn Disk, path: &Path) -> io::Result<Option<Self>> {
        let file = match disk.read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let (len, identity) = (file.len()?, file.identity()?);
        let index = disk.read(&index_path(path)).ok();
        let index = index.filter(|index| index::agreed(&**index, &*file).is_ok_and(|stamp| stamp.is_some()));
        Ok(Some(Self { path: path.to_owned(), file, identity, index, len }))
    }
}

/// All files, the oldest first. One that is removed before its turn is passed over.
pub(crate) struct Readings<'a> {
    disk: &'a dyn Disk,
    oldest: vec::IntoIter<Reading>,
    later: vec::IntoIter<PathBuf>,
    newest: Option<Reading>,
}

impl<'a> Readings<'a> {
    /// As they are while nobody in this process writes: whoever calls sees to that.
    pub(crate) fn list(disk: &'a dyn Disk, path: &Path) -> io::Result<Self> {
        let mut aside = rotated(disk, path)?;
        for _ in 0..LISTINGS {
            // If it is put aside after it was opened, it is among the others or a second listing has one more.
            let newest = Reading::open(disk, path)?;
            let (first, later) = aside.split_at(aside.len().min(OPENED_AT_ONCE));
            let mut oldest = Vec::new();
            for (_, path) in first {
                oldest.extend(Reading::open(disk, path)?);
            }
            let later: Vec<PathBuf> = later.iter().map(|(_, path)| path.clone()).collect();
            let newest = newest.filter(|newest| oldest.iter().all(|file| file.identity != newest.identity));
            let now = rotated(disk, path)?;
            if std::mem::replace(&mut aside, now) == aside {
                return Ok(Self { disk, oldest: oldest.into_iter(), later: later.into_iter(), newest });
            }
        }
        Err(io::Error::other("others put files aside faster than they can be opened"))
    }

    fn is_newest(&self, file: &Reading) -> bool {
        self.newest.as_ref().is_some_and(|newest| newest.identity == file.identity)
    }
}

impl Iterator for Readings<'_> {
    /// What cannot be opened comes with its path.
    type Item = Result<Reading, (PathBuf, io::Error)>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(file) = self.oldest.next() {
            return Some(Ok(file));
        }
        while let Some(path) = self.later.next() {
            match Reading::open(self.disk, &path) {
                Ok(Some(file)) if !self.is_newest(&file) => return Some(Ok(file)),
                Ok(_) => {}
                Err(error) => return Some(Err((path, error))),
            }
        }
        self.newest.take().map(Ok)
    }
}
