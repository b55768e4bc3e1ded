//! What a file storage needs of a file system. Tests have one that forgets what was not synced.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Seek, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{CWD, RenameFlags},
    io::Errno,
};

use crate::limits::{SWEEP_AGE, SWEEP_NAMES};

/// Tells a file from another that has taken its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity(pub(crate) u64, pub(crate) u64);

/// What is known of a file that nobody has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) identity: Identity,
    pub(crate) len: u64,
    /// When it was last written to, by the clock of the file system: Unix nanoseconds, wrapped where they are negative.
    pub(crate) modified_ns: u64,
    /// What is written to a file without any name is nobody's to read.
    pub(crate) has_name: bool,
}

pub(crate) trait Disk: Send + Sync {
    fn create_folder(&self, folder: &Path) -> io::Result<()>;
    /// The names in a folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// Opens a file to write behind its end, and makes it if it is not there.
    fn append(&self, path: &Path) -> io::Result<Box<dyn Append>>;
    fn read(&self, path: &Path) -> io::Result<Box<dyn Read>>;
    /// Opens a file that is there to change what it has.
    fn patch(&self, path: &Path) -> io::Result<Box<dyn Patch>>;
    /// Which file has a name now.
    fn identity(&self, path: &Path) -> io::Result<Identity>;
    /// Gives a file a new name, which nothing may have yet.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Begins a new file that is to take the place of what has the name.
    fn begin(&self, path: &Path) -> io::Result<Box<dyn Beside>>;
    /// Puts a new file in the place of what has the name.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut beside = self.begin(path)?;
        beside.write(bytes)?;
        beside.put()
    }
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes what others have begun to take a place, and were killed.
    fn sweep(&self, place: &Path) -> io::Result<()>;
    /// Makes names last.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

pub(crate) trait Append: Send {
    /// One `write(2)`: says how many of the first bytes were written.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// The position behind what was written last; others may write to the file, too.
    fn position(&mut self) -> io::Result<u64>;
    fn sync(&mut self) -> io::Result<()>;
    fn look(&self) -> io::Result<Look>;
}

pub(crate) trait Patch: Send {
    fn look(&self) -> io::Result<Look>;
    /// Writes all of that in the place of what is there.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;
}

pub(crate) trait Read: Send {
    fn look(&self) -> io::Result<Look>;
    /// Reads until the buffer is full or the file ends.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;

    fn len(&self) -> io::Result<u64> {
        Ok(self.look()?.len)
    }

    fn identity(&self) -> io::Result<Identity> {
        Ok(self.look()?.identity)
    }
}

/// A file that has no place yet. Dropped without getting one it leaves nothing.
pub(crate) trait Beside {
    /// Writes all of that behind what it has.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Writes all of that in the place of what is there.
    fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// Gives it its place.
    fn put(self: Box<Self>) -> io::Result<()>;
}

/// A pipe is waited for when it is opened, and a device would be renamed, or removed, in its turn as a file that is full.
fn is_file_or_free(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(there) if !there.is_file() => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is there and no regular file"))
        }
        // A link that leads nowhere is followed by who opens it, as is what cannot be looked at.
        _ => Ok(()),
    }
}

/// The system's file system.
pub(crate) struct System;

