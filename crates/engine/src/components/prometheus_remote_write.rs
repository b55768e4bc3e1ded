//! `prometheusremotewrite`: metrics written to a Prometheus server, or to what speaks its protocol.

use connect::{
    prometheus::{RemoteWriteConfig, RemoteWriteMessage},
    tls::Alpn,
};
use otlp::Signal;
use pipeline::RetrySettings;

use super::{
    Class, Component, Settings, auth, delivery, otlp_exporter,
    prometheus::{RESOURCE_ROWS, STRATEGIES, read_strategy},
    tls,
};
use crate::settings::{Kind, Section, Setting};

/// Exporter `prometheusremotewrite`.
pub const COMPONENT: Component = Component {
    name: "prometheusremotewrite",
    aliases: &["prometheus_remote_write"],
    class: Class::Exporter,
    signals: &[Signal::Metrics],
    text: "Writes every point to a Prometheus server, or to what speaks its remote write protocol. Points of a series leave in their order; deltas are refused and counted.",
    settings: ROWS,
    read,
};

const MESSAGES: &[&str] = &[RemoteWriteMessage::V1.name(), RemoteWriteMessage::V2.name()];

const ROWS: &[Setting] = &[
    Setting::new(
        "endpoint",
        Kind::Text,
        "",
        "The whole URL, such as `http://prometheus:9090/api/v1/write`. Required.",
    ),
    tls::TLS_CLIENT,
    otlp_exporter::HEADERS,
    auth::CLIENT,
    Setting::new("timeout", Kind::Duration, "5s", "How long one request may take."),
    Setting::new("external_labels", Kind::TextMap, "", "Labels of every series."),
    Setting::new("namespace", Kind::Text, "", "Stands in front of every metric's name."),
    Setting::new(
        "add_metric_suffixes",
        Kind::Bool,
        "true",
        "Whether unit and type stand behind names; `translation_strategy` goes before it.",
    ),
    Setting::new(
        "translation_strategy",
        Kind::Choice(STRATEGIES),
        "UnderscoreEscapingWithSuffixes",
        "How names of metrics and labels are translated.",
    ),
    Setting::new(
        "resource_to_telemetry_conversion",
        Kind::Table(RESOURCE_ROWS),
        "",
        "Attributes of the resource as labels; without, they are those of `target_info`.",
    ),
    Setting::new(
        "target_info",
        Kind::Table(&[Setting::new(
            "enabled",
            Kind::Bool,
            "true",
            "Whether resources are series of `target_info`.",
        )]),
        "",
        "What is said of resources.",
    ),
    Setting::new("disable_scope_info", Kind::Bool, "false", "Whether series have no `otel_scope_` labels."),
    Setting::new(
        "send_metadata",
        Kind::Bool,
        "false",
        "Whether 1.0 says type, unit and description of metrics; 2.0 always does.",
    ),
    Setting::new(
        "protobuf_message",
        Kind::Choice(MESSAGES),
        "prometheus.WriteRequest",
        "The message: 1.0, or 2.0 with 1.0 for ten minutes whenever the far side does not understand it.",
    ),
    Setting::new(
        "max_batch_size_bytes",
        Kind::Int(1, 1 << 30),
        "3000000",
        "The largest request, uncompressed. A series that is larger goes alone.",
    ),
    Setting::new(
        "max_batch_request_parallelism",
        Kind::Int(1, 32),
        "5",
        "Requests of one batch under way at once; each series is in one of them.",
    ),
    Setting::new(
        "remote_write_queue",
        Kind::Table(QUEUE_ROWS),
        "",
        "Where batches wait for the far side. Who sent them has an answer once they are in it.",
    ),
    delivery::HASTY_RETRY,
    Setting::later("compression", "requests are compressed with snappy, as the protocol wants"),
    Setting::later("wal", "queues are kept in memory until the durable queue is there; remove the key"),
    Setting::later("sending_queue", "it is called `remote_write_queue` here"),
    Setting::later("export_created_metric", "2.0 says when series began; set `protobuf_message`"),
    Setting::later("scope_info", "series have `otel_scope_` labels; `disable_scope_info` leaves them out"),
    Setting::later("middlewares", "there are no middlewares"),
    Setting::later("proxy_url", "proxies are not there yet"),
    Setting::later("read_buffer_size", "buffers of clients cannot be configured yet"),
    Setting::later("write_buffer_size", "buffers of clients cannot be configured yet"),
];

const QUEUE_ROWS: &[Setting] = &[
    Setting::new(
        "enabled",
        Kind::Bool,
        "true",
        "Without a queue, whoever sends waits for the far side's answer.",
    ),
    Setting::new("queue_size", Kind::Int(1, i64::MAX), "10000", "Batches that fit into the queue."),
    Setting::new(
        "num_consumers",
        Kind::Int(1, 32),
        "5",
        "An older name of `max_batch_request_parallelism`, which goes before it. Batches themselves leave one after the other.",
    ),
];

/// What the exporter is told. Its name is set when it is placed into a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteWriteSettings {
    /// Where to and how.
    pub config: RemoteWriteConfig,
    /// `remote_write_queue.queue_size`; `None` where the queue is disabled.
    pub queue_size: Option<usize>,
    /// `retry_on_failure`.
    pub retry: RetrySettings,
}

fn read(section: &Section<'_>, _: &[Signal]) -> Settings {
    auth::check(section);
    let resource = section.table_or_empty("resource_to_telemetry_conversion");
    let queue = section.table_or_empty("remote_write_queue");
    let consumers = queue.count("num_consumers");
    let parallelism = section.count("max_batch_request_parallelism");
    let by_consumers = queue.has("num_consumers") && !section.has("max_batch_request_parallelism");
    let message = section.choice("protobuf_message");
    let config = RemoteWriteConfig {
        endpoint: section.text("endpoint"),
        tls: tls::read_client(section),
        headers: auth::headers(section, "headers"),
        timeout: section.duration("timeout"),
        external_labels: section.text_map("external_labels").into_iter().collect(),
        namespace: section.text("namespace"),
        translation_strategy: read_strategy(section),
        resource_labels: resource.bool("enabled"),
        exclude_service_attributes: resource.bool("exclude_service_attributes"),
        target_info: section.table_or_empty("target_info").bool("enabled"),
        without_scope_info: section.bool("disable_scope_info"),
        send_metadata: section.bool("send_metadata"),
        message: RemoteWriteMessage::ALL.into_iter().find(|m| m.name() == message).unwrap_or_default(),
        max_request_bytes: section.count("max_batch_size_bytes"),
        requests_at_once: if by_consumers { consumers } else { parallelism },
        ..RemoteWriteConfig::default()
    };
    match config.endpoint.as_str() {
        "" => {
            let example = "such as `endpoint: http://localhost:9090/api/v1/write`";
            section.error("endpoint", "`endpoint` is missing", example);
        }
        endpoint if !endpoint.contains("://") => {
            section.error(
                "endpoint",
                format!("`{endpoint}` is not a URL"),
                format!("write `http://{endpoint}`"),
            );
        }
        _ => {
            if let Err(error) = config.validate_values() {
                section.error(error.key, error.message, "");
            }
        }
    }
    tls::check_client(section, &config.tls, Alpn::Http1, config.speaks_tls());
    Settings::RemoteWrite(Box::new(RemoteWriteSettings {
        config,
        queue_size: queue.bool("enabled").then(|| queue.count("queue_size")),
        retry: delivery::read_retry(&section.table_or_empty(delivery::HASTY_RETRY.key)),
    }))
}
