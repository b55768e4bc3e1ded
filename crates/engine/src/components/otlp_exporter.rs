//! `otlp` and `otlphttp`: telemetry sent on over OTLP.

use connect::{
    otlp::{Encoding, OtlpConfig, Protocol, exporter::ClientKeepalive, http_path},
    tls::{Alpn, TlsClientSettings},
};
use otlp::{Codec, Signal};

use super::{Class, Component, Settings, auth, delivery, tls};
use crate::{
    diagnostic::mask,
    limits::NO_TIMEOUT,
    settings::{Kind, Section, Setting},
};

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

/// The row of `headers`.
pub(super) const HEADERS: Setting =
    Setting::new("headers", Kind::SecretMap, "", "Headers sent with every request.");

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

const GRPC_ROWS: &[Setting] = &[
    Setting::new(
        "endpoint",
        Kind::Text,
        "",
        "Where to: `host:port`; a scheme, `https://` or `http://`, decides over TLS. Required.",
    ),
    tls::TLS_CLIENT,
    HEADERS,
    COMPRESSION,
    COMPRESSION_PARAMS,
    Setting::new("timeout", Kind::Duration, "5s", "How long one attempt may take; 0: as long as it likes."),
    Setting::new("keepalive", Kind::Table(KEEPALIVE), "", "Pings, where this is there."),
    delivery::QUEUE,
    delivery::RETRY,
    auth::CLIENT,
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
    tls::TLS_CLIENT,
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
    auth::CLIENT,
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
            || self.config.own_endpoint(signal).is_some()
    }

    /// Where records of a signal go: the URL of their own, else the endpoint.
    pub fn destination(&self, signal: Signal) -> String {
        self.config.own_endpoint(signal).unwrap_or(&self.config.endpoint).to_owned()
    }

    /// The whole URL to which requests of a signal go; for gRPC the endpoint, as it is configured.
    pub fn url_of(&self, signal: Signal) -> String {
        let (own, endpoint) = (self.config.own_endpoint(signal), &self.config.endpoint);
        match self.config.protocol {
            Protocol::Grpc => endpoint.clone(),
            Protocol::Http => own.map_or_else(
                || format!("{}{}", endpoint.trim_end_matches('/'), http_path(signal)),
                str::to_owned,
            ),
        }
    }

    /// The configuration of an exporter with this name. Signals that it does not reach are never sent by it.
    pub fn named(&self, name: &str) -> OtlpConfig {
        let mut config = OtlpConfig { name: name.to_owned(), ..self.config.clone() };
        if config.endpoint.is_empty() {
            let any = Signal::ALL.into_iter().find_map(|signal| self.config.own_endpoint(signal));
            config.endpoint = any.unwrap_or_default().to_owned();
        }
        config
    }
}

fn read_grpc(section: &Section<'_>, _: &[Signal]) -> Settings {
    let endpoint = section.optional_text("endpoint");
    let tls = tls::read_client(section);
    match endpoint.as_deref() {
        // Something else than text was told already.
        None if section.has("endpoint") => {}
        None | Some("") => {
            section.error("endpoint", "`endpoint` is missing", "such as `endpoint: localhost:4317`");
        }
        Some(endpoint) => reachable(section, "endpoint", endpoint, &tls),
    }
    let endpoint = mask::without_userinfo(&endpoint.unwrap_or_default());
    let keepalive = section.table("keepalive").map(|keepalive| ClientKeepalive {
        time: keepalive.duration("time"),
        timeout: keepalive.duration("timeout"),
        permit_without_stream: keepalive.bool("permit_without_stream"),
    });
    read_common(
        section,
        OtlpConfig { protocol: Protocol::Grpc, endpoint, tls, keepalive, ..OtlpConfig::default() },
    )
}

fn read_http(section: &Section<'_>, _: &[Signal]) -> Settings {
    let encoding = match section.choice("encoding") {
        "json" => Encoding::Json,
        _ => Encoding::Proto,
    };
    let tls = tls::read_client(section);
    let url = |key: &str| {
        let text = section.optional_text(key).filter(|text| !text.is_empty())?;
        if text.contains("://") {
            reachable(section, key, &text, &tls);
        } else {
            section.error(
                key,
                format!("`{text}` is not a URL"),
                format!("write `https://{text}` or `http://{text}`"),
            );
        }
        // One that names a user was refused; settings show everything but secrets.
        Some(mask::without_userinfo(&text))
    };
    let config = OtlpConfig {
        protocol: Protocol::Http,
        endpoint: url("endpoint").unwrap_or_default(),
        traces_endpoint: url("traces_endpoint"),
        logs_endpoint: url("logs_endpoint"),
        metrics_endpoint: url("metrics_endpoint"),
        profiles_endpoint: url("profiles_endpoint"),
        encoding,
        tls: tls.clone(),
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
fn reachable(section: &Section<'_>, key: &str, endpoint: &str, tls: &TlsClientSettings) {
    // A name that is none is told where it stands.
    let tls = TlsClientSettings { server_name_override: None, ..tls.clone() };
    let config = OtlpConfig { endpoint: endpoint.to_owned(), tls, ..OtlpConfig::default() };
    if let Err(error) = config.validate_values() {
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
    auth::check(section);
    config.headers = auth::headers(section, "headers");
    for (name, value) in &config.headers {
        let config = OtlpConfig::default().with_header(name, value.clone());
        if let Err(error) = config.validate_values() {
            section.error("headers", error.message, "");
        }
    }
    let alpn = match config.protocol {
        Protocol::Grpc => Alpn::Http2,
        Protocol::Http => Alpn::Http1,
    };
    tls::check_client(section, &config.tls, alpn, config.speaks_tls());
    let delivery = delivery::read(section);
    // No timeout is a very long one.
    config.timeout = if delivery.timeout.is_zero() { NO_TIMEOUT } else { delivery.timeout };
    Settings::OtlpExporter(Box::new(OtlpExporterSettings { config, delivery }))
}
