//! Metrics that only Aldis has.

use super::{
    Kind::{Counter, Exponential, Gauge},
    Metric,
};
use crate::telemetry::settings::Level::{Basic, Normal};

// Aldis' own: receivers
pub(in crate::telemetry) const OFFERED: Metric = Metric::new(
    "aldis_receiver_offered",
    Counter,
    Basic,
    &["receiver", "transport", "signal"],
    "Records of requests that passed the check: offered = admitted + refused.",
);
pub(in crate::telemetry) const ADMITTED: Metric = Metric::new(
    "aldis_receiver_admitted",
    Counter,
    Basic,
    &["receiver", "transport", "signal"],
    "Records of requests that were answered with success.",
);
pub(in crate::telemetry) const REFUSED: Metric = Metric::new(
    "aldis_receiver_refused",
    Counter,
    Basic,
    &["receiver", "transport", "signal", "code"],
    "Records of requests that were refused, by the code of the answer.",
);
pub(in crate::telemetry) const REQUESTS_OFFERED: Metric = Metric::new(
    "aldis_receiver_requests_offered",
    Counter,
    Normal,
    &["receiver", "transport", "signal"],
    "Requests whose headers arrived.",
);
pub(in crate::telemetry) const REQUESTS_ADMITTED: Metric = Metric::new(
    "aldis_receiver_requests_admitted",
    Counter,
    Normal,
    &["receiver", "transport", "signal"],
    "Requests that were answered with success.",
);
pub(in crate::telemetry) const REQUESTS_REFUSED: Metric = Metric::new(
    "aldis_receiver_requests_refused",
    Counter,
    Normal,
    &["receiver", "transport", "signal", "code"],
    "Requests that were refused, by the code of the answer.",
);
pub(in crate::telemetry) const REQUESTS_UNROUTED: Metric = Metric::new(
    "aldis_receiver_requests_unrouted",
    Counter,
    Normal,
    &["receiver"],
    "Requests for what is not there: other paths, methods, media types.",
);
pub(in crate::telemetry) const BYTES_RECEIVED: Metric = Metric::new(
    "aldis_receiver_bytes_received",
    Counter,
    Normal,
    &["receiver", "transport", "signal"],
    "Bytes of bodies as they came over the wire.",
)
.in_unit("By");
pub(in crate::telemetry) const BYTES_DECOMPRESSED: Metric = Metric::new(
    "aldis_receiver_bytes_decompressed",
    Counter,
    Normal,
    &["receiver", "transport", "signal"],
    "Bytes of bodies after decompression.",
)
.in_unit("By");
pub(in crate::telemetry) const CONNECTIONS_OPEN: Metric = Metric::new(
    "aldis_receiver_connections_open",
    Gauge,
    Normal,
    &["receiver"],
    "Connections that are open.",
);
pub(in crate::telemetry) const CONNECTIONS_ACCEPTED: Metric = Metric::new(
    "aldis_receiver_connections_accepted",
    Counter,
    Normal,
    &["receiver"],
    "Connections that were taken.",
);
pub(in crate::telemetry) const CONNECTIONS_REFUSED: Metric = Metric::new(
    "aldis_receiver_connections_refused",
    Counter,
    Normal,
    &["receiver"],
    "Connections that were closed at once: too many, or no memory.",
);
pub(in crate::telemetry) const UNAUTHENTICATED: Metric = Metric::new(
    "aldis_receiver_unauthenticated",
    Counter,
    Normal,
    &["receiver", "reason"],
    "Requests that were refused because their credentials were missing or wrong, or could not be checked in time.",
);
pub(in crate::telemetry) const HANDSHAKES_FAILED: Metric = Metric::new(
    "aldis_receiver_handshakes_failed",
    Counter,
    Normal,
    &["receiver", "reason"],
    "Connections that ended in the handshake of TLS.",
);
pub(in crate::telemetry) const TLS_TO_PLAIN: Metric = Metric::new(
    "aldis_receiver_tls_to_plain",
    Counter,
    Normal,
    &["receiver"],
    "Connections that began with TLS where none is spoken.",
);

