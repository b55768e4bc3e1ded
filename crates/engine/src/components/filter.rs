//! `filter`: records taken out by condition.

use operators::filter::{Condition, Context, Filter};
use otlp::Signal;

use super::{Class, Component, Settings};
use crate::settings::{Kind, Section, Setting};

/// Processor `filter`.
pub const COMPONENT: Component = Component {
    name: "filter",
    aliases: &[],
    class: Class::Processor,
    signals: &[Signal::Traces, Signal::Logs, Signal::Metrics],
    text: "Takes out every record for which a condition holds.",
    settings: ROWS,
    read,
};

const CONDITIONS_LATER: &str =
    "write the conditions under `traces.span`, `logs.log_record` or `metrics.datapoint`";
const EVENTS_LATER: &str = "conditions on parts of a record are not there yet";

const ROWS: &[Setting] = &[
    Setting::new(
        "error_mode",
        Kind::Choice(&["propagate", "ignore", "silent"]),
        "propagate",
        "Conditions are checked when the engine starts and cannot fail afterwards: all modes come to the same.",
    ),
    Setting::new("traces", Kind::Table(TRACES), "", "Conditions on traces."),
    Setting::new("logs", Kind::Table(LOGS), "", "Conditions on logs."),
    Setting::new("metrics", Kind::Table(METRICS), "", "Conditions on metrics."),
    Setting::later("log_conditions", CONDITIONS_LATER),
    Setting::later("metric_conditions", CONDITIONS_LATER),
    Setting::later("profile_conditions", "profiles are passed through whole"),
    Setting::later("profiles", "profiles are passed through whole"),
    Setting::later("spans", CONDITIONS_LATER),
    Setting::later("trace_conditions", CONDITIONS_LATER),
];

const RESOURCE: Setting = Setting::new(
    "resource",
    Kind::TextList,
    "",
    "Conditions on the resource; all its records go where one holds.",
);

const TRACES: &[Setting] = &[
    RESOURCE,
    Setting::new("span", Kind::TextList, "", "Conditions on a span."),
    Setting::later("spanevent", EVENTS_LATER),
];

const LOGS: &[Setting] = &[
    RESOURCE,
    Setting::new("log_record", Kind::TextList, "", "Conditions on a log record."),
    Setting::later("exclude", CONDITIONS_LATER),
    Setting::later("include", CONDITIONS_LATER),
];

const METRICS: &[Setting] = &[
    RESOURCE,
    Setting::new("datapoint", Kind::TextList, "", "Conditions on a data point."),
    Setting::later("exclude", CONDITIONS_LATER),
    Setting::later("include", CONDITIONS_LATER),
    Setting::later("metric", "write the condition under `metrics.datapoint`"),
];

/// What `filter` is told: conditions, for each signal that has some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterSettings {
    /// On spans.
    pub traces: Vec<Condition>,
    /// On log records.
    pub logs: Vec<Condition>,
    /// On data points.
    pub metrics: Vec<Condition>,
}

impl FilterSettings {
    /// The conditions on records of one signal.
    pub fn of(&self, signal: Signal) -> &[Condition] {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
            Signal::Metrics => &self.metrics,
            Signal::Profiles => &[],
        }
    }
}

fn read(section: &Section<'_>, _: &[Signal]) -> Settings {
    section.choice("error_mode");
    let settings = FilterSettings {
        traces: conditions(section, "traces", "span"),
        logs: conditions(section, "logs", "log_record"),
        metrics: conditions(section, "metrics", "datapoint"),
    };
    for signal in COMPONENT.signals {
        if let Err(faults) = Filter::new(*signal, settings.of(*signal)) {
            section.tell(&faults);
        }
    }
    if COMPONENT.signals.iter().all(|signal| settings.of(*signal).is_empty()) {
        section.error("", "there is no condition", "such as `traces: {span: ['name == \"GET /healthz\"']}`");
    }
    Settings::Filter(settings)
}

fn conditions(section: &Section<'_>, signal: &str, record: &str) -> Vec<Condition> {
    let Some(inner) = section.table(signal) else { return Vec::new() };
    let list = |key: &str, context: Context| {
        let texts = inner.text_list(key).into_iter().enumerate();
        let condition = |(i, text)| Condition { path: format!("{signal}.{key}[{i}]"), text, context };
        texts.map(condition).collect::<Vec<_>>()
    };
    let mut all = list("resource", Context::Resource);
    all.extend(list(record, Context::Record));
    all
}
