//! Those who say what a command has used.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{
    Programs,
    job::{Job, Metric},
    kernel,
};
use crate::process::target;

/// The script that asks psutil.
const PSUTIL: &str = include_str!("psutil_100ms.py");

/// One of them.
pub(super) struct Measurer {
    pub(super) name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Aldis {
        cgroup: bool,
    },
    GnuTime,
    Hyperfine,
    Perf,
    Psutil,
    /// The kernel's file, read by hand after the job.
    Kernel,
}

pub(super) const MEASURERS: [Measurer; 7] = [
    Measurer { name: "files of a cgroup, by hand", kind: Kind::Kernel },
    Measurer { name: "aldis run", kind: Kind::Aldis { cgroup: true } },
    Measurer { name: "aldis run --no-cgroup", kind: Kind::Aldis { cgroup: false } },
    Measurer { name: "GNU time -v", kind: Kind::GnuTime },
    Measurer { name: "hyperfine", kind: Kind::Hyperfine },
    Measurer { name: "perf stat", kind: Kind::Perf },
    Measurer { name: "psutil, every 100 ms", kind: Kind::Psutil },
];

impl Measurer {
    /// The first line of what it says of itself.
    ///
    /// # Errors
    /// It is not here, or does not run.
    pub(super) fn version(&self, programs: &Programs) -> Result<String, String> {
        if self.kind == Kind::Kernel {
            return kernel::scope().and_then(|scope| kernel::remove(&scope)).map(|()| kernel::accounting());
        }
        let mut command = self.program(programs);
        let output = match self.kind {
            Kind::Psutil => {
                command.args(["-c", "import psutil; print('psutil', psutil.__version__)"]).output()
            }
            _ => command.arg("--version").output(),
        };
        let how = "not here: `cargo xtask peers episodes`";
        let output = output.map_err(|e| format!("{how} ({e})"))?;
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let first = said.lines().next().unwrap_or_default().to_owned();
        if output.status.success() { Ok(first) } else { Err(format!("does not run: {first}")) }
    }

    /// One of others, which may not work on every kernel; where ours or the kernel's own file does not, nothing is measured.
    pub(super) fn is_peer(&self) -> bool {
        !matches!(self.kind, Kind::Aldis { .. } | Kind::Kernel)
    }

    /// Whether it has a number of that kind.
    pub(super) fn tells(&self, metric: Metric) -> bool {
        match self.kind {
            Kind::Aldis { .. } | Kind::GnuTime | Kind::Psutil => true,
            Kind::Hyperfine | Kind::Perf => metric == Metric::Cpu,
            Kind::Kernel => kernel::tells(metric),
        }
    }

    fn program(&self, programs: &Programs) -> Command {
        Command::new(match self.kind {
            Kind::Aldis { .. } => programs.aldis.clone(),
            Kind::GnuTime => peer("time"),
            Kind::Hyperfine => peer("hyperfine"),
            Kind::Perf => peer("perf"),
            Kind::Psutil => peers().join("venv/bin/python"),
            Kind::Kernel => programs.episode.clone(),
        })
    }

    /// Runs the job under it; what it says of what the job is about.
    ///
    /// # Errors
    /// The job fails, or what it says is not understood.
    pub(super) fn run(&self, job: &Job, programs: &Programs, folder: &Path) -> Result<f64, String> {
        if self.kind == Kind::Kernel {
            return kernel::told(job.metric, &job.arguments(folder), programs);
        }
        let report = folder.join(format!("bench-episodes-{}", std::process::id()));
        let burden = programs.burden.display().to_string();
        let mut line = vec![burden];
        line.extend(job.arguments(folder));
        let mut command = self.program(programs);
        match self.kind {
            Kind::Aldis { cgroup } => {
                command.args(["run", "--quiet", "--json"]).arg(&report);
                command.args((!cgroup).then_some("--no-cgroup")).arg("--").args(&line);
            }
            Kind::GnuTime => {
                command.args(["-v", "-o"]).arg(&report).args(&line);
            }
            Kind::Hyperfine => {
                command
                    .args(["--shell=none", "--runs", "1", "--export-json"])
                    .arg(&report)
                    .arg(line.join(" "));
            }
            Kind::Perf => {
                command.args(["stat", "-x,", "-e", "task-clock", "-o"]).arg(&report).arg("--").args(&line);
            }
            Kind::Psutil => {
                command.args(["-c", PSUTIL]).arg(&report).args(&line);
            }
            Kind::Kernel => {}
        }
        let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{}: {e}", self.name))?;
        let text = fs::read_to_string(&report).unwrap_or_default();
        // A run that wrote nothing must not be taken for the one before it.
        let _ = fs::remove_file(&report);
        let told = self.told(job.metric, &text);
        match told {
            Some(value) if output.status.success() => Ok(value),
            _ => Err(format!("{}, {}: {output:?}\n{text}", self.name, job.name)),
        }
    }

