//! `otlp`: telemetry received over OTLP.

use std::time::Duration;

use connect::{
    auth::ServerAuthSettings,
    cors::CorsSettings,
    otlp::{GrpcSettings, HttpSettings, Keepalive, ReceiverSettings},
    tls::Alpn,
};
use otlp::{Check, Signal};

use super::{Class, Component, Settings, auth, tls};
use crate::settings::{Kind, Section, Setting};

/// What an OTLP receiver is told. Its name is set when it is placed into a graph.
pub type OtlpReceiverSettings = ReceiverSettings;

/// Receiver `otlp`.
pub const COMPONENT: Component = Component {
    name: "otlp",
    aliases: &[],
    class: Class::Receiver,
    signals: &Signal::ALL,
    text: "Receives OTLP over gRPC and HTTP.",
    settings: ROWS,
    read,
};

const ROWS: &[Setting] = &[
    Setting::new(
        "protocols",
        Kind::Table(PROTOCOLS),
        "",
        "The protocols to speak. At least one is required.",
    ),
    Setting::new(
        "check",
        Kind::Choice(&["full", "framing"]),
        "full",
        "How much of a request is validated. `framing` only counts records: nothing may read or change them (only in Aldis).",
    ),
];

const PROTOCOLS: &[Setting] = &[
    Setting::new("grpc", Kind::Table(GRPC), "", "OTLP/gRPC."),
    Setting::new("http", Kind::Table(HTTP), "", "OTLP/HTTP with protobuf or JSON bodies."),
];

const BUFFER: Kind = Kind::Int(0, 1 << 30);

const GRPC: &[Setting] = &[
    Setting::new("endpoint", Kind::Address, "localhost:4317", "Where to listen; port 0 takes any free one."),
    Setting::new("transport", Kind::Choice(&["tcp"]), "tcp", "The network."),
    Setting::new(
        "max_recv_msg_size_mib",
        Kind::Int(0, 1024),
        "4",
        "MiB of the largest message; 0 is the default.",
    ),
    Setting::new(
        "max_concurrent_streams",
        Kind::Int(0, u32::MAX as i64),
        "256",
        "Requests of one connection at once; 0 is the default.",
    ),
    Setting::new(
        "read_buffer_size",
        BUFFER,
        "0",
        "Bytes of a connection's receive buffer; 0 lets the system choose.",
    ),
    Setting::new(
        "write_buffer_size",
        BUFFER,
        "0",
        "Bytes of a connection's send buffer; 0 lets the system choose.",
    ),
    Setting::new("keepalive", Kind::Table(KEEPALIVE), "", "Pings, and when connections are closed."),
    Setting::new(
        "include_metadata",
        Kind::Bool,
        "false",
        "Whether request headers travel with the telemetry.",
    ),
    auth::SERVER,
    Setting::later("dialer", "a listener does not dial; remove the key"),
    Setting::later("middlewares", "there are no middlewares"),
    tls::TLS_SERVER,
];

const KEEPALIVE: &[Setting] = &[
    Setting::new("server_parameters", Kind::Table(SERVER_PARAMETERS), "", "What the server does."),
    Setting::later("enforcement_policy", "clients that ping often are not sent away; remove the key"),
];

const SERVER_PARAMETERS: &[Setting] = &[
    Setting::new(
        "max_connection_idle",
        Kind::Duration,
        "0s",
        "Close a connection after so long without requests; 0: never.",
    ),
    Setting::new("max_connection_age", Kind::Duration, "0s", "Close a connection at this age; 0: never."),
    Setting::new(
        "max_connection_age_grace",
        Kind::Duration,
        "0s",
        "What is in flight then may take so much longer; 0: for ever.",
    ),
    Setting::new(
        "time",
        Kind::Duration,
        "2h",
        "Ping a client that was silent for so long; 0 is the default.",
    ),
    Setting::new(
        "timeout",
        Kind::Duration,
        "20s",
        "Close the connection if a ping is not answered for so long; 0 is the default.",
    ),
];

