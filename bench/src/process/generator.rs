//! Both ends of a measurement: `aldis load`, which sends fixed bodies, and `aldis sink`, which counts what arrives.

use super::bodies::BodyFile;
use super::row::Offer;
use super::system::{self, Programs, Running};
use serde_json::Value;
use std::time::Duration;

/// How fast to send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// The next request when one is answered.
    Closed,
    /// So many requests per second, whatever the answers.
    Requests(f64),
}

/// What the generator saw.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Report {
    /// Records of requests that were answered well.
    pub(crate) delivered: u64,
    /// Records that were refused, or whose fate is not known.
    pub(crate) refused: u64,
    /// From the first request to the last answer.
    pub(crate) seconds: f64,
    /// From a request's start to its answer.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// What the sink counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sunk {
    pub(crate) records: u64,
    /// Bytes of the bodies as they came.
    pub(crate) bytes: u64,
    /// From the first request to the last.
    pub(crate) seconds: f64,
    /// From the sending of a stamped request to its arrival here; zero where none was stamped.
    pub(crate) p99_ms: f64,
}

/// A sink that listens.
#[derive(Debug)]
pub(crate) struct Sink {
    running: Running,
    pub(crate) address: String,
}

/// Starts a sink that takes at most so many records per second.
pub(crate) fn sink(
    programs: &Programs,
    cores: &str,
    offer: &Offer,
    limit: Option<u64>,
) -> Result<Sink, String> {
    let address = system::free_address()?;
    let unused = system::free_address()?;
    let (grpc, http) = if offer.protocol == "http" { (&unused, &address) } else { (&address, &unused) };
    let mut command = system::pinned(cores);
    command.arg(&programs.aldis).args(["sink", "--json", "--shards", "1", "--grpc", grpc, "--http", http]);
    if offer.tls {
        command.arg("--cert").arg(&programs.certificates.cert);
        command.arg("--key").arg(&programs.certificates.key);
    }
    if let Some(limit) = limit {
        command.args(["--rate", &limit.to_string()]);
    }
    let running = Running::start(&mut command, "aldis sink")?;
    running.wait_for(&address)?;
    Ok(Sink { running, address })
}

impl Sink {
    /// Ends it and reads what it counted.
    pub(crate) fn end(self) -> Result<Sunk, String> {
        let report = json(&self.running.end()?)?;
        Ok(Sunk {
            records: number(&report, "records")? as u64,
            bytes: number(&report, "bytes")? as u64,
            seconds: number(&report, "seconds")?,
            p99_ms: report["p99_ms"].as_f64().unwrap_or_default(),
        })
    }
}

/// Sends for so long.
pub(crate) fn load(
    programs: &Programs,
    cores: &str,
    offer: &Offer,
    file: &BodyFile,
    target: &str,
    length: Duration,
    pace: Pace,
) -> Result<Report, String> {
    let mut command = system::pinned(cores);
    command.arg(&programs.aldis).args(["load", "--json"]).arg(&file.path);
    command.args(["--endpoint", target, "--protocol", offer.protocol, "--codec", offer.codec]);
    command.args(["--signal", offer.bodies.signal(), "--encoding", offer.encoding]);
    command.args([
        "--connections",
        &offer.connections.to_string(),
        "--in-flight",
        &offer.in_flight.to_string(),
    ]);
    if offer.tls {
        command.arg("--ca").arg(&programs.certificates.ca);
    }
    command.args(["--duration", &format!("{}s", length.as_secs_f64())]);
    if let Pace::Requests(per_second) = pace {
        // An open loop is run for its latencies.
        command.args(["--rate", &per_second.to_string(), "--stamp-every", "4"]);
    }
    let report = json(&Running::start(&mut command, "aldis load")?.finished()?)?;
    Ok(Report {
        delivered: number(&report, "delivered_records")? as u64,
        refused: number(&report, "refused_records")? as u64,
        seconds: number(&report, "seconds")?,
        p50_ms: number(&report, "p50_ms")?,
        p99_ms: number(&report, "p99_ms")?,
    })
}

fn json(output: &str) -> Result<Value, String> {
    serde_json::from_str(output).map_err(|e| format!("{e} in {output:?}"))
}

fn number(report: &Value, key: &str) -> Result<f64, String> {
    report[key].as_f64().ok_or_else(|| format!("no number {key:?} in {report}"))
}
