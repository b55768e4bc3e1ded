//! Scrapes of `aldis serve` by a Prometheus server, by `promtool`, and by the parsers of `prometheus_client`.
//!
//! The server is Debian's package, unpacked and not installed: nothing outside the target folder changes.

use super::Tally;
use super::run::watched;
use super::sdk::{self, SetUp, TEST_LIMIT};
use std::path::PathBuf;
use std::process::Command;

const PACKAGE: &str = "prometheus";

pub(super) fn run() -> Tally {
    let tools = match sdk::tools() {
        Ok(tools) => tools,
        Err(SetUp::Missing(reason)) => return Tally::not_run(reason),
        Err(SetUp::Broken) => return Tally::one(false),
    };
    let binaries = match binaries() {
        Ok(binaries) => binaries,
        Err(reason) => return Tally::not_run(reason),
    };
    let mut driver = Command::new(&tools.python);
    driver
        .arg("-u")
        .arg(sdk::here("scrape.py"))
        .arg("--aldis")
        .arg(&tools.aldis)
        .arg("--prometheus")
        .arg(binaries.join("prometheus"))
        .arg("--promtool")
        .arg(binaries.join("promtool"));
    let ended = watched(&mut driver, TEST_LIMIT, |_| true);
    let mut tally = sdk::closing_line(&ended.lines).unwrap_or_default();
    if !ended.success && tally.failed == 0 {
        tally.failed = 1;
    }
    tally
}

/// The folder with `prometheus` and `promtool`, unpacked if they are not there yet.
fn binaries() -> Result<PathBuf, String> {
    sdk::require("apt-get", &["--version"])?;
    sdk::require("dpkg-deb", &["--version"])?;
    let folder = sdk::work_dir()?.join(PACKAGE);
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    sdk::set_up_once(&folder.join("unpacked"), PACKAGE, || {
        // A machine whose lists are old asks for a version that is gone.
        if download(&folder).is_err() {
            sdk::set_up(Command::new("apt-get").args(["update", "--quiet"]))?;
            download(&folder)?;
        }
        let entries = std::fs::read_dir(&folder).map_err(|e| e.to_string())?.flatten();
        let package =
            entries.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "deb"));
        let package = package.ok_or("apt-get downloaded no package")?;
        sdk::set_up(Command::new("dpkg-deb").arg("-x").arg(package).arg(&folder))
    })?;
    Ok(folder.join("usr/bin"))
}

/// Fetches the package into the folder.
fn download(folder: &std::path::Path) -> Result<(), String> {
    // `apt-get download` writes to where it runs, and says in vain that it would rather be another user.
    let script = "cd \"$1\" && apt-get download --quiet \"$2\"";
    sdk::set_up(Command::new("sh").args(["-c", script, "sh"]).arg(folder).arg(PACKAGE))
}
