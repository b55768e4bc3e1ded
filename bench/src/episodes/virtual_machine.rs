//! Jobs on a kernel that has every controller: the small virtual machine of `tests/machine`, whose root is this file system. That kernel is a
//! program, for which the first touch of a page costs more than most jobs: its CPU time is held against its own files, and no measure of anything else.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use super::{HELP, programs, settings, write};
use crate::process::{machine, root, target};

/// The disk of the machine, whose bytes its kernel counts.
const DISK: &str = "/run/disk";

/// Runs `bench episodes accuracy` there, and writes its raw result here.
///
/// # Errors
/// A wrong argument, what cannot be built, a machine that does not start, or a job that fails.
pub(super) fn command(args: &[&str]) -> Result<(), String> {
    // The others are said here, or mean nothing there.
    let known = ["--runs", "--built", "--dry"];
    if let Some(other) = args.iter().find(|arg| arg.starts_with('-') && !known.contains(arg)) {
        return Err(format!("no such argument: {other}\n{HELP}"));
    }
    let settings = settings(args)?;
    programs(None, settings.built)?;
    let own = env::current_exe().map_err(|e| e.to_string())?;
    let runs = settings.runs.to_string();
    let mut boot = Command::new("sh");
    // Nothing of this environment comes there by itself.
    let place = format!("CARGO_TARGET_DIR={}", target().display());
    boot.arg(root().join("tests/machine/boot.sh")).args(["env", &place]).arg(own);
    boot.args(["episodes", "accuracy", "--built", "--no-cpu", "--raw", "--folder", DISK, "--runs", &runs]);
    let kernel = kernel()?;
    let work = target().join("sdk/machine");
    fs::create_dir_all(&work).map_err(|e| format!("{}: {e}", work.display()))?;
    boot.current_dir(root()).env("ALDIS_UML", kernel).env("ALDIS_UML_WORK", work);
    let output = boot.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (raw, told): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('{'));
    told.iter().for_each(|line| println!("{line}"));
    let mut result: serde_json::Value = raw
        .first()
        .filter(|_| output.status.success())
        .and_then(|line| serde_json::from_str(line).ok())
        .ok_or_else(|| format!("the machine told no result: {}", output.status))?;
    // It cannot ask git, and knows nothing of where it runs.
    result["commit"] = machine::commit().into();
    result["host"] = machine::describe();
    if settings.dry { Ok(()) } else { write("episodes-accuracy-machine.json", &result) }
}

/// The kernel, which is a program.
fn kernel() -> Result<PathBuf, String> {
    let unpacked = target().join("sdk/user-mode-linux/usr/bin/linux.uml");
    if unpacked.exists() {
        return Ok(unpacked);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = env::split_paths(&path).map(|folder| folder.join("linux.uml")).find(|file| file.exists());
    installed.ok_or_else(|| "there is no User Mode Linux: `cargo xtask test machine` fetches it".to_owned())
}
