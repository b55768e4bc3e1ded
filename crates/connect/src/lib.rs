//! Protocols in and out.
//!
//! A folder per protocol. [`otlp`] receives telemetry over gRPC and HTTP ([`otlp::Receiver`]), sends it on
//! ([`otlp::OtlpExporter`]), and measures both ([`otlp::load`], [`otlp::sink`]). [`prometheus`] exposes metrics
//! for a Prometheus server to scrape ([`prometheus::PrometheusExporter`]) or writes them to one
//! ([`prometheus::RemoteWriteExporter`]). [`mod@file`] writes requests into files and reads them again, [`debug`] shows them to
//! a person. [`mod@collect`] takes what a program's collector collects to any of them. [`tls`] is for all of them. Bytes that arrive compressed are kept beside
//! the batch and leave as they came, unless a stage changed it.
//!
//! It does not process telemetry: what arrives is checked, offered to a [`pipeline::Inlet`], and the answer that the
//! pipeline gives is put into the protocol's words.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod auth;
mod body;
mod calendar;
pub mod codec;
pub mod collect;
pub mod cors;
pub mod debug;
pub mod file;
mod headers;
pub mod limits;
pub mod otlp;
pub mod page;
pub mod prometheus;
mod read_ahead;
mod secret;
pub mod sockets;
pub mod tls;
mod transport;

pub use secret::Secret;
