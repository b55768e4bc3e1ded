//! The rows of the speed table: what is sent, through which configuration, and what the goal is.

use super::system::Which;

/// What is offered to the system under test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Offer {
    /// The bodies, by the name of their file.
    pub(crate) bodies: Bodies,
    /// `grpc` or `http`.
    pub(crate) protocol: &'static str,
    /// `proto` or `json`.
    pub(crate) encoding: &'static str,
    /// `none` or `gzip`.
    pub(crate) codec: &'static str,
    /// Whether generator, system and sink speak TLS.
    pub(crate) tls: bool,
    /// Connections of the generator.
    pub(crate) connections: usize,
    /// Requests in flight on each connection; the next one is sent when one is answered.
    pub(crate) in_flight: usize,
}

/// Fixed request bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// Requests of about so many real spans: whole resources.
    Spans(u64),
    /// Requests of 20 real spans.
    FewSpans,
    /// Requests of 1000 generated spans with so many attributes.
    Attributes(usize),
    /// Requests of 1000 generated logs of 300 bytes.
    Logs,
    /// Real requests of 148 data points on average.
    Metrics,
}

impl Bodies {
    /// `traces`, `logs` or `metrics`.
    pub(crate) const fn signal(self) -> &'static str {
        match self {
            Bodies::Spans(_) | Bodies::FewSpans | Bodies::Attributes(_) => "traces",
            Bodies::Logs => "logs",
            Bodies::Metrics => "metrics",
        }
    }

    /// Records of a request; of [`Bodies::Spans`] the least, of [`Bodies::Metrics`] the average.
    pub(crate) const fn records(self) -> u64 {
        match self {
            Bodies::Spans(records) => records,
            Bodies::Logs | Bodies::Attributes(_) => 1000,
            Bodies::FewSpans => 20,
            Bodies::Metrics => 148,
        }
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// CPU per record, ours against the peer's, without a goal of its own: what it depends on.
    Plain,
    /// CPU per record of ours with what `ours` says over that of ours with what `theirs` says.
    Share,
    /// CPU per record or request, ours against the peer's.
    Cost {
        /// Goal in CPU µs.
        goal_us: f64,
        /// The peer's cost over ours.
        goal_ratio: f64,
        /// A cost per request where true, per record where false.
        per_request: bool,
    },
    /// Records per second of two shards over those of one.
    Shards { goal_ratio: f64 },
    /// Memory and CPU of a system that nothing is sent to.
    Idle { goal_mib: f64 },
    /// Latency from a request's sending to the sink, at half of the rate that the system can take.
    Latency { goal_p99_ms: f64 },
    /// A fixed rate: CPU of all of the machine's cores, peak memory, latency.
    Rate { records_per_second: u64 },
    /// Three times of what the sink takes: peak memory and what the sink got.
    Overload {
        /// Records per second that the sink takes.
        sink_per_second: u64,
        budget_mib: f64,
    },
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    /// What `--row` takes.
    pub(crate) name: &'static str,
    /// What the table shows.
    pub(crate) about: &'static str,
    /// Our configuration in `bench/configs`.
    pub(crate) ours: &'static str,
    /// The peer's.
    pub(crate) theirs: &'static str,
    /// `exported` where a request is answered when the sink has it, `accepted` where it is when it is queued.
    pub(crate) answered: &'static str,
    pub(crate) offer: Offer,
    pub(crate) kind: Kind,
    /// Whom it is measured against, where it is measured against another program.
    pub(crate) peer: Which,
}

const SPANS: Offer = Offer {
    bodies: Bodies::Spans(1000),
    protocol: "grpc",
    encoding: "proto",
    codec: "none",
    tls: false,
    connections: 4,
    in_flight: 4,
};
const TLS: Offer = Offer { tls: true, ..SPANS };
const TLS_GZIPPED: Offer = Offer { tls: true, ..GZIPPED };
const GZIPPED: Offer = Offer { codec: "gzip", ..SPANS };
const FEW: Offer = Offer { bodies: Bodies::FewSpans, in_flight: 16, ..SPANS };
const LOGS: Offer = Offer { bodies: Bodies::Logs, protocol: "http", connections: 16, in_flight: 1, ..SPANS };
const LOGS_JSON: Offer = Offer { encoding: "json", ..LOGS };
const SPANS_JSON: Offer =
    Offer { protocol: "http", encoding: "json", connections: 16, in_flight: 1, ..SPANS };

const METRICS: Offer = Offer { bodies: Bodies::Metrics, ..SPANS };

const fn cost(goal_us: f64, goal_ratio: f64) -> Kind {
    Kind::Cost { goal_us, goal_ratio, per_request: false }
}

