//! What a test has for itself, so that the machine's own is not touched.

use std::{
    process::{Command, Stdio},
    thread,
};

use nix::sched::{CloneFlags, unshare};

/// Runs this in a thread that has made something its own, with all that it starts; where that cannot be the test says that it was skipped.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn within(
    make: fn() -> Result<(), String>,
    name: &'static str,
    test: impl FnOnce() + Send + 'static,
) {
    let run = move || match make() {
        Ok(()) => test(),
        Err(reason) => eprintln!("skipped: {name}: {reason}"),
    };
    thread::spawn(run).join().unwrap();
}

/// Makes the calling thread, and what it starts, see mounts of their own, which go when it ends.
pub(crate) fn own_mounts() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| format!("no mounts of its own: {error}"))?;
    mount(&["--make-rprivate", "/"])
}

/// `mount`, with these words.
pub(crate) fn mount(words: &[&str]) -> Result<(), String> {
    let done = Command::new("mount").args(words).stdout(Stdio::null()).output();
    let well = done.as_ref().is_ok_and(|output| output.status.success());
    if well { Ok(()) } else { Err(format!("`mount {}`: {done:?}", words.join(" "))) }
}
