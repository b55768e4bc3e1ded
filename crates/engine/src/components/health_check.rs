//! `health_check`: a page that says whether the engine should be sent telemetry.

use connect::page::PageSettings;
use otlp::Signal;

use super::{Class, Component, Settings, auth, listeners, tls};
use crate::settings::{Kind, Section, Setting};

/// Extension `health_check`.
pub const COMPONENT: Component = Component {
    name: "health_check",
    aliases: &["healthcheck"],
    class: Class::Extension,
    signals: &[],
    text: "Answers 200 while the engine is well and 503 with the reasons while it is not; `/live` answers 503 only where a restart helps.",
    settings: ROWS,
    read,
};

const SERVER_LATER: &str = "it is a setting of HTTP servers that has no use at this one; remove the key";

const ROWS: &[Setting] = &[
    Setting::new("endpoint", Kind::Address, "localhost:13133", "Where to listen; port 0 takes any free one."),
    Setting::new(
        "path",
        Kind::Text,
        "/",
        "The path of the page; one that ends in a slash stands for all below it.",
    ),
    Setting::new(
        "response_body",
        Kind::Table(BODY_ROWS),
        "",
        "What is answered; without the key, JSON with state, reasons and times.",
    ),
    Setting::new(
        "check_collector_pipeline",
        Kind::Table(CHECK_ROWS),
        "",
        "Exporters that fail are looked at in any case; this check of the Collector counts in a way of its own.",
    ),
    tls::TLS_SERVER,
    auth::READERS,
    Setting::later("cors", "requests from browsers are not there yet"),
    Setting::later("use_v2", "the second version is not there yet; remove the key"),
    Setting::later("http", "settings of the second version are not there yet; use `endpoint` and `path`"),
    Setting::later("grpc", "the gRPC health protocol is not there yet"),
    Setting::later("component_health", "when components count as unwell is not configurable yet"),
    Setting::later("response_headers", "responses have fixed headers"),
    Setting::later("compression_algorithms", "answers are compressed with gzip where that is asked for"),
    Setting::later("max_request_body_size", "requests have no body"),
    Setting::later("include_metadata", "requests do not become telemetry"),
    Setting::later("read_timeout", SERVER_LATER),
    Setting::later("read_header_timeout", SERVER_LATER),
    Setting::later("write_timeout", SERVER_LATER),
    Setting::later("idle_timeout", SERVER_LATER),
    Setting::later("keep_alives_enabled", SERVER_LATER),
    Setting::later("middlewares", "there are no middlewares"),
];

const BODY_ROWS: &[Setting] = &[
    Setting::new("healthy", Kind::Text, "", "With status 200."),
    Setting::new("unhealthy", Kind::Text, "", "With status 503."),
];

const CHECK_LATER: &str = "remove the key; exporters that fail for a minute are told in any case";

const CHECK_ROWS: &[Setting] = &[
    Setting::new("enabled", Kind::Bool, "false", "Must be `false`."),
    Setting::later("interval", CHECK_LATER),
    Setting::later("exporter_failure_threshold", CHECK_LATER),
];

/// What a health page is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheckSettings {
    /// Where to listen, and to whom.
    pub server: PageSettings,
    /// Where the page is.
    pub path: String,
    /// What stands on it, where that is not told by the engine.
    pub response_body: Option<ResponseBody>,
}

/// Texts of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseBody {
    /// While all is well.
    pub healthy: String,
    /// While it is not.
    pub unhealthy: String,
}

fn read(section: &Section<'_>, _: &[Signal]) -> Settings {
    let path = section.text("path");
    if !path.starts_with('/') {
        section.error("path", format!("`path` is `{path}`"), "it begins with a slash");
    }
    if section.table_or_empty("check_collector_pipeline").bool("enabled") {
        let message = "`check_collector_pipeline` cannot be used";
        section.error("check_collector_pipeline", message, CHECK_LATER);
    }
    let body = section.table("response_body");
    Settings::HealthCheck(Box::new(HealthCheckSettings {
        server: listeners::read_pages(section),
        path,
        response_body: body
            .map(|body| ResponseBody { healthy: body.text("healthy"), unhealthy: body.text("unhealthy") }),
    }))
}
