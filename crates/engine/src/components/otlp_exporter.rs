//! `otlp` and `otlphttp`: telemetry sent on over OTLP.

use std::time::Duration;

use connect::otlp::{Encoding, OtlpConfig, Protocol, exporter::ClientKeepalive};
use otlp::{Codec, Signal};

use super::{Class, Component, Settings, delivery};
use crate::settings::{Kind, Section, Setting};

/// Exporter `otlp` (gRPC).
pub const GRPC: Component = Component {
    name: "otlp",
    aliases: &["otlp_grpc"],
    class: Class::Exporter,
    signals: &Signal::ALL,
    text: "Sends over OTLP/gRPC.",
    settings: GRPC_ROWS,
    read: read_grpc,
};

/// Exporter `otlphttp`.
pub const HTTP: Component = Component {
    name: "otlphttp",
    aliases: &["otlp_http"],
    class: Class::Exporter,
    signals: &Signal::ALL,
    text: "Sends over OTLP/HTTP, protobuf or JSON.",
    settings: HTTP_ROWS,
    read: read_http,
};

const TLS_LATER: &str = "TLS is not there yet; only `insecure: true` is";
const AUTH_LATER: &str = "authenticators are not there yet; a static token can stand in `headers`";

const TLS_ROWS: &[Setting] = &[
    Setting::new(
        "insecure",
        Kind::Bool,
        "false",
        "Whether to speak without TLS; must be true until TLS is there.",
    ),
    Setting::later("insecure_skip_verify", TLS_LATER),
    Setting::later("ca_file", TLS_LATER),
    Setting::later("ca_pem", TLS_LATER),
    Setting::later("cert_file", TLS_LATER),
    Setting::later("cert_pem", TLS_LATER),
    Setting::later("key_file", TLS_LATER),
    Setting::later("key_pem", TLS_LATER),
    Setting::later("server_name_override", TLS_LATER),
    Setting::later("min_version", TLS_LATER),
    Setting::later("max_version", TLS_LATER),
    Setting::later("cipher_suites", TLS_LATER),
    Setting::later("curve_preferences", TLS_LATER),
    Setting::later("reload_interval", TLS_LATER),
    Setting::later("include_system_ca_certs_pool", TLS_LATER),
    Setting::later("tpm", TLS_LATER),
];

const TLS: Setting = Setting::new("tls", Kind::Table(TLS_ROWS), "", "Transport security.");

const HEADERS: Setting = Setting::new("headers", Kind::TextMap, "", "Headers sent with every request.");

const COMPRESSION: Setting = Setting::new(
    "compression",
    Kind::Choice(&["gzip", "zstd", "none", ""]),
    "gzip",
    "How requests are compressed. What was received so and was not changed is sent as it came.",
);

const COMPRESSION_PARAMS: Setting = Setting::new(
    "compression_params",
    Kind::Table(&[Setting::new("level", Kind::Int(1, 22), "1", "gzip 1 to 12, zstd 1 to 22.")]),
    "",
    "How hard to compress.",
);

const KEEPALIVE: &[Setting] = &[
    Setting::new("time", Kind::Duration, "10s", "Ping a server that was silent for so long."),
    Setting::new(
        "timeout",
        Kind::Duration,
        "10s",
        "Close the connection if a ping is not answered for so long.",
    ),
    Setting::new(
        "permit_without_stream",
        Kind::Bool,
        "false",
        "Whether to ping without a request in flight too.",
    ),
];

/// How long an attempt may take where the configuration sets no bound.
const NO_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

