//! `service.telemetry`: what the engine tells of itself, and where.

use std::{collections::BTreeMap, time::Duration};

mod traces;

pub use traces::TraceSettings;

use super::logs::{Encoding, LogLevel};
use crate::{
    settings::{Address, Kind, Section, Setting},
    yaml::{Node, Scalar, Value},
};

/// How much is told. Ordered: each level tells what the ones before it tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    None,
    /// What every operator looks at.
    Basic,
    /// And what explains it.
    #[default]
    Normal,
    /// And what has many series.
    Detailed,
}

impl Level {
    /// Every level.
    pub const ALL: [Level; 4] = [Self::None, Self::Basic, Self::Normal, Self::Detailed];

    /// Its name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Normal => "normal",
            Self::Detailed => "detailed",
        }
    }
}

/// What the engine tells of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TelemetrySettings {
    /// Which metrics there are.
    pub level: Level,
    /// Where they can be scraped; nowhere at [`Level::None`]. `None` where that is not said:
    /// [`Options::metrics`](crate::Options) decides.
    pub readers: Option<Vec<Reader>>,
    /// The engine's log, where one is configured.
    pub logs: Option<LogSettings>,
    /// Spans of its own work, where they are to be made.
    pub traces: Option<TraceSettings>,
    /// Attributes of the engine itself; one without a value takes away what is there by itself.
    pub resource: BTreeMap<String, Option<String>>,
}

/// A page of metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// Where it listens: host and port.
    pub endpoint: String,
    /// Whether names end in unit and type.
    pub suffixes: bool,
    /// Whether series have no labels of their instrumentation scope.
    pub without_scope_info: bool,
    /// Whether the resource's attributes are labels of every series.
    pub constant_labels: bool,
}

/// The engine's log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSettings {
    /// The least serious events that are told.
    pub level: LogLevel,
    /// How a line is written.
    pub encoding: Encoding,
    /// `stderr`, `stdout`, or files that are appended to.
    pub output_paths: Vec<String>,
    /// Fields of every line.
    pub initial_fields: BTreeMap<String, String>,
    /// Bounds equal messages.
    pub sampling: Option<Sampling>,
}

/// In every `tick`, the first `initial` lines of a message are told, then each `thereafter`th.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// How long a count lasts.
    pub tick: Duration,
    /// Lines that are told in any case.
    pub initial: u64,
    /// Of the others, one in so many; zero is none.
    pub thereafter: u64,
}

/// The rows of `service.telemetry`.
pub const ROWS: &[Setting] = &[
    Setting::new("metrics", Kind::Table(METRICS), "", "The engine's own metrics."),
    Setting::new(
        "logs",
        Kind::Table(LOGS),
        "",
        "The engine's own log. Where the key is there, `aldis serve` writes it in place of its own lines.",
    ),
    Setting::new(
        "traces",
        Kind::Table(traces::ROWS),
        "",
        "Spans of the engine's own work: a request that came, a batch that left.",
    ),
    Setting::new(
        "resource",
        Kind::Value,
        "",
        "Attributes of the engine in `target_info` and in its log; `null` takes one away.",
    ),
];

const METRICS: &[Setting] = &[
    Setting::new("level", Kind::Choice(LEVELS), "normal", "How many metrics there are."),
    Setting::new(
        "readers",
        Kind::Tables(READER),
        "",
        "Where they can be read. Without the key `aldis serve` shows them at `127.0.0.1:8888/metrics`.",
    ),
    Setting::new("address", Kind::Address, "", "The older way to name one place to scrape: host and port."),
    Setting::later(
        "views",
        "metrics cannot be changed before they are exposed; relabel them where they are scraped",
    ),
];

const LEVELS: &[&str] =
    &[Level::None.name(), Level::Basic.name(), Level::Normal.name(), Level::Detailed.name()];

const READER: &[Setting] = &[
    Setting::new("pull", Kind::Table(PULL), "", "Metrics that somebody comes for."),
    Setting::later(
        "periodic",
        "own metrics are not pushed yet; scrape them with a receiver or a Prometheus server",
    ),
];

const PULL: &[Setting] = &[
    Setting::new("exporter", Kind::Table(EXPORTER), "", "How they are exposed."),
    Setting::later("producers", "nothing else produces metrics here"),
    Setting::later("cardinality_limits", "the number of series is bounded by that of components"),
];

