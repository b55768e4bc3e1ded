//! Files of the kernel that are read again and again, in full or not at all.

use std::{cell::Cell, fmt, io};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{Mode, OFlags, openat},
    io::Errno,
};

use crate::limits::{MAX_PROCS_FILE_SIZE, MAX_TELEMETRY_FILE_SIZE};

/// A file that stays open.
#[derive(Debug)]
pub(crate) struct KeptFile {
    fd: OwnedFd,
}

/// Why a file gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileError {
    /// It is longer than the bound.
    TooLong,
    /// What it tells of is gone.
    Gone,
    /// The kernel's answer.
    Kernel(Errno),
}

impl From<Errno> for FileError {
    fn from(errno: Errno) -> Self {
        // A removed cgroup answers ENODEV, a process that has ended ESRCH, and its directory ENOENT.
        match errno {
            Errno::NODEV | Errno::SRCH | Errno::NOENT => Self::Gone,
            other => Self::Kernel(other),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "is longer than is read"),
            Self::Gone => write!(f, "is gone"),
            Self::Kernel(errno) => write!(f, "{}", io::Error::from(*errno)),
        }
    }
}

impl KeptFile {
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Opens a file of a directory for reading; `None` if there is none.
    pub(crate) fn open(directory: impl AsFd, name: &str) -> Result<Option<Self>, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match openat(directory, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// The whole file, as it is now. One call, where the kernel makes the text at once (all but lists of processes): a second one, to
    /// see the end, would cost as much as the first.
    pub(crate) fn read<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], FileError> {
        let length = retried(|| rustix::io::pread(&self.fd, &mut *buffer, 0))?;
        if length == buffer.len() { Err(FileError::TooLong) } else { Ok(&buffer[..length]) }
    }

    /// The whole file, in as many calls as it takes.
    pub(crate) fn read_in_parts<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], FileError> {
        let mut length = 0;
        loop {
            let more = retried(|| rustix::io::pread(&self.fd, &mut buffer[length..], length as u64))?;
            length += more;
            if more == 0 {
                return Ok(&buffer[..length]);
            }
            if length == buffer.len() {
                return Err(FileError::TooLong);
            }
        }
    }
}

/// Opens, reads and closes a file of a directory.
pub(crate) fn read_once<'b>(
    directory: impl AsFd,
    name: &str,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], FileError> {
    KeptFile::open(directory, name)?.ok_or(FileError::Gone)?.read(buffer)
}

fn retried(mut call: impl FnMut() -> Result<usize, Errno>) -> Result<usize, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}

thread_local! {
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// The buffer of this thread, whoever reads: one for all episodes that it looks at, made when it is first taken.
pub(crate) struct Scratch(Box<[u8]>);

impl Scratch {
    pub(crate) fn take() -> Self {
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        Self(spare.unwrap_or_else(|| buffer(MAX_PROCS_FILE_SIZE + 1)))
    }

    /// Makes it, so that nobody has to who must not allocate.
    pub(crate) fn prepare() {
        drop(Self::take());
    }

    /// For a file of cgroupfs or of a process.
    pub(crate) fn of_file(&mut self) -> &mut [u8] {
        &mut self.0[..=MAX_TELEMETRY_FILE_SIZE]
    }

    /// For a list of processes.
    pub(crate) fn of_list(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.0);
        // A thread that ends needs none any more.
        let _ = SPARE.try_with(|spare| spare.set(Some(bytes)));
    }
}

/// A buffer whose pages are touched only as far as files are long.
pub(crate) fn buffer(bytes: usize) -> Box<[u8]> {
    vec![0; bytes].into_boxed_slice()
}
