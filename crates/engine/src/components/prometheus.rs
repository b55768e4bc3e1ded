//! `prometheus`: metrics for a Prometheus server to scrape.

use connect::{
    page::PageSettings,
    prometheus::{PrometheusConfig, TranslationStrategy},
};
use otlp::Signal;

use super::{Class, Component, Settings, auth, listeners, tls};
use crate::settings::{Kind, Section, Setting};

/// Exporter `prometheus`.
pub const COMPONENT: Component = Component {
    name: "prometheus",
    aliases: &[],
    class: Class::Exporter,
    signals: &[Signal::Metrics],
    text: "Exposes the last value of every series at `/metrics` for a Prometheus server to scrape.",
    settings: ROWS,
    read,
};

/// Names of translation strategies.
pub(super) const STRATEGIES: &[&str] = &[
    TranslationStrategy::UnderscoreEscapingWithSuffixes.name(),
    TranslationStrategy::UnderscoreEscapingWithoutSuffixes.name(),
    TranslationStrategy::NoUtf8EscapingWithSuffixes.name(),
    TranslationStrategy::NoTranslation.name(),
];

const SERVER_LATER: &str = "it is a setting of HTTP servers that has no use at this one; remove the key";

const ROWS: &[Setting] = &[
    Setting::new(
        "endpoint",
        Kind::Address,
        "localhost:8889",
        "Where to listen; port 0 takes any free one. The Collector has no default.",
    ),
    Setting::new("namespace", Kind::Text, "", "Stands in front of every metric's name."),
    Setting::new("const_labels", Kind::TextMap, "", "Labels of every series."),
    Setting::new("send_timestamps", Kind::Bool, "false", "Whether samples say when they were observed."),
    Setting::new(
        "metric_expiration",
        Kind::Duration,
        "5m",
        "How long a series is exposed without a new point.",
    ),
    Setting::new(
        "resource_to_telemetry_conversion",
        Kind::Table(RESOURCE_ROWS),
        "",
        "Attributes of the resource as labels; without, they are those of `target_info`.",
    ),
    Setting::new(
        "enable_open_metrics",
        Kind::Bool,
        "false",
        "Whether scrapers that ask for OpenMetrics get it; besides protobuf only it has exemplars.",
    ),
    Setting::new("without_scope_info", Kind::Bool, "false", "Whether series have no `otel_scope_` labels."),
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
        "created_samples",
        Kind::Bool,
        "false",
        "Whether OpenMetrics has `_created` samples, which say when a series began (only in Aldis).",
    ),
    Setting::new(
        "max_series",
        Kind::Int(1, u32::MAX as i64),
        "100000",
        "Series that are exposed; what comes above goes to its metric's series with `otel_metric_overflow` (only in Aldis).",
    ),
    Setting::new(
        "max_series_mib",
        Kind::Int(1, 1 << 20),
        "128",
        "MiB that series may take up; above, the same (only in Aldis).",
    ),
    tls::TLS_SERVER,
    auth::READERS,
    Setting::later("cors", "requests from browsers are not there yet"),
    Setting::later(
        "sending_queue",
        "there is nothing to queue for: senders have their answer when their points are exposed",
    ),
    Setting::later(
        "resource_constant_labels",
        "attributes cannot be chosen by pattern yet; use `resource_to_telemetry_conversion`",
    ),
    Setting::later("compression_algorithms", "answers are compressed with gzip where that is asked for"),
    Setting::later("max_request_body_size", "scrapes have no body"),
    Setting::later("include_metadata", "scrapes do not become telemetry"),
    Setting::later("response_headers", "responses have fixed headers"),
    Setting::later("read_timeout", SERVER_LATER),
    Setting::later("read_header_timeout", SERVER_LATER),
    Setting::later("write_timeout", SERVER_LATER),
    Setting::later("idle_timeout", SERVER_LATER),
    Setting::later("keep_alives_enabled", SERVER_LATER),
    Setting::later("middlewares", "there are no middlewares"),
];

/// The rows of `resource_to_telemetry_conversion`.
pub(super) const RESOURCE_ROWS: &[Setting] = &[
    Setting::new("enabled", Kind::Bool, "false", "Whether every attribute of the resource is a label."),
    Setting::new(
        "exclude_service_attributes",
        Kind::Bool,
        "false",
        "But for `service.name`, `service.namespace` and `service.instance.id`, which `job` and `instance` say.",
    ),
];

/// What an exporter for Prometheus is told. Its name is set when it is placed into a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct PrometheusSettings {
    /// Where to listen, and to whom.
    pub server: PageSettings,
    /// Everything else.
    pub config: PrometheusConfig,
}

fn read(section: &Section<'_>, _: &[Signal]) -> Settings {
    let metric_expiration = section.duration("metric_expiration");
    if metric_expiration.is_zero() {
        let message = "`metric_expiration` must be longer than zero";
        section.error("metric_expiration", message, "such as `5m`; a series must last from scrape to scrape");
    }
    let const_labels: Vec<(String, String)> = section.text_map("const_labels").into_iter().collect();
    let resource = section.table_or_empty("resource_to_telemetry_conversion");
    let config = PrometheusConfig {
        namespace: section.text("namespace"),
        const_labels,
        send_timestamps: section.bool("send_timestamps"),
        metric_expiration,
        resource_labels: resource.bool("enabled"),
        exclude_service_attributes: resource.bool("exclude_service_attributes"),
        enable_open_metrics: section.bool("enable_open_metrics"),
        without_scope_info: section.bool("without_scope_info"),
        translation_strategy: read_strategy(section),
        created_samples: section.bool("created_samples"),
        max_series: section.count("max_series"),
        max_series_bytes: section.count("max_series_mib") << 20,
        ..PrometheusConfig::default()
    };
    Settings::Prometheus(Box::new(PrometheusSettings { server: listeners::read_pages(section), config }))
}

/// Reads `translation_strategy`, before which the older `add_metric_suffixes` stands back.
pub(super) fn read_strategy(section: &Section<'_>) -> TranslationStrategy {
    let has_suffixes = section.bool("add_metric_suffixes");
    let word = section.choice("translation_strategy");
    let strategy = match section.has("translation_strategy") || has_suffixes {
        true => TranslationStrategy::ALL.into_iter().find(|strategy| strategy.name() == word),
        false => Some(TranslationStrategy::UnderscoreEscapingWithoutSuffixes),
    };
    strategy.unwrap_or_default()
}