// pipelines and stages
pub(in crate::telemetry) const PIPELINE_OFFERED: Metric = Metric::new(
    "aldis_pipeline_offered",
    Counter,
    Basic,
    &["pipeline", "signal"],
    "Records at a pipeline's way in: offered = admitted + refused.",
);
pub(in crate::telemetry) const PIPELINE_ADMITTED: Metric = Metric::new(
    "aldis_pipeline_admitted",
    Counter,
    Basic,
    &["pipeline", "signal"],
    "Records that were let in.",
);
pub(in crate::telemetry) const PIPELINE_REFUSED: Metric = Metric::new(
    "aldis_pipeline_refused",
    Counter,
    Basic,
    &["pipeline", "signal", "code"],
    "Records that were not let in: `memory`, `stage` (it is dead), `closed`.",
);
pub(in crate::telemetry) const STAGE_IN: Metric = Metric::new(
    "aldis_stage_in",
    Counter,
    Basic,
    &["stage", "signal"],
    "Records that came in: in + made = out + removed + dropped + held.",
);
pub(in crate::telemetry) const STAGE_MADE: Metric =
    Metric::new("aldis_stage_made", Counter, Basic, &["stage", "signal"], "Records that were made.");
pub(in crate::telemetry) const STAGE_OUT: Metric =
    Metric::new("aldis_stage_out", Counter, Basic, &["stage", "signal"], "Records that were sent on.");
pub(in crate::telemetry) const STAGE_REMOVED: Metric = Metric::new(
    "aldis_stage_removed",
    Counter,
    Basic,
    &["stage", "signal", "rule"],
    "Records that were taken out as configured.",
);
pub(in crate::telemetry) const STAGE_DROPPED: Metric = Metric::new(
    "aldis_stage_dropped",
    Counter,
    Basic,
    &["stage", "signal", "reason"],
    "Records that were lost.",
);
pub(in crate::telemetry) const STAGE_HELD: Metric =
    Metric::new("aldis_stage_held", Gauge, Basic, &["stage", "signal"], "Records that are kept for now.");
pub(in crate::telemetry) const STAGE_PANICS: Metric =
    Metric::new("aldis_stage_panics", Counter, Basic, &["stage", "signal"], "Panics that were contained.");
pub(in crate::telemetry) const BATCHES: Metric = Metric::new(
    "aldis_batcher_batches",
    Counter,
    Normal,
    &["processor", "signal", "trigger"],
    "Batches that left: `size`, `timeout`, `idle` (an exporter had nothing to do), `flush`.",
);

// exporters
pub(in crate::telemetry) const ENQUEUED: Metric = Metric::new(
    "aldis_exporter_enqueued",
    Counter,
    Basic,
    &["exporter", "signal"],
    "Records that were taken: enqueued = delivered + rejected + dropped + queued + in flight.",
);
pub(in crate::telemetry) const DELIVERED: Metric = Metric::new(
    "aldis_exporter_delivered",
    Counter,
    Basic,
    &["exporter", "signal"],
    "Records that the far side took.",
);
pub(in crate::telemetry) const REJECTED: Metric = Metric::new(
    "aldis_exporter_rejected",
    Counter,
    Basic,
    &["exporter", "signal", "code"],
    "Records that the far side refused for good.",
);
pub(in crate::telemetry) const DROPPED: Metric = Metric::new(
    "aldis_exporter_dropped",
    Counter,
    Basic,
    &["exporter", "signal", "reason"],
    "Records that were given up.",
);
pub(in crate::telemetry) const HANDED_BACK: Metric = Metric::new(
    "aldis_exporter_handed_back",
    Counter,
    Basic,
    &["exporter", "signal"],
    "Of these, but for those of a shutdown, records whose senders waited and were told so: they are not lost.",
);
pub(in crate::telemetry) const QUEUED: Metric =
    Metric::new("aldis_exporter_queued", Gauge, Basic, &["exporter", "signal"], "Records that wait.");
pub(in crate::telemetry) const IN_FLIGHT: Metric = Metric::new(
    "aldis_exporter_in_flight",
    Gauge,
    Basic,
    &["exporter", "signal"],
    "Records that are being sent.",
);
pub(in crate::telemetry) const TURNED_AWAY: Metric = Metric::new(
    "aldis_exporter_refused",
    Counter,
    Basic,
    &["exporter", "signal"],
    "Records that were handed back because the queue was full; no part of the sum.",
);
pub(in crate::telemetry) const MAYBE_DUPLICATE: Metric = Metric::new(
    "aldis_exporter_maybe_duplicate",
    Counter,
    Basic,
    &["exporter", "signal"],
    "Records that were sent again although the far side may have had them.",
);
pub(in crate::telemetry) const QUEUE_BYTES: Metric = Metric::new(
    "aldis_exporter_queue_bytes",
    Gauge,
    Normal,
    &["exporter", "signal"],
    "Bytes that the queue holds, what is being sent included.",
)
.in_unit("By");
pub(in crate::telemetry) const QUEUE_BYTES_LIMIT: Metric = Metric::new(
    "aldis_exporter_queue_bytes_limit",
    Gauge,
    Normal,
    &["exporter", "signal"],
    "Bytes that it may hold.",
)
.in_unit("By");
pub(in crate::telemetry) const SENDS: Metric =
    Metric::new("aldis_exporter_sends", Counter, Normal, &["exporter"], "Sends that began.");
