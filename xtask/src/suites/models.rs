//! The concurrency models: unit tests in modules named `models`, on loom in place of std's and tokio's primitives.

use super::Tally;
use super::cargo_tests::read;
use std::process::Command;
use std::time::Duration;

/// Turns the stand-ins on. No name that dependencies know: with `loom` tokio itself would change.
const CFG: &str = "--cfg aldis_models";
/// Longest time to build loom and the crate on it, and to go through every model, on two cores.
const LIMIT: Duration = Duration::from_secs(90 * 60);

pub(super) fn run() -> Tally {
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let mut command = Command::new("cargo");
    command.args(["test", "-p", "aldis-pipeline", "-p", "aldis-collect"]);
    command.args(["--lib", "models::", "--", "--show-output"]);
    command.env("RUSTFLAGS", format!("{flags} {CFG}")).env_remove("CARGO_ENCODED_RUSTFLAGS");
    // Flags are part of what a build is good for: in a folder of its own it leaves the other builds alone.
    command.env("CARGO_TARGET_DIR", crate::target_dir().join("models"));
    let mut tally = read(&mut command, LIMIT);
    if tally == Tally::default() {
        println!("no model ran");
        tally.failed = 1;
    }
    tally
}
