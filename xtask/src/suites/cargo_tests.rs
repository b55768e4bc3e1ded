//! The suites that `cargo test` runs, and the reading of what it prints.

use super::Tally;
use super::run::watched;
use super::{debian, sdk};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Longest time for the build and the tests of the workspace: what takes ten minutes on two cores, on a busy machine.
pub(super) const LIMIT: Duration = Duration::from_secs(75 * 60);

/// Most failed tests that are tried again. What breaks more tests than these is no matter of luck.
const MOST_TRIED_AGAIN: usize = 4;

/// All crates but this one, which is running.
pub(super) const WORKSPACE: [&str; 3] = ["--workspace", "--exclude", "xtask"];

pub(super) fn tidy() -> Tally {
    cargo_test(&["-p", "xtask"], &[])
}

pub(super) fn workspace() -> Tally {
    let tracer = strace().unwrap_or_default();
    cargo_test(&WORKSPACE, &tracer)
}

/// Builds the programs and examples of the workspace for the suites that run them. By themselves their packages would be built with other features of
/// what they depend on, from the ground up.
pub(super) fn programs() -> bool {
    let mut command = Command::new("cargo");
    command.args(["build", "--quiet"]).args(WORKSPACE).args(["--bins", "--examples"]);
    watched(&mut command, LIMIT, |_| true).success
}

/// Where tests find `strace`, as variables: none if it is installed. Where it cannot be had they say that they were skipped.
fn strace() -> Result<Vec<(&'static str, PathBuf)>, String> {
    if sdk::require("strace", &["--version"]).is_ok() {
        return Ok(Vec::new());
    }
    let binary = debian::unpacked("strace")?.join("usr/bin/strace");
    let libraries =
        debian::unpacked("libunwind8")?.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
    Ok(vec![("ALDIS_STRACE", binary), ("ALDIS_STRACE_LIBRARIES", libraries)])
}

fn cargo_test(scope: &[&str], variables: &[(&str, PathBuf)]) -> Tally {
    let mut command = Command::new("cargo");
    command.envs(variables.iter().cloned());
    // `--show-output` hands over what passing tests print: how a test says that it returned early.
    command.arg("test").args(scope).args(["--no-fail-fast", "--", "--show-output"]);
    let first = reading(&mut command, LIMIT);
    let (tally, names) = (first.tally, first.failures);
    // A binary that broke off has no result: that is no matter of a test or two.
    // Nor is an example in the documentation, which is not run by its name.
    if first.unfinished > 0
        || names.iter().any(|name| name.contains(" - "))
        || names.is_empty()
        || names.len() > MOST_TRIED_AGAIN
        || names.len() as u64 != tally.failed
    {
        return tally;
    }
    println!("\ntried again, by themselves: {}", names.join(", "));
    let mut command = Command::new("cargo");
    command.envs(variables.iter().cloned());
    command.arg("test").args(scope).args(["--no-fail-fast", "--lib", "--bins", "--tests"]);
    command.args(["--", "--show-output", "--exact"]).args(&names);
    tried_again(tally, names, &reading(&mut command, LIMIT).tally)
}

/// What a suite did whose failed tests were run once more. Those that pass by themselves do not fail the suite, but
/// they are told: whoever reads the table finds out why the first run was different. Tests that are not found, or do
/// not run, the second time have failed.
fn tried_again(first: Tally, names: Vec<String>, second: &Tally) -> Tally {
    if second.failed > 0 || second.passed < first.failed {
        return first;
    }
    Tally { passed: first.passed + first.failed, failed: 0, unsteady: names, ..first }
}

/// Runs a `cargo test … --show-output` and reads what it prints.
pub(super) fn read(command: &mut Command, limit: Duration) -> Tally {
    reading(command, limit).tally
}

fn reading(command: &mut Command, limit: Duration) -> Libtest {
    let mut display = Libtest::default();
    let ended = watched(command, limit, move |line| display.line(line));
    let mut reading = Libtest::default();
    for line in &ended.lines {
        reading.line(line);
    }
    // A crate that does not compile has no results, only an exit code.
    if !ended.success && reading.tally.failed == 0 {
        reading.tally.failed = 1;
    }
    reading
}

