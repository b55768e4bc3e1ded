//! Sealing and opening: in one thread and in several, beside `zstd` alone, and beside `zstd | age` where that is installed;
//! what measuring the stages costs; and what memory 4 GiB take.
//!
//! Every run is a process of its own, reads a file that is in the page cache, and writes nowhere. Runs of all kinds take turns.

mod input;
mod one;

use crate::process::spread::Spread;
use crate::process::{machine, usage};
use ::archive::{Stage, TelemetryTimer};
use serde_json::{Value, json};
use std::fs::File;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// How it is called.
pub(crate) const HELP: &str = "  bench archive [--mib N] [--runs N] [--large-mib N] [--dry]   sealed archives: speed beside zstd, stage times, memory";

/// What a run's process is started with.
const ONE: &str = "--one";

/// zstd's, on both sides.
const LEVEL: i32 = 3;

/// Reads of a clock that a timer makes for one frame: twice in each of four stages, and the digest's beside its opening.
const MEASURES_PER_FRAME: f64 = 5.0;

struct Settings {
    mib: u64,
    runs: usize,
    large_mib: u64,
    dry: bool,
}

/// Measures and prints, and writes the raw result.
///
/// # Errors
/// A wrong argument, or a run that fails.
pub(crate) fn command(args: &[String]) -> Result<(), String> {
    if let [first, rest @ ..] = args
        && first == ONE
    {
        return one::command(rest);
    }
    let settings = settings(args)?;
    let input = input::write(&folder()?.join(format!("{}-mib.jsonl", settings.mib)), settings.mib)?;
    let sealed = input.with_extension("sealed");
    one::seal_to(&input, &sealed)?;
    let kinds = kinds(&input, &sealed)?;
    println!("{} MiB of lines, level {LEVEL}, {} runs of each in turn\n", settings.mib, settings.runs);
    let mut rows: Vec<Vec<Run>> = kinds.iter().map(|_| Vec::new()).collect();
    for _ in 0..settings.runs {
        for (kind, row) in kinds.iter().zip(&mut rows) {
            row.push(measured(kind)?);
        }
    }
    let mut told = Vec::new();
    println!("{:<24} {:>28} {:>8} {:>9}", "", "MiB/s of plaintext", "ratio", "peak MiB");
    for (kind, runs) in kinds.iter().zip(&rows) {
        let speed = spread(runs.iter().map(|run| settings.mib as f64 / run.seconds))?;
        let (ratio, peak) = (runs[0].ratio, runs.iter().map(|run| run.peak_bytes).max().unwrap_or(0));
        let peak_mib = if peak > 0 { format!("{:.1}", mib(peak)) } else { "-".to_owned() };
        println!("{:<24} {:>28} {ratio:>8.3} {peak_mib:>9}", kind.name, speed.to_string());
        told.push(json!({
            "name": kind.name, "mib_per_second": [speed.low, speed.median, speed.high], "ratio": ratio, "peak_bytes": peak,
        }));
    }
    let ratios = ratios(&kinds, &rows)?;
    let stages = stages(&rows[Ours::SealAll as usize], settings.mib);
    let memory = memory(&settings)?;
    if settings.dry {
        return Ok(());
    }
    let folder = machine::results_folder()?;
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let path = folder.join("archive.json");
    let result = json!({
        "machine": machine::describe(), "commit": machine::commit(), "mib": settings.mib, "level": LEVEL,
        "rows": told, "ratios": ratios, "stage_timing_share": stages, "memory": memory,
    });
    let text = serde_json::to_string_pretty(&result).map_err(|e| e.to_string())? + "\n";
    std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("\nraw results: {}", path.display());
    Ok(())
}

