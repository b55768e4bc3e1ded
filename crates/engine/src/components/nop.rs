//! `nop`: a receiver that receives nothing and an exporter that delivers everything to nowhere.

use otlp::Signal;

use super::{Class, Component, Settings};

/// Receiver `nop`.
pub const RECEIVER: Component = Component {
    name: "nop",
    aliases: &[],
    class: Class::Receiver,
    signals: &Signal::ALL,
    text: "Receives nothing: a pipeline that is not used yet.",
    settings: &[],
    read: |_, _| Settings::Nop,
};

/// Exporter `nop`.
pub const EXPORTER: Component = Component {
    name: "nop",
    aliases: &[],
    class: Class::Exporter,
    signals: &Signal::ALL,
    text: "Takes everything, counts it as delivered, and forgets it.",
    settings: &[],
    read: |_, _| Settings::Nop,
};
