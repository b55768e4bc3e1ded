//! `resource`: attributes of resources changed.

use operators::edit::ResourceSettings;

use otlp::Signal;

use super::{
    Class, Component, Settings,
    edits::{self, EditSettings},
};
use crate::settings::{Kind, Section, Setting};

/// Processor `resource`.
pub const COMPONENT: Component = Component {
    name: "resource",
    aliases: &[],
    class: Class::Processor,
    signals: edits::SIGNALS,
    text: "Changes the attributes of resources.",
    settings: ROWS,
    read,
};

const ROWS: &[Setting] = &[Setting::new(
    "attributes",
    Kind::Tables(edits::ACTION),
    "",
    "The actions, in order. At least one is required.",
)];

fn read(section: &Section<'_>, signals: &[Signal]) -> Settings {
    let attributes = section.tables("attributes").iter().map(edits::read_action).collect();
    let settings = EditSettings::Resource(ResourceSettings { attributes });
    edits::validate(section, &settings, signals);
    Settings::Edit(settings)
}
