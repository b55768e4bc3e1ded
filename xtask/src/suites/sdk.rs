//! Real OpenTelemetry SDKs, and a real Collector, through `aldis serve`.
//!
//! `tests/sdk/driver.py` starts a receiver that records every id, `aldis serve` in front of it, and a client in some
//! language; the ids that the client reports as sent and the ids that arrived must be the same. With the Python client and with
//! the Collector it also compares, field by field, what others read of the JSON that `aldis serve` sends.

use super::run::{answer, watched};
use super::{Tally, cargo_tests};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Longest time to fetch or build what a suite needs.
const SET_UP_LIMIT: Duration = Duration::from_secs(60 * 60);
/// Longest time for one suite's tests: what takes some minutes, on a machine that has other work.
pub(super) const TEST_LIMIT: Duration = Duration::from_secs(60 * 60);
/// Times before what could not be set up is tried again: what is fetched may not come for a moment.
const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(30)];

pub(super) fn python() -> Tally {
    suite("python", |tools| {
        Ok(vec!["--content".into(), "--tls".into(), tools.python.clone(), here("python/client.py")])
    })
}

pub(super) fn js() -> Tally {
    suite("js", |_| {
        require("node", &["--version"])?;
        // npm writes beside the manifest: work on a copy.
        let folder = work_dir()?.join("js");
        std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        for file in ["package.json", "package-lock.json", "client.mjs"] {
            let from = sources().join("js").join(file);
            std::fs::copy(&from, folder.join(file)).map_err(|e| format!("{}: {e}", from.display()))?;
        }
        let stamp = std::fs::read_to_string(folder.join("package-lock.json")).unwrap_or_default();
        set_up_once(&folder.join("installed"), &stamp, || {
            set_up(Command::new("npm").args(["ci", "--silent", "--prefix"]).arg(&folder))
        })?;
        Ok(vec!["node".into(), folder.join("client.mjs").display().to_string()])
    })
}

pub(super) fn go() -> Tally {
    suite("go", |_| {
        require("go", &["version"])?;
        let binary = work_dir()?.join("go-client");
        set_up(
            Command::new("go")
                .args(["build", "-C"])
                .arg(sources().join("go"))
                .arg("-o")
                .arg(&binary)
                .arg("."),
        )?;
        Ok(vec![binary.display().to_string()])
    })
}

pub(super) fn collector() -> Tally {
    let mut tally = before_and_behind();
    if let (None, Ok(tools)) = (&tally.not_run, tools()) {
        let counted = usage(&tools);
        tally.passed += counted.passed;
        tally.failed += counted.failed;
        tally.skipped.extend(counted.skipped);
    }
    tally
}

/// Commands of `aldis`, counted, through a Collector that is there.
fn usage(tools: &Tools) -> Tally {
    let mut driver = Command::new(&tools.python);
    driver.arg("-u").arg(here("usage.py")).arg("--aldis").arg(&tools.aldis);
    driver.arg("--collector").arg(crate::peers::binary());
    read(&mut driver)
}

fn before_and_behind() -> Tally {
    suite("collector", |tools| {
        let binary = crate::peers::binary();
        if !binary.exists() {
            require("go", &["version"])?;
            again(crate::peers::command)?;
        }
        let collector = format!("--collector={}", binary.display());
        Ok(vec![
            collector,
            "--content".into(),
            "--tls".into(),
            tools.python.clone(),
            here("python/client.py"),
        ])
    })
}

/// What every suite needs.
pub(super) struct Tools {
    pub(super) python: String,
    pub(super) aldis: PathBuf,
}

/// Sets up, then runs the driver with the client's command line.
fn suite(name: &str, client: impl FnOnce(&Tools) -> Result<Vec<String>, String>) -> Tally {
    if name != "collector" && !sources().join(name).exists() {
        return Tally::not_run(format!("there is no client in tests/sdk/{name}"));
    }
    let tools = match tools() {
        Ok(tools) => tools,
        Err(SetUp::Missing(reason)) => return Tally::not_run(reason),
        Err(SetUp::Broken) => return Tally::one(false),
    };
    let (options, client): (Vec<String>, Vec<String>) = match client(&tools) {
        Ok(line) => line.into_iter().partition(|word| word.starts_with("--")),
        Err(reason) => return Tally::not_run(reason),
    };
    let mut driver = Command::new(&tools.python);
    driver
        .arg("-u")
        .arg(here("driver.py"))
        .arg("--aldis")
        .arg(&tools.aldis)
        .args(options)
        .arg("--")
        .args(client);
    read(&mut driver)
}

