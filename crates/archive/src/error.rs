//! What can go wrong, by what the caller can do.

use std::{fmt, io};

/// Why an archive cannot be sealed or opened.
#[derive(Debug)]
pub enum Error {
    /// The input cannot be read or the output not be written: look at the disk or the pipe, then begin anew.
    Io(io::Error),
    /// It begins as no archive does: give another file.
    NotAnArchive,
    /// It is an archive of a version that this program does not know: use a newer one.
    Version(u8),
    /// The header says what no writer of its version writes.
    Header(&'static str),
    /// The header is not as it was written: fetch the file again.
    HeaderDamaged,
    /// It was sealed with a password, and a key was given.
    NeedsPassword,
    /// It was sealed with a key, and a password was given.
    NeedsKey,
    /// The header asks for more memory or time to check a password than is granted: it may be an attack.
    TooCostly,
    /// The key, the password or the context is another than it was sealed with. Nothing was decrypted.
    WrongKey,
    /// It ends before its end: what was released is a true beginning, the rest is missing.
    Truncated {
        /// Bytes that are there.
        offset: u64,
    },
    /// A frame is not as it was written, or not where it was. What was released before it is a true beginning.
    Corrupt {
        /// Number of the frame, from 0.
        frame: u64,
        /// Where it begins in the file.
        offset: u64,
        /// What does not hold.
        what: &'static str,
    },
    /// Something stands behind the end.
    TrailingData {
        /// Where it begins in the file.
        offset: u64,
    },
    /// Frames are authentic and contradict each other: a bug of the program that sealed it.
    Inconsistent(&'static str),
    /// The plaintext is longer than the caller allows.
    TooLong {
        /// Bytes that are allowed.
        max: u64,
    },
    /// More frames than an archive can number: choose larger frames.
    TooManyFrames,
    /// A line is too long to be looked for by its time: take a range of bytes.
    LineTooLong,
    /// The index has no time of anything, so no line can be found by its time: seal the lines with their times, or take a range of bytes.
    NoTimes,
    /// A setting is outside of its limits.
    Settings(&'static str),
    /// What was given is no key or password.
    Key(&'static str),
    /// An earlier error ended this archive.
    Failed,
    /// A worker panicked: a bug of this program.
    Panicked,
}

impl Error {
    /// A name for programs, the same in every language.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Io(_) => "io",
            Error::NotAnArchive => "not_an_archive",
            Error::Version(_) => "version",
            Error::Header(_) => "header",
            Error::HeaderDamaged => "header_damaged",
            Error::NeedsPassword => "needs_password",
            Error::NeedsKey => "needs_key",
            Error::TooCostly => "too_costly",
            Error::WrongKey => "wrong_key",
            Error::Truncated { .. } => "truncated",
            Error::Corrupt { .. } => "corrupt",
            Error::TrailingData { .. } => "trailing_data",
            Error::Inconsistent(_) => "inconsistent",
            Error::TooLong { .. } => "too_long",
            Error::TooManyFrames => "too_many_frames",
            Error::LineTooLong => "line_too_long",
            Error::NoTimes => "no_times",
            Error::Settings(_) => "settings",
            Error::Key(_) => "key",
            Error::Failed => "failed",
            Error::Panicked => "panicked",
        }
    }

    /// The error inside of what [`Read`](io::Read) and [`Write`](io::Write) return; others are [`Error::Io`].
    pub fn from_io(error: io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => Error::Io(error),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(error) => error.fmt(f),
            Error::NotAnArchive => f.write_str("this is no sealed archive"),
            Error::Version(version) => {
                write!(
                    f,
                    "the archive has version {version}, and this program knows version 1: use a newer one"
                )
            }
            Error::Header(what) => write!(f, "the header is none of version 1: {what}"),
            Error::HeaderDamaged => f.write_str("the header is damaged: fetch the file again"),
            Error::NeedsPassword => f.write_str("the archive is sealed with a password, not with a key"),
            Error::NeedsKey => f.write_str("the archive is sealed with a key, not with a password"),
            Error::TooCostly => {
                f.write_str("the archive asks for more memory or time to check a password than is granted")
            }
            Error::WrongKey => f.write_str("wrong key, password or context"),
            Error::Truncated { offset } => {
                write!(f, "the archive ends at byte {offset}, before its end: the rest is missing")
            }
            Error::Corrupt { frame, offset, what } => {
                write!(f, "frame {frame} at byte {offset} is not as it was sealed: {what}")
            }
            Error::TrailingData { offset } => {
                write!(f, "something stands behind the end of the archive, from byte {offset}")
            }
            Error::Inconsistent(what) => {
                write!(f, "the archive contradicts itself: {what}; the program that sealed it has a bug")
            }
            Error::TooLong { max } => {
                write!(f, "the archive holds more than the {max} bytes that are allowed")
            }
            Error::TooManyFrames => f.write_str("more frames than an archive can have: choose larger ones"),
            Error::LineTooLong => f.write_str("a line is longer than 256 MiB: take a range of bytes"),
            Error::NoTimes => f.write_str("no frame has a time: was it sealed with --time-key?"),
            Error::Settings(what) | Error::Key(what) => f.write_str(what),
            Error::Failed => f.write_str("an earlier error ended this archive"),
            Error::Panicked => f.write_str("a worker panicked: this is a bug, please report it"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::from_io(error)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Io(error) => error.kind(),
            Error::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            Error::Settings(_) | Error::Key(_) => io::ErrorKind::InvalidInput,
            Error::Failed | Error::Panicked => io::ErrorKind::Other,
            _ => io::ErrorKind::InvalidData,
        };
        match error {
            Error::Io(error) => error,
            error => io::Error::new(kind, error),
        }
    }
}
