//! Starting a program, showing what it prints as it comes, and ending it when it takes too long.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(50);

/// How a program ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// It ended by itself, with success.
    pub(super) success: bool,
    /// Its standard output, line by line.
    pub(super) lines: Vec<String>,
}

/// Runs a program; prints each line of its standard output that `show` accepts. Its standard error goes to ours.
pub(super) fn watched(
    command: &mut Command,
    limit: Duration,
    mut show: impl FnMut(&str) -> bool + Send,
) -> Ended {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child =
        match command.current_dir(crate::root()).stdin(Stdio::null()).stdout(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) => {
                println!("cannot start {name}: {error}");
                return Ended { success: false, lines: Vec::new() };
            }
        };
    let stdout = child.stdout.take().expect("stdout is piped");
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut lines = Vec::new();
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if show(&line) {
                    println!("{line}");
                }
                lines.push(line);
            }
            lines
        });
        let deadline = Instant::now() + limit;
        let success = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status.success(),
                Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
                _ => {
                    println!("{name} took longer than {} s and was ended", limit.as_secs());
                    let _ = child.kill();
                    let _ = child.wait();
                    break false;
                }
            }
        };
        Ended { success, lines: reader.join().unwrap_or_default() }
    })
}

/// Runs a program for what it says on standard output; `None` when it cannot be run or fails.
pub(super) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longest time for what takes none, on a machine that has other work.
    const PATIENCE: Duration = Duration::from_secs(300);

    #[test]
    fn a_program_that_takes_too_long_is_ended_and_fails() {
        let ended = watched(Command::new("sleep").arg("3600"), Duration::from_millis(100), |_| true);
        assert!(!ended.success);
    }

    #[test]
    fn lines_are_kept_whether_shown_or_not() {
        let ended = watched(Command::new("printf").arg("a\\nb\\n"), PATIENCE, |line| line == "a");
        assert!(ended.success);
        assert_eq!(ended.lines, ["a", "b"]);
        assert!(!watched(&mut Command::new("no-such-program"), Duration::from_secs(1), |_| true).success);
    }
}
