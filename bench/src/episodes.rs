//! How near to the truth those come who say what a job has used (crate `host`): jobs that do what they are told, under `aldis run` and under
//! others. Each run is a process of its own; runs of all take turns.

mod job;
mod kernel;
mod measurer;
mod start;
mod virtual_machine;

use std::{fs, path::PathBuf, process::Command};

use serde_json::{Value, json};

use self::{
    job::{JOBS, Job, Metric},
    measurer::{MEASURERS, Measurer},
};
use crate::process::{machine, spread::Spread, target};

/// How it is called.
pub(crate) const HELP: &str = "  bench episodes accuracy [--runs N] [--folder PATH] [--aldis PATH] [--built] [--no-cpu] [--dry|--raw]   jobs of known truth, under `aldis run` and others (`cargo xtask peers episodes`)
  bench episodes machine [--runs N] [--built] [--dry]   memory and bytes in a virtual machine with every controller (`cargo xtask test machine`)
  bench episodes start [--runs N] [--aldis PATH] [--dry]   what `aldis run`, and others, add to a command that does nothing";

struct Settings {
    runs: usize,
    /// Where jobs write: a disk, if what is written is to be counted.
    folder: PathBuf,
    /// One that is built already; else it is built.
    aldis: Option<PathBuf>,
    /// Nothing is built: what is there is taken.
    built: bool,
    /// Jobs that burn CPU time are left out.
    no_cpu: bool,
    dry: bool,
    /// The raw result goes to standard output, on a line.
    raw: bool,
}

/// What is measured with.
struct Programs {
    aldis: PathBuf,
    burden: PathBuf,
    /// Of crate `host`; it leads a command into a cgroup.
    episode: PathBuf,
}

/// Measures and prints tables, and writes the raw result.
///
/// # Errors
/// A wrong argument, what cannot be built, or a job that fails.
pub(crate) fn command(args: &[String]) -> Result<(), String> {
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["accuracy", rest @ ..] => accuracy(rest),
        ["start", rest @ ..] => start::command(rest),
        ["machine", rest @ ..] => virtual_machine::command(rest),
        _ => Err(format!("say what to measure\n{HELP}")),
    }
}

fn accuracy(args: &[&str]) -> Result<(), String> {
    let settings = settings(args)?;
    let programs = programs(settings.aldis.as_ref(), settings.built)?;
    let (there, missing): (Vec<_>, Vec<_>) = MEASURERS
        .iter()
        .map(|measurer| (measurer, measurer.version(&programs)))
        .partition(|(_, version)| version.is_ok());
    for (measurer, reason) in &missing {
        let reason = reason.as_ref().err().map_or("", String::as_str);
        println!("left out: {}: {reason}", measurer.name);
    }
    println!("kernel: {}\n{} runs of each in turn\n", kernel::accounting(), settings.runs);
    let mut jobs = Vec::new();
    for job in JOBS.iter().filter(|job| !(settings.no_cpu && job.metric == Metric::Cpu)) {
        jobs.push(measure(
            job,
            &there.iter().map(|(measurer, _)| *measurer).collect::<Vec<_>>(),
            &programs,
            &settings,
        )?);
    }
    let files = kernel::compare(&programs, &settings.folder)?;
    if settings.dry {
        return Ok(());
    }
    let versions: serde_json::Map<String, Value> = there
        .iter()
        .map(|(measurer, version)| (measurer.name.to_owned(), json!(version.as_ref().ok())))
        .collect();
    let result = json!({
        "machine": machine::describe(), "commit": machine::commit(), "accounting": kernel::accounting(), "runs": settings.runs,
        "versions": versions, "jobs": jobs, "kernels_files": files,
    });
    if settings.raw {
        println!("{result}");
        return Ok(());
    }
    write("episodes-accuracy.json", &result)
}

/// Writes a raw result where those of this day and machine are.
fn write(name: &str, result: &Value) -> Result<(), String> {
    let folder = machine::results_folder()?;
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let path = folder.join(name);
    let text = serde_json::to_string_pretty(result).map_err(|e| e.to_string())? + "\n";
    fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("\nraw results: {}", path.display());
    Ok(())
}

fn settings(args: &[&str]) -> Result<Settings, String> {
    let mut settings = Settings {
        runs: 5,
        folder: target(),
        aldis: None,
        built: false,
        no_cpu: false,
        dry: false,
        raw: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut next = || args.next().ok_or(format!("{arg} needs a value"));
        match *arg {
            "--runs" => settings.runs = next()?.parse::<usize>().map_err(|e| format!("--runs: {e}"))?.max(1),
            "--folder" => settings.folder = next()?.into(),
            "--aldis" => settings.aldis = Some(next()?.into()),
            "--built" => settings.built = true,
            "--no-cpu" => settings.no_cpu = true,
            "--dry" => settings.dry = true,
            "--raw" => settings.raw = true,
            _ => return Err(format!("no such argument: {arg}\n{HELP}")),
        }
    }
    Ok(settings)
}

/// Builds what is ours.
fn programs(aldis: Option<&PathBuf>, built: bool) -> Result<Programs, String> {
    let words = [&["-p", "aldis-host", "--examples"][..], &["-p", "aldis"]];
    let needed = match (built, aldis) {
        (true, _) => 0,
        (_, Some(_)) => 1,
        (_, None) => 2,
    };
    for words in words.iter().take(needed) {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "--release"]).args(*words);
        if !cargo.status().is_ok_and(|status| status.success()) {
            return Err(format!("`cargo build --release {}` failed", words.join(" ")));
        }
    }
    let built = |name: &str| target().join("release").join(name);
    let aldis = aldis.cloned().unwrap_or_else(|| built("aldis"));
    Ok(Programs { aldis, burden: built("examples/burden"), episode: built("examples/episode") })
}

/// One job under all who can tell something of it; the table, and the raw numbers.
fn measure(
    job: &Job,
    measurers: &[&Measurer],
    programs: &Programs,
    settings: &Settings,
) -> Result<Value, String> {
    let truth = job.truth(programs, &settings.folder)?;
    println!("{}: burden {}\ntruth: {}", job.name, job.words, job.metric.text(truth));
    println!("{:<28}{:>16}{:>34}", "", "median", "error, median and range");
    let telling = measurers.iter().filter(|measurer| measurer.tells(job.metric));
    let mut rows: Vec<(&Measurer, Vec<f64>)> = telling.map(|measurer| (*measurer, Vec::new())).collect();
    let mut left_out = Vec::new();
    for _ in 0..settings.runs {
        for (measurer, mut row) in std::mem::take(&mut rows) {
            match measurer.run(job, programs, &settings.folder) {
                Ok(value) => {
                    row.push(value);
                    rows.push((measurer, row));
                }
                Err(reason) if measurer.is_peer() => left_out.push(reason),
                Err(reason) => return Err(reason),
            }
        }
    }
    let mut told = Vec::new();
    for (measurer, row) in &rows {
        let spread = Spread::of(row.iter().copied()).ok_or("no run")?;
        let error = |value: f64| job.metric.error(value, truth);
        println!(
            "{:<28}{:>16}{:>34}",
            measurer.name,
            job.metric.text(spread.median),
            format!("{} [{}, {}]", error(spread.median), error(spread.low), error(spread.high))
        );
        told.push(json!({ "by": measurer.name, "values": row }));
    }
    left_out.iter().for_each(|reason| println!("left out: {reason}"));
    println!();
    Ok(json!({
        "name": job.name, "words": job.words, "metric": job.metric.name(), "truth": truth, "measured": told,
    }))
}
