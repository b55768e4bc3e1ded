//! Protocols in and out.
//!
//! A folder per protocol. [`otlp`] receives telemetry over gRPC and HTTP ([`otlp::Receiver`]), sends it on
//! ([`otlp::OtlpExporter`]), and measures both ([`otlp::load`], [`otlp::sink`]). [`prometheus`] exposes metrics
//! for a Prometheus server to scrape ([`prometheus::PrometheusExporter`]). Bytes that arrive compressed are kept beside
//! the batch and leave as they came, unless a stage changed it.
//!
//! It does not process telemetry: what arrives is checked, offered to a [`pipeline::Inlet`], and the answer that the
//! pipeline gives is put into the protocol's words.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod body;
pub mod codec;
pub mod limits;
pub mod otlp;
pub mod prometheus;
mod read_ahead;