const CORS: &[Setting] = &[
    Setting::new(
        "allowed_origins",
        Kind::TextList,
        "",
        "Origins of pages that may send, `https://shop.example`; one `*` in each stands for anything. `*` alone is every origin, \
         without credentials.",
    ),
    Setting::new(
        "allowed_headers",
        Kind::TextList,
        "",
        "Headers that pages may send besides `Accept`, `Content-Type` and `X-Requested-With`; `*` for all.",
    ),
    Setting::new("exposed_headers", Kind::TextList, "", "Headers of answers that pages may read."),
    Setting::new(
        "max_age",
        Kind::Int(0, 86_400),
        "0",
        "Seconds for which a browser may remember what it was told; 0 leaves it to the browser.",
    ),
];

const HTTP: &[Setting] = &[
    Setting::new("endpoint", Kind::Address, "localhost:4318", "Where to listen; port 0 takes any free one."),
    Setting::new("transport", Kind::Choice(&["tcp"]), "tcp", "The network."),
    Setting::new("traces_url_path", Kind::Text, "/v1/traces", "The path for traces."),
    Setting::new("logs_url_path", Kind::Text, "/v1/logs", "The path for logs."),
    Setting::new("metrics_url_path", Kind::Text, "/v1/metrics", "The path for metrics."),
    Setting::new("profiles_url_path", Kind::Text, "/v1development/profiles", "The path for profiles."),
    Setting::new(
        "max_request_body_size",
        Kind::Int(0, 1 << 30),
        "20971520",
        "Bytes of the largest body; 0 is the default.",
    ),
    Setting::new(
        "include_metadata",
        Kind::Bool,
        "false",
        "Whether request headers travel with the telemetry.",
    ),
    Setting::new(
        "read_header_timeout",
        Kind::Duration,
        "1m",
        "How long the headers of an HTTP/1.1 request may take, the wait for it included; 0: for ever.",
    ),
    Setting::new(
        "idle_timeout",
        Kind::Duration,
        "1m",
        "Close a connection after so long without requests, one of HTTP/1.1 after `read_header_timeout` if that is shorter; 0: never.",
    ),
    auth::SERVER,
    Setting::new("cors", Kind::Table(CORS), "", "Web pages of which origins may send; none, without it."),
    Setting::later("compression_algorithms", "gzip, zstd and none are always taken; remove the key"),
    Setting::later("keep_alives_enabled", "connections are always kept open; remove the key"),
    Setting::later("middlewares", "there are no middlewares"),
    Setting::later("read_timeout", "the time a body may take is fixed; remove the key"),
    Setting::later("response_headers", "responses have fixed headers"),
    tls::TLS_SERVER,
    Setting::later("write_timeout", "responses are small; remove the key"),
];

fn read(section: &Section<'_>, _: &[Signal]) -> Settings {
    let protocols = section.table_or_empty("protocols");
    let grpc = protocols.table("grpc").map(|section| read_grpc(&section));
    let http = protocols.table("http").map(|section| read_http(&section));
    if grpc.is_none() && http.is_none() {
        let help = "write `protocols: {grpc: , http: }` for both at their usual ports";
        section.error("protocols", "no protocol is named", help);
    }
    let check = if section.choice("check") == "framing" { Check::Framing } else { Check::Full };
    Settings::OtlpReceiver(Box::new(ReceiverSettings { grpc, http, check, ..ReceiverSettings::default() }))
}