/// Reads the output of libtest line by line.
#[derive(Debug, Clone, Default)]
pub struct Libtest {
    tally: Tally,
    in_successes: bool,
    in_failures: bool,
    /// Names of the tests that failed, as their binaries list them at the end.
    failures: Vec<String>,
    /// Binaries that began and have not told their result.
    unfinished: u64,
    /// Tests of the binary being read that returned early.
    early: u64,
    test: String,
}

impl Libtest {
    /// Takes a line; whether it is worth showing (what passing tests printed is not).
    pub fn line(&mut self, line: &str) -> bool {
        if line == "successes:" {
            self.in_successes = true;
        } else if line == "failures:" || line.starts_with("test result:") {
            self.in_successes = false;
        }
        // Twice in an output: before what failed tests said, after an empty line, and before their names.
        if line == "failures:" || line.is_empty() {
            self.in_failures = line == "failures:";
        } else if self.in_failures
            && let Some(name) = line.strip_prefix("    ")
        {
            self.failures.push(name.to_owned());
        }
        if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.unfinished += 1;
        }
        if let Some(result) = line.strip_prefix("test result:") {
            self.unfinished = self.unfinished.saturating_sub(1);
            // A test that returned early ended well, but it did not run.
            self.tally.passed += count(result, " passed").saturating_sub(self.early);
            self.early = 0;
            self.tally.failed += count(result, " failed");
        }
        if let Some((name, rest)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ignored"))
        {
            let reason = rest.strip_prefix(", ").unwrap_or("ignored without a reason");
            self.tally.skipped.push((name.into(), reason.into()));
        }
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.test = name.into();
        }
        let said = line.trim().split_once(':').filter(|(word, _)| word.eq_ignore_ascii_case("skipped"));
        if self.in_successes
            && let Some((_, reason)) = said
        {
            self.tally.skipped.push((self.test.clone(), reason.trim().into()));
            self.early += 1;
        }
        !self.in_successes
    }

    /// What has been read so far. A test that said `skipped:` is not among the passed.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// The number before a word, as in `12 passed`.
fn count(line: &str, word: &str) -> u64 {
    let before = line.split(word).next().unwrap_or_default();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_ignored_tests_and_early_returns_are_counted() {
        let output = "\
running 4 tests
test a::one ... ok
test a::two ... ok
test a::three ... ignored, needs root
test a::four ... FAILED

successes:

---- a::two stdout ----
SKIPPED: the shared data is absent

successes:
    a::one
    a::two

failures:

---- a::four stdout ----
skipped: not a skip, it failed
    at four

failures:
    a::four

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 3 tests
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 1 test
";
        let mut libtest = Libtest::default();
        let shown = output.lines().filter(|line| libtest.line(line)).count();
        let tally = libtest.tally().clone();
        assert_eq!((tally.passed, tally.failed), (4, 1));
        assert_eq!((libtest.failures, libtest.unfinished), (vec!["a::four".to_owned()], 1));
        let skipped = [("a::three", "needs root"), ("a::two", "the shared data is absent")];
        assert_eq!(tally.skipped, skipped.map(|(n, r)| (n.to_owned(), r.to_owned())));
        assert_eq!(shown, output.lines().count() - 9, "what passing tests print is not shown");
    }

    #[test]
    fn what_passes_by_itself_is_told_and_what_does_not_has_failed() {
        let first = Tally { passed: 7, failed: 2, ..Tally::default() };
        let names = || vec!["a::b".to_owned(), "c".to_owned()];
        let again = |passed, failed| {
            tried_again(first.clone(), names(), &Tally { passed, failed, ..Tally::default() })
        };
        assert_eq!(again(2, 0), Tally { passed: 9, failed: 0, unsteady: names(), ..Tally::default() });
        // The same name in another binary.
        assert_eq!(again(3, 0).failed, 0);
        for (passed, failed) in [(1, 1), (1, 0), (0, 0), (2, 1)] {
            assert_eq!(again(passed, failed), first);
        }
    }
}
