//! `aldis seal`, `aldis open`, `aldis verify` and `aldis cat`: what they have in common.

pub(super) mod cat;
pub(super) mod open;
pub(super) mod seal;
mod stats;
mod target;
pub(super) mod verify;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use ::archive::{Error, Key, OpenOptions, TelemetrySnapshot};
use clap::Args;

use super::fail;
use crate::{exit::Exit, output, terminal::progress};

/// What an archive is sealed with: one of both.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct KeyArgs {
    /// The key: a file of 32 random bytes, or of 64 hexadecimal digits.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The password: a file of one line.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// The key of files that may be sealed archives.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct SealedArgs {
    /// Where a file is a sealed archive, its key: a file of 32 bytes, or of 64 hexadecimal digits.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Where a file is a sealed archive, its password: a file of one line.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl SealedArgs {
    /// The key, if one is named.
    pub(super) fn read(&self) -> Result<Option<Key>, String> {
        read_key(self.key_file.as_deref(), self.password_file.as_deref()).map_err(|failure| failure.message)
    }
}

fn read_key(key: Option<&Path>, password: Option<&Path>) -> Result<Option<Key>, Failure> {
    let (path, key) = match (key, password) {
        (Some(path), _) => (path, Key::read(path)),
        (None, Some(path)) => (path, Key::read_password(path)),
        (None, None) => return Ok(None),
    };
    key.map(Some).map_err(|error| Failure::of(path, &error))
}

/// What all four commands take.
#[derive(Debug, Args)]
struct WorkArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// What the archive is bound to: who opens it must say the same.
    #[arg(long, value_name = "TEXT", default_value = "")]
    context: String,
    /// Threads that work on frames; 0 is one for each CPU that may be used. The result is the same for any number.
    #[arg(long, value_name = "N", default_value_t = 0)]
    workers: usize,
    /// Write what was counted and measured to standard error at the end.
    #[arg(long)]
    stats: bool,
    /// Write results as JSON: to standard output, and what goes to standard error, too.
    #[arg(long)]
    json: bool,
}

/// Why a command ends early.
struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// Of a file, which the message names.
    fn of(path: &Path, error: &Error) -> Self {
        let exit = if matches!(error, Error::Settings(_)) { Exit::Usage } else { Exit::File };
        Self { exit, message: format!("{}: {error}", path.display()) }
    }

    fn of_io(path: &Path, error: io::Error) -> Self {
        Self::of(path, &Error::Io(error))
    }
}

/// A command's end.
fn told(json: bool, ended: Result<(), Failure>) -> Exit {
    match ended {
        Ok(()) => Exit::Success,
        Err(Failure { exit, message }) => fail(json, exit, &message),
    }
}

impl WorkArgs {
    fn key(&self) -> Result<Key, Failure> {
        let read = read_key(self.key.key_file.as_deref(), self.key.password_file.as_deref())?;
        read.ok_or_else(|| Failure { exit: Exit::Usage, message: "no key is named".to_owned() })
    }

    fn open_options(&self) -> OpenOptions {
        OpenOptions {
            workers: self.workers,
            context: self.context.clone().into_bytes(),
            ..OpenOptions::default()
        }
    }

    /// What became of it: a line, or the snapshot; beside the result where that goes to standard output.
    fn tell(&self, output: &Path, snapshot: &TelemetrySnapshot, line: impl FnOnce() -> String) {
        let told = if self.json { format!("{:#}", stats::as_json(snapshot)) } else { line() };
        if target::is_stdout(output) {
            output::say_line(format_args!("{told}"));
        } else {
            output::show_line(format_args!("{told}"));
        }
    }

    /// What was counted, to standard error if it was asked for.
    fn show_stats(&self, snapshot: &TelemetrySnapshot) {
        if self.stats && self.json {
            output::say_line(format_args!("{}", stats::as_json(snapshot)));
        } else if self.stats {
            output::say(format_args!("{}", stats::as_table(snapshot)));
        }
    }
}

/// What is read, and how much of it was.
struct Input {
    reader: Box<dyn Read>,
    length: Option<u64>,
    read: Arc<AtomicU64>,
}

impl Input {
    /// A file; `-` is standard input.
    fn open(path: &Path) -> Result<Self, Failure> {
        let read = Arc::new(AtomicU64::new(0));
        if path == Path::new("-") {
            return Ok(Self { reader: Box::new(io::stdin().lock()), length: None, read });
        }
        let file = opened(path)?;
        let length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|told| told.len());
        Ok(Self { reader: Box::new(file), length, read })
    }

    /// Does work with what is read, and shows meanwhile how far it has come.
    fn during<T>(self, is_wanted: bool, what: String, work: impl FnOnce(Counted<Box<dyn Read>>) -> T) -> T {
        let (read, length) = (Arc::clone(&self.read), self.length);
        let part = move || length.map(|length| read.load(Relaxed) as f64 / length.max(1) as f64);
        let counted = Counted { inner: self.reader, read: self.read };
        progress::during(is_wanted, Box::new(move || what.clone()), Box::new(part), || work(counted))
    }
}

fn opened(path: &Path) -> Result<File, Failure> {
    let file = File::open(path).map_err(|error| Failure::of_io(path, error))?;
    match file.metadata() {
        // Else it is said when it is read, in other words.
        Ok(told) if told.is_dir() => Err(Failure::of_io(path, io::ErrorKind::IsADirectory.into())),
        _ => Ok(file),
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.fetch_add(read as u64, Relaxed);
        Ok(read)
    }
}