const EXPORTER: &[Setting] =
    &[Setting::new("prometheus", Kind::Table(PROMETHEUS), "", "At `/metrics`, for a Prometheus server.")];

const PROMETHEUS: &[Setting] = &[
    Setting::new("host", Kind::Text, "localhost", "Where to listen."),
    Setting::new("port", Kind::Int(0, 65535), "8888", "The port; 0 takes any free one."),
    Setting::new("without_scope_info", Kind::Bool, "true", "Whether series have no `otel_scope_` labels."),
    Setting::new(
        "without_type_suffix",
        Kind::Bool,
        "true",
        "Whether counters do not end in `_total`. Must be as `without_units`.",
    ),
    Setting::new("without_units", Kind::Bool, "true", "Whether names do not end in units."),
    Setting::new(
        "with_resource_constant_labels",
        Kind::Table(CONSTANT_LABELS),
        "",
        "Attributes of the resource as labels of every series.",
    ),
    Setting::later("translation_strategy", "use `without_type_suffix` and `without_units`"),
];

const CONSTANT_LABELS: &[Setting] = &[
    Setting::new("included", Kind::TextList, "", "`[\"*\"]`: all of them; nothing else can be chosen yet."),
    Setting::new("excluded", Kind::TextList, "", "Must be empty."),
];

const LOGS: &[Setting] = &[
    Setting::new("level", Kind::Text, "info", "`debug`, `info`, `warn` or `error`: the least that is told."),
    Setting::new("encoding", Kind::Choice(&["console", "json"]), "console", "How a line is written."),
    Setting::new("output_paths", Kind::TextList, "", "`stderr` (where nothing is said), `stdout`, or files."),
    Setting::new(
        "error_output_paths",
        Kind::TextList,
        "",
        "Must be `[stderr]`: there it is told that a file cannot be written.",
    ),
    Setting::new("initial_fields", Kind::TextMap, "", "Fields of every line."),
    Setting::new("sampling", Kind::Table(SAMPLING), "", "Bounds lines that say the same."),
    Setting::new("disable_caller", Kind::Bool, "true", "Lines have no callers: must be `true`."),
    Setting::new("disable_stacktrace", Kind::Bool, "true", "Lines have no stack traces: must be `true`."),
    Setting::new("development", Kind::Bool, "false", "There is no such mode: must be `false`."),
    Setting::later("processors", "the log is not sent over OTLP yet; read it with a `file` receiver"),
    Setting::later("disable_zap_resource", "lines name the resource only where attributes are configured"),
];

const SAMPLING: &[Setting] = &[
    Setting::new("enabled", Kind::Bool, "true", "Whether they are bounded."),
    Setting::new("tick", Kind::Duration, "10s", "How long a count lasts."),
    Setting::new("initial", Kind::Int(0, 1_000_000), "10", "Lines of a message that are told in any case."),
    Setting::new("thereafter", Kind::Int(0, 1_000_000), "100", "Of those after, one in so many; 0 is none."),
];

impl TelemetrySettings {
    /// Reads `service.telemetry`.
    pub fn read(section: &Section<'_>) -> Self {
        let metrics = section.table_or_empty("metrics");
        let word = metrics.choice("level");
        let level = Level::ALL.into_iter().find(|level| level.name() == word).unwrap_or_default();
        let readers = readers(&metrics);
        Self {
            level,
            readers: if level == Level::None { Some(Vec::new()) } else { readers },
            logs: section.table("logs").map(|logs| LogSettings::read(&logs)),
            traces: section.table("traces").and_then(|traces| TraceSettings::read(&traces)),
            resource: section.value("resource").map(|node| resource(section, node)).unwrap_or_default(),
        }
    }
}

impl Reader {
    /// One at this address (host and port), as a configuration that names nothing else has it.
    pub fn at(endpoint: impl Into<String>) -> Self {
        let endpoint = endpoint.into();
        Self { endpoint, suffixes: false, without_scope_info: true, constant_labels: false }
    }

