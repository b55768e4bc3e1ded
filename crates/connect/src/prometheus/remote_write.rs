//! Metrics written to a Prometheus server, or to what speaks its protocol.
//!
//! [`RemoteWriteExporter`] sends every point of a batch: 1.0 of the protocol, or 2.0 where it is asked for and the far side
//! understands it. Names and labels are those that a scrape of [`super::PrometheusExporter`] has.
//!
//! Points of a series arrive in the order of their times: its exporter asks the pipeline to send one batch at a time
//! ([`pipeline::Exporter::in_order`]), and of a batch each series is in one request.

mod answer;
mod exporter;
mod negotiation;
mod request;
mod rows;
mod settings;
mod stats;
mod streams;
mod v1;
mod v2;

pub use exporter::RemoteWriteExporter;
pub use settings::{RemoteWriteConfig, RemoteWriteMessage};
pub use stats::RemoteWriteStats;
