//! `attributes`: attributes of records changed.

use operators::edit::{
    AttributeMatch, AttributesSettings, LibraryMatch, MatchSettings, MatchType, SelectSettings, SeverityMatch,
};

use otlp::Signal;

use super::{
    Class, Component, Settings,
    edits::{self, EditSettings},
};
use crate::settings::{Kind, Section, Setting};

/// Processor `attributes`.
pub const COMPONENT: Component = Component {
    name: "attributes",
    aliases: &[],
    class: Class::Processor,
    signals: edits::SIGNALS,
    text: "Changes the attributes of spans, log records and data points.",
    settings: ROWS,
    read,
};

const ROWS: &[Setting] = &[
    Setting::new(
        "actions",
        Kind::Tables(edits::ACTION),
        "",
        "The actions, in order. At least one is required.",
    ),
    Setting::new("include", Kind::Table(MATCH), "", "Only records that match this are changed."),
    Setting::new("exclude", Kind::Table(MATCH), "", "Records that match this are not changed."),
    Setting::new(
        "condition",
        Kind::Text,
        "",
        "Only records for which this holds are changed, as in `filter` (only in Aldis).",
    ),
];

const MATCH: &[Setting] = &[
    Setting::new(
        "match_type",
        Kind::Choice(&["strict", "regexp"]),
        "strict",
        "Whether names are compared or searched for patterns.",
    ),
    Setting::new("services", Kind::TextList, "", "`service.name` of the resource."),
    Setting::new("span_names", Kind::TextList, "", "Names of spans."),
    Setting::new("span_kinds", Kind::TextList, "", "Kinds of spans: `SPAN_KIND_SERVER`."),
    Setting::new("log_bodies", Kind::TextList, "", "Bodies of log records."),
    Setting::new("log_severity_texts", Kind::TextList, "", "Severities of log records as text."),
    Setting::new("log_severity_number", Kind::Table(SEVERITY), "", "Severities of log records as number."),
    Setting::new("metric_names", Kind::TextList, "", "Names of metrics."),
    Setting::new("attributes", Kind::Tables(ATTRIBUTE), "", "Attributes of the record; all must match."),
    Setting::new("resources", Kind::Tables(ATTRIBUTE), "", "Attributes of the resource; all must match."),
    Setting::new("libraries", Kind::Tables(LIBRARY), "", "Instrumentation scopes; one must match."),
    Setting::new("regexp", Kind::Table(REGEXP), "", "Has no effect: compiled patterns need no cache."),
];

const SEVERITY: &[Setting] = &[
    Setting::new("min", Kind::Int(0, 24), "0", "The lowest severity that matches."),
    Setting::new("match_undefined", Kind::Bool, "false", "Whether records without a severity match."),
];

const ATTRIBUTE: &[Setting] = &[
    Setting::new("key", Kind::Text, "", "Its key."),
    Setting::new("value", Kind::Value, "", "Its value; absent, any value matches."),
];

const LIBRARY: &[Setting] = &[
    Setting::new("name", Kind::Text, "", "Its name."),
    Setting::new("version", Kind::Text, "", "Its version; absent, any version matches."),
];

const REGEXP: &[Setting] = &[
    Setting::later("cacheenabled", "patterns are compiled once and need no cache; remove the key"),
    Setting::later("cachemaxnumentries", "patterns are compiled once and need no cache; remove the key"),
];

fn read(section: &Section<'_>, signals: &[Signal]) -> Settings {
    let actions = section.tables("actions").iter().map(edits::read_action).collect();
    let select = SelectSettings {
        include: section.table("include").map(|section| read_match(&section)),
        exclude: section.table("exclude").map(|section| read_match(&section)),
        condition: section.optional_text("condition").filter(|text| !text.is_empty()),
    };
    let settings = EditSettings::Attributes(Box::new(AttributesSettings { select, actions }));
    edits::validate(section, &settings, signals);
    Settings::Edit(settings)
}

fn read_match(section: &Section<'_>) -> MatchSettings {
    section.table("regexp");
    let attributes = |key: &str| {
        let tables = section.tables(key);
        let read = |table: &Section<'_>| AttributeMatch {
            key: table.text("key"),
            value: edits::value(table, "value"),
        };
        tables.iter().map(read).collect()
    };
    let severity = |table: Section<'_>| SeverityMatch {
        min: table.int("min"),
        match_undefined: table.bool("match_undefined"),
    };
    let library = |table: &Section<'_>| LibraryMatch {
        name: table.text("name"),
        version: table.optional_text("version"),
    };
    MatchSettings {
        match_type: if section.choice("match_type") == "regexp" {
            MatchType::Regexp
        } else {
            MatchType::Strict
        },
        services: section.text_list("services"),
        span_names: section.text_list("span_names"),
        span_kinds: section.text_list("span_kinds"),
        log_bodies: section.text_list("log_bodies"),
        log_severity_texts: section.text_list("log_severity_texts"),
        log_severity_number: section.table("log_severity_number").map(severity),
        metric_names: section.text_list("metric_names"),
        attributes: attributes("attributes"),
        resources: attributes("resources"),
        libraries: section.tables("libraries").iter().map(library).collect(),
    }
}
