//! `service.telemetry.traces`: where spans of the engine's own work go, in the Collector's keys.

use std::time::Duration;

use connect::{
    otlp::{OtlpConfig, Protocol, SettingsError},
    tls::{TlsClientSettings, TlsSettings},
};
use otlp::Codec;

use super::{LEVELS, Level};
use crate::{
    diagnostic::mask,
    settings::{Kind, Section, Setting},
};

/// Spans of the engine's own work.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSettings {
    /// Requests that are traced in a second, at the most.
    pub requests_per_second: u32,
    /// How long spans wait for others.
    pub schedule_delay: Duration,
    /// How long the delivery of a batch may be tried.
    pub export_timeout: Duration,
    /// Spans that may wait.
    pub max_queue_size: usize,
    /// Spans in a batch.
    pub max_export_batch_size: usize,
    /// Where they go.
    pub exporter: OtlpConfig,
}

/// The rows of `service.telemetry.traces`.
pub(super) const ROWS: &[Setting] = &[
    Setting::new("level", Kind::Choice(LEVELS), "basic", "`none` makes no spans; the other levels are one."),
    Setting::new(
        "processors",
        Kind::Tables(PROCESSOR),
        "",
        "Where spans go: one place at the most. Without the key there are none.",
    ),
    Setting::new(
        "requests_per_second",
        Kind::Int(1, 10_000),
        "10",
        "Requests that are traced in a second, at the most; what follows from them is too (only in Aldis).",
    ),
    Setting::later("propagators", "a sender's own trace is not continued yet; every request begins one"),
    Setting::later("sampler", "requests are chosen by `requests_per_second`"),
    Setting::later("limits", "spans have a handful of attributes, and at most 32 links"),
];

const PROCESSOR: &[Setting] = &[
    Setting::new("batch", Kind::Table(BATCH), "", "Spans leave together."),
    Setting::later("simple", "spans leave together; use `batch`"),
];

const BATCH: &[Setting] = &[
    Setting::new("exporter", Kind::Table(EXPORTER), "", "How they leave."),
    Setting::new(
        "schedule_delay",
        Kind::Int(1, 3_600_000),
        "5000",
        "Milliseconds that spans wait for others.",
    ),
    Setting::new(
        "export_timeout",
        Kind::Int(1, 3_600_000),
        "30000",
        "Milliseconds for which the delivery of a batch is tried, again and again; then it is dropped.",
    ),
    Setting::new(
        "max_queue_size",
        Kind::Int(1, 1_000_000),
        "2048",
        "Spans that may wait; what finds no room is dropped and counted.",
    ),
    Setting::new("max_export_batch_size", Kind::Int(1, 1_000_000), "512", "Spans in one request."),
];

const EXPORTER: &[Setting] = &[
    Setting::new("otlp", Kind::Table(OTLP), "", "Over OTLP."),
    Setting::later(
        "console",
        "own spans are sent over OTLP only; an exporter `debug` behind a receiver shows them",
    ),
];

const OTLP: &[Setting] = &[
    Setting::new(
        "protocol",
        Kind::Choice(&["", "grpc", "http/protobuf"]),
        "",
        "Which of them. It is required.",
    ),
    Setting::new(
        "endpoint",
        Kind::Text,
        "",
        "`http://host:4317` or `host:4317`; for HTTP a URL, to which `/v1/traces` is added where it has no path. It is required.",
    ),
    Setting::new("insecure", Kind::Bool, "false", "No TLS where the endpoint has no scheme; for gRPC."),
    Setting::new("headers", Kind::Tables(HEADER), "", "Sent with every request."),
    Setting::new("compression", Kind::Choice(&["none", "gzip"]), "none", "How requests are compressed."),
    Setting::new("timeout", Kind::Int(1, 3_600_000), "10000", "Milliseconds that one attempt may take."),
    Setting::new("certificate", Kind::Text, "", "PEM file of the CAs that the far side is verified by."),
    Setting::new(
        "client_certificate",
        Kind::Text,
        "",
        "PEM file of the certificate that is shown to the far side.",
    ),
    Setting::new("client_key", Kind::Text, "", "PEM file of its private key."),
    Setting::later("headers_list", "write the headers one by one under `headers`"),
];