impl Disk for System {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn Append>> {
        is_file_or_free(path)?;
        Ok(Box::new(OpenOptions::new().append(true).create(true).open(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        is_file_or_free(path)?;
        Ok(Box::new(File::open(path)?))
    }

    fn patch(&self, path: &Path) -> io::Result<Box<dyn Patch>> {
        Ok(Box::new(OpenOptions::new().write(true).open(path)?))
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        Ok(look(&fs::metadata(path)?)?.identity)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        // One call: whatever is done in two leaves another process room to put its file where this one takes the name away.
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Some file systems cannot: there the one danger left is that of two who rotate in the same moment.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if to.try_exists()? => {
                Err(io::ErrorKind::AlreadyExists.into())
            }
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => fs::rename(from, to),
            renamed => Ok(renamed?),
        }
    }

    fn begin(&self, path: &Path) -> io::Result<Box<dyn Beside>> {
        let (name, file) = create_beside(path)?;
        Ok(Box::new(New { name, file, place: path.to_owned() }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sweep(&self, place: &Path) -> io::Result<()> {
        let (Some(folder), Some(name)) = (place.parent(), place.file_name().and_then(|name| name.to_str()))
        else {
            return Ok(());
        };
        for entry in fs::read_dir(folder)?.take(SWEEP_NAMES) {
            let entry = entry?;
            let beside = entry.file_name();
            let of = beside.to_str().and_then(|other| other.strip_prefix(name)).and_then(begun_by);
            let Some((process, number)) = of else { continue };
            let is_left = if process == std::process::id() {
                // One that had the number of this process before.
                number >= BEGUN.load(Ordering::Relaxed)
            } else {
                is_gone(process)
            };
            let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if is_left && age >= SWEEP_AGE {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

/// Files that this process has begun beside others.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// The process that has begun a file to take the place of another, and which of its files that is, by what stands behind the other's name.
fn begun_by(behind: &str) -> Option<(u32, u64)> {
    let (process, number) = behind.strip_prefix('.')?.strip_suffix(".new")?.split_once('-')?;
    Some((process.parse().ok()?, number.parse().ok()?))
}

#[cfg(unix)]
fn is_gone(process: u32) -> bool {
    let process = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    process.is_some_and(|process| rustix::process::test_kill_process(process) == Err(Errno::SRCH))
}

/// Elsewhere nobody asks.
#[cfg(not(unix))]
fn is_gone(_: u32) -> bool {
    false
}

/// Makes a file that no other writer has: one that two wrote to would have the one's beginning, and what the other adds to it.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        // Behind the whole name, which is an index's: nobody's file is called so.
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}-{}.new", std::process::id(), BEGUN.fetch_add(1, Ordering::Relaxed)));
        match OpenOptions::new().write(true).create_new(true).open(&beside) {
            // Of a process that had the same number, and was killed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            file => return Ok((beside.into(), file?)),
        }
    }
}

struct New {
    name: PathBuf,
    file: File,
    place: PathBuf,
}

impl Beside for New {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()> {
        Patch::write_at(&self.file, bytes, position)
    }

    fn put(self: Box<Self>) -> io::Result<()> {
        fs::rename(&self.name, &self.place)
    }
}

impl Drop for New {
    fn drop(&mut self) {
        // It is gone where it has got its place: names are used once.
        let _ = fs::remove_file(&self.name);
    }
}

impl Append for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(self, bytes)
    }

    fn position(&mut self) -> io::Result<u64> {
        self.stream_position()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn look(&self) -> io::Result<Look> {
        look(&self.metadata()?)
    }
}

impl Patch for File {
    fn look(&self) -> io::Result<Look> {
        look(&self.metadata()?)
    }

    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, position)
    }

    #[cfg(not(unix))]
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut file = self.try_clone()?;
        file.seek(io::SeekFrom::Start(position))?;
        file.write_all(bytes)
    }
}

impl Read for File {
    fn look(&self) -> io::Result<Look> {
        look(&self.metadata()?)
    }

    #[cfg(unix)]
    fn read_at(&self, mut buffer: &mut [u8], mut position: u64) -> io::Result<usize> {
        let wanted = buffer.len();
        while !buffer.is_empty() {
            match std::os::unix::fs::FileExt::read_at(self, buffer, position) {
                Ok(0) => break,
                Ok(read) => {
                    buffer = &mut buffer[read..];
                    position += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(wanted - buffer.len())
    }

    #[cfg(not(unix))]
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut file = self.try_clone()?;
        file.seek(io::SeekFrom::Start(position))?;
        let mut read = 0;
        while read < buffer.len() {
            match io::Read::read(&mut file, &mut buffer[read..])? {
                0 => break,
                more => read += more,
            }
        }
        Ok(read)
    }
}

#[cfg(unix)]
fn look(metadata: &Metadata) -> io::Result<Look> {
    use std::os::unix::fs::MetadataExt;

    let modified_ns = metadata.mtime().wrapping_mul(1_000_000_000).wrapping_add(metadata.mtime_nsec());
    Ok(Look {
        identity: Identity(metadata.dev(), metadata.ino()),
        len: metadata.len(),
        modified_ns: modified_ns.cast_unsigned(),
        has_name: metadata.nlink() > 0,
    })
}

/// Elsewhere a name is all that is known of a file, and none that is open loses its last one.
#[cfg(not(unix))]
fn look(metadata: &Metadata) -> io::Result<Look> {
    let modified = metadata.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let modified_ns = u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX);
    Ok(Look { identity: Identity::default(), len: metadata.len(), modified_ns, has_name: true })
}