    /// The number in a report.
    fn told(&self, metric: Metric, report: &str) -> Option<f64> {
        match self.kind {
            Kind::Aldis { .. } => aldis(metric, report),
            Kind::GnuTime => gnu_time(metric, report),
            Kind::Hyperfine => {
                let read: Value = serde_json::from_str(report).ok()?;
                let result = &read["results"][0];
                Some((result["user"].as_f64()? + result["system"].as_f64()?) * 1e3)
            }
            Kind::Perf => {
                let line = report.lines().find(|line| line.contains(",task-clock"))?;
                line.split(',').next()?.parse().ok()
            }
            Kind::Psutil => serde_json::from_str::<Value>(report).ok()?[metric.name()].as_f64(),
            Kind::Kernel => None,
        }
    }
}

/// The last line is the summary.
fn aldis(metric: Metric, report: &str) -> Option<f64> {
    let summary: Value = serde_json::from_str(report.lines().last()?).ok()?;
    let value = |name: &str| summary["metrics"][name]["value"].as_f64();
    match metric {
        Metric::Cpu => value("cpu.usage_ns").map(|ns| ns / 1e6),
        Metric::Memory => value("memory.peak_bytes"),
        Metric::Written => value("io.write_bytes"),
    }
}

fn gnu_time(metric: Metric, report: &str) -> Option<f64> {
    /// Bytes of what the kernel calls a block in `ru_oublock` (getrusage(2)).
    const BLOCK: f64 = 512.0;
    let value = |name: &str| -> Option<f64> {
        let line = report.lines().find_map(|line| line.trim_start().strip_prefix(name))?;
        line.trim().parse().ok()
    };
    match metric {
        Metric::Cpu => Some((value("User time (seconds):")? + value("System time (seconds):")?) * 1e3),
        Metric::Memory => Some(value("Maximum resident set size (kbytes):")? * 1024.0),
        Metric::Written => Some(value("File system outputs:")? * BLOCK),
    }
}

/// What `cargo xtask peers episodes` has fetched, or what is installed.
pub(super) fn peer(name: &str) -> PathBuf {
    let fetched = peers().join("bin").join(name);
    if fetched.exists() {
        return fetched;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.exists()).unwrap_or(fetched)
}

fn peers() -> PathBuf {
    target().join("peers/episodes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read() {
        let told = |kind, metric, report| Measurer { name: "", kind }.told(metric, report);
        let summary = "{\"record\":\"frame\"}\n{\"metrics\":{\"cpu.usage_ns\":{\"value\":1500000},\"io.write_bytes\":{\"value\":7},\
                       \"memory.peak_bytes\":{\"value\":null}}}\n";
        let aldis = Kind::Aldis { cgroup: true };
        assert_eq!(told(aldis, Metric::Cpu, summary), Some(1.5));
        assert_eq!(told(aldis, Metric::Written, summary), Some(7.0));
        assert_eq!(told(aldis, Metric::Memory, summary), None, "what is not known is no zero");
        let time = "\tUser time (seconds): 1.20\n\tSystem time (seconds): 0.03\n\tMaximum resident set size (kbytes): 2\n\
                    \tFile system outputs: 4\n";
        assert_eq!(told(Kind::GnuTime, Metric::Cpu, time), Some(1230.0));
        assert_eq!(told(Kind::GnuTime, Metric::Memory, time), Some(2048.0));
        assert_eq!(told(Kind::GnuTime, Metric::Written, time), Some(2048.0));
        let hyperfine = r#"{"results":[{"user":0.5,"system":0.25}]}"#;
        assert_eq!(told(Kind::Hyperfine, Metric::Cpu, hyperfine), Some(750.0));
        let perf = "# started on Sun\n\n12.5,msec,task-clock,12500000,100.00,1.000,CPUs utilized\n";
        assert_eq!(told(Kind::Perf, Metric::Cpu, perf), Some(12.5));
        assert_eq!(told(Kind::Psutil, Metric::Memory, r#"{"peak_bytes": 3}"#), Some(3.0));
        for kind in [aldis, Kind::GnuTime, Kind::Hyperfine, Kind::Perf, Kind::Psutil] {
            assert_eq!(told(kind, Metric::Cpu, ""), None);
        }
    }
}
