//! Scrapes of `aldis serve` by a Prometheus server, by `promtool`, and by the parsers of `prometheus_client`; what `aldis serve`
//! writes to Prometheus servers; and what it tells of itself, held against what a Collector tells of itself.
//!
//! The server is Debian's package, unpacked and not installed: nothing outside the target folder changes. It knows remote write
//! 1.0 only; 2.0 is received by the handler, storage and query engine of a current version, built from its Go modules.

use super::Tally;
use super::debian;
use super::run::watched;
use super::sdk::{self, SetUp, TEST_LIMIT, Tools};
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
    let server = binaries.join("prometheus");
    let promtool = ("--promtool", binaries.join("promtool"));
    let server = ("--prometheus", server);
    let mut tally = driver(&tools, "scrape.py", &[server.clone(), promtool.clone()]);
    let mut more = |script: &str, binaries: Result<Vec<Binary>, String>| match binaries {
        Ok(binaries) => {
            let ran = driver(&tools, script, &binaries);
            tally.passed += ran.passed;
            tally.failed += ran.failed;
            tally.skipped.extend(ran.skipped);
        }
        Err(reason) => tally.skipped.push((script.to_owned(), reason)),
    };
    more("write.py", receivers().map(|receivers| [vec![server], receivers.to_vec()].concat()));
    let recorded = ("--recorded", crate::root().join("crates/engine/testdata/telemetry/collector.txt"));
    more("own.py", collector().map(|collector| vec![promtool, ("--collector", collector), recorded]));
    tally
}

/// An option of a driver, and where it leads to.
type Binary = (&'static str, PathBuf);

/// Runs a driver with these binaries.
fn driver(tools: &Tools, script: &str, binaries: &[Binary]) -> Tally {
    let mut driver = Command::new(&tools.python);
    driver.arg("-u").arg(sdk::here(script)).arg("--aldis").arg(&tools.aldis);
    for (option, binary) in binaries {
        driver.arg(option).arg(binary);
    }
    let ended = watched(&mut driver, TEST_LIMIT, |_| true);
    let mut tally = sdk::closing_line(&ended.lines).unwrap_or_default();
    if !ended.success && tally.failed == 0 {
        tally.failed = 1;
    }
    tally
}

/// The receiving half of a current Prometheus, built from its modules, and the Collector.
fn receivers() -> Result<[Binary; 2], String> {
    sdk::require("go", &["version"])?;
    let current = sdk::work_dir()?.join("prometheus-receiver");
    let sources = sdk::here("remote_write");
    let line = ["build", "-C", sources.as_str(), "-o"];
    sdk::set_up(Command::new("go").args(line).arg(&current).arg("."))?;
    let collector = crate::peers::binary();
    if !collector.exists() {
        sdk::again(crate::peers::command)?;
    }
    Ok([("--current", current), ("--collector", collector)])
}

/// A Collector with every component that Aldis has too.
fn collector() -> Result<PathBuf, String> {
    sdk::require("go", &["version"])?;
    sdk::again(crate::peers::with_all_components)
}

/// The folder with `prometheus` and `promtool`, unpacked if they are not there yet.
fn binaries() -> Result<PathBuf, String> {
    Ok(debian::unpacked(PACKAGE)?.join("usr/bin"))
}
