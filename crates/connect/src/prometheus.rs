//! Metrics for Prometheus to scrape, and metrics written to it.
//!
//! [`PrometheusExporter`] takes batches of metrics, keeps the last value of every series, and writes them in any of the
//! formats that a scraper asks for ([`Format`]): text 0.0.4, OpenMetrics 1.0, or protobuf with native histograms.
//! Names follow the [OpenTelemetry specification](https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/).

mod exemplars;
mod exponential;
mod exporter;
mod family;
mod format;
mod identity;
mod labels;
mod message;
mod naming;
mod number;
mod origin;
mod places;
mod proto;
mod rejection;
mod remote_write;
mod rules;
mod scrape;
mod series;
mod settings;
mod table;
mod text;
mod unit;
mod value;

pub use crate::page::Serving;
pub use exporter::PrometheusExporter;
pub use format::{Escaping, Format, Syntax};
pub use naming::TranslationStrategy;
pub use rejection::Rejection;
pub use remote_write::{RemoteWriteConfig, RemoteWriteExporter, RemoteWriteMessage, RemoteWriteStats};
pub use scrape::Endpoint;
pub use settings::PrometheusConfig;
pub use table::{Observed, PrometheusStats};