const HEADER: &[Setting] = &[
    Setting::new("name", Kind::Text, "", "Its name."),
    Setting::new("value", Kind::Secret, "", "Its value."),
];

impl TraceSettings {
    /// `None` where no spans are made.
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let is_off = section.choice("level") == Level::None.name();
        let requests_per_second = section.int("requests_per_second");
        let processors = section.tables("processors");
        if processors.len() > 1 {
            let message = "own spans go to one place only";
            section.error("processors", message, "name one, and let a pipeline behind it lead to others");
        }
        let processor = processors.first()?;
        let Some(batch) = processor.table("batch") else {
            if !processor.is_misshapen() {
                processor.error("batch", "this processor says nothing that can be done", SHAPE);
            }
            return None;
        };
        let ms = |key: &str| Duration::from_millis(batch.count(key) as u64);
        let settings = Self {
            requests_per_second: u32::try_from(requests_per_second).unwrap_or(1),
            schedule_delay: ms("schedule_delay"),
            export_timeout: ms("export_timeout"),
            max_queue_size: batch.count("max_queue_size"),
            max_export_batch_size: batch.count("max_export_batch_size"),
            exporter: exporter(&batch)?,
        };
        Some(settings).filter(|_| !is_off)
    }
}

const SHAPE: &str = "write `batch: {exporter: {otlp: {protocol: grpc, endpoint: 'http://localhost:4317'}}}`";

fn exporter(batch: &Section<'_>) -> Option<OtlpConfig> {
    let Some(otlp) = batch.table("exporter").and_then(|exporter| exporter.table("otlp")) else {
        if !batch.is_misshapen() {
            batch.error("exporter", "there is nowhere to send spans to", SHAPE);
        }
        return None;
    };
    let protocol = match otlp.choice("protocol") {
        "grpc" => Protocol::Grpc,
        "http/protobuf" => Protocol::Http,
        _ => {
            if otlp.text("protocol").is_empty() {
                otlp.error("protocol", "`protocol` is missing", "`grpc` or `http/protobuf`");
            }
            return None;
        }
    };
    let endpoint = otlp.text("endpoint");
    if endpoint.is_empty() {
        otlp.error("endpoint", "`endpoint` is missing", "such as `endpoint: http://localhost:4317`");
        return None;
    }
    let config = config(&otlp, protocol, &endpoint);
    if let Err(SettingsError { key, message }) = config.validate() {
        let key = match key {
            "endpoint" | "traces_endpoint" => "endpoint",
            "headers" => "headers",
            _ => "certificate",
        };
        otlp.error(key, message, "");
    }
    Some(config)
}

fn config(otlp: &Section<'_>, protocol: Protocol, endpoint: &str) -> OtlpConfig {
    let file = |key: &str| otlp.optional_text(key).filter(|path| !path.is_empty()).map(Into::into);
    let common = TlsSettings {
        cert_file: file("client_certificate"),
        key_file: file("client_key"),
        ..TlsSettings::default()
    };
    let ca_file = file("certificate");
    let insecure = otlp.bool("insecure") && protocol == Protocol::Grpc;
    let headers = otlp.tables("headers");
    let headers = headers.iter().filter_map(|header| Some((header.text("name"), header.secret("value")?)));
    let has_path = |url: &str| url.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    let endpoint = mask::without_userinfo(endpoint);
    OtlpConfig {
        name: NAME.to_owned(),
        protocol,
        // A path stands for itself, as in the SDKs.
        traces_endpoint: Some(endpoint.clone()).filter(|url| protocol == Protocol::Http && has_path(url)),
        endpoint,
        headers: headers.collect(),
        compression: (otlp.choice("compression") == "gzip").then_some(Codec::Gzip),
        timeout: Duration::from_millis(otlp.count("timeout") as u64),
        tls: TlsClientSettings { common, insecure, ca_file, ..TlsClientSettings::default() },
        ..OtlpConfig::default()
    }
}

/// What the exporter of own spans is called where it is counted.
const NAME: &str = "service.telemetry.traces";