fn read_grpc(section: &Section<'_>) -> GrpcSettings {
    section.choice("transport");
    auth::check(section);
    let defaults = GrpcSettings::default();
    let keepalive = section.table_or_empty("keepalive").table_or_empty("server_parameters");
    let optional = |duration: Duration| Some(duration).filter(|duration| !duration.is_zero());
    let buffer = |key| Some(section.count(key)).filter(|bytes| *bytes > 0);
    GrpcSettings {
        endpoint: endpoint(section),
        max_recv_msg_size_mib: nonzero(
            section.count("max_recv_msg_size_mib"),
            defaults.max_recv_msg_size_mib,
        ),
        max_concurrent_streams: nonzero(
            section.count("max_concurrent_streams"),
            defaults.max_concurrent_streams as usize,
        ) as u32,
        read_buffer_size: buffer("read_buffer_size"),
        write_buffer_size: buffer("write_buffer_size"),
        keepalive: Keepalive {
            max_connection_idle: optional(keepalive.duration("max_connection_idle")),
            max_connection_age: optional(keepalive.duration("max_connection_age")),
            max_connection_age_grace: optional(keepalive.duration("max_connection_age_grace")),
            time: optional(keepalive.duration("time")).unwrap_or(defaults.keepalive.time),
            timeout: optional(keepalive.duration("timeout")).unwrap_or(defaults.keepalive.timeout),
        },
        include_metadata: section.bool("include_metadata"),
        auth: None,
        tls: tls::read_server(section, Alpn::Http2),
        windows: defaults.windows,
    }
}

fn read_http(section: &Section<'_>) -> HttpSettings {
    section.choice("transport");
    auth::check(section);
    let path = |signal: Signal| {
        let key = format!("{signal}_url_path");
        let text = section.text(&key);
        if !text.is_empty() && !text.starts_with('/') {
            section.error(
                &key,
                format!("the path `{text}` does not begin with a slash"),
                format!("write `/{text}`"),
            );
        }
        text
    };
    let defaults = HttpSettings::default();
    HttpSettings {
        endpoint: endpoint(section),
        traces_url_path: path(Signal::Traces),
        logs_url_path: path(Signal::Logs),
        metrics_url_path: path(Signal::Metrics),
        profiles_url_path: path(Signal::Profiles),
        max_request_body_size: nonzero(
            section.count("max_request_body_size"),
            defaults.max_request_body_size,
        ),
        include_metadata: section.bool("include_metadata"),
        auth: None,
        cors: section.table("cors").and_then(|cors| read_cors(&cors)),
        tls: tls::read_server(section, Alpn::Http),
        read_header_timeout: section.duration("read_header_timeout"),
        idle_timeout: Some(section.duration("idle_timeout")).filter(|timeout| !timeout.is_zero()),
        windows: defaults.windows,
    }
}

/// Puts in who may send, where the keys of this path say it.
pub fn authenticate(settings: &mut OtlpReceiverSettings, path: &str, auth: &ServerAuthSettings) {
    match path {
        "protocols.grpc.auth.authenticator" => {
            settings.grpc.iter_mut().for_each(|grpc| grpc.auth = Some(auth.clone()));
        }
        _ => settings.http.iter_mut().for_each(|http| http.auth = Some(auth.clone())),
    }
}

fn read_cors(section: &Section<'_>) -> Option<CorsSettings> {
    let cors = CorsSettings {
        allowed_origins: section.text_list("allowed_origins"),
        allowed_headers: section.text_list("allowed_headers"),
        exposed_headers: section.text_list("exposed_headers"),
        max_age: section.count("max_age") as u64,
    };
    if let Err((key, message)) = cors.validate() {
        section.error(key, message, "");
    }
    Some(cors).filter(|cors| !cors.allowed_origins.is_empty())
}

/// Where to listen; a warning where others than this machine can connect and nothing says who may.
fn endpoint(section: &Section<'_>) -> String {
    let address = section.address("endpoint");
    if address.is_everywhere() && !section.has("auth") && !section.has("tls") {
        let message = format!("everybody who reaches this machine may send to {address}");
        section.warning(
            "endpoint",
            message,
            "set `auth`, or listen on one address of a network that you trust",
        );
    }
    address.to_string()
}

fn nonzero(value: usize, default: usize) -> usize {
    if value == 0 { default } else { value }
}
