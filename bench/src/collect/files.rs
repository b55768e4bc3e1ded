//! What files of a collector cost to write and to search. Searching is done in processes of their own, whose memory is theirs alone.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use collect::{FileStorage, StorageError, TelemetryData, TelemetryEvent, TelemetryStorage};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::process::usage;

/// What a process that reads is started with.
pub(super) const READ: &str = "--read";

/// Events of a batch.
const BATCH: u64 = 8192;

/// Writes a file of so many megabytes, asks for a hundredth of it several times, and reads all of it.
pub(super) fn measure(megabytes: u64) -> Result<Value, String> {
    let folder = crate::process::target().join("bench/collect");
    let path = folder.join("telemetry.jsonl");
    // What another run has left.
    let _ = std::fs::remove_dir_all(&folder);
    let wrote = write(&path, megabytes)?;
    let records = wrote["records"].as_u64().unwrap_or(0);
    println!("\nfile of {megabytes} MB, {records} events of 3 attributes, not synced");
    println!(
        "store: {:.0} ns of CPU an event, {:.2} M events/s of one core",
        number(&wrote, "cpu_ns"),
        number(&wrote, "millions_per_second")
    );
    let hundredth = read(&path, "hundredth", records)?;
    println!("1 % of it, found: {} events, ms: {}", hundredth["records"], hundredth["milliseconds"]);
    let all = read(&path, "all", records)?;
    println!(
        "all of it: {} events in {:.2} s, peak memory grown by {:.1} MiB",
        all["records"],
        number(&all, "milliseconds") / 1e3,
        number(&all, "peak_bytes") / f64::from(1 << 20)
    );
    let tenth = write(&path.with_file_name("tenth.jsonl"), megabytes / 10)?;
    let tenth = read(&path.with_file_name("tenth.jsonl"), "all", tenth["records"].as_u64().unwrap_or(0))?;
    println!(
        "all of a tenth as much: peak memory grown by {:.1} MiB",
        number(&tenth, "peak_bytes") / f64::from(1 << 20)
    );
    std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    Ok(
        json!({ "megabytes": megabytes, "store": wrote, "hundredth": hundredth, "all": all, "all_of_a_tenth": tenth }),
    )
}

fn number(of: &Value, key: &str) -> f64 {
    of[key].as_f64().unwrap_or(f64::NAN)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` passes")]
fn said(error: StorageError) -> String {
    error.to_string()
}

fn write(path: &Path, megabytes: u64) -> Result<Value, String> {
    let storage = FileStorage::open(path).map_err(said)?;
    let event = |time_ns| TelemetryEvent {
        time_ns,
        source: "shop".into(),
        message: "order placed".into(),
        metadata: vec![
            ("user".into(), "ada".into()),
            ("items".into(), 3.into()),
            ("total".into(), 12.5.into()),
        ],
        ..TelemetryEvent::default()
    };
    let (mut cpu, mut records) = (0.0, 0);
    while storage.stats().written_bytes < megabytes * 1_000_000 {
        let events = (records..records + BATCH).map(event).collect();
        let data = TelemetryData { events, metrics: Vec::new() };
        let began = thread_seconds();
        storage.store(&data).map_err(said)?;
        cpu += thread_seconds() - began;
        records += BATCH;
    }
    let cpu_ns = cpu * 1e9 / records as f64;
    Ok(json!({ "records": records, "cpu_ns": cpu_ns, "millions_per_second": 1e3 / cpu_ns }))
}

fn thread_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn read(path: &Path, what: &str, records: u64) -> Result<Value, String> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = Command::new(this);
    command.args(["collect", READ, what, &records.to_string()]).arg(path);
    let output = command.output().map_err(|e| e.to_string())?;
    serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("{what}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Reads, in a process that does nothing else: `hundredth|all RECORDS FILE`.
pub(super) fn command(args: &[String]) -> Result<(), String> {
    let [what, records, path] = args else { return Err("WHAT RECORDS FILE".to_owned()) };
    let records: u64 = records.parse().map_err(|e| format!("{records}: {e}"))?;
    let storage = FileStorage::open(PathBuf::from(path)).map_err(said)?;
    let told = if what == "all" { all(&storage) } else { hundredth(&storage, records) };
    println!("{}", told?);
    Ok(())
}

fn hundredth(storage: &FileStorage, records: u64) -> Result<Value, String> {
    let (mut milliseconds, mut found) = (Vec::new(), 0);
    for round in 1..=9 {
        let start = records * round / 10;
        let began = Instant::now();
        found = storage.retrieve(Some(start), Some(start + records / 100), None).map_err(said)?.len();
        milliseconds.push((began.elapsed().as_secs_f64() * 1e4).round() / 10.0);
    }
    Ok(json!({ "records": found, "milliseconds": milliseconds }))
}

fn all(storage: &FileStorage) -> Result<Value, String> {
    let (before, began) = (usage::from_here()?.rss, Instant::now());
    let report = storage.scan(None, None, |_| ()).map_err(said)?;
    let milliseconds = began.elapsed().as_secs_f64() * 1e3;
    let peak_bytes = usage::now()?.rss_peak.saturating_sub(before);
    Ok(json!({ "records": report.records, "milliseconds": milliseconds, "peak_bytes": peak_bytes }))
}