const GRPC_ROWS: &[Setting] = &[
    Setting::new(
        "endpoint",
        Kind::Text,
        "",
        "Where to: `host:port`, or `http://host:port` for no TLS. Required.",
    ),
    TLS,
    HEADERS,
    COMPRESSION,
    COMPRESSION_PARAMS,
    Setting::new("timeout", Kind::Duration, "5s", "How long one attempt may take; 0: as long as it likes."),
    Setting::new("keepalive", Kind::Table(KEEPALIVE), "", "Pings, where this is there."),
    delivery::QUEUE,
    delivery::RETRY,
    Setting::later("auth", AUTH_LATER),
    Setting::later("authority", "the authority is always that of the endpoint"),
    Setting::later(
        "balancer_name",
        "connections go to the address that the endpoint's name resolves to first",
    ),
    Setting::later("middlewares", "there are no middlewares"),
    Setting::later("read_buffer_size", "buffers of clients cannot be configured yet"),
    Setting::later(
        "wait_for_ready",
        "an attempt fails at once where nobody listens, and is repeated by `retry_on_failure`",
    ),
    Setting::later("write_buffer_size", "buffers of clients cannot be configured yet"),
];

const HTTP_ROWS: &[Setting] = &[
    Setting::new(
        "endpoint",
        Kind::Text,
        "",
        "Base URL, to which `/v1/traces`, `/v1/logs`, … are added: `http://host:4318`.",
    ),
    Setting::new("traces_endpoint", Kind::Text, "", "The whole URL for traces."),
    Setting::new("logs_endpoint", Kind::Text, "", "The whole URL for logs."),
    Setting::new("metrics_endpoint", Kind::Text, "", "The whole URL for metrics."),
    Setting::new("profiles_endpoint", Kind::Text, "", "The whole URL for profiles."),
    TLS,
    HEADERS,
    COMPRESSION,
    COMPRESSION_PARAMS,
    Setting::new(
        "encoding",
        Kind::Choice(&["proto", "json"]),
        "proto",
        "How bodies are written. JSON is written anew for every request, whatever arrived.",
    ),
    Setting::new("timeout", Kind::Duration, "30s", "How long one attempt may take; 0: as long as it likes."),
    delivery::QUEUE,
    delivery::RETRY,
    Setting::later("auth", AUTH_LATER),
    Setting::later("cookies", "cookies are not kept"),
    Setting::later("disable_keep_alives", "connections are always kept open"),
    Setting::later("force_attempt_http2", "requests are sent over HTTP/1.1"),
    Setting::later("http2_ping_timeout", "requests are sent over HTTP/1.1"),
    Setting::later("http2_read_idle_timeout", "requests are sent over HTTP/1.1"),
    Setting::later("idle_conn_timeout", "idle connections cannot be configured yet"),
    Setting::later("max_conns_per_host", "idle connections cannot be configured yet"),
    Setting::later("max_idle_conns", "idle connections cannot be configured yet"),
    Setting::later("max_idle_conns_per_host", "idle connections cannot be configured yet"),
    Setting::later("middlewares", "there are no middlewares"),
    Setting::later("proxy_url", "proxies are not there yet"),
    Setting::later("read_buffer_size", "buffers of clients cannot be configured yet"),
    Setting::later("write_buffer_size", "buffers of clients cannot be configured yet"),
];

/// What an OTLP exporter is told. Its name is set when it is placed into a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpExporterSettings {
    /// Where to and how.
    pub config: OtlpConfig,
    /// Queue, retries, timeout.
    pub delivery: delivery::DeliverySettings,
}

impl OtlpExporterSettings {
    /// Whether there is somewhere to send records of a signal.
    pub fn reaches(&self, signal: Signal) -> bool {
        self.config.protocol == Protocol::Grpc
            || !self.config.endpoint.is_empty()
            || self.url(signal).is_some()
    }

    /// The whole URL for a signal, where one is configured.
    fn url(&self, signal: Signal) -> Option<&str> {
        match signal {
            Signal::Traces => self.config.traces_endpoint.as_deref(),
            Signal::Logs => self.config.logs_endpoint.as_deref(),
            Signal::Metrics => self.config.metrics_endpoint.as_deref(),
            Signal::Profiles => self.config.profiles_endpoint.as_deref(),
        }
    }

    /// The configuration of an exporter with this name. Signals that it does not reach are never sent by it.
    pub fn named(&self, name: &str) -> OtlpConfig {
        let mut config = OtlpConfig { name: name.to_owned(), ..self.config.clone() };
        if config.endpoint.is_empty() {
            let any = Signal::ALL.into_iter().find_map(|signal| self.url(signal));
            config.endpoint = any.unwrap_or_default().to_owned();
        }
        config
    }
}

