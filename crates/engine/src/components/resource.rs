//! `resource`: attributes of resources changed.

use operators::edit::{EditSettings, Subject};
use otlp::Signal;

use super::{Class, Component, Settings, edits};
use crate::settings::{Kind, Section, Setting};

/// Processor `resource`.
pub const COMPONENT: Component = Component {
    name: "resource",
    aliases: &[],
    class: Class::Processor,
    signals: &[Signal::Traces, Signal::Logs, Signal::Metrics],
    text: "Changes the attributes of resources.",
    settings: ROWS,
    read,
};

const ROWS: &[Setting] =
    &[Setting::new("attributes", Kind::Tables(edits::ACTION), "", "The actions, in order. At least one is required.")];

fn read(section: &Section<'_>) -> Settings {
    let actions = section.tables("attributes").iter().map(edits::read_action).collect::<Vec<_>>();
    if actions.is_empty() {
        section.error("attributes", "there is no action", "such as `- {action: upsert, key: env, value: prod}`");
    }
    let settings = EditSettings { subject: Subject::Resource, actions, ..EditSettings::default() };
    edits::validate(section, &settings, COMPONENT.signals);
    Settings::Resource(settings)
}
