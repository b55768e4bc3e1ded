//! What is measured side by side. All are told the same: a source, a message, a text, an integer and a floating-point number.

mod aldis;
mod fastrace;
mod opentelemetry;
mod tracing;

use super::{
    gate::Gate,
    one::{Order, Sample, run},
};

/// One way to record events.
pub(super) trait Subject {
    /// Records the event of this number.
    fn record(&mut self, number: usize);

    /// Has everything stored that it holds; says how many records came that far.
    fn finish(self) -> Result<u64, String>;
}

/// What is measured, by the name it has in tables.
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// Runs it once.
    pub(super) run: fn(&Order) -> Result<Sample, String>,
    /// Records of a run, in parts of those of the first entry: what costs more is run less often.
    pub(super) share: f64,
    /// Whether something behind it can stall: it holds more than a number for each series.
    pub(super) stores: bool,
}

/// The entry that all others stand beside: twice, so that it is seen what a difference is.
pub(super) const OURS: &str = "aldis collect_event, 3 attributes; waits";
const AGAIN: &str = "… the same again";

/// Everything, in the order of the table.
pub(super) const ENTRIES: &[Entry] = &[
    entry(OURS, |order| run(order, aldis::events(order, aldis::WAITS))),
    entry(AGAIN, |order| run(order, aldis::events(order, aldis::WAITS))),
    entry("aldis collect_event; drops the oldest", |order| run(order, aldis::events(order, aldis::DROPS))),
    entry("aldis collect_metric, 1 tag; waits", |order| run(order, aldis::metrics(order))),
    less("fastrace span, 3 properties", 0.2, |order| run(order, fastrace::spans(order, true))),
    less("fastrace span, no property", 0.2, |order| run(order, fastrace::spans(order, false))),
    less("OpenTelemetry log, BatchLogProcessor", 0.2, |order| run(order, opentelemetry::logs(order, None))),
    less("… with a queue of 131072", 0.2, |order| run(order, opentelemetry::logs(order, Some(128 << 10)))),
    less("OpenTelemetry span, BatchSpanProcessor", 0.2, |order| run(order, opentelemetry::spans(order))),
    less("tracing event, fmt().json()", 0.1, |order| run(order, tracing::json(order))),
    less("tracing event, aldis TracingLayer; waits", 0.2, |order| run(order, tracing::layer(order))),
    handle("aldis Counter", |order| run(order, aldis::counter(order))),
    handle("OpenTelemetry Counter, bound to 3 attributes", |order| run(order, opentelemetry::bound(order))),
    handle("OpenTelemetry Counter::add, 3 attributes", |order| run(order, opentelemetry::counter(order))),
];

const fn entry(name: &'static str, run: fn(&Order) -> Result<Sample, String>) -> Entry {
    Entry { name, run, share: 1.0, stores: true }
}

const fn less(name: &'static str, share: f64, run: fn(&Order) -> Result<Sample, String>) -> Entry {
    Entry { share, ..entry(name, run) }
}

const fn handle(name: &'static str, run: fn(&Order) -> Result<Sample, String>) -> Entry {
    Entry { stores: false, ..entry(name, run) }
}

/// The attribute that differs from event to event.
fn items(number: usize) -> i64 {
    number as i64
}

/// The attribute that is no integer.
fn total(number: usize) -> f64 {
    number as f64 * 0.25
}