/// Runs a driver and reads its closing line.
fn read(driver: &mut Command) -> Tally {
    let ended = watched(driver, TEST_LIMIT, |_| true);
    let mut tally = closing_line(&ended.lines).unwrap_or_default();
    if !ended.success && tally.failed == 0 {
        tally.failed = 1;
    }
    tally
}

/// Why a suite cannot start.
pub(super) enum SetUp {
    /// Something that this machine does not have.
    Missing(String),
    /// Our own code does not build.
    Broken,
}

pub(super) fn tools() -> Result<Tools, SetUp> {
    let python = venv().map_err(SetUp::Missing)?;
    let built = cargo_tests::programs();
    let aldis = crate::target_dir().join("debug/aldis");
    if built { Ok(Tools { python, aldis }) } else { Err(SetUp::Broken) }
}

/// A virtual environment with the pinned packages; the path of its interpreter.
fn venv() -> Result<String, String> {
    require("python3", &["--version"])?;
    let folder = work_dir()?.join("venv");
    let python = folder.join("bin/python").display().to_string();
    let requirements = sources().join("python/requirements.txt");
    let pinned =
        std::fs::read_to_string(&requirements).map_err(|e| format!("{}: {e}", requirements.display()))?;
    set_up_once(&folder.join("installed"), &pinned, || {
        set_up(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        set_up(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&requirements))
    })?;
    Ok(python)
}

/// Does the work unless the stamp file says that it was done for the same input.
pub(super) fn set_up_once(
    stamp: &Path,
    input: &str,
    work: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    if std::fs::read_to_string(stamp).is_ok_and(|done| done == input) {
        return Ok(());
    }
    work()?;
    std::fs::write(stamp, input).map_err(|e| format!("{}: {e}", stamp.display()))
}

/// Runs a program that fetches or builds something, a few times if it fails.
pub(super) fn set_up(command: &mut Command) -> Result<(), String> {
    again(|| set_up_at_once(command))
}

/// Runs a program that fetches or builds something.
pub(super) fn set_up_at_once(command: &mut Command) -> Result<(), String> {
    let line = format!("{command:?}");
    if watched(command, SET_UP_LIMIT, |_| true).success {
        Ok(())
    } else {
        Err(format!("set-up failed: {line}"))
    }
}

/// Does what fails a few times, with a pause before each further one.
pub(super) fn again<T>(work: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    after(&PAUSES, work)
}

fn after<T>(pauses: &[Duration], mut work: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    for pause in pauses {
        match work() {
            Err(reason) => println!("{reason}; trying again"),
            done => return done,
        }
        std::thread::sleep(*pause);
    }
    work()
}

pub(super) fn require(program: &str, args: &[&str]) -> Result<(), String> {
    answer(Command::new(program).args(args)).map(drop).ok_or_else(|| format!("there is no {program}"))
}

fn sources() -> PathBuf {
    crate::root().join("tests/sdk")
}

pub(super) fn here(path: &str) -> String {
    sources().join(path).display().to_string()
}

pub(super) fn work_dir() -> Result<PathBuf, String> {
    let folder = crate::target_dir().join("sdk");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}

/// Reads `N passed, M failed, K skipped`, the last line of a driver; `skipped: name: reason` lines before it name them.
pub(super) fn closing_line(lines: &[String]) -> Option<Tally> {
    let last = lines.iter().rev().find(|line| line.contains(" passed, "))?;
    let mut numbers = last.split(", ").map(|part| part.split(' ').next().and_then(|n| n.parse().ok()));
    let (passed, failed) = (numbers.next()??, numbers.next()??);
    let skipped = lines.iter().filter_map(|line| line.strip_prefix("skipped: ")?.split_once(": "));
    let skipped = skipped.map(|(name, reason)| (name.to_owned(), reason.to_owned())).collect();
    Some(Tally { passed, failed, skipped, not_run: None, unsteady: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_done_again_and_not_for_ever() {
        let succeeding_at = |number: u32| {
            let mut runs = 0;
            let done = after(&[Duration::ZERO; 2], || {
                runs += 1;
                if runs == number { Ok(()) } else { Err(format!("number {runs}")) }
            });
            (done, runs)
        };
        assert_eq!(succeeding_at(1), (Ok(()), 1));
        assert_eq!(succeeding_at(3), (Ok(()), 3));
        assert_eq!(succeeding_at(4), (Err("number 3".to_owned()), 3));
    }

    #[test]
    fn the_closing_line_is_read() {
        let lines = ["x ... ok", "skipped: grpc zstd: this SDK has none", "3 passed, 1 failed, 1 skipped"];
        let tally = closing_line(&lines.map(str::to_owned)).unwrap();
        assert_eq!((tally.passed, tally.failed, tally.skips()), (3, 1, 1));
        assert_eq!(closing_line(&["nothing".to_owned()]), None);
    }
}
