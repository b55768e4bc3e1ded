//! `sending_queue` and `retry_on_failure`: what every exporter to a network has.

use std::time::Duration;

use pipeline::RetrySettings;

use crate::settings::{Kind, Section, Setting};

/// The rows of `sending_queue`.
pub const QUEUE: Setting = Setting::new(
    "sending_queue",
    Kind::Table(QUEUE_ROWS),
    "",
    "Where batches wait for the far side. Who sent them has an answer once they are in it.",
);

/// The rows of `retry_on_failure`.
pub const RETRY: Setting =
    Setting::new("retry_on_failure", Kind::Table(RETRY_ROWS), "", "How a send that failed is repeated.");

/// The same where the first pause is short.
pub const HASTY_RETRY: Setting = Setting::new(
    "retry_on_failure",
    Kind::Table(HASTY_RETRY_ROWS),
    "",
    "How a send that failed is repeated.",
);

const SIZES: i64 = u32::MAX as i64;

const QUEUE_ROWS: &[Setting] = &[
    Setting::new(
        "enabled",
        Kind::Bool,
        "true",
        "Without a queue, whoever sends waits for the far side's answer.",
    ),
    Setting::new("num_consumers", Kind::Int(1, 1024), "10", "Sends in flight at once, over all shards."),
    Setting::new(
        "queue_size",
        Kind::Int(1, i64::MAX),
        "1000",
        "What fits into the queue, counted by `sizer`.",
    ),
    Setting::new(
        "sizer",
        Kind::Choice(&["requests", "items", "bytes"]),
        "requests",
        "What `queue_size` counts.",
    ),
    Setting::new(
        "block_on_overflow",
        Kind::Bool,
        "false",
        "Whether a full queue lets senders wait instead of refusing them.",
    ),
    Setting::new("wait_for_result", Kind::Bool, "false", "Whether senders wait for the far side's answer."),
    Setting::new(
        "batch",
        Kind::Table(QUEUE_BATCH_ROWS),
        "",
        "Joins what waits in the queue into large requests.",
    ),
    Setting::later("storage", "queues are kept in memory until the durable queue is there; remove the key"),
    Setting::later("blocking", "it was renamed; write `block_on_overflow`"),
];

const QUEUE_BATCH_ROWS: &[Setting] = &[
    Setting::new("flush_timeout", Kind::Duration, "200ms", "A batch waits at most this long for more."),
    Setting::new("min_size", Kind::Int(0, SIZES), "8192", "What makes a batch complete, counted by `sizer`."),
    Setting::new("max_size", Kind::Int(0, SIZES), "0", "The largest batch, counted by `sizer`. 0: no bound."),
    Setting::new("sizer", Kind::Choice(&["items", "bytes"]), "items", "What the sizes count."),
    Setting::later("partition", "batches are kept apart by tenant and headers already; remove the key"),
];

const HASTY_RETRY_ROWS: &[Setting] = &[
    RETRY_ROWS[0],
    Setting { default: "50ms", ..RETRY_ROWS[1] },
    RETRY_ROWS[2],
    RETRY_ROWS[3],
    RETRY_ROWS[4],
    RETRY_ROWS[5],
];

const RETRY_ROWS: &[Setting] = &[
    Setting::new("enabled", Kind::Bool, "true", "Whether to try again at all."),
    Setting::new("initial_interval", Kind::Duration, "5s", "The first pause."),
    Setting::new(
        "randomization_factor",
        Kind::Float(0.0, 1.0),
        "0.5",
        "Each pause is drawn from 1 ± this of it.",
    ),
    Setting::new(
        "multiplier",
        Kind::Float(0.0, 1000.0),
        "1.5",
        "Each pause is so many times the one before; below 1 counts as 1.",
    ),
    Setting::new("max_interval", Kind::Duration, "30s", "The longest pause, before it is randomised."),
    Setting::new("max_elapsed_time", Kind::Duration, "300s", "When to give up. 0: never."),
];

