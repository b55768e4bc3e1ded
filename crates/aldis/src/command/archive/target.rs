//! Where results go: a file that has its name when it is whole, or standard output.

use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ::archive::{Error, NewFile, TelemetrySnapshot};

use signal_hook::low_level::emulate_default_handler;

use super::Failure;
use crate::{exit::Exit, signals};

/// Has work write to a file, or for `-` to standard output. A signal ends the process and leaves no part of the file behind.
pub(super) fn write(
    path: &Path,
    work: impl FnOnce(&mut dyn Write) -> Result<TelemetrySnapshot, Error>,
    told: impl Fn(&Error) -> Failure,
) -> Result<TelemetrySnapshot, Failure> {
    if is_stdout(path) {
        let mut stdout = Blamed::new(io::stdout().lock());
        return work(&mut stdout).map_err(|error| stdout.failure(Path::new(STDOUT), error, told));
    }
    // From before it is there: whoever ends it leaves nothing.
    let beside = Arc::new(Mutex::new(None::<PathBuf>));
    let left = Arc::clone(&beside);
    let listening = signals::listen(false, move |_, signal| {
        // It may have its name already, and then is not there.
        let _ = held(&left).as_ref().map(fs::remove_file);
        // As a shell expects of what Ctrl-C ends: a loop of commands ends with it.
        let _ = emulate_default_handler(signal.as_raw_value());
        process::exit(i32::from(Exit::File.code()));
    });
    listening.map_err(|error| Failure {
        exit: Exit::Unavailable,
        message: format!("signals cannot be listened for: {error}"),
    })?;
    // A signal that comes while it is made waits until its name is known.
    let mut name = held(&beside);
    let new = NewFile::create(path).map_err(|error| Failure::of_io(path, error))?;
    *name = new.beside().map(Path::to_owned);
    drop(name);
    let mut new = Blamed::new(new);
    let snapshot = work(&mut new).map_err(|error| new.failure(path, error, told))?;
    let bytes = new.inner.commit().map_err(|error| Failure::of_io(path, error))?;
    Ok(snapshot.attach_output(path, bytes))
}

fn held(beside: &Mutex<Option<PathBuf>>) -> MutexGuard<'_, Option<PathBuf>> {
    beside.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What standard output is called.
pub(super) const STDOUT: &str = "standard output";

/// An output that knows whether it was what failed: else a full disk would be that of the input.
pub(super) struct Blamed<W> {
    inner: W,
    has_failed: bool,
}

impl<W: Write> Blamed<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, has_failed: false }
    }

    /// Why work ended that wrote here: what is `told` of the error, or that this cannot be written.
    pub(super) fn failure(&self, path: &Path, error: Error, told: impl Fn(&Error) -> Failure) -> Failure {
        match error {
            Error::Io(error) if self.has_failed => Failure::of_io(path, error),
            error => told(&error),
        }
    }

    fn noted<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        self.has_failed |= done.is_err();
        done
    }
}

impl<W: Write> Write for Blamed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.noted(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        self.noted(flushed)
    }
}

pub(super) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Sealed bytes say nothing to a person, and control sequences to a terminal.
pub(super) fn refuse_terminal(path: &Path) -> Result<(), Failure> {
    if is_stdout(path) && io::stdout().is_terminal() {
        let message = "an archive is not written to a terminal: lead it into a file or a pipe".to_owned();
        return Err(Failure { exit: Exit::Usage, message });
    }
    Ok(())
}
