//! Runs a command in a cgroup of its own and prints what it used: `cargo run --example episode -- COMMAND ARGUMENTS`.
//!
//! Where no cgroup can be made, the command and its descendants are looked for in `/proc`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for terminals")]

use std::{
    ffi::OsString,
    process::{Command, ExitCode, ExitStatus},
};

use aldis_host::{
    EpisodeId, OsResourceLimits, Placement, ProcReader, ResourceStats, Slice, create_episode_scope,
    remove_episode_scope,
};

type Outcome = Result<(ExitStatus, ResourceStats), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    aldis_host::enter_if_asked();
    let mut command: Vec<OsString> = std::env::args_os().skip(1).collect();
    if command.is_empty() {
        command = ["sh", "-c", "sleep 0.01 & wait"].map(OsString::from).to_vec();
    }
    let outcome = in_a_scope(&command).or_else(|error| {
        eprintln!("no scope ({error}): it is looked for in /proc");
        in_the_open(&command)
    });
    match outcome {
        Ok((status, stats)) => {
            print!("{stats}");
            ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn in_a_scope(command: &[OsString]) -> Outcome {
    let slice = Slice::beside_this_process()?;
    let scope = create_episode_scope(&slice, EpisodeId::random()?, &OsResourceLimits::default())?;
    // Processes tell what controllers do not.
    let mut members = ProcReader::of_scope(scope.path())?;
    let mut child = Placement::of(&scope)?.command(&command[0]).args(&command[1..]).spawn()?;
    members.read()?;
    let status = child.wait()?;
    let stats = scope.reader()?.read()?.or(members.read()?);
    remove_episode_scope(&scope)?;
    Ok((status, stats))
}

fn in_the_open(command: &[OsString]) -> Outcome {
    let mut child = Command::new(&command[0]).args(&command[1..]).spawn()?;
    let mut reader = ProcReader::of_tree(child.id())?.adopting_orphans()?;
    reader.read()?;
    let status = child.wait()?;
    Ok((status, reader.read()?))
}