/// Every row. A row whose two systems run the same file names it once.
pub(crate) const ROWS: [Row; 31] = [
    row("relay", "spans gRPC none, relay, full check", "relay-grpc.yaml", SPANS, cost(0.33, 5.0)),
    Row {
        theirs: "relay-grpc.yaml",
        ..row(
            "framing",
            "spans gRPC none, relay, framing check",
            "relay-grpc-framing.yaml",
            SPANS,
            cost(0.25, 6.0),
        )
    },
    row("insert-1", "spans gRPC none, insert 1 attribute", "insert-1.yaml", SPANS, cost(0.45, 4.0)),
    row("insert-4", "spans gRPC none, insert 4 attributes", "insert-4.yaml", SPANS, cost(0.60, 4.0)),
    row(
        "gzip",
        "spans gRPC gzip -> gzip re-encoded (insert 1)",
        "insert-1-gzip.yaml",
        GZIPPED,
        cost(1.1, 4.0),
    ),
    row("gzip-as-received", "spans gRPC gzip -> as received", "relay-gzip.yaml", GZIPPED, cost(0.45, 8.0)),
    Row {
        theirs: "insert-1-gzip.yaml",
        ..row("gzip-small", "the same, ours at level 7", "insert-1-gzip-small.yaml", GZIPPED, Kind::Plain)
    },
    row("logs", "logs HTTP none, relay", "relay-http-logs.yaml", LOGS, cost(0.20, 5.0)),
    Row {
        answered: "accepted",
        ..row(
            "batch",
            "20-span requests batched out (per request)",
            "batch.yaml",
            FEW,
            Kind::Cost { goal_us: 15.0, goal_ratio: 3.0, per_request: true },
        )
    },
    row(
        "shards",
        "two shards against one (gzip re-encoded)",
        "insert-1-gzip.yaml",
        GZIPPED,
        Kind::Shards { goal_ratio: 1.8 },
    ),
    row(
        "shards-small",
        "the same at level 7: the engine has most to do",
        "insert-1-gzip-small.yaml",
        GZIPPED,
        Kind::Shards { goal_ratio: 1.8 },
    ),
    row("idle", "idle", "relay-grpc.yaml", SPANS, Kind::Idle { goal_mib: 20.0 }),
    row(
        "latency",
        "spans gRPC none, relay, at half load",
        "relay-grpc.yaml",
        SPANS,
        Kind::Latency { goal_p99_ms: 5.0 },
    ),
    Row {
        answered: "accepted",
        ..row(
            "overload",
            "sink takes R, 3R offered",
            "limited.yaml",
            SPANS,
            Kind::Overload { sink_per_second: 100_000, budget_mib: 100.0 },
        )
    },
    row(
        "rate-1000k",
        "spans gRPC none, relay, 1 000 000 spans/s",
        "relay-grpc.yaml",
        SPANS,
        Kind::Rate { records_per_second: 1_000_000 },
    ),
    row(
        "rate-1500k",
        "spans gRPC none, relay, 1 500 000 spans/s",
        "relay-grpc.yaml",
        SPANS,
        Kind::Rate { records_per_second: 1_500_000 },
    ),
    row("tls", "spans gRPC none, relay, TLS on both sides", "relay-tls.yaml", TLS, Kind::Plain),
    row(
        "tls-as-received",
        "spans gRPC gzip -> as received, TLS",
        "relay-gzip-tls.yaml",
        TLS_GZIPPED,
        Kind::Plain,
    ),
    row("json-spans", "spans HTTP JSON -> JSON, relay", "relay-json-spans.yaml", SPANS_JSON, Kind::Plain),
    row("json-logs", "logs HTTP JSON -> JSON, relay", "relay-json-logs.yaml", LOGS_JSON, Kind::Plain),
    Row {
        theirs: "relay-grpc.yaml",
        ..row(
            "summary",
            "relay with the exporter summary, and without",
            "relay-summary.yaml",
            SPANS,
            Kind::Share,
        )
    },
    Row {
        theirs: "batch.yaml",
        answered: "accepted",
        ..row(
            "summary-small",
            "the same, of 20-span requests batched out",
            "batch-summary.yaml",
            FEW,
            Kind::Share,
        )
    },
    row("metrics", "metrics gRPC none, relay", "relay-metrics.yaml", METRICS, Kind::Plain),
    Row {
        theirs: "relay-metrics.yaml",
        ..row(
            "prometheus",
            "the same with the exporter prometheus",
            "relay-prometheus.yaml",
            METRICS,
            Kind::Share,
        )
    },
    plain("connections-1", "relay, 1 connection", Offer { connections: 1, ..SPANS }),
    plain("connections-64", "relay, 64 connections", Offer { connections: 64, in_flight: 1, ..SPANS }),
    plain("records-100", "relay, 100 spans a request", Offer { bodies: Bodies::Spans(100), ..SPANS }),
    plain("records-10000", "relay, 10 000 spans a request", Offer { bodies: Bodies::Spans(10_000), ..SPANS }),
    plain(
        "attributes-10",
        "relay, generated spans with 10 attributes",
        Offer { bodies: Bodies::Attributes(10), ..SPANS },
    ),
    plain(
        "attributes-60",
        "relay, generated spans with 60 attributes",
        Offer { bodies: Bodies::Attributes(60), ..SPANS },
    ),
    Row {
        theirs: "otel-arrow/relay-grpc.yaml",
        peer: Which::OtelArrow,
        ..plain("otel-arrow", "relay, beside OTel Arrow's dataflow engine", SPANS)
    },
];

const fn plain(name: &'static str, about: &'static str, offer: Offer) -> Row {
    row(name, about, "relay-grpc.yaml", offer, Kind::Plain)
}

const fn row(name: &'static str, about: &'static str, config: &'static str, offer: Offer, kind: Kind) -> Row {
    let (ours, theirs, peer) = (config, config, Which::Collector);
    Row { name, about, ours, theirs, answered: "exported", offer, kind, peer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_configurations_are_there() {
        let configs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
        for (number, row) in ROWS.iter().enumerate() {
            assert!(!ROWS[..number].iter().any(|other| other.name == row.name), "{}", row.name);
            assert!(configs.join(row.ours).exists() && configs.join(row.theirs).exists(), "{}", row.name);
        }
    }
}
