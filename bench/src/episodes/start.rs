//! What it adds to a command that does nothing to be measured: in wall time, in turns with the command alone.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};

use super::{HELP, measurer, write};
use crate::process::machine;

/// The goal for `aldis run`, added at the median.
const GOAL_MS: f64 = 5.0;

/// The command.
const NOTHING: &str = "/bin/true";

struct Settings {
    runs: usize,
    aldis: Option<PathBuf>,
    dry: bool,
}

/// Who runs the command, and by which words.
struct Way {
    name: &'static str,
    words: Vec<OsString>,
    ms: Vec<f64>,
}

impl Way {
    fn new(name: &'static str, program: &Path, words: &[&str]) -> Self {
        let words = [program.into()].into_iter().chain(words.iter().map(OsString::from)).collect();
        Self { name, words, ms: Vec::new() }
    }

    fn run(&mut self) -> Result<(), String> {
        let mut command = Command::new(&self.words[0]);
        command
            .args(&self.words[1..])
            .arg(NOTHING)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let begun = Instant::now();
        let ended = command.status().map_err(|e| format!("{}: {e}", self.name))?;
        self.ms.push(begun.elapsed().as_secs_f64() * 1e3);
        if ended.success() { Ok(()) } else { Err(format!("{}: {ended}", self.name)) }
    }

    /// The time that so large a part of the runs does not exceed.
    fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.ms.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get(((last as f64) * part).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// Measures, prints a table, and writes the raw result.
///
/// # Errors
/// A wrong argument, or a program that fails.
pub(super) fn command(args: &[&str]) -> Result<(), String> {
    let settings = settings(args)?;
    let programs = super::programs(settings.aldis.as_ref(), false)?;
    let mut ways = vec![
        // What it is given it ignores.
        Way::new("the command alone", Path::new(NOTHING), &[]),
        Way::new("… the same again", Path::new(NOTHING), &[]),
        Way::new("aldis run", &programs.aldis, &["run", "--quiet", "--"]),
        Way::new("… the same again", &programs.aldis, &["run", "--quiet", "--"]),
        Way::new("aldis run --no-cgroup", &programs.aldis, &["run", "--quiet", "--no-cgroup", "--"]),
    ];
    let peers = [
        ("GNU time", "time", &["-o", "/dev/null"][..]),
        ("perf stat", "perf", &["stat", "-o", "/dev/null", "--"]),
    ];
    for (name, program, words) in peers {
        let mut way = Way::new(name, &measurer::peer(program), words);
        match way.run() {
            Ok(()) => ways.push(Way { ms: Vec::new(), ..way }),
            Err(error) => println!("left out: {error}"),
        }
    }
    for _ in 0..settings.runs {
        ways.iter_mut().try_for_each(Way::run)?;
    }
    println!("{} runs of {NOTHING} by each in turn; ms of wall time\n", settings.runs);
    println!("{:<24}{:>10}{:>10}{:>10}{:>10}{:>14}", "", "least", "p50", "p90", "p99", "adds at p50");
    let alone = ways[0].quantile(0.5);
    for way in &ways {
        let [least, p50, p90, p99] = [0.0, 0.5, 0.9, 0.99].map(|part| way.quantile(part));
        let goal = match way.name {
            "aldis run" if p50 - alone <= GOAL_MS => "   ≤ 5: met",
            "aldis run" => "   ≤ 5: MISSED",
            _ => "",
        };
        println!("{:<24}{least:>10.2}{p50:>10.2}{p90:>10.2}{p99:>10.2}{:>14.2}{goal}", way.name, p50 - alone);
    }
    if settings.dry {
        return Ok(());
    }
    let told: Vec<Value> = ways.iter().map(|way| json!({"name": way.name, "ms": way.ms})).collect();
    write(
        "episodes-start.json",
        &json!({"machine": machine::describe(), "commit": machine::commit(), "runs": settings.runs, "ways": told}),
    )
}

fn settings(args: &[&str]) -> Result<Settings, String> {
    let mut settings = Settings { runs: 200, aldis: None, dry: false };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut next = || args.next().ok_or(format!("{arg} needs a value"));
        match *arg {
            "--runs" => settings.runs = next()?.parse::<usize>().map_err(|e| format!("--runs: {e}"))?.max(1),
            "--aldis" => settings.aldis = Some(next()?.into()),
            "--dry" => settings.dry = true,
            _ => return Err(format!("no such argument: {arg}\n{HELP}")),
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_runs() {
        let way = Way { name: "", words: Vec::new(), ms: (0..=100).rev().map(f64::from).collect() };
        assert_eq!([0.0, 0.5, 0.9, 0.99].map(|part| way.quantile(part)), [0.0, 50.0, 90.0, 99.0]);
    }
}
