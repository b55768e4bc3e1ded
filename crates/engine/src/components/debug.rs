//! `debug`: telemetry as text.

use connect::debug::{DebugConfig, Target, Verbosity};
use otlp::Signal;

use super::{Class, Component, Settings};
use crate::settings::{Kind, Section, Setting};

/// Exporter `debug`.
pub const COMPONENT: Component = Component {
    name: "debug",
    aliases: &[],
    class: Class::Exporter,
    signals: &Signal::ALL,
    text: "Prints what it is given as text that a person reads. What a slow terminal has no room for is delivered unseen, and how much \
           that was is said.",
    settings: ROWS,
    read,
};

const ROWS: &[Setting] = &[
    Setting::new(
        "verbosity",
        Kind::Choice(&["basic", "normal", "detailed"]),
        "basic",
        "A line for each request, for each record too, or everything that they say.",
    ),
    Setting::new(
        "sampling_initial",
        Kind::Int(0, u32::MAX as i64),
        "2",
        "Requests of each signal that are shown in each second.",
    ),
    Setting::new(
        "sampling_thereafter",
        Kind::Int(0, u32::MAX as i64),
        "1",
        "Of those that follow in that second every so-manieth is shown; 0: none.",
    ),
    Setting::new(
        "use_internal_logger",
        Kind::Bool,
        "true",
        "Whether it prints to standard error, where this program's own messages go; otherwise to `output_paths`.",
    ),
    Setting::new(
        "output_paths",
        Kind::TextList,
        "",
        "`stdout`, `stderr` and files, with `use_internal_logger: false`; standard output where none is named.",
    ),
    Setting::later(
        "sending_queue",
        "what waits to be printed is bounded, and no sender waits for it; remove the key",
    ),
];

fn read(section: &Section<'_>, _: &[Signal]) -> Settings {
    let verbosity = match section.choice("verbosity") {
        "normal" => Verbosity::Normal,
        "detailed" => Verbosity::Detailed,
        _ => Verbosity::Basic,
    };
    let is_internal = section.bool("use_internal_logger");
    if is_internal && section.has("output_paths") {
        section.error(
            "output_paths",
            "it prints to standard error",
            "set `use_internal_logger: false`, or remove `output_paths`",
        );
    }
    let target = |path: String| match path.as_str() {
        "stdout" => Target::Stdout,
        "stderr" => Target::Stderr,
        _ => Target::File(path.into()),
    };
    let targets = match section.text_list("output_paths") {
        _ if is_internal => vec![Target::Stderr],
        paths if paths.is_empty() => vec![Target::Stdout],
        paths => paths.into_iter().map(target).collect(),
    };
    Settings::Debug(DebugConfig {
        verbosity,
        sampling_initial: section.int("sampling_initial") as u64,
        sampling_thereafter: section.int("sampling_thereafter") as u64,
        targets,
        ..DebugConfig::default()
    })
}
