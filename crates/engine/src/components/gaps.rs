//! `gaps`: what got lost between collectors and the engine.

use operators::gaps::GapSettings;
use otlp::Signal;

use super::{Class, Component, Settings};
use crate::settings::{Kind, Section, Setting};

/// Processor `gaps`.
pub const COMPONENT: Component = Component {
    name: "gaps",
    aliases: &[],
    class: Class::Processor,
    signals: &[Signal::Logs, Signal::Metrics],
    text: "Counts what is missing in the numbers that events and metrics of collectors (`aldis::collect`) carry, by host, process \
           and thread, and passes everything on as it is. Own metrics say it: `aldis_gaps_missing`, and \
           `aldis_gaps_before_first` of what was recorded before the first that came (only in Aldis).",
    settings: ROWS,
    read,
};

const ROWS: &[Setting] = &[Setting::new(
    "max_senders",
    Kind::Int(16, 65_536),
    "4096",
    "Threads of collectors that are told apart, 800 bytes each; those that were silent longest are forgotten, and only their sums \
     are kept.",
)];

fn read(section: &Section<'_>, _: &[Signal]) -> Settings {
    Settings::Gaps(GapSettings { max_senders: section.int("max_senders") as usize })
}