pub(in crate::telemetry) const SEND_FAILURES: Metric = Metric::new(
    "aldis_exporter_send_failures",
    Counter,
    Normal,
    &["exporter"],
    "Of these, sends that failed, tried again or not.",
);
pub(in crate::telemetry) const SEND_TIMEOUTS: Metric = Metric::new(
    "aldis_exporter_send_timeouts",
    Counter,
    Normal,
    &["exporter"],
    "Of these, sends that took too long.",
);
pub(in crate::telemetry) const SEND_PANICS: Metric = Metric::new(
    "aldis_exporter_send_panics",
    Counter,
    Normal,
    &["exporter"],
    "Of these, sends that ended in a panic.",
);
pub(in crate::telemetry) const LATENCY: Metric = Metric::new(
    "aldis_exporter_latency",
    Exponential,
    Normal,
    &["exporter"],
    "Seconds from a request's entering the queue to the far side's final answer; what was given up, or not sent, has none.",
)
.in_unit("s");

pub(in crate::telemetry) const REMOTE_WRITE_REQUESTS: Metric = Metric::new(
    "aldis_remote_write_requests",
    Counter,
    Normal,
    &["exporter"],
    "Requests of remote write that were answered.",
);
pub(in crate::telemetry) const REMOTE_WRITE_BYTES: Metric = Metric::new(
    "aldis_remote_write_bytes",
    Counter,
    Normal,
    &["exporter"],
    "Bytes of their bodies, compressed.",
)
.in_unit("By");
pub(in crate::telemetry) const REMOTE_WRITE_SAMPLES: Metric = Metric::new(
    "aldis_remote_write_samples",
    Counter,
    Normal,
    &["exporter"],
    "Samples that the far side took: a histogram's point is several.",
);
pub(in crate::telemetry) const REMOTE_WRITE_HISTOGRAMS: Metric = Metric::new(
    "aldis_remote_write_histograms",
    Counter,
    Normal,
    &["exporter"],
    "Native histograms that it took.",
);
pub(in crate::telemetry) const REMOTE_WRITE_EXEMPLARS: Metric =
    Metric::new("aldis_remote_write_exemplars", Counter, Normal, &["exporter"], "Exemplars that it took.");
pub(in crate::telemetry) const REMOTE_WRITE_FALLBACKS: Metric = Metric::new(
    "aldis_remote_write_fallbacks",
    Counter,
    Normal,
    &["exporter"],
    "Times that 2.0 was given up for a while because the far side did not understand it.",
);
pub(in crate::telemetry) const REMOTE_WRITE_POINTS_REFUSED: Metric = Metric::new(
    "aldis_remote_write_refused",
    Counter,
    Normal,
    &["exporter"],
    "Data points that it refused for good, be it only a part of a request; why is in the log.",
);
pub(in crate::telemetry) const REMOTE_WRITE_UNSENT: Metric = Metric::new(
    "aldis_remote_write_unsent",
    Counter,
    Normal,
    &["exporter", "reason"],
    "Data points that could not be written: `temporality` (a delta), `time`, `name`, and so on.",
);

// the processor `gaps`
pub(in crate::telemetry) const GAPS_RECEIVED: Metric = Metric::new(
    "aldis_gaps_received",
    Counter,
    Normal,
    &["stage", "[host]", "[pid]", "[lane]"],
    "Events, or metrics, with a number that came from a thread of a collector. Without host: from those that were forgotten.",
);
pub(in crate::telemetry) const GAPS_MISSING: Metric = Metric::new(
    "aldis_gaps_missing",
    Gauge,
    Basic,
    &["stage", "[host]", "[pid]", "[lane]"],
    "Events, or metrics, that are missing between the first and the last that came. It falls when one comes late, by less than 4096 numbers.",
);
pub(in crate::telemetry) const GAPS_BEFORE_FIRST: Metric = Metric::new(
    "aldis_gaps_before_first",
    Gauge,
    Basic,
    &["stage", "[host]", "[pid]", "[lane]"],
    "Events, or metrics, that were recorded before the first that came: they are lost, or were delivered before this engine counted.",
);
pub(in crate::telemetry) const GAPS_DUPLICATES: Metric = Metric::new(
    "aldis_gaps_duplicates",
    Counter,
    Normal,
    &["stage", "[host]", "[pid]", "[lane]"],
    "Events, or metrics, that came again.",
);
pub(in crate::telemetry) const GAPS_LATE: Metric = Metric::new(
    "aldis_gaps_late",
    Counter,
    Normal,
    &["stage", "[host]", "[pid]", "[lane]"],
    "Events, or metrics, that came late by 4096 numbers or more: they were missing, or came again, and which is not known. No other \
     count says them.",
);
pub(in crate::telemetry) const GAPS_FORGOTTEN: Metric = Metric::new(
    "aldis_gaps_senders_forgotten",
    Counter,
    Basic,
    &["stage"],
    "Threads of collectors that were forgotten for others: `max_senders` of the processor.",
);
pub(in crate::telemetry) const GAPS_UNNUMBERED: Metric = Metric::new(
    "aldis_gaps_unnumbered",
    Counter,
    Normal,
    &["stage"],
    "Log records, or data points, without such a number.",
);

