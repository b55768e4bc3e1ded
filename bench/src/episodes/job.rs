//! Jobs that do what they are told: the example `burden` of crate `host`.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::Programs;

/// What is asked of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    /// CPU time, in milliseconds.
    Cpu,
    /// The most memory at a time, in bytes.
    Memory,
    /// Bytes written to disks.
    Written,
}

/// One job.
pub(super) struct Job {
    pub(super) name: &'static str,
    pub(super) words: &'static str,
    pub(super) metric: Metric,
}

/// Each has one thing that is known of it: what touches memory burns CPU time that nobody asked for.
pub(super) const JOBS: [Job; 5] = [
    Job { name: "CPU time, children", words: "--cpu 400 --children 2", metric: Metric::Cpu },
    Job { name: "CPU time, children that are orphans", words: "--cpu 400 --orphans 2", metric: Metric::Cpu },
    Job { name: "CPU time, children of 5 ms", words: "--short 100", metric: Metric::Cpu },
    Job {
        name: "memory, anonymous and cached",
        words: "--anon 128 --cache 64 --hold 300",
        metric: Metric::Memory,
    },
    Job {
        name: "bytes written, buffered and direct",
        words: "--write 32 --direct 32",
        metric: Metric::Written,
    },
];

impl Job {
    /// The words for `burden`.
    pub(super) fn arguments(&self, folder: &Path) -> Vec<String> {
        let words = self.words.split(' ').map(str::to_owned);
        words.chain(["--folder".to_owned(), folder.display().to_string()]).collect()
    }

    /// What the job says of itself.
    pub(super) fn truth(&self, programs: &Programs, folder: &Path) -> Result<f64, String> {
        let mut burden = Command::new(&programs.burden);
        let output = burden.args(self.arguments(folder)).stdin(Stdio::null()).output();
        let output = output.map_err(|e| format!("{}: {e}", programs.burden.display()))?;
        let said: Value =
            serde_json::from_slice(&output.stdout).map_err(|e| format!("burden: {e}: {output:?}"))?;
        let name = match self.metric {
            Metric::Cpu => "cpu_ms",
            Metric::Memory => "anon_bytes",
            Metric::Written => "written_bytes",
        };
        said[name].as_f64().ok_or(format!("burden does not tell its {name}: {said}"))
    }
}

impl Metric {
    pub(super) fn name(self) -> &'static str {
        match self {
            Metric::Cpu => "cpu_ms",
            Metric::Memory => "peak_bytes",
            Metric::Written => "written_bytes",
        }
    }

    /// A value, to be read.
    pub(super) fn text(self, value: f64) -> String {
        match self {
            Metric::Cpu => format!("{value:.1} ms"),
            Metric::Memory | Metric::Written => format!("{:.2} MiB", value / MIB),
        }
    }

    /// How far a value is from the truth.
    pub(super) fn error(self, value: f64, truth: f64) -> String {
        let off = value - truth;
        match self {
            Metric::Cpu => format!("{:+.1} %", 100.0 * off / truth),
            Metric::Memory | Metric::Written => format!("{:+.2}", off / MIB),
        }
    }
}

const MIB: f64 = (1 << 20) as f64;
