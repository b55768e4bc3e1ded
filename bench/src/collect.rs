//! What it costs to collect events and metrics inside one's own process, beside others who do: CPU per record, what is lost, peak memory,
//! and how long a call takes while the storage stalls; and what files of events cost to write and to search (crate `collect`).
//!
//! Every run is a process of its own. Runs of all kinds take turns; ours runs against itself first.

mod files;
mod gate;
mod one;
mod subject;

use serde_json::{Value, json};

use self::{
    one::{ONE, Order, Sample},
    subject::{ENTRIES, Entry, OURS},
};
use crate::process::{machine, spread::Spread};

/// How it is called.
pub(crate) const HELP: &str = "  bench collect [--events N] [--runs N] [--file-mb N] [--only TEXT] [--dry]   collect_event and others, a storage that stalls, files";

struct Settings {
    events: usize,
    runs: usize,
    file_mb: u64,
    only: Option<String>,
    dry: bool,
}

/// Records in each second while the storage stalls, and stalls of a run.
const PACED: (u64, u64) = (200_000, 3);

/// ns of an event with 3 attributes, of an addition to a counter.
const GOALS_NS: (f64, f64) = (40.0, 10.0);

/// Measures and prints tables, and writes the raw result.
///
/// # Errors
/// A wrong argument, or a run that fails.
pub(crate) fn command(args: &[String]) -> Result<(), String> {
    match args {
        [first, rest @ ..] if first == ONE => return one::command(rest),
        [first, rest @ ..] if first == files::READ => return files::command(rest),
        _ => {}
    }
    let settings = settings(args)?;
    let is_asked_for =
        |entry: &&Entry| settings.only.as_ref().is_none_or(|only| entry.name.contains(only.as_str()));
    let entries: Vec<&Entry> = ENTRIES.iter().filter(is_asked_for).collect();
    let tight = tight(&entries, &settings)?;
    let paced = paced(&entries, settings.runs)?;
    let files = if settings.file_mb > 0 { files::measure(settings.file_mb)? } else { Value::Null };
    if settings.dry {
        return Ok(());
    }
    let result = json!({
        "machine": machine::describe(), "commit": machine::commit(), "events": settings.events, "runs": settings.runs,
        "tight": tight, "while_the_storage_stalls": paced, "files": files,
    });
    let folder = machine::results_folder()?;
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let path = folder.join("collect.json");
    let text = serde_json::to_string_pretty(&result).map_err(|e| e.to_string())? + "\n";
    std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("\nraw results: {}", path.display());
    Ok(())
}

fn settings(args: &[String]) -> Result<Settings, String> {
    let mut settings = Settings { events: 10_000_000, runs: 5, file_mb: 1000, only: None, dry: false };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut next = || args.next().ok_or(format!("{arg} needs a value"));
        let number = |text: &String| text.parse::<u64>().map_err(|e| format!("{text}: {e}"));
        match arg.as_str() {
            "--events" => settings.events = number(next()?)? as usize,
            "--runs" => settings.runs = number(next()?)?.max(1) as usize,
            "--file-mb" => settings.file_mb = number(next()?)?,
            "--only" => settings.only = Some(next()?.clone()),
            "--dry" => settings.dry = true,
            _ => return Err(format!("no such argument: {arg}\n{HELP}")),
        }
    }
    Ok(settings)
}

/// Runs of each entry, in turns.
fn turns(
    entries: &[&Entry],
    runs: usize,
    order: impl Fn(&Entry) -> Order,
) -> Result<Vec<Vec<Sample>>, String> {
    let mut rows = vec![Vec::new(); entries.len()];
    for _ in 0..runs {
        for (entry, row) in entries.iter().zip(&mut rows) {
            row.push(one::start(entry.name, order(entry))?);
        }
    }
    Ok(rows)
}

/// One record right behind the other.
fn tight(entries: &[&Entry], settings: &Settings) -> Result<Value, String> {
    let records = |entry: &Entry| (settings.events as f64 * entry.share) as usize;
    println!(
        "{} records (a part of them where a record costs much), {} runs of each in turn",
        settings.events, settings.runs
    );
    println!(
        "ns of CPU a record: the thread that records, best and median; all threads until all is stored\n"
    );
    println!(
        "{:<46} {:>7} {:>7} {:>7} {:>8} {:>8} {:>9}",
        "", "best", "median", "all", "wall", "lost", "peak MiB"
    );
    let rows = turns(entries, settings.runs, |entry| Order::Tight(records(entry)))?;
    let mut told = Vec::new();
    for (entry, runs) in entries.iter().zip(&rows) {
        let cpu = spread(runs, |run| run.cpu_ns)?;
        let (all, wall) = (spread(runs, |run| run.process_cpu_ns)?, spread(runs, |run| run.wall_ns)?);
        let lost = spread(runs, |run| run.lost * 100.0)?;
        let peak = runs.iter().map(|run| run.peak_bytes).max().unwrap_or(0);
        println!(
            "{:<46} {:>7.1} {:>7.1} {:>7.1} {:>8.1} {:>7.2}% {:>9.1}{}",
            entry.name,
            cpu.low,
            cpu.median,
            all.median,
            wall.median,
            lost.median,
            mib(peak),
            goal(entry, &cpu)
        );
        told.push(json!({
            "name": entry.name, "records": records(entry), "runs": runs.iter().map(Sample::told).collect::<Vec<_>>(),
        }));
    }
    Ok(Value::Array(told))
}

fn goal(entry: &Entry, cpu: &Spread) -> String {
    let goal = match entry.name {
        OURS => GOALS_NS.0,
        "aldis Counter" => GOALS_NS.1,
        _ => return String::new(),
    };
    format!("   ≤ {goal}: {}", if cpu.median <= goal { "met" } else { "MISSED" })
}

/// While the storage stalls.
fn paced(entries: &[&Entry], runs: usize) -> Result<Value, String> {
    let (per_second, stalls) = PACED;
    println!(
        "\n{per_second} records/s while the storage stalls {:?} of every {:?}",
        gate::STALL,
        gate::PERIOD
    );
    println!("µs from when a call was due to its end, medians of {runs} runs\n");
    println!(
        "{:<46} {:>9} {:>9} {:>9} {:>9} {:>8} {:>9}",
        "", "p50", "p99", "p99.9", "max", "lost", "peak MiB"
    );
    let entries: Vec<&Entry> = entries.iter().copied().filter(|entry| entry.stores).collect();
    let rows = turns(&entries, runs, |_| Order::Paced { per_second, stalls })?;
    let mut told = Vec::new();
    for (entry, runs) in entries.iter().zip(&rows) {
        let at = |i: usize| Ok::<f64, String>(spread(runs, |run| run.late_ns[i] / 1e3)?.median);
        let lost = spread(runs, |run| run.lost * 100.0)?.median;
        let peak = runs.iter().map(|run| run.peak_bytes).max().unwrap_or(0);
        println!(
            "{:<46} {:>9.2} {:>9.2} {:>9.2} {:>9.0} {lost:>7.2}% {:>9.1}",
            entry.name,
            at(0)?,
            at(1)?,
            at(2)?,
            at(3)?,
            mib(peak)
        );
        told.push(json!({ "name": entry.name, "runs": runs.iter().map(Sample::told).collect::<Vec<_>>() }));
    }
    Ok(json!({ "per_second": per_second, "stalls": stalls, "rows": told }))
}

fn spread(runs: &[Sample], of: impl Fn(&Sample) -> f64) -> Result<Spread, String> {
    Spread::of(runs.iter().map(of)).ok_or_else(|| "no run was made".to_owned())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