// the exporter `file`
pub(in crate::telemetry) const FILE_SEALED: Metric = Metric::new(
    "aldis_file_sealed",
    Counter,
    Normal,
    &["exporter"],
    "Files that were moved away and are sealed archives now.",
);
pub(in crate::telemetry) const FILE_UNSEALED: Metric = Metric::new(
    "aldis_file_unsealed",
    Gauge,
    Normal,
    &["exporter"],
    "Files that were moved away and wait to be sealed.",
);
pub(in crate::telemetry) const FILE_SEAL_FAILURES: Metric = Metric::new(
    "aldis_file_seal_failures",
    Counter,
    Normal,
    &["exporter"],
    "Times that files could not be sealed; they stay as they are, and it is tried again.",
);

// the engine
pub(in crate::telemetry) const BUDGET_USED: Metric = Metric::new(
    "aldis_budget_used_bytes",
    Gauge,
    Basic,
    &["budget"],
    "Bytes of bodies and batches that are in memory.",
)
.in_unit("By");
pub(in crate::telemetry) const BUDGET_RESERVED: Metric = Metric::new(
    "aldis_budget_reserved_bytes",
    Gauge,
    Normal,
    &["budget"],
    "Bytes that are set aside for what connections may still send.",
)
.in_unit("By");
pub(in crate::telemetry) const BUDGET_LIMIT: Metric =
    Metric::new("aldis_budget_limit_bytes", Gauge, Basic, &["budget"], "Bytes that both may be.")
        .in_unit("By");
pub(in crate::telemetry) const LIMITER_OVER: Metric = Metric::new(
    "aldis_memory_limiter_refusing",
    Gauge,
    Basic,
    &["processor"],
    "1 while a memory limiter refuses.",
);
pub(in crate::telemetry) const UNRESOLVED: Metric = Metric::new(
    "aldis_receipts_unresolved",
    Counter,
    Basic,
    &[],
    "Receipts that nobody answered: a bug if not zero.",
);
pub(in crate::telemetry) const OWN_SPANS_MADE: Metric = Metric::new(
    "aldis_own_spans_made",
    Counter,
    Basic,
    &[],
    "Spans of the engine's own work, where it makes any: made = delivered + dropped + waiting.",
);
pub(in crate::telemetry) const OWN_SPANS_DELIVERED: Metric =
    Metric::new("aldis_own_spans_delivered", Counter, Basic, &[], "Of these, spans that the far side took.");
pub(in crate::telemetry) const OWN_SPANS_DROPPED: Metric = Metric::new(
    "aldis_own_spans_dropped",
    Counter,
    Basic,
    &["reason"],
    "Of these, spans that found no room (`full`), were refused for good, or could not be delivered in time.",
);
pub(in crate::telemetry) const OWN_SPANS_WAITING: Metric =
    Metric::new("aldis_own_spans_waiting", Gauge, Basic, &[], "Of these, spans that wait or are being sent.");
pub(in crate::telemetry) const READY: Metric = Metric::new(
    "aldis_ready",
    Gauge,
    Basic,
    &[],
    "1 while the engine is well and takes telemetry, as the health page says it.",
);
pub(in crate::telemetry) const UNWELL: Metric = Metric::new(
    "aldis_component_unwell",
    Gauge,
    Basic,
    &["component", "severity"],
    "1 for each component that is not well.",
);
pub(in crate::telemetry) const SHARDS: Metric =
    Metric::new("aldis_shards", Gauge, Normal, &[], "Threads that carry telemetry.");
pub(in crate::telemetry) const BUILD_INFO: Metric =
    Metric::new("aldis_build_info", Gauge, Basic, &["version", "os", "arch"], "Always 1; what is running.");
