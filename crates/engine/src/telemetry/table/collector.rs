//! Metrics that the OpenTelemetry Collector has too: <https://opentelemetry.io/docs/collector/internal-telemetry/>.

use super::{
    Kind::{Counter, Gauge, Histogram},
    Metric,
};
use crate::telemetry::settings::Level::{Basic, Normal};

pub(in crate::telemetry) const RECEIVER_ACCEPTED: Metric = Metric::new(
    "otelcol_receiver_accepted_{records}",
    Counter,
    Basic,
    &["receiver", "transport"],
    "Records that the pipelines took.",
);
pub(in crate::telemetry) const RECEIVER_REFUSED: Metric = Metric::new(
    "otelcol_receiver_refused_{records}",
    Counter,
    Basic,
    &["receiver", "transport"],
    "Records that the pipelines did not take.",
);
pub(in crate::telemetry) const RECEIVER_FAILED: Metric = Metric::new(
    "otelcol_receiver_failed_{records}",
    Counter,
    Basic,
    &["receiver", "transport"],
    "Records that an internal error of the receiver cost.",
);
pub(in crate::telemetry) const PROCESSOR_INCOMING: Metric = Metric::new(
    "otelcol_processor_incoming_items",
    Counter,
    Basic,
    &["processor", "otel_signal"],
    "Records that came to a processor.",
);
pub(in crate::telemetry) const PROCESSOR_OUTGOING: Metric = Metric::new(
    "otelcol_processor_outgoing_items",
    Counter,
    Basic,
    &["processor", "otel_signal"],
    "Records that a processor sent on.",
);
pub(in crate::telemetry) const LIMITER_ACCEPTED: Metric = Metric::new(
    "otelcol_processor_memory_limiter_accepted_{records}",
    Counter,
    Normal,
    &["processor"],
    "Records that a memory limiter let pass.",
);
pub(in crate::telemetry) const LIMITER_REFUSED: Metric = Metric::new(
    "otelcol_processor_memory_limiter_refused_{records}",
    Counter,
    Normal,
    &["processor"],
    "Records that a memory limiter did not let pass.",
);
pub(in crate::telemetry) const FILTERED_SPANS: Metric = Metric::new(
    "otelcol_processor_filter_spans_filtered",
    Counter,
    Basic,
    &["filter"],
    "Spans that a filter took out.",
);
pub(in crate::telemetry) const FILTERED_LOGS: Metric = Metric::new(
    "otelcol_processor_filter_logs_filtered",
    Counter,
    Basic,
    &["filter"],
    "Log records that a filter took out.",
);
pub(in crate::telemetry) const FILTERED_POINTS: Metric = Metric::new(
    "otelcol_processor_filter_datapoints_filtered",
    Counter,
    Basic,
    &["filter"],
    "Data points that a filter took out.",
);
pub(in crate::telemetry) const BATCH_SIZE: Metric = Metric::new(
    "otelcol_processor_batch_batch_send_size",
    Histogram,
    Normal,
    &["processor"],
    "Records in a batch that left.",
);
pub(in crate::telemetry) const BATCH_BY_TIMEOUT: Metric = Metric::new(
    "otelcol_processor_batch_timeout_trigger_send",
    Counter,
    Normal,
    &["processor"],
    "Batches that left because they had waited long enough.",
);
pub(in crate::telemetry) const BATCH_BY_SIZE: Metric = Metric::new(
    "otelcol_processor_batch_batch_size_trigger_send",
    Counter,
    Normal,
    &["processor"],
    "Batches that left because they were large enough.",
);
pub(in crate::telemetry) const BATCH_GROUPS: Metric = Metric::new(
    "otelcol_processor_batch_metadata_cardinality",
    Gauge,
    Normal,
    &["processor"],
    "Tenants and sets of headers that are kept apart now.",
);
pub(in crate::telemetry) const EXPORTER_SENT: Metric = Metric::new(
    "otelcol_exporter_sent_{records}",
    Counter,
    Basic,
    &["exporter", "[server_address]", "[server_port]", "[url_path]"],
    "Records that the far side took.",
);
pub(in crate::telemetry) const EXPORTER_SEND_FAILED: Metric = Metric::new(
    "otelcol_exporter_send_failed_{records}",
    Counter,
    Basic,
    &["exporter", "[server_address]", "[server_port]", "[url_path]", "[error_type]", "[error_permanent]"],
    "Records that were refused for good or given up; `error_` labels at level `detailed`.",
);
pub(in crate::telemetry) const EXPORTER_ENQUEUE_FAILED: Metric = Metric::new(
    "otelcol_exporter_enqueue_failed_{records}",
    Counter,
    Basic,
    &["exporter"],
    "Records that found no room in the queue, or were pushed out of it.",
);
pub(in crate::telemetry) const EXPORTER_QUEUE_SIZE: Metric = Metric::new(
    "otelcol_exporter_queue_size",
    Gauge,
    Basic,
    &["exporter", "data_type"],
    "What the queue holds, what is being sent included, in what its `sizer` counts.",
);
pub(in crate::telemetry) const EXPORTER_QUEUE_CAPACITY: Metric = Metric::new(
    "otelcol_exporter_queue_capacity",
    Gauge,
    Basic,
    &["exporter", "data_type"],
    "What the queue may hold.",
);
pub(in crate::telemetry) const EXPORTER_IN_FLIGHT: Metric = Metric::new(
    "otelcol_exporter_in_flight_requests",
    Gauge,
    Normal,
    &["exporter", "data_type"],
    "Requests that are being sent.",
);
pub(in crate::telemetry) const PROCESS_UPTIME: Metric =
    Metric::new("otelcol_process_uptime", Counter, Basic, &[], "Seconds since the engine started.")
        .in_unit("s");
pub(in crate::telemetry) const PROCESS_CPU: Metric = Metric::new(
    "otelcol_process_cpu_seconds",
    Counter,
    Basic,
    &[],
    "CPU time of all threads, user and system, in seconds.",
)
.in_unit("s");
pub(in crate::telemetry) const PROCESS_RSS: Metric =
    Metric::new("otelcol_process_memory_rss", Gauge, Basic, &[], "Resident memory in bytes.").in_unit("By");
pub(in crate::telemetry) const PROCESS_HEAP: Metric = Metric::new(
    "otelcol_process_runtime_heap_alloc_bytes",
    Gauge,
    Basic,
    &[],
    "Resident memory that is no file's: what comes nearest to an allocated heap.",
)
.in_unit("By");
pub(in crate::telemetry) const PROCESS_SYS: Metric = Metric::new(
    "otelcol_process_runtime_total_sys_memory_bytes",
    Gauge,
    Basic,
    &[],
    "Private memory asked from the system, whether it is used or not.",
)
.in_unit("By");
pub(in crate::telemetry) const TARGET_INFO: Metric = Metric::new(
    "target_info",
    Gauge,
    Basic,
    &[],
    "The engine's resource: service_name, service_version, service_instance_id, and what is configured.",
);
