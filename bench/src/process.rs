//! The speed table: whole processes, side by side, CPU per record.
//!
//! The system under test has a core of its own; generator and sink have the other. Bodies are fixed, the loop is closed: a
//! connection sends its next request when one is answered. A run starts with ours against ours: a ratio inside that spread
//! is no difference. Then ours and the OpenTelemetry Collector alternate. What is reported is the median and the range of
//! the ratio; the raw runs are written to `bench/results`.

mod bodies;
mod certificates;
mod generator;
pub(crate) mod machine;
mod row;
mod sample;
pub(crate) mod spread;
mod system;
pub(crate) mod usage;
mod verdict;

use self::bodies::BodyFile;
use self::generator::Pace;
use self::row::{Bodies, Kind, ROWS, Row};
use self::sample::Sample;
use self::system::{Programs, Which};
use self::verdict::{Line, Runs};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What `bench process --help` says.
pub(crate) const HELP: &str = "\
bench process [--row NAME]... [--seconds S] [--pairs N] [--same N] [--alone] [--dry]
  --row NAME   only this row; may be given again (default: all beside the Collector; `otel-arrow` is run by its name only)
  --seconds S  measured seconds of a run (default 5)
  --pairs N    pairs of ours and the Collector (default 5)
  --same N     pairs of ours and ours before them (default 3)
  --alone      ours only: no Collector
  --dry        do not write to bench/results
  --rows       name the rows and end
";

/// What was asked for, and where things are.
#[derive(Debug)]
pub(crate) struct Bench {
    programs: Programs,
    bodies: Vec<(Bodies, BodyFile)>,
    length: Duration,
    pairs: usize,
    same: usize,
    alone: bool,
}

impl Bench {
    fn bodies(&self, wanted: Bodies) -> Result<&BodyFile, String> {
        let found = self.bodies.iter().find(|(bodies, _)| *bodies == wanted);
        found.map(|(_, file)| file).ok_or_else(|| format!("no bodies for {wanted:?}"))
    }
}

/// Runs the command.
///
/// # Errors
/// A wrong argument, a program that is missing or fails, records that were lost.
pub(crate) fn command(args: &[String]) -> Result<(), String> {
    let mut bench = Bench {
        programs: programs()?,
        bodies: Vec::new(),
        length: Duration::from_secs(5),
        pairs: 5,
        same: 3,
        alone: false,
    };
    let (mut rows, mut dry) = (Vec::new(), false);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        let number = |text: &String| text.parse::<usize>().map_err(|_| format!("{arg}: {text} is no number"));
        match arg.as_str() {
            "--row" => rows.push(named(value()?)?),
            "--seconds" => bench.length = Duration::from_secs(number(value()?)? as u64),
            "--pairs" => bench.pairs = number(value()?)?,
            "--same" => bench.same = number(value()?)?,
            "--alone" => bench.alone = true,
            "--dry" => dry = true,
            "--rows" => {
                ROWS.iter().for_each(|row| println!("{:<18} {}", row.name, row.about));
                return Ok(());
            }
            "--help" | "-h" => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(format!("no such argument: {other}\n{HELP}")),
        }
    }
    if rows.is_empty() {
        rows = ROWS.iter().filter(|row| row.peer == Which::Collector).copied().collect();
    }
    prepare(&mut bench, &rows)?;
    table(&bench, &rows, dry)
}

/// Whether it is measured against another program.
fn has_peer(kind: Kind) -> bool {
    !matches!(kind, Kind::Shards { .. } | Kind::Share)
}

fn named(name: &str) -> Result<Row, String> {
    let names = || ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
    ROWS.iter()
        .find(|row| row.name == name)
        .copied()
        .ok_or_else(|| format!("no row {name:?}; there are {}", names()))
}

fn table(bench: &Bench, rows: &[Row], dry: bool) -> Result<(), String> {
    let folder = machine::results_folder()?;
    let mut lines = Vec::new();
    for row in rows {
        eprintln!("{}: {}", row.name, row.about);
        let runs = measure(bench, row)?;
        if !dry {
            write(bench, &folder, row, &runs)?;
        }
        lines.extend(verdict::line(row, &runs));
    }
    println!("{}", Line::head());
    lines.iter().for_each(|line| println!("{line}"));
    if !dry {
        println!("raw results: {}", folder.display());
    }
    Ok(())
}