fn settings(args: &[String]) -> Result<Settings, String> {
    let mut settings = Settings { mib: 256, runs: 5, large_mib: 4096, dry: false };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|n| n.parse().ok()).ok_or(format!("{arg} needs a number"));
        match arg.as_str() {
            "--mib" => settings.mib = number()?,
            "--runs" => settings.runs = number()? as usize,
            "--large-mib" => settings.large_mib = number()?,
            "--dry" => settings.dry = true,
            _ => return Err(format!("no such argument: {arg}\n{HELP}")),
        }
    }
    Ok(settings)
}

/// One way to do it.
struct Kind {
    name: String,
    opens: bool,
    how: How,
    input: PathBuf,
    /// Bytes that were sealed over bytes that came of it.
    ratio: f64,
}

enum How {
    /// By this program, with so many workers.
    Ours(usize),
    /// By a shell, where `$0` is the input.
    Shell(String),
}

/// Where ours are among the ways: each side has one worker, then one for each core.
#[derive(Clone, Copy)]
enum Ours {
    SealAll = 1,
    OpenAll = 3,
}

fn kinds(input: &Path, sealed: &Path) -> Result<Vec<Kind>, String> {
    let cores = machine::cores();
    let length =
        |path: &Path| std::fs::metadata(path).map(|told| told.len() as f64).map_err(|e| e.to_string());
    let plain = length(input)?;
    let of_ours = length(sealed)? / plain;
    let ours = |opens: bool, workers: usize| {
        let (what, from) = if opens { ("open", sealed) } else { ("seal", input) };
        let name = format!("{what}, {workers} worker{}", if workers == 1 { "" } else { "s" });
        Kind { name, opens, how: How::Ours(workers), input: from.to_owned(), ratio: of_ours }
    };
    let mut kinds = vec![ours(false, 1), ours(false, cores), ours(true, 1), ours(true, cores)];
    let mut shell = |name: &str, seals: &str, opens: &str| -> Result<(), String> {
        let packed = input.with_extension(name.replace(' ', ""));
        run_shell(seals, input, &packed)?;
        let ratio = length(&packed)? / plain;
        for (opens, script, from) in [(false, seals, input), (true, opens, &packed)] {
            let name = if opens { format!("{name}, back") } else { name.to_owned() };
            kinds.push(Kind {
                name,
                opens,
                how: How::Shell(script.to_owned()),
                input: from.to_owned(),
                ratio,
            });
        }
        Ok(())
    };
    if !is_there("zstd") {
        eprintln!(
            "skipped: `zstd` and `zstd | age`, because zstd is not installed (Debian: apt install zstd)"
        );
        return Ok(kinds);
    }
    let zstd = |threads| format!("zstd -q -{LEVEL} -T{threads} -c \"$0\"");
    shell(&format!("zstd -T{cores}"), &zstd(cores), "zstd -q -d -c \"$0\"")?;
    shell("zstd -T1", &zstd(1), "zstd -q -d -c \"$0\"")?;
    if !is_there("age") {
        eprintln!("skipped: `zstd | age`, because age is not installed (Debian: apt install age)");
        return Ok(kinds);
    }
    let key = input.with_extension("age-key");
    let _ = std::fs::remove_file(&key);
    run_shell("age-keygen 2>/dev/null", &key, &key)?;
    let key = key.display();
    shell(
        &format!("zstd -T{cores} | age"),
        &format!("{} | age -r \"$(age-keygen -y '{key}')\"", zstd(cores)),
        &format!("age -d -i '{key}' \"$0\" | zstd -q -d -c"),
    )?;
    Ok(kinds)
}

fn is_there(program: &str) -> bool {
    let told = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    told.is_ok_and(|status| status.success())
}

fn run_shell(script: &str, input: &Path, output: &Path) -> Result<(), String> {
    let to = File::create(output).map_err(|e| format!("{}: {e}", output.display()))?;
    let status = Command::new("sh").args(["-c", script]).arg(input).stdout(to).status();
    let is_done = status.is_ok_and(|status| status.success());
    if is_done { Ok(()) } else { Err(format!("`{script}` fails")) }
}

