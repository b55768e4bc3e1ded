//! What the exporter can be told, in the words of the OpenTelemetry Collector's `prometheus` exporter.

use std::time::Duration;

use super::{naming::TranslationStrategy, rules::Rules};
use crate::limits;

/// Settings of a [`super::PrometheusExporter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrometheusConfig {
    /// Its name in configuration, metrics and logs.
    pub name: String,
    /// `namespace`: stands in front of every metric's name.
    pub namespace: String,
    /// `const_labels`: labels of every series.
    pub const_labels: Vec<(String, String)>,
    /// `send_timestamps`: whether samples say when they were observed; otherwise a scraper takes the time of the scrape.
    pub send_timestamps: bool,
    /// `metric_expiration`: how long a series is exposed without a new point.
    pub metric_expiration: Duration,
    /// `resource_to_telemetry_conversion.enabled`: whether every attribute of the resource is a label of its series too.
    pub resource_labels: bool,
    /// `resource_to_telemetry_conversion.exclude_service_attributes`: but for those that `job` and `instance` say.
    pub exclude_service_attributes: bool,
    /// `enable_open_metrics`: whether scrapers that ask for OpenMetrics get it.
    pub enable_open_metrics: bool,
    /// `without_scope_info`: whether series do not say their instrumentation scope.
    pub without_scope_info: bool,
    /// `translation_strategy`.
    pub translation_strategy: TranslationStrategy,
    /// `created_samples`: whether OpenMetrics tells when series began, as `_created` samples. Protobuf always does.
    pub created_samples: bool,
    /// `max_series`: series that are exposed; what comes above goes to the overflow series of its metric.
    pub max_series: usize,
    /// `max_series_bytes`: bytes that they may take up.
    pub max_series_bytes: usize,
}

impl Default for PrometheusConfig {
    fn default() -> Self {
        Self {
            name: "prometheus".to_owned(),
            namespace: String::new(),
            const_labels: Vec::new(),
            send_timestamps: false,
            metric_expiration: Duration::from_secs(300),
            resource_labels: false,
            exclude_service_attributes: false,
            enable_open_metrics: false,
            without_scope_info: false,
            translation_strategy: TranslationStrategy::default(),
            created_samples: false,
            max_series: limits::DEFAULT_MAX_SERIES,
            max_series_bytes: limits::DEFAULT_MAX_SERIES_BYTES,
        }
    }
}

impl PrometheusConfig {
    /// What decides on names and labels.
    pub(super) fn rules(&self) -> Rules<'_> {
        Rules {
            strategy: self.translation_strategy,
            namespace: &self.namespace,
            const_labels: &self.const_labels,
            resource_labels: self.resource_labels,
            exclude_service_attributes: self.exclude_service_attributes,
            without_scope_info: self.without_scope_info,
        }
    }

    /// With this prefix of every metric's name.
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// With one more label of every series.
    #[must_use]
    pub fn with_const_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.const_labels.push((name.into(), value.into()));
        self
    }

    /// With names translated like this.
    #[must_use]
    pub fn with_translation_strategy(mut self, strategy: TranslationStrategy) -> Self {
        self.translation_strategy = strategy;
        self
    }

    /// With OpenMetrics for scrapers that ask for it.
    #[must_use]
    pub fn with_open_metrics(mut self, enabled: bool) -> Self {
        self.enable_open_metrics = enabled;
        self
    }

    /// Series expire when they had no point for so long.
    #[must_use]
    pub fn with_metric_expiration(mut self, expiration: Duration) -> Self {
        self.metric_expiration = expiration;
        self
    }

    /// With at most so many series.
    #[must_use]
    pub fn with_max_series(mut self, series: usize) -> Self {
        self.max_series = series;
        self
    }

    /// With at most so many bytes of series.
    #[must_use]
    pub fn with_max_series_bytes(mut self, bytes: usize) -> Self {
        self.max_series_bytes = bytes;
        self
    }
}
