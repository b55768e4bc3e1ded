//! A tool's own directory: a few small files, each whole or not there.

mod in_place;
mod lock;
mod temporary;

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::PathBuf,
};

pub(crate) use lock::is_still;
use temporary::Temporary;

use nix::fcntl::OFlag;

use crate::{config, fingerprint, sender};

/// Whoever may read a file that holds nothing of interest.
pub(crate) const MODE_PLAIN: u32 = 0o644;
/// Only the owner.
pub(crate) const MODE_OWN: u32 = 0o600;

/// Every file that is written whole.
const NAMES: [&str; 4] = [config::FILE, config::NOTE, fingerprint::FILE, sender::LAST_RESULT];

/// How a file was written.
#[derive(Debug)]
pub(crate) enum Written {
    /// By another in its place.
    Whole,
    /// Over what stood there, as no other could take its place, for this reason.
    InPlace(io::Error),
}

/// The files of one directory, by name.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    directory: PathBuf,
}

impl Storage {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// What a file holds; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be read, is no file, is longer than this many bytes, or is no text.
    pub(crate) fn read(&self, name: &str, bytes_max: u64) -> io::Result<Option<String>> {
        let path = self.path(name);
        let found = match fs::metadata(&path) {
            Ok(found) => found,
            // A decision may stand where it leads, on a disk that is not there now.
            Err(error) if is_absence(&error) && path.is_symlink() => {
                return Err(io::Error::other("it is a link that leads nowhere"));
            }
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        // Whoever opens a pipe waits for its other end.
        if !found.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        if found.len() > bytes_max {
            return Err(io::Error::other("it is too long"));
        }
        let mut text = String::new();
        File::open(path)?.take(bytes_max).read_to_string(&mut text)?;
        Ok(Some(text))
    }

    /// Writes a file, or leaves what stood there. A file that is there keeps its permissions, and a link leads on to where it led. The last
    /// step is not taken unless this agrees, which is asked when nothing else is to fail. A file on which another is mounted (that of a
    /// container, maybe) cannot be replaced, and is written over.
    ///
    /// # Errors
    /// It cannot be written, or the directory belongs to another user than root, who runs this.
    pub(crate) fn write(
        &self,
        name: &str,
        text: &str,
        mode: u32,
        agree: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<Written> {
        self.is_ours()?;
        let path = self.target(name);
        if path.is_symlink() {
            return Err(io::Error::other(format!("{} is a link that leads nowhere", path.display())));
        }
        let mode = fs::metadata(&path).map_or(mode, |found| found.mode() & 0o7777);
        let temporary = Temporary::write(&path, text, mode)?;
        // A disk that is full says so only now on some file systems, and a file must not be empty after a crash.
        temporary.file.sync_all()?;
        agree()?;
        let Err(error) = fs::rename(&temporary.path, &path) else { return Ok(Written::Whole) };
        match in_place::write(&path, text) {
            Ok(()) => Ok(Written::InPlace(error)),
            Err(second) => {
                let message = format!("it can neither be replaced ({error}) nor written over ({second})");
                Err(io::Error::new(second.kind(), message))
            }
        }
    }

    /// Writes a file that may be lost.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) fn note(&self, name: &str, text: &str) -> io::Result<()> {
        self.is_ours()?;
        let path = self.path(name);
        let temporary = Temporary::write(&path, text, MODE_OWN)?;
        fs::rename(&temporary.path, &path)
    }

    /// Writes a file unless there is one; whether it did. Of several that try at once one does.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) fn create(&self, name: &str, text: &str, mode: u32) -> io::Result<bool> {
        self.is_ours()?;
        let path = self.path(name);
        let temporary = Temporary::write(&path, text, mode)?;
        temporary.file.sync_all()?;
        match fs::hard_link(&temporary.path, &path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            // Not every file system has links.
            Err(_) if !path.exists() => fs::rename(&temporary.path, &path).map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Opens a file to lock it, or to add to it.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) fn open_to_append(&self, name: &str) -> io::Result<File> {
        self.is_ours()?;
        let mut options = OpenOptions::new();
        // Whoever opens a pipe waits for its other end.
        options.append(true).create(true).mode(MODE_OWN).custom_flags(OFlag::O_NONBLOCK.bits());
        let file = options.open(self.path(name))?;
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a file")) }
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// It is there still, or the directory belongs to another user than root, who runs this.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        self.is_ours()?;
        match fs::remove_file(self.path(name)) {
            Err(error) if is_absence(&error) => Ok(()),
            other => other,
        }
    }

    /// Makes the directory, if it is not there. Nothing else does: what a user removes stays removed.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) fn make(&self) -> io::Result<()> {
        self.is_ours()?;
        if self.directory.is_dir() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)
    }

    /// Says no if this is `sudo` in another user's home: what root wrote there its owner could not change.
    pub(crate) fn is_ours(&self) -> io::Result<()> {
        let owner = self.directory.ancestors().find_map(|folder| fs::metadata(folder).ok());
        if let Some(owner) = owner.map(|found| found.uid())
            && nix::unistd::geteuid().is_root()
            && owner != 0
        {
            let message =
                format!("{} belongs to user {owner}: run this as that user", self.directory.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        Ok(())
    }

    /// Where a file is that a link may lead to.
    fn target(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        path.canonicalize().unwrap_or(path)
    }

    /// Removes what was left half written.
    fn sweep(&self) {
        if self.is_ours().is_err() {
            return;
        }
        for name in NAMES {
            temporary::sweep(&self.target(name));
        }
    }
}

/// Neither the file nor, maybe, its folder is there.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
