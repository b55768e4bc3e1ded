//! What the kernel itself says, and how it counts.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use host::{
    EpisodeId, EpisodeScope, MetricSource, OsResourceLimits, Placement, Slice, create_episode_scope,
    remove_episode_scope,
};
use serde_json::{Value, json};

use super::{Programs, job::Metric};

/// A job that does some of everything.
const WORDS: &str = "--cpu 200 --children 1 --orphans 1 --short 10 --anon 32 --write 8 --direct 8";

/// How this kernel counts CPU time, as far as it tells.
pub(super) fn accounting() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let zipped = Command::new("zcat").arg("/proc/config.gz").output();
    let zipped =
        zipped.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let boot = fs::read_to_string(format!("/boot/config-{}", release.trim())).unwrap_or_default();
    let config = zipped + &boot;
    let has = |line: &str| config.lines().any(|found| found == line);
    let hz = config.lines().find_map(|line| line.strip_prefix("CONFIG_HZ=")).unwrap_or("?");
    let split = match (has("CONFIG_TICK_CPU_ACCOUNTING=y"), has("CONFIG_VIRT_CPU_ACCOUNTING_GEN=y")) {
        (true, _) => "user and system time are told apart by ticks",
        (_, true) => "user and system time are told apart at each crossing",
        _ => "how user and system time are told apart is not known",
    };
    format!("{}, {hz} ticks a second, {split}", release.trim())
}

/// A cgroup for one job.
///
/// # Errors
/// None can be made.
pub(super) fn scope() -> Result<EpisodeScope, String> {
    let slice = Slice::beside_this_process().map_err(|e| e.to_string())?;
    let id = EpisodeId::random().map_err(|e| e.to_string())?;
    create_episode_scope(&slice, id, &OsResourceLimits::default()).map_err(|e| e.to_string())
}

/// Removes it.
pub(super) fn remove(scope: &EpisodeScope) -> Result<(), String> {
    remove_episode_scope(scope).map_err(|e| e.to_string())
}

/// Whether the kernel has a file for that.
pub(super) fn tells(metric: Metric) -> bool {
    let Ok(scope) = scope() else { return false };
    let is_there = value(&scope, metric).is_some();
    remove(&scope).is_ok() && is_there
}

/// What the kernel's file has when the job is over.
///
/// # Errors
/// The job fails, or there is no cgroup.
pub(super) fn told(metric: Metric, arguments: &[String], programs: &Programs) -> Result<f64, String> {
    let scope = scope()?;
    let told = run(&scope, programs, arguments)
        .and_then(|()| value(&scope, metric).ok_or_else(|| "the kernel's file says nothing".to_owned()));
    remove(&scope)?;
    told
}

fn value(scope: &EpisodeScope, metric: Metric) -> Option<f64> {
    match metric {
        Metric::Cpu => keyed(scope, "cpu.stat", "usage_usec").map(|us| us as f64 / 1e3),
        Metric::Memory => number(&read(scope, "memory.peak")).map(|bytes| bytes as f64),
        Metric::Written => {
            scope.path().join("io.stat").exists().then(|| summed(&read(scope, "io.stat"), "wbytes") as f64)
        }
    }
}

/// The sum of what a file says of every device.
fn summed(all: &str, key: &str) -> u64 {
    let told = all.split_whitespace().filter_map(|word| number(word.strip_prefix(key)?.strip_prefix('=')?));
    told.sum()
}

/// Runs a job in a cgroup, and holds every value that is said to come from there against the kernel's file.
///
/// # Errors
/// The job fails.
pub(super) fn compare(programs: &Programs, folder: &Path) -> Result<Value, String> {
    let scope = match scope() {
        Ok(scope) => scope,
        Err(reason) => {
            println!("left out: the kernel's own files: no cgroup can be made ({reason})");
            return Ok(Value::Null);
        }
    };
    let rows = rows(&scope, programs, folder);
    remove(&scope)?;
    let rows = rows?;
    println!("values of a cgroup, and the kernel's file: burden {WORDS}");
    for (name, value, file) in &rows {
        let verdict = if value == file { "equal" } else { "DIFFERENT" };
        println!("{name:<28}{value:>16}{file:>16}  {verdict}");
    }
    Ok(json!(rows))
}

fn run(scope: &EpisodeScope, programs: &Programs, arguments: &[String]) -> Result<(), String> {
    let mut burden = Placement::through(&programs.episode, scope).command(&programs.burden);
    let status = burden.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.map_err(|e| format!("burden: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("burden: {status}")) }
}

fn read(scope: &EpisodeScope, file: &str) -> String {
    fs::read_to_string(scope.path().join(file)).unwrap_or_default()
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// A number on a line with its name.
fn keyed(scope: &EpisodeScope, file: &str, key: &str) -> Option<u64> {
    read(scope, file).lines().find_map(|line| number(line.strip_prefix(key)?.strip_prefix(' ')?))
}

/// Name, value, and what the kernel's file has, both in the unit of the value.
fn rows(
    scope: &EpisodeScope,
    programs: &Programs,
    folder: &Path,
) -> Result<Vec<(&'static str, u64, u64)>, String> {
    let words = WORDS.split(' ').map(str::to_owned);
    let arguments: Vec<String> = words.chain(["--folder".to_owned(), folder.display().to_string()]).collect();
    run(scope, programs, &arguments)?;
    let stats = scope.reader().and_then(|mut reader| reader.read()).map_err(|e| e.to_string())?;
    let cpu = |key: &str| keyed(scope, "cpu.stat", key).map(|us| us * 1000);
    let mut rows = Vec::new();
    for (name, metric) in stats.metrics() {
        let (MetricSource::Cgroup, Some(value)) = (metric.source(), metric.get()) else { continue };
        let file = match name {
            "cpu.usage_ns" => cpu("usage_usec"),
            "cpu.user_ns" => cpu("user_usec"),
            "cpu.system_ns" => cpu("system_usec"),
            "memory.peak_bytes" => number(&read(scope, "memory.peak")),
            "memory.current_bytes" => number(&read(scope, "memory.current")),
            "io.read_bytes" => Some(summed(&read(scope, "io.stat"), "rbytes")),
            "io.write_bytes" => Some(summed(&read(scope, "io.stat"), "wbytes")),
            "pids" => number(&read(scope, "pids.current")),
            _ => None,
        };
        if let Some(file) = file {
            rows.push((name, value, file));
        }
    }
    Ok(rows)
}
