//! The Python package `aldis`: `python/check.py` builds the wheel as `pip install` does, and tests it on every CPython of the machine.

use super::Tally;
use super::run::watched;
use super::sdk;
use std::process::Command;
use std::time::Duration;

/// Longest time to fetch tools, to build the wheel, and for the tests, on a machine that has other work.
const LIMIT: Duration = Duration::from_secs(2 * 60 * 60);

pub(super) fn run() -> Tally {
    if let Err(reason) = sdk::require("python3", &["-c", "import venv, ensurepip"]) {
        return Tally::not_run(reason);
    }
    let mut check = Command::new("python3");
    check.arg("-u").arg(crate::root().join("python/check.py")).arg("tests");
    check.env("CARGO_TARGET_DIR", crate::target_dir());
    let ended = watched(&mut check, LIMIT, |line| !line.starts_with("skipped:"));
    let mut tally = sdk::closing_line(&ended.lines).unwrap_or_default();
    if !ended.success && tally.failed == 0 {
        tally.failed = 1;
    }
    tally
}