    /// `None` if it is no reader that can be had; that is told.
    fn read(section: &Section<'_>) -> Option<Self> {
        let prometheus = section
            .table("pull")
            .and_then(|pull| pull.table("exporter"))
            .and_then(|exporter| exporter.table("prometheus"));
        let Some(prometheus) = prometheus else {
            if !section.is_misshapen() {
                let help = "write `pull: {exporter: {prometheus: {host: localhost, port: 8888}}}`";
                section.error("pull", "this reader says nothing that can be done", help);
            }
            return None;
        };
        let plain = [prometheus.bool("without_type_suffix"), prometheus.bool("without_units")];
        if plain[0] != plain[1] {
            let message = "`without_type_suffix` and `without_units` must be the same here";
            prometheus.error("without_type_suffix", message, "names end in both or in neither");
        }
        let labels = prometheus.table_or_empty("with_resource_constant_labels");
        let (included, excluded) = (labels.text_list("included"), labels.text_list("excluded"));
        let is_all = included == ["*"];
        if !excluded.is_empty() || !included.is_empty() && !is_all {
            labels.error(
                "included",
                "attributes cannot be chosen by pattern yet",
                "write `included: [\"*\"]`",
            );
        }
        let (host, port) = (prometheus.text("host"), prometheus.int("port"));
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self {
            endpoint: Address { host, port: u16::try_from(port).unwrap_or_default() }.to_string(),
            suffixes: !plain[0],
            without_scope_info: prometheus.bool("without_scope_info"),
            constant_labels: is_all,
        })
    }
}

fn readers(metrics: &Section<'_>) -> Option<Vec<Reader>> {
    if metrics.has("readers") {
        if metrics.has("address") {
            metrics.error("address", "`address` and `readers` say the same twice", "remove `address`");
        }
        return Some(metrics.tables("readers").iter().filter_map(Reader::read).collect());
    }
    metrics.has("address").then(|| vec![Reader::at(metrics.address("address").to_string())])
}

impl LogSettings {
    fn read(section: &Section<'_>) -> Self {
        let text = section.text("level");
        let level = LogLevel::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(&text));
        if level.is_none() {
            section.error("level", format!("there is no level `{text}`"), "debug, info, warn or error");
        }
        for (key, must) in [("disable_caller", true), ("disable_stacktrace", true), ("development", false)] {
            if section.bool(key) != must {
                let message = format!("`{key}: {}` cannot be had", !must);
                section.error(key, message, format!("remove the key, or write `{key}: {must}`"));
            }
        }
        if section.has("error_output_paths") && section.text_list("error_output_paths") != ["stderr"] {
            let message = "what is wrong with the log itself is told on stderr";
            section.error("error_output_paths", message, "write `[stderr]`, or remove the key");
        }
        let sampling = section.table_or_empty("sampling");
        let said = Sampling {
            tick: sampling.duration("tick"),
            initial: sampling.count("initial") as u64,
            thereafter: sampling.count("thereafter") as u64,
        };
        let paths = section.text_list("output_paths");
        Self {
            level: level.unwrap_or_default(),
            encoding: if section.choice("encoding") == "json" { Encoding::Json } else { Encoding::Console },
            output_paths: if paths.is_empty() { vec!["stderr".to_owned()] } else { paths },
            initial_fields: section.text_map("initial_fields"),
            sampling: sampling.bool("enabled").then_some(said),
        }
    }
}

/// A map of names to values, or the newer `attributes`: a list of names and values.
fn resource(section: &Section<'_>, node: &Node) -> BTreeMap<String, Option<String>> {
    let mut all = BTreeMap::new();
    let Value::Map(entries) = &node.value else {
        let message = format!("a map of attributes was expected here, not {}", node.describe());
        section.error("resource", message, "such as `resource: {deployment.environment: test}`");
        return all;
    };
    for entry in entries {
        match (entry.key.as_str(), &entry.node.value) {
            ("attributes", Value::List(items)) => {
                for item in items {
                    match (item.get("name").and_then(text), item.get("value").and_then(text)) {
                        (Some(name), Some(value)) => drop(all.insert(name, Some(value))),
                        _ => section.error("resource", "an attribute needs a name and a value", ""),
                    }
                }
            }
            ("schema_url" | "detectors" | "detection/development", _) => {
                let message = format!("`{}` says nothing that is known here", entry.key);
                section.error("resource", message, "write attributes by name");
            }
            _ => match entry.node.scalar() {
                None => {
                    section.error("resource", format!("attribute `{}` takes a single value", entry.key), "");
                }
                Some(Scalar::Null) => drop(all.insert(entry.key.clone(), None)),
                Some(_) => drop(all.insert(entry.key.clone(), text(&entry.node))),
            },
        }
    }
    all
}

fn text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Plain(text) | Value::Quoted(text) => {
            Some(node.original.clone().unwrap_or_else(|| text.clone()))
        }
        _ => None,
    }
}