/// What one run took.
struct Run {
    /// Of the whole process, its start included.
    seconds: f64,
    ratio: f64,
    /// 0 where it is not known.
    peak_bytes: u64,
    frames: u64,
}

/// A run that reads a file which the system has in memory, and writes to nowhere.
fn measured(kind: &Kind) -> Result<Run, String> {
    match &kind.how {
        How::Ours(workers) => one::run(if kind.opens { "open" } else { "seal" }, *workers, &kind.input),
        How::Shell(script) => {
            let begun = Instant::now();
            run_shell(script, &kind.input, Path::new("/dev/null"))?;
            let seconds = begun.elapsed().as_secs_f64();
            Ok(Run { seconds, ratio: kind.ratio, peak_bytes: 0, frames: 0 })
        }
    }
}

/// The comparisons that count, run by run: what ran one behind the other.
fn ratios(kinds: &[Kind], rows: &[Vec<Run>]) -> Result<Value, String> {
    println!();
    let mut told = serde_json::Map::new();
    for (n, (kind, row)) in kinds.iter().zip(rows).enumerate() {
        let ours = if kind.opens { Ours::OpenAll } else { Ours::SealAll } as usize;
        if n == ours {
            continue;
        }
        let pairs = row.iter().zip(&rows[ours]).map(|(other, ours)| other.seconds / ours.seconds);
        let ratio = spread(pairs)?;
        println!("{} is {ratio} times as fast as {}", kinds[ours].name, kind.name);
        told.insert(kind.name.clone(), json!([ratio.low, ratio.median, ratio.high]));
    }
    Ok(Value::Object(told))
}

/// The part of a run that measuring its stages takes: as often as it is done, as long as it takes here.
fn stages(runs: &[Run], mib: u64) -> f64 {
    const ROUNDS: u32 = 1_000_000;
    let mut timer = TelemetryTimer::new();
    let begun = Instant::now();
    for n in 0..ROUNDS {
        timer.measure(Stage::Read, || black_box(n));
    }
    let one = begun.elapsed().as_secs_f64() / f64::from(ROUNDS);
    black_box(timer.stage_times());
    let frames = runs.iter().map(|run| run.frames).max().unwrap_or(0) as f64;
    let fastest = runs.iter().map(|run| run.seconds).fold(f64::INFINITY, f64::min);
    let share = one * MEASURES_PER_FRAME * frames / fastest;
    println!(
        "\nmeasuring a stage takes {:.0} ns; {frames} frames of {mib} MiB: {:.4} % of a run",
        one * 1e9,
        share * 100.0
    );
    share
}

/// Peak memory and ratio of a stream of any length.
fn memory(settings: &Settings) -> Result<Value, String> {
    println!();
    let mut told = Vec::new();
    for workers in [1, machine::cores()] {
        for mib_of_run in [settings.mib, settings.large_mib] {
            let run = one::run("made", workers, Path::new(&mib_of_run.to_string()))?;
            println!(
                "{mib_of_run} MiB, {workers} workers: peak {:.1} MiB, ratio {:.4}, {:.0} MiB/s",
                mib(run.peak_bytes),
                run.ratio,
                mib_of_run as f64 / run.seconds
            );
            told.push(json!({
                "mib": mib_of_run, "workers": workers, "peak_bytes": run.peak_bytes, "ratio": run.ratio, "seconds": run.seconds,
            }));
        }
    }
    Ok(Value::Array(told))
}

fn spread(numbers: impl Iterator<Item = f64>) -> Result<Spread, String> {
    Spread::of(numbers).ok_or_else(|| "no run was made: `--runs` is at least 1".to_owned())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn folder() -> Result<PathBuf, String> {
    let folder = crate::process::target().join("bench/archive");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}

fn peak() -> Result<u64, String> {
    Ok(usage::now()?.rss_peak)
}
