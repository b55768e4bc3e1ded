//! Files that have their name when they are whole.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::{
    error::Error,
    key::Key,
    open::open,
    options::{OpenOptions, SealOptions},
    seal::seal,
    snapshot::TelemetrySnapshot,
};

/// Seals a file into another, which appears when it is whole and on the disk.
///
/// # Errors
/// As [`seal`]; what stood at `output` is as it was.
pub fn seal_file(
    input: &Path,
    output: &Path,
    key: &Key,
    options: &SealOptions,
) -> Result<TelemetrySnapshot, Error> {
    let input = File::open(input)?;
    let mut new = NewFile::create(output)?;
    let snapshot = seal(input, &mut new, key, options)?;
    let bytes = new.commit()?;
    Ok(snapshot.attach_output(output, bytes))
}

/// Opens an archive into a file, which appears when its end was verified and it is on the disk.
///
/// # Errors
/// As [`open`]; what stood at `output` is as it was.
pub fn open_file(
    input: &Path,
    output: &Path,
    key: &Key,
    options: &OpenOptions,
) -> Result<TelemetrySnapshot, Error> {
    let input = File::open(input)?;
    let mut new = NewFile::create(output)?;
    let snapshot = open(input, &mut new, key, options)?;
    let bytes = new.commit()?;
    Ok(snapshot.attach_output(output, bytes))
}

/// A file that is written beside its name, takes it in [`commit`](NewFile::commit), and is gone if it does not.
///
/// ```
/// use std::{fs, io::Write};
/// use aldis_archive::NewFile;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("report");
/// fs::write(&path, "old")?;
/// let mut new = NewFile::create(&path)?;
/// new.write_all(b"new")?;
/// assert_eq!(fs::read(&path)?, b"old");
/// assert_eq!(new.commit()?, 3);
/// assert_eq!(fs::read(&path)?, b"new");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "without `commit` the file is gone"]
pub struct NewFile {
    file: File,
    name: PathBuf,
    /// Where it is written; nothing once it has its name.
    beside: Option<PathBuf>,
}

impl NewFile {
    /// Creates a file beside `path` that only its owner can read; where that is a link, beside what it leads to.
    ///
    /// # Errors
    /// The folder cannot be written, or `path` has no name, or is there and no regular file: a device must not be replaced by one.
    pub fn create(path: &Path) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let there = match fs::metadata(path) {
            Ok(there) if !there.is_file() => {
                let what = format!("{} is there and no regular file", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            Ok(_) => Some(fs::canonicalize(path)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // What is there is not known, and must not be replaced.
            Err(error) => return Err(error),
        };
        let path = there.as_deref().unwrap_or(path);
        let name = path.file_name().ok_or_else(|| io::Error::other("the output has no name"))?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}-{}.part", process::id(), NUMBER.fetch_add(1, Relaxed)));
        let beside = path.with_file_name(hidden);
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&beside)?;
        Ok(Self { file, name: path.to_owned(), beside: Some(beside) })
    }

    /// Where it is written until it has its name.
    pub fn beside(&self) -> Option<&Path> {
        self.beside.as_deref()
    }

    /// Writes everything to the disk and gives the file its name; its length.
    ///
    /// # Errors
    /// The disk is full, or the name cannot be taken.
    pub fn commit(mut self) -> io::Result<u64> {
        self.file.sync_all()?;
        let bytes = self.file.metadata()?.len();
        if let Some(beside) = &self.beside {
            fs::rename(beside, &self.name)?;
        }
        self.beside = None;
        // The name itself is on the disk when the folder is. Where folders cannot be opened it comes there by itself.
        let folder = self.name.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
            folder.sync_all()?;
        }
        Ok(bytes)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            // What cannot be removed is a hidden file that says what it is.
            let _ = fs::remove_file(beside);
        }
    }
}
