//! Where the sockets of episodes are.

use std::{
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fd::OwnedFd,
    fs::{CWD, FlockOperation, Mode, OFlags, flock, openat},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};

use super::StreamError;
use crate::id::EpisodeId;

/// Bits of a mode that let others change a folder, and those that let them see it.
const CHANGED_BY_OTHERS: u32 = 0o022;
const OPEN_TO_OTHERS: u32 = 0o077;

/// The folder of the sockets of one user's episodes, which no other user may enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFolder(PathBuf);

/// A socket that was found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSocket {
    /// The episode.
    pub id: EpisodeId,
    /// The socket.
    pub path: PathBuf,
    /// Somebody listens; else it was left behind.
    pub is_live: bool,
}

impl StreamFolder {
    /// `$XDG_RUNTIME_DIR/aldis/episodes`; where that variable is not set, or names a folder of another user (as under `sudo`), `aldis-UID/episodes`
    /// in the folder for temporary files. It is made if it is not there.
    ///
    /// # Errors
    /// It cannot be made, or others may enter it.
    pub fn of_this_user() -> Result<Self, StreamError> {
        let uid = rustix::process::geteuid().as_raw();
        let is_own =
            |path: &PathBuf| path.is_absolute() && fs::metadata(path).is_ok_and(|one| one.uid() == uid);
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(is_own);
        let above = match runtime {
            Some(runtime) => runtime.join("aldis"),
            None => std::env::temp_dir().join(format!("aldis-{uid}")),
        };
        private(&above, CHANGED_BY_OTHERS)?;
        Self::at(&above.join("episodes"))
    }

    /// Any folder, which is made if it is not there; the one above it is.
    ///
    /// # Errors
    /// It cannot be made; it is another user's, or others may enter it.
    pub fn at(path: &Path) -> Result<Self, StreamError> {
        private(path, OPEN_TO_OTHERS)?;
        Ok(Self(path.into()))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where an episode is streamed, if it is.
    #[must_use]
    pub fn socket(&self, id: EpisodeId) -> PathBuf {
        self.0.join(format!("{id}.sock"))
    }

    /// The sockets that are there, by name. To see whether somebody listens each is called and left again.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn sockets(&self) -> Result<Vec<StreamSocket>, StreamError> {
        let _alone = self.lock()?;
        self.found()
    }

    /// Removes sockets at which nobody listens, and returns them: who made them was killed.
    ///
    /// # Errors
    /// The folder cannot be read. One that cannot be removed is not returned.
    pub fn remove_stale(&self) -> Result<Vec<PathBuf>, StreamError> {
        let _alone = self.lock()?;
        let stale = self.found()?.into_iter().filter(|found| !found.is_live).map(|found| found.path);
        Ok(stale.filter(|path| fs::remove_file(path).is_ok()).collect())
    }

    fn found(&self) -> Result<Vec<StreamSocket>, StreamError> {
        let refused = |error| StreamError::io(&self.0, error);
        let named = |entry: fs::DirEntry| {
            let id = entry.file_name().to_str()?.strip_suffix(".sock")?.parse().ok()?;
            let path = entry.path();
            let is_live = is_live(&path);
            Some(StreamSocket { id, path, is_live })
        };
        let entries = fs::read_dir(&self.0).map_err(refused)?;
        let mut found: Vec<StreamSocket> = entries.flatten().filter_map(named).collect();
        found.sort_by_key(|one| one.id);
        Ok(found)
    }

    /// Makes the socket of an episode, in the place of one that was left behind.
    pub(super) fn listen(&self, id: EpisodeId) -> Result<UnixListener, StreamError> {
        let _alone = self.lock()?;
        let path = self.socket(id);
        let refused = |error| StreamError::io(&path, error);
        if path.symlink_metadata().is_ok() {
            if is_live(&path) {
                return Err(StreamError::Streamed { path });
            }
            fs::remove_file(&path).map_err(refused)?;
        }
        let listener = UnixListener::bind(&path).map_err(refused)?;
        let shut = fs::set_permissions(&path, fs::Permissions::from_mode(0o600));
        shut.and_then(|()| listener.set_nonblocking(true)).map_err(refused)?;
        Ok(listener)
    }

    pub(super) fn unlink(&self, id: EpisodeId) {
        // Another may have done it.
        let _ = fs::remove_file(self.socket(id));
    }

    /// A socket is refused by its kernel until somebody listens: so nobody who makes one is taken for gone meanwhile.
    fn lock(&self) -> Result<OwnedFd, StreamError> {
        let refused = |errno: Errno| StreamError::io(&self.0, errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, &self.0, flags, Mode::empty()).map_err(refused)?;
        loop {
            match flock(&folder, FlockOperation::LockExclusive) {
                Err(Errno::INTR) => {}
                other => return other.map(|()| folder).map_err(refused),
            }
        }
    }
}

/// A folder that is this user's, and as closed as asked for.
fn private(path: &Path, closed: u32) -> Result<(), StreamError> {
    let refused = |error| StreamError::io(path, error);
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(refused(error)),
        _ => {}
    }
    let found = fs::symlink_metadata(path).map_err(refused)?;
    let is_own = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    if is_own && found.mode() & closed == 0 {
        Ok(())
    } else {
        Err(StreamError::NotPrivate { path: path.into() })
    }
}

/// Whether somebody listens at a socket. Whoever is too busy to answer at once does.
fn is_live(path: &Path) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let Ok(socket) = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None) else { return true };
    let Ok(address) = SocketAddrUnix::new(path.as_os_str().as_bytes()) else { return true };
    !matches!(connect(&socket, &address), Err(Errno::CONNREFUSED | Errno::NOENT | Errno::NOTSOCK))
}