fn read_grpc(section: &Section<'_>, _: &[Signal]) -> Settings {
    let endpoint = section.optional_text("endpoint");
    let insecure = section.table_or_empty("tls").bool("insecure");
    match endpoint.as_deref() {
        // Something else than text was told already.
        None if section.has("endpoint") => {}
        None | Some("") => {
            section.error("endpoint", "`endpoint` is missing", "such as `endpoint: localhost:4317`");
        }
        Some(endpoint) => reachable(section, "endpoint", endpoint, insecure),
    }
    let endpoint = endpoint.unwrap_or_default();
    let keepalive = section.table("keepalive").map(|keepalive| ClientKeepalive {
        time: keepalive.duration("time"),
        timeout: keepalive.duration("timeout"),
        permit_without_stream: keepalive.bool("permit_without_stream"),
    });
    read_common(
        section,
        OtlpConfig { protocol: Protocol::Grpc, endpoint, insecure, keepalive, ..OtlpConfig::default() },
    )
}

fn read_http(section: &Section<'_>, _: &[Signal]) -> Settings {
    let encoding = match section.choice("encoding") {
        "json" => Encoding::Json,
        _ => Encoding::Proto,
    };
    let insecure = section.table_or_empty("tls").bool("insecure");
    let url = |key: &str| {
        let text = section.optional_text(key).filter(|text| !text.is_empty())?;
        if text.contains("://") {
            reachable(section, key, &text, insecure);
        } else {
            section.error(key, format!("`{text}` is not a URL"), format!("write `http://{text}`"));
        }
        Some(text)
    };
    let config = OtlpConfig {
        protocol: Protocol::Http,
        endpoint: url("endpoint").unwrap_or_default(),
        traces_endpoint: url("traces_endpoint"),
        logs_endpoint: url("logs_endpoint"),
        metrics_endpoint: url("metrics_endpoint"),
        profiles_endpoint: url("profiles_endpoint"),
        encoding,
        insecure,
        ..OtlpConfig::default()
    };
    if !Signal::ALL.iter().any(|signal| section.has(&format!("{signal}_endpoint")))
        && config.endpoint.is_empty()
    {
        section.error("endpoint", "`endpoint` is missing", "such as `endpoint: http://localhost:4318`");
    }
    read_common(section, config)
}

/// Tells why an exporter could not send to this endpoint.
fn reachable(section: &Section<'_>, key: &str, endpoint: &str, insecure: bool) {
    let config = OtlpConfig { endpoint: endpoint.to_owned(), insecure, ..OtlpConfig::default() };
    if let Err(error) = config.validate() {
        section.error(key, error.message, "");
    }
}

fn read_common(section: &Section<'_>, mut config: OtlpConfig) -> Settings {
    config.compression = match section.choice("compression") {
        "gzip" => Some(Codec::Gzip),
        "zstd" => Some(Codec::Zstd),
        _ => None,
    };
    let params = section.table_or_empty("compression_params");
    config.compression_level = params.int("level") as i32;
    if config.compression == Some(Codec::Gzip) && config.compression_level > 12 {
        params.error("level", format!("`level` is {}", config.compression_level), "gzip has levels 1 to 12");
    }
    if config.compression.is_none() && params.has("level") {
        params.error("level", "there is no compression to have a level", "remove it, or set `compression`");
    }
    config.headers = section.text_map("headers").into_iter().collect();
    for (name, value) in &config.headers {
        let config = OtlpConfig::default().with_header(name, value);
        if let Err(error) = config.validate() {
            section.error("headers", error.message, "");
        }
    }
    let delivery = delivery::read(section);
    // No timeout is a very long one.
    config.timeout = if delivery.timeout.is_zero() { NO_TIMEOUT } else { delivery.timeout };
    Settings::OtlpExporter(Box::new(OtlpExporterSettings { config, delivery }))
}
