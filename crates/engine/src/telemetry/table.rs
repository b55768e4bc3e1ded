//! Every metric that the engine has of itself, as data: what is exposed, and what `docs/own-telemetry.md` lists.
//!
//! Names that begin with `otelcol_` are those of the OpenTelemetry Collector, with its labels, so that dashboards made for
//! it go on working: <https://opentelemetry.io/docs/collector/internal-telemetry/>. Those that begin with `aldis_` say in which
//! one place every record is.

mod collector;
mod lifetime;
mod own;

use otlp::Signal;

pub(super) use collector::*;
pub(super) use lifetime::*;
pub(super) use own::*;

use super::settings::Level;

/// What a metric's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts up to explicit bounds.
    Histogram,
    /// Counts in buckets that grow by a constant factor: a native histogram where the scraper wants one.
    Exponential,
}

impl Kind {
    /// Its name in documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Exponential => "native histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Its name; `{records}` stands for `spans`, `log_records` and `metric_points`.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Its unit, as UCUM writes it; shown in names only where `without_units: false`.
    pub unit: &'static str,
    /// The level from which on it is told.
    pub level: Level,
    /// Its labels. Those in brackets are not on every series.
    pub labels: &'static [&'static str],
    /// What it means, in a sentence.
    pub text: &'static str,
}

impl Metric {
    /// Its name for records of a signal; `None` where the Collector has no word for them.
    pub fn name_of(&self, signal: Signal) -> Option<String> {
        let word = match signal {
            Signal::Traces => "spans",
            Signal::Logs => "log_records",
            Signal::Metrics => "metric_points",
            Signal::Profiles => return None,
        };
        Some(self.name.replace("{records}", word))
    }

    /// Whether its series may have this label.
    pub fn has_label(&self, label: &str) -> bool {
        self.labels.iter().any(|known| known.trim_matches(['[', ']']) == label)
    }

    /// All its names.
    pub fn names(&self) -> Vec<String> {
        match self.name.contains("{records}") {
            true => Signal::ALL.iter().filter_map(|signal| self.name_of(*signal)).collect(),
            false => vec![self.name.to_owned()],
        }
    }

    const fn new(
        name: &'static str,
        kind: Kind,
        level: Level,
        labels: &'static [&'static str],
        text: &'static str,
    ) -> Self {
        Self { name, kind, unit: "", level, labels, text }
    }

    const fn in_unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }
}

/// Every metric, in the order of documentation.
pub const METRICS: &[Metric] = &[
    RECEIVER_ACCEPTED,
    RECEIVER_REFUSED,
    RECEIVER_FAILED,
    PROCESSOR_INCOMING,
    PROCESSOR_OUTGOING,
    LIMITER_ACCEPTED,
    LIMITER_REFUSED,
    FILTERED_SPANS,
    FILTERED_LOGS,
    FILTERED_POINTS,
    BATCH_SIZE,
    BATCH_BY_TIMEOUT,
    BATCH_BY_SIZE,
    BATCH_GROUPS,
    EXPORTER_SENT,
    EXPORTER_SEND_FAILED,
    EXPORTER_ENQUEUE_FAILED,
    EXPORTER_QUEUE_SIZE,
    EXPORTER_QUEUE_CAPACITY,
    EXPORTER_IN_FLIGHT,
    PROCESS_UPTIME,
    PROCESS_CPU,
    PROCESS_RSS,
    PROCESS_HEAP,
    PROCESS_SYS,
    TARGET_INFO,
    OFFERED,
    ADMITTED,
    REFUSED,
    REQUESTS_OFFERED,
    REQUESTS_ADMITTED,
    REQUESTS_REFUSED,
    REQUESTS_UNROUTED,
    BYTES_RECEIVED,
    BYTES_DECOMPRESSED,
    CONNECTIONS_OPEN,
    CONNECTIONS_ACCEPTED,
    CONNECTIONS_REFUSED,
    UNAUTHENTICATED,
    HANDSHAKES_FAILED,
    TLS_TO_PLAIN,
    PIPELINE_OFFERED,
    PIPELINE_ADMITTED,
    PIPELINE_REFUSED,
    STAGE_IN,
    STAGE_MADE,
    STAGE_OUT,
    STAGE_REMOVED,
    STAGE_DROPPED,
    STAGE_HELD,
    STAGE_PANICS,
    GAPS_RECEIVED,
    GAPS_MISSING,
    GAPS_BEFORE_FIRST,
    GAPS_DUPLICATES,
    GAPS_LATE,
    GAPS_FORGOTTEN,
    GAPS_UNNUMBERED,
    BATCHES,
    ENQUEUED,
    DELIVERED,
    REJECTED,
    DROPPED,
    HANDED_BACK,
    QUEUED,
    IN_FLIGHT,
    TURNED_AWAY,
    MAYBE_DUPLICATE,
    QUEUE_BYTES,
    QUEUE_BYTES_LIMIT,
    SENDS,
    SEND_FAILURES,
    SEND_TIMEOUTS,
    SEND_PANICS,
    LATENCY,
    REMOTE_WRITE_REQUESTS,
    REMOTE_WRITE_BYTES,
    REMOTE_WRITE_SAMPLES,
    REMOTE_WRITE_HISTOGRAMS,
    REMOTE_WRITE_EXEMPLARS,
    REMOTE_WRITE_FALLBACKS,
    REMOTE_WRITE_POINTS_REFUSED,
    REMOTE_WRITE_UNSENT,
    FILE_SEALED,
    FILE_UNSEALED,
    FILE_SEAL_FAILURES,
    BUDGET_USED,
    BUDGET_RESERVED,
    BUDGET_LIMIT,
    LIMITER_OVER,
    UNRESOLVED,
    OWN_SPANS_MADE,
    OWN_SPANS_DELIVERED,
    OWN_SPANS_DROPPED,
    OWN_SPANS_WAITING,
    READY,
    UNWELL,
    RELOADS,
    LAST_RELOAD_GOOD,
    LAST_GOOD,
    CERTIFICATE_END,
    CERTIFICATE_RELOADS,
    SHARDS,
    BUILD_INFO,
];
