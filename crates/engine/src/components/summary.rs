//! `summary`: an exporter that keeps what a person asks first.

use otlp::Signal;

use super::{Class, Component, Settings};

/// Exporter `summary`.
pub const COMPONENT: Component = Component {
    name: "summary",
    aliases: &[],
    class: Class::Exporter,
    signals: &Signal::ALL,
    text: "Keeps a summary of what it is given, which `aldis serve` shows: rates, services, slow operations, errors, a trace as a \
           tree. It takes everything, holds nothing up, and counts what it had no time to look at.",
    settings: &[],
    read: |_, _| Settings::Summary,
};
