//! `batch`: small requests joined into large ones.

use std::time::Duration;

use otlp::Signal;

use super::{Class, Component, Settings};
use crate::settings::{Kind, Section, Setting};

/// Processor `batch`.
pub const COMPONENT: Component = Component {
    name: "batch",
    aliases: &[],
    class: Class::Processor,
    signals: &[Signal::Traces, Signal::Logs, Signal::Metrics],
    text: "Joins small requests into large ones, and splits those that are too large.",
    settings: ROWS,
    read,
};

const ROWS: &[Setting] = &[
    Setting::new(
        "timeout",
        Kind::Duration,
        "200ms",
        "A batch waits at most this long for more records; 0 sends at once.",
    ),
    Setting::new(
        "send_batch_size",
        Kind::Int(0, u32::MAX as i64),
        "8192",
        "Records that make a batch complete.",
    ),
    Setting::new(
        "send_batch_max_size",
        Kind::Int(0, u32::MAX as i64),
        "0",
        "Records of the largest batch; larger ones are split. 0: no bound.",
    ),
    Setting::new(
        "metadata_keys",
        Kind::TextList,
        "",
        "Request headers by whose values batches are kept apart.",
    ),
    Setting::new(
        "metadata_cardinality_limit",
        Kind::Int(1, 1_000_000),
        "1000",
        "Combinations of header values that are kept apart at once; one more sends the oldest batch on.",
    ),
    Setting::new(
        "eager",
        Kind::Bool,
        "true",
        "A batch leaves before it is complete while the exporter has nothing to do (only in Aldis).",
    ),
];

/// What `batch` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchSettings {
    /// How long a batch waits for more.
    pub timeout: Duration,
    /// Records that make a batch complete.
    pub send_batch_size: usize,
    /// Records of the largest batch; 0: no bound.
    pub send_batch_max_size: usize,
    /// Headers by whose values batches are kept apart, lower case.
    pub metadata_keys: Vec<String>,
    /// How many combinations of their values at once.
    pub metadata_cardinality_limit: usize,
    /// Whether a batch leaves early while the exporter is idle.
    pub eager: bool,
}

fn read(section: &Section<'_>, _: &[Signal]) -> Settings {
    let mut metadata_keys = section.text_list("metadata_keys");
    metadata_keys.iter_mut().for_each(|key| *key = key.to_ascii_lowercase());
    metadata_keys.sort();
    if metadata_keys.windows(2).any(|pair| pair[0] == pair[1]) {
        section.error("metadata_keys", "a header stands here twice (case does not matter)", "remove one");
    }
    let settings = BatchSettings {
        timeout: section.duration("timeout"),
        send_batch_size: section.count("send_batch_size"),
        send_batch_max_size: section.count("send_batch_max_size"),
        metadata_keys,
        metadata_cardinality_limit: section.count("metadata_cardinality_limit"),
        eager: section.bool("eager"),
    };
    let (size, most) = (settings.send_batch_size, settings.send_batch_max_size);
    if most > 0 && most < size {
        let message = format!("`send_batch_max_size` ({most}) is smaller than `send_batch_size` ({size})");
        section.error("send_batch_max_size", message, "make it at least as large, or 0 for no bound");
    }
    Settings::Batch(settings)
}
