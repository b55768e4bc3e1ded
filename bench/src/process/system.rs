//! A system under test: started on its core, measured, ended.

use super::certificates::Certificates;
use super::row::Row;
use super::usage::{self, Usage};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a system may take to listen.
const START: Duration = Duration::from_secs(10);
/// How long a system may take to end when told to.
const STOP: Duration = Duration::from_secs(20);

/// The exit code of `aldis load` when requests were refused.
const UNDELIVERED: i32 = 5;

/// Which system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// `aldis serve` with so many shards.
    Aldis { shards: usize },
    /// `aldis serve` with one shard, and the peer's file: ours against ours.
    AldisOther,
    /// The OpenTelemetry Collector.
    Collector,
    /// The dataflow engine of the OpenTelemetry Arrow project (`bench/otel-arrow`).
    OtelArrow,
}

impl Which {
    /// As results call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Which::Aldis { .. } => "aldis",
            Which::AldisOther => "aldis-other",
            Which::Collector => "collector",
            Which::OtelArrow => "otel-arrow",
        }
    }

    /// Where in `bench/configs` its file for this row is.
    pub(crate) const fn config(self, row: &Row) -> &'static str {
        match self {
            Which::Aldis { .. } => row.ours,
            Which::AldisOther | Which::Collector | Which::OtelArrow => row.theirs,
        }
    }
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) aldis: PathBuf,
    pub(crate) collector: PathBuf,
    pub(crate) otel_arrow: PathBuf,
    pub(crate) configs: PathBuf,
    pub(crate) certificates: Certificates,
}

/// How to start a system.
#[derive(Debug, Clone)]
pub(crate) struct Setup<'a> {
    pub(crate) which: Which,
    /// The file in `bench/configs`.
    pub(crate) config: &'a str,
    /// Where it listens.
    pub(crate) listen: String,
    /// Where it sends.
    pub(crate) sink: String,
    /// The cores it may use, as `taskset` takes them.
    pub(crate) cores: &'a str,
}

/// A running process that ends with this value.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    name: String,
}

/// Starts a system and waits until it listens.
pub(crate) fn start(programs: &Programs, setup: &Setup<'_>) -> Result<Running, String> {
    let config = programs.configs.join(setup.config);
    let mut command = pinned(setup.cores);
    let ours = |shards: usize| format!("serve --metrics none --shards {shards} --config");
    match setup.which {
        Which::Aldis { shards } => command.arg(&programs.aldis).args(ours(shards).split(' ')).arg(&config),
        Which::AldisOther => command.arg(&programs.aldis).args(ours(1).split(' ')).arg(&config),
        // The Collector's own metrics are off: it has less to do than it would have by default.
        Which::Collector => command
            .arg(&programs.collector)
            .arg("--config")
            .arg(&config)
            .args(["--config", "yaml:service::telemetry::metrics::level: none"])
            .args(["--config", "yaml:service::telemetry::logs::level: error"]),
        Which::OtelArrow => command.arg(&programs.otel_arrow).arg(&config),
    };
    command.env("BENCH_LISTEN", &setup.listen).env("BENCH_SINK", &setup.sink);
    let Certificates { ca, cert, key } = &programs.certificates;
    command.env("BENCH_CA", ca).env("BENCH_CERT", cert).env("BENCH_KEY", key);
    let running = Running::start(&mut command, setup.which.name())?;
    running.wait_for(&setup.listen)?;
    Ok(running)
}

/// A command that may use these cores only.
pub(crate) fn pinned(cores: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cores]);
    command
}

/// An address of the loopback interface that was free a moment ago.
pub(crate) fn free_address() -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("no free port: {e}"))?;
    Ok(listener.local_addr().map_err(|e| e.to_string())?.to_string())
}

impl Running {
    /// Starts a program whose standard output is kept for [`Running::end`]; its standard error goes to
    /// `<target>/bench/<name>.log`, which the next start of it writes over.
    pub(crate) fn start(command: &mut Command, name: &str) -> Result<Self, String> {
        let log = super::target().join("bench").join(format!("{}.log", name.replace(' ', "-")));
        let log = std::fs::File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn();
        let child = child.map_err(|e| format!("cannot start {name}: {e}"))?;
        Ok(Self { child, name: name.into() })
    }

    /// Waits until somebody listens at the address.
    pub(crate) fn wait_for(&self, address: &str) -> Result<(), String> {
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            if Instant::now() > deadline {
                return Err(format!("{} does not listen on {address}", self.name));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// What it has used so far. `taskset` has become the program by `exec`, so the process is the program's.
    pub(crate) fn usage(&self) -> Result<Usage, String> {
        usage::of(self.child.id())
    }

    /// Ends it with SIGTERM and hands over what it wrote to standard output.
    pub(crate) fn end(mut self) -> Result<String, String> {
        self.terminate();
        let deadline = Instant::now() + STOP;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                return Err(format!("{} did not end within {} s of SIGTERM", self.name, STOP.as_secs()));
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.output()
    }

    /// Waits until it ends by itself, and hands over what it wrote to standard output. That not everything was delivered
    /// ([`UNDELIVERED`]) is for the caller to judge.
    pub(crate) fn finished(mut self) -> Result<String, String> {
        let output = self.output()?;
        let status = self.child.wait().map_err(|e| format!("{}: {e}", self.name))?;
        let told = status.success() || status.code() == Some(UNDELIVERED);
        if told { Ok(output) } else { Err(format!("{} ended with {status}: {output}", self.name)) }
    }

    fn output(&mut self) -> Result<String, String> {
        let mut text = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            std::io::Read::read_to_string(&mut stdout, &mut text)
                .map_err(|e| format!("{}: {e}", self.name))?;
        }
        Ok(text)
    }

    fn terminate(&self) {
        // The signal goes to a child that has not been waited for, so the id is still its own.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