/// How batches are handed to the far side.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliverySettings {
    /// `sending_queue`; `None` where it is disabled.
    pub queue: Option<QueueSettings>,
    /// `retry_on_failure`.
    pub retry: RetrySettings,
    /// `timeout` of one attempt; zero for none.
    pub timeout: Duration,
}

/// `sending_queue`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// Sends in flight at once.
    pub num_consumers: usize,
    /// What fits into it, counted by `sizer`.
    pub queue_size: usize,
    /// What `queue_size` counts.
    pub sizer: Sizer,
    /// Whether a full queue lets senders wait.
    pub block_on_overflow: bool,
    /// Whether senders wait for the far side's answer.
    pub wait_for_result: bool,
    /// `batch`, where it is there.
    pub batch: Option<QueueBatchSettings>,
}

/// `sending_queue.batch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueBatchSettings {
    /// How long a batch waits for more.
    pub flush_timeout: Duration,
    /// What makes it complete.
    pub min_size: usize,
    /// The largest; 0: no bound.
    pub max_size: usize,
    /// What the sizes count.
    pub sizer: Sizer,
}

/// What a size counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizer {
    /// Batches.
    Requests,
    /// Records.
    Items,
    /// Bytes.
    Bytes,
}

impl Sizer {
    fn named(word: &str) -> Self {
        match word {
            "items" => Sizer::Items,
            "bytes" => Sizer::Bytes,
            _ => Sizer::Requests,
        }
    }
}

/// Reads `sending_queue`, `retry_on_failure` and `timeout` of an exporter.
pub fn read(section: &Section<'_>) -> DeliverySettings {
    let timeout = section.duration("timeout");
    let queue = section.table_or_empty(QUEUE.key);
    let settings = QueueSettings {
        num_consumers: queue.count("num_consumers"),
        queue_size: queue.count("queue_size"),
        sizer: Sizer::named(queue.choice("sizer")),
        block_on_overflow: queue.bool("block_on_overflow"),
        wait_for_result: queue.bool("wait_for_result"),
        batch: queue.table("batch").map(|batch| read_batch(&batch)),
    };
    let enabled = queue.bool("enabled");
    if !enabled && settings.batch.is_some() {
        queue.error(
            "batch",
            "a queue that is not enabled cannot join batches",
            "remove `batch`, or enable the queue",
        );
    }
    DeliverySettings {
        queue: enabled.then_some(settings),
        retry: read_retry(&section.table_or_empty(RETRY.key)),
        timeout,
    }
}

fn read_batch(section: &Section<'_>) -> QueueBatchSettings {
    let settings = QueueBatchSettings {
        flush_timeout: section.duration("flush_timeout"),
        min_size: section.count("min_size"),
        max_size: section.count("max_size"),
        sizer: Sizer::named(section.choice("sizer")),
    };
    if settings.max_size > 0 && settings.max_size < settings.min_size {
        let message =
            format!("`max_size` ({}) is smaller than `min_size` ({})", settings.max_size, settings.min_size);
        section.error("max_size", message, "make it at least as large, or 0 for no bound");
    }
    if settings.flush_timeout.is_zero() {
        section.error("flush_timeout", "`flush_timeout` must be longer than zero", "such as `200ms`");
    }
    settings
}

/// Reads `retry_on_failure`.
pub fn read_retry(section: &Section<'_>) -> RetrySettings {
    let settings = RetrySettings {
        enabled: section.bool("enabled"),
        initial_interval: section.duration("initial_interval"),
        randomization_factor: section.float("randomization_factor"),
        multiplier: section.float("multiplier"),
        max_interval: section.duration("max_interval"),
        max_elapsed_time: section.duration("max_elapsed_time"),
    };
    let elapsed = settings.max_elapsed_time;
    if settings.enabled && !elapsed.is_zero() && elapsed < settings.initial_interval {
        let message = "`max_elapsed_time` is over before the first pause (`initial_interval`) is";
        section.error("max_elapsed_time", message, "make it longer, or 0 for no bound");
    }
    settings
}
