//! One measurement: a sink, a system, a generator; what the system used for each record.

use super::Bench;
use super::generator::{self, Pace, Report};
use super::machine;
use super::row::{Kind, Row};
use super::system::{self, Setup, Which};
use serde_json::{Value, json};
use std::thread;
use std::time::Duration;

/// Load before anything is measured, so that connections stand and memory is warm.
const WARM_UP: Duration = Duration::from_secs(1);
/// What a system may still have in its queues when the generator has its last answer.
const SETTLE: Duration = Duration::from_millis(500);
/// How long an idle system is watched.
const IDLE: Duration = Duration::from_secs(5);
/// The core of the system under test, and that of generator and sink.
const SYSTEM_CORE: &str = "0";
const GENERATOR_CORE: &str = "1";
const BOTH_CORES: &str = "0,1";

/// What one run showed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sample {
    /// The system, as results call it.
    pub(crate) system: String,
    /// CPU of the system per record, in µs.
    pub(crate) cpu_us: f64,
    /// CPU of the system while it was loaded, in percent of what all cores of the machine have.
    pub(crate) machine_percent: f64,
    /// Records that were answered well, per second.
    pub(crate) per_second: f64,
    /// The system's largest resident memory, in bytes.
    pub(crate) rss_peak: u64,
    /// Resident memory at the end, in bytes.
    pub(crate) rss: u64,
    /// What the generator saw.
    pub(crate) report: Report,
    /// Records that the sink got per second, and bytes per record there.
    pub(crate) sink_per_second: f64,
    pub(crate) sink_bytes_per_record: f64,
    /// The 99th percentile of the time from sending to the sink.
    pub(crate) sink_p99_ms: f64,
}

impl Sample {
    /// As raw results hold it.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "system": self.system,
            "cpu_us_per_record": self.cpu_us,
            "cpu_percent_of_machine": self.machine_percent,
            "records_per_second": self.per_second,
            "rss_peak_bytes": self.rss_peak,
            "rss_bytes": self.rss,
            "delivered_records": self.report.delivered,
            "refused_records": self.report.refused,
            "p50_ms": self.report.p50_ms,
            "p99_ms": self.report.p99_ms,
            "sink_records_per_second": self.sink_per_second,
            "sink_bytes_per_record": self.sink_bytes_per_record,
            "sink_p99_ms": self.sink_p99_ms,
        })
    }
}

/// Runs one system under the row's load; `pace` is closed loop or a fixed rate.
pub(crate) fn run(bench: &Bench, row: &Row, which: Which, pace: Pace) -> Result<Sample, String> {
    let (system_cores, generator_cores) = match row.kind {
        Kind::Shards { .. } if which == (Which::Aldis { shards: 2 }) => (BOTH_CORES, BOTH_CORES),
        Kind::Shards { .. } => (SYSTEM_CORE, BOTH_CORES),
        _ => (SYSTEM_CORE, GENERATOR_CORE),
    };
    let limit = match row.kind {
        Kind::Overload { sink_per_second, .. } => Some(sink_per_second),
        _ => None,
    };
    let sink = generator::sink(&bench.programs, generator_cores, &row.offer, limit)?;
    let scheme = if row.offer.protocol == "http" { "http://" } else { "" };
    let setup = Setup {
        which,
        config: which.config(row),
        listen: system::free_address()?,
        sink: format!("{scheme}{}", sink.address),
        cores: system_cores,
    };
    let system = system::start(&bench.programs, &setup)?;
    let load = |length, pace| {
        let file = bench.bodies(row.offer.bodies)?;
        generator::load(&bench.programs, generator_cores, &row.offer, file, &setup.listen, length, pace)
    };
    let warm = if limit.is_none() { load(WARM_UP, Pace::Closed)? } else { Report::default() };
    let before = system.usage()?;
    let report = load(bench.length, pace)?;
    thread::sleep(SETTLE);
    let after = system.usage()?;
    system.end()?;
    let sunk = sink.end()?;
    let delivered = warm.delivered + report.delivered;
    if limit.is_none() && sunk.records != delivered {
        return Err(format!("{}: {delivered} records answered, {} at the sink", which.name(), sunk.records));
    }
    let seconds = report.seconds.max(f64::MIN_POSITIVE);
    let cpu = (after.cpu - before.cpu).as_secs_f64();
    Ok(Sample {
        system: which.name().into(),
        cpu_us: cpu * 1e6 / report.delivered.max(1) as f64,
        machine_percent: 100.0 * cpu / seconds / machine::cores() as f64,
        per_second: report.delivered as f64 / seconds,
        rss_peak: after.rss_peak,
        rss: after.rss,
        sink_per_second: sunk.records as f64 / sunk.seconds.max(f64::MIN_POSITIVE),
        sink_bytes_per_record: sunk.bytes as f64 / sunk.records.max(1) as f64,
        sink_p99_ms: sunk.p99_ms,
        report,
    })
}

/// Starts a system, sends nothing, and looks at it: `cpu_us` is CPU µs per second then.
pub(crate) fn idle(bench: &Bench, row: &Row, which: Which) -> Result<Sample, String> {
    let setup = Setup {
        which,
        config: which.config(row),
        listen: system::free_address()?,
        sink: system::free_address()?,
        cores: SYSTEM_CORE,
    };
    let system = system::start(&bench.programs, &setup)?;
    thread::sleep(SETTLE);
    let before = system.usage()?;
    thread::sleep(IDLE);
    let after = system.usage()?;
    system.end()?;
    Ok(Sample {
        system: which.name().into(),
        cpu_us: (after.cpu - before.cpu).as_secs_f64() * 1e6 / IDLE.as_secs_f64(),
        rss_peak: after.rss_peak,
        rss: after.rss,
        ..Sample::default()
    })
}
