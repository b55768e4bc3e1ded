//! What is written to whoever called: results to standard output, all else to standard error.
//!
//! Neither may end the process, as `println!` does: telemetry goes on when nobody reads the screen any more, or when the disk
//! that a log goes to is full. That a result could not be written is told at the end, by [`exit_after`].

use std::{
    fmt,
    io::{self, Write},
    sync::OnceLock,
};

use crate::exit::Exit;

/// Why standard output takes nothing any more; there is one in a process.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// Writes to standard output.
pub(crate) fn show(text: fmt::Arguments<'_>) {
    show_bytes(text.to_string().as_bytes());
}

/// Writes a line to standard output.
pub(crate) fn show_line(text: fmt::Arguments<'_>) {
    show(format_args!("{text}\n"));
}

/// Writes bytes to standard output.
pub(crate) fn show_bytes(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    if FAILED.get().is_none()
        && let Err(error) = out.write_all(bytes).and_then(|()| out.flush())
    {
        // The lock is held: nobody else has failed.
        let _ = FAILED.set(error);
    }
}

/// Writes to standard error. Where that fails there is nobody to be told.
pub(crate) fn say(text: fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_all(text.to_string().as_bytes());
}

/// Writes a line to standard error.
pub(crate) fn say_line(text: fmt::Arguments<'_>) {
    say(format_args!("{text}\n"));
}

/// Whether who read standard output has gone away.
pub(crate) fn has_no_reader() -> bool {
    FAILED.get().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The end of a command that did what it was to do: a result that could not be written is a failure, unless its reader had
/// read enough (`aldis config docs | head`).
pub(crate) fn exit_after(exit: Exit) -> Exit {
    match FAILED.get().filter(|_| exit == Exit::Success && !has_no_reader()) {
        Some(error) => {
            say_line(format_args!("error: cannot write the result: {error}"));
            Exit::File
        }
        None => exit,
    }
}