fn measure(bench: &Bench, row: &Row) -> Result<Runs, String> {
    const OURS: Which = Which::Aldis { shards: 1 };
    let mut runs = Runs::default();
    if let Kind::Cost { .. } | Kind::Plain | Kind::Share = row.kind {
        for _ in 0..bench.same {
            runs.same.push([one(bench, row, OURS)?, one(bench, row, OURS)?]);
        }
    }
    let other = match row.kind {
        Kind::Shards { .. } => Some(Which::Aldis { shards: 2 }),
        Kind::Share => Some(Which::AldisOther),
        _ if bench.alone => None,
        _ => Some(row.peer),
    };
    for number in 0..bench.pairs {
        let Some(other) = other else {
            runs.alone.push(one(bench, row, OURS)?);
            continue;
        };
        // Which one comes first alternates: a drift of the machine does not favour either.
        let pair = if number % 2 == 0 {
            [one(bench, row, OURS)?, one(bench, row, other)?]
        } else {
            let second = one(bench, row, other)?;
            [one(bench, row, OURS)?, second]
        };
        runs.pairs.push(pair);
    }
    Ok(runs)
}

fn one(bench: &Bench, row: &Row, which: Which) -> Result<Sample, String> {
    let sample = match row.kind {
        Kind::Idle { .. } => sample::idle(bench, row, which)?,
        Kind::Latency { .. } => {
            let most = sample::run(bench, row, which, Pace::Closed)?;
            let file = bench.bodies(row.offer.bodies)?;
            let half = most.per_second / file.records_per_request / 2.0;
            sample::run(bench, row, which, Pace::Requests(half))?
        }
        Kind::Rate { records_per_second } => {
            let requests = records_per_second as f64 / bench.bodies(row.offer.bodies)?.records_per_request;
            sample::run(bench, row, which, Pace::Requests(requests))?
        }
        Kind::Overload { sink_per_second, .. } => {
            let requests = sink_per_second as f64 / bench.bodies(row.offer.bodies)?.records_per_request;
            sample::run(bench, row, which, Pace::Requests(3.0 * requests))?
        }
        Kind::Plain | Kind::Share | Kind::Cost { .. } | Kind::Shards { .. } => {
            sample::run(bench, row, which, Pace::Closed)?
        }
    };
    eprintln!(
        "  {:<10} {:>8.3} us/record {:>10.0} records/s  peak {:>6.1} MiB  p99 {:>7.2} ms, to the sink {:>6.2} ms  refused {}",
        sample.system,
        sample.cpu_us,
        sample.per_second,
        sample.rss_peak as f64 / (1024.0 * 1024.0),
        sample.report.p99_ms,
        sample.sink_p99_ms,
        sample.report.refused,
    );
    Ok(sample)
}

fn write(bench: &Bench, folder: &Path, row: &Row, runs: &Runs) -> Result<(), String> {
    let mut result = verdict::to_json(row, runs);
    result["machine"] = machine::describe();
    result["commit"] = json!(machine::commit());
    result["seconds"] = json!(bench.length.as_secs_f64());
    if let Ok(file) = bench.bodies(row.offer.bodies) {
        result["settings"]["requests_in_file"] = json!(file.requests);
        result["settings"]["records_per_request"] = json!(file.records_per_request);
        result["settings"]["bytes_per_record"] = json!(file.bytes_per_record);
    }
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let path = folder.join(format!("{}.json", row.name));
    let text = serde_json::to_string_pretty(&result).map_err(|e| e.to_string())? + "\n";
    std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
}

/// Builds ours as it is released, and writes the bodies that the rows need.
fn prepare(bench: &mut Bench, rows: &[Row]) -> Result<(), String> {
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--release", "-p", "aldis"])
        .current_dir(root())
        .status();
    if !built.is_ok_and(|status| status.success()) {
        return Err("`cargo build --release -p aldis` failed".into());
    }
    for row in rows.iter().filter(|row| !bench.alone && has_peer(row.kind)) {
        let (program, command) = match row.peer {
            Which::OtelArrow => (&bench.programs.otel_arrow, "cargo xtask peers otel-arrow"),
            _ => (&bench.programs.collector, "cargo xtask peers"),
        };
        if !program.exists() {
            return Err(format!(
                "the peer of row {} is not built: run `{command}`, or use --alone",
                row.name
            ));
        }
    }
    let folder = target().join("bench");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for wanted in rows.iter().map(|row| row.offer.bodies) {
        if bench.bodies(wanted).is_ok() {
            continue;
        }
        let file = bodies::write(wanted, &shared(), &folder)?;
        eprintln!(
            "{wanted:?}: {} requests, {:.0} records each, {:.0} B/record",
            file.requests, file.records_per_request, file.bytes_per_record
        );
        bench.bodies.push((wanted, file));
    }
    Ok(())
}

fn programs() -> Result<Programs, String> {
    let folder = target().join("bench");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let here = std::env::current_dir().map_err(|e| e.to_string())?;
    Ok(Programs {
        aldis: here.join(target().join("release/aldis")),
        collector: here.join(target().join("peers/otelcol")),
        otel_arrow: here.join(target().join("peers/otel-arrow")),
        configs: root().join("bench/configs"),
        certificates: certificates::write(&here.join(folder))?,
    })
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

fn shared() -> PathBuf {
    std::env::var_os("ALDIS_SHARED_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from)
}
