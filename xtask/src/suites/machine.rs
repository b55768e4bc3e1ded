//! What needs a kernel with every cgroup v2 controller, or systemd: run in a small virtual machine, see `tests/machine/boot.sh`.

use super::{
    Tally,
    cargo_tests::{WORKSPACE, programs, read},
    debian, sdk,
};
use std::{path::Path, process::Command, time::Duration};

/// Longest time to build the tests and to run them in the machine.
const LIMIT: Duration = Duration::from_secs(60 * 60);
/// The tests that need systemd as the first process are below this name.
const SYSTEMD: &str = "systemd::";

pub(super) fn run() -> Tally {
    let uml = match debian::unpacked("user-mode-linux") {
        Ok(folder) => folder.join("usr/bin/linux.uml"),
        Err(reason) => return Tally::not_run(reason),
    };
    if !programs() {
        return Tally::one(false);
    }
    let mut tally = boot(&uml, &[], &["--skip", SYSTEMD]);
    if !Path::new("/lib/systemd/systemd").exists() {
        tally.skipped.push((SYSTEMD.to_owned(), "this machine has no systemd".to_owned()));
        return tally;
    }
    let managed = boot(&uml, &["--systemd"], &[SYSTEMD]);
    tally.passed += managed.passed;
    tally.failed += managed.failed;
    tally.skipped.extend(managed.skipped);
    tally
}

/// The tests of `aldis-host` that are made for the machine: cargo builds them here and hands the program to the script that boots it.
fn boot(uml: &Path, options: &[&str], filter: &[&str]) -> Tally {
    let script = crate::root().join("tests/machine/boot.sh");
    let words = [&[script.to_str().unwrap_or_default()], options].concat();
    let work = match sdk::work_dir() {
        Ok(folder) => folder.join("machine"),
        Err(reason) => return Tally::not_run(reason),
    };
    let mut command = Command::new("cargo");
    command.arg("test").arg("--config").arg(format!("target.'cfg(all())'.runner={words:?}"));
    command.args(WORKSPACE).args(["--test", "machine", "--", "--show-output", "--color=never"]).args(filter);
    command.env("ALDIS_UML", uml).env("ALDIS_UML_WORK", work);
    let mut tally = read(&mut command, LIMIT);
    if tally == Tally::default() {
        println!("no test ran in the machine");
        tally.failed = 1;
    }
    tally
}
