//! What a load generator saw.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use pipeline::{Outcome, histogram::Histogram};

use super::super::reply::Reply;

/// Clock ticks of `/proc` per second: fixed by Linux's ABI.
const TICKS_PER_SECOND: u64 = 100;

/// Requests and records that were not taken, under one code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Requests.
    pub requests: u64,
    /// Records of those requests.
    pub records: u64,
    /// What was said of the first one.
    pub reason: String,
}

/// What became of everything that was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// Requests answered with success.
    pub delivered_requests: u64,
    /// Records of those requests, without the rejected ones.
    pub delivered_records: u64,
    /// Records refused by partial success.
    pub rejected_records: u64,
    /// Refused requests by code: a gRPC code's name or an HTTP status; `io` for those that got no answer.
    pub refused: BTreeMap<String, Refused>,
    /// From the first request to the last answer, in seconds.
    pub seconds: f64,
    /// Latencies of answered requests in milliseconds, to one part in 16.
    pub p50_ms: f64,
    /// The 90th percentile.
    pub p90_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// Processor time of this process meanwhile, in seconds, to ten milliseconds.
    pub cpu_seconds: f64,
}

impl LoadReport {
    /// Records delivered per second.
    pub fn records_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.delivered_records as f64 / self.seconds } else { 0.0 }
    }

    /// Records refused or left without an answer.
    pub fn refused_records(&self) -> u64 {
        self.refused.values().map(|refused| refused.records).sum()
    }
}

/// The report while it grows.
#[derive(Debug, Default)]
pub(super) struct Tally {
    delivered_requests: AtomicU64,
    delivered_records: AtomicU64,
    rejected_records: AtomicU64,
    refused: Mutex<BTreeMap<String, Refused>>,
    latency: Histogram,
}

impl Tally {
    pub(super) fn note(&self, reply: &Reply, records: u64, took: Duration) {
        if let Outcome::Delivered { rejected } = reply.outcome {
            let rejected = rejected.min(records);
            self.delivered_requests.fetch_add(1, Relaxed);
            self.delivered_records.fetch_add(records - rejected, Relaxed);
            self.rejected_records.fetch_add(rejected, Relaxed);
        } else {
            let reason = match &reply.outcome {
                Outcome::Retry { reason, .. } | Outcome::Permanent { reason, .. } => reason.as_str(),
                _ => "",
            };
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            let code = refused.entry(reply.code.clone().into_owned()).or_default();
            if code.requests == 0 {
                reason.clone_into(&mut code.reason);
            }
            code.requests += 1;
            code.records += records;
        }
        if reply.code != "io" {
            self.latency.observe(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    pub(super) fn report(&self, took: Duration, cpu: Duration) -> LoadReport {
        let milliseconds = |q| self.latency.quantile_ns(q) / 1e6;
        LoadReport {
            delivered_requests: self.delivered_requests.load(Relaxed),
            delivered_records: self.delivered_records.load(Relaxed),
            rejected_records: self.rejected_records.load(Relaxed),
            refused: self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            seconds: took.as_secs_f64(),
            p50_ms: milliseconds(0.5),
            p90_ms: milliseconds(0.9),
            p99_ms: milliseconds(0.99),
            cpu_seconds: cpu.as_secs_f64(),
        }
    }
}

/// Processor time of this process, all threads; zero where `/proc` does not tell.
pub(super) fn own_cpu() -> Duration {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return Duration::ZERO };
    // The second field is a name in parentheses that may hold spaces; utime and stime are fields 14 and 15.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}
