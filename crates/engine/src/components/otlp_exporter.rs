//! `otlp` and `otlphttp`: telemetry sent on over OTLP.

use std::collections::BTreeMap;

use otlp::{Codec, Signal};

use super::{Class, Component, Settings, delivery};
use crate::settings::{Address, Kind, Section, Setting};

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
    text: "Sends over OTLP/HTTP with protobuf bodies.",
    settings: HTTP_ROWS,
    read: read_http,
};

const TLS_LATER: &str = "TLS is not there yet; only `insecure: true` is";
const AUTH_LATER: &str = "authenticators are not there yet; a static token can stand in `headers`";

const TLS_ROWS: &[Setting] = &[
    Setting::new("insecure", Kind::Bool, "false", "Whether to speak without TLS; must be true until TLS is there."),
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
    Kind::Table(&[Setting::new("level", Kind::Int(-7, 22), "0", "gzip 1 to 9, zstd 1 to 22; 0 is the codec's fast default.")]),
    "",
    "How hard to compress.",
);

const GRPC_ROWS: &[Setting] = &[
    Setting::new("endpoint", Kind::Text, "", "Where to: `host:port`, or `http://host:port` for no TLS. Required."),
    TLS,
    HEADERS,
    COMPRESSION,
    COMPRESSION_PARAMS,
    Setting::new("timeout", Kind::Duration, "5s", "How long one attempt may take."),
    delivery::QUEUE,
    delivery::RETRY,
    Setting::later("auth", AUTH_LATER),
    Setting::later("authority", "the authority is always that of the endpoint"),
    Setting::later("balancer_name", "connections go to the address that the endpoint's name resolves to first"),
    Setting::later("keepalive", "pings of clients cannot be configured yet"),
    Setting::later("middlewares", "there are no middlewares"),
    Setting::later("read_buffer_size", "buffers of clients cannot be configured yet"),
    Setting::later("wait_for_ready", "an attempt fails at once where nobody listens, and is repeated by `retry_on_failure`"),
    Setting::later("write_buffer_size", "buffers of clients cannot be configured yet"),
];

const HTTP_ROWS: &[Setting] = &[
    Setting::new("endpoint", Kind::Text, "", "Base URL, to which `/v1/traces`, `/v1/logs`, … are added: `http://host:4318`."),
    Setting::new("traces_endpoint", Kind::Text, "", "The whole URL for traces."),
    Setting::new("logs_endpoint", Kind::Text, "", "The whole URL for logs."),
    Setting::new("metrics_endpoint", Kind::Text, "", "The whole URL for metrics."),
    Setting::new("profiles_endpoint", Kind::Text, "", "The whole URL for profiles."),
    TLS,
    HEADERS,
    COMPRESSION,
    COMPRESSION_PARAMS,
    Setting::new("encoding", Kind::Choice(&["proto"]), "proto", "How bodies are encoded."),
    Setting::new("timeout", Kind::Duration, "30s", "How long one attempt may take."),
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

/// What an OTLP exporter is told.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpExporterSettings {
    /// Where to, for each signal.
    pub target: Target,
    /// Headers sent with every request.
    pub headers: BTreeMap<String, String>,
    /// How requests are compressed.
    pub compression: Option<Codec>,
    /// How hard; `None` for the codec's default.
    pub level: Option<i32>,
    /// Queue, retries, timeout.
    pub delivery: delivery::DeliverySettings,
}

/// Where to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a gRPC server.
    Grpc(Address),
    /// To URLs.
    Http(HttpTarget),
}

/// URLs to send to. At least one is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpTarget {
    /// The URL that the signals' paths are added to.
    pub base: Option<String>,
    /// Whole URLs of single signals, in the order of [`Signal::ALL`].
    pub whole: [Option<String>; 4],
}

fn read_grpc(section: &Section<'_>) -> Settings {
    let text = section.text("endpoint");
    let insecure = section.table_or_empty("tls").bool("insecure");
    let (address, scheme_insecure) = match text.split_once("://") {
        Some(("http", rest)) => (rest.trim_end_matches('/'), true),
        Some(("https", _)) => {
            section.error("endpoint", "an https endpoint needs TLS, which is not there yet", "write http:// or host:port");
            ("", true)
        }
        Some((scheme, _)) => {
            section.error("endpoint", format!("`{scheme}://` is not understood"), "write `host:port`");
            ("", true)
        }
        None => (text.as_str(), false),
    };
    let address = match address {
        "" if text.is_empty() => {
            section.error("endpoint", "`endpoint` is missing", "such as `endpoint: localhost:4317`");
            Address::default()
        }
        "" => Address::default(),
        address => Address::parse(address).unwrap_or_else(|reason| {
            section.error("endpoint", format!("`{address}` is not a host and port: {reason}"), "such as `localhost:4317`");
            Address::default()
        }),
    };
    if !insecure && !scheme_insecure {
        section.error(
            "tls",
            "this exporter would speak TLS, which is not there yet",
            "add `tls: {insecure: true}` to speak without",
        );
    }
    read_common(section, Target::Grpc(address))
}

fn read_http(section: &Section<'_>) -> Settings {
    section.table_or_empty("tls").bool("insecure");
    let url = |key: &str| {
        let text = section.optional_text(key).filter(|text| !text.is_empty())?;
        match text.split_once("://") {
            Some(("http", rest)) if valid_authority(rest) => {}
            Some(("https", _)) => {
                section.error(key, "an https endpoint needs TLS, which is not there yet", "write http://");
            }
            _ => section.error(key, format!("`{text}` is not a URL"), "such as `http://localhost:4318`"),
        }
        Some(text)
    };
    let whole = Signal::ALL.map(|signal| url(&format!("{signal}_endpoint")));
    let base = url("endpoint").map(|text| text.trim_end_matches('/').to_owned());
    if base.is_none() && whole.iter().all(Option::is_none) {
        section.error("endpoint", "`endpoint` is missing", "such as `endpoint: http://localhost:4318`");
    }
    section.choice("encoding");
    read_common(section, Target::Http(HttpTarget { base, whole }))
}

/// Whether what follows `http://` begins with a host and, if there is one, a port.
fn valid_authority(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_only = !authority.is_empty() && !authority.contains([':', ' ', '[', ']', '@']);
    host_only || Address::parse(authority).is_ok_and(|address| !address.host.is_empty() && !address.host.contains('@'))
}

fn read_common(section: &Section<'_>, target: Target) -> Settings {
    let compression = match section.choice("compression") {
        "gzip" => Some(Codec::Gzip),
        "zstd" => Some(Codec::Zstd),
        _ => None,
    };
    let params = section.table_or_empty("compression_params");
    let level = Some(params.int("level") as i32).filter(|level| *level != 0);
    let most = if compression == Some(Codec::Gzip) { 9 } else { 22 };
    if level.is_some_and(|level| level < 1 || level > most) {
        params.error("level", format!("the level must be between 1 and {most}"), "or 0 for the codec's default");
    }
    if level.is_some() && compression.is_none() {
        params.error("level", "there is no compression to have a level", "remove it, or set `compression`");
    }
    let headers = section.text_map("headers");
    for (name, value) in &headers {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            section.error("headers", format!("`{name}` cannot be the name of a header"), "");
        }
        if value.chars().any(|c| c.is_control() && c != '\t') {
            section.error("headers", format!("the header `{name}` has a control character in its value"), "");
        }
    }
    let delivery = delivery::read(section);
    Settings::OtlpExporter(Box::new(OtlpExporterSettings { target, headers, compression, level, delivery }))
}
