//! A summary at a time.

use std::sync::Arc;

use otlp::Signal;

use super::Tree;

/// What a [`super::Summary`] knows at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// When, Unix nanoseconds.
    pub at_ns: u64,
    /// When the first batch came, Unix nanoseconds; now where none has.
    pub began_ns: u64,
    /// Every signal, in the order of [`Signal::ALL`].
    pub signals: Vec<SignalRow>,
    /// Services by name. What has no name is the empty one.
    pub services: Vec<ServiceRow>,
    /// Operations, the slowest (99th percentile of lately) first, then by service, name and kind.
    pub operations: Vec<OperationRow>,
    /// Errors, the latest first.
    pub errors: Vec<ErrorRow>,
    /// A trace that failed or was slow.
    pub trace: Option<Arc<Tree>>,
    /// What is not told apart.
    pub unseen: Unseen,
}

impl Snapshot {
    /// The row of a signal; an empty one in a snapshot that no summary made.
    pub fn signal(&self, signal: Signal) -> SignalRow {
        let row = self.signals.iter().find(|row| row.signal == signal).cloned();
        row.unwrap_or(SignalRow {
            signal,
            requests: 0,
            records: 0,
            bytes: 0,
            per_second: 0.0,
            history: Vec::new(),
        })
    }
}

/// How much of a signal came.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalRow {
    /// Which.
    pub signal: Signal,
    /// Batches.
    pub requests: u64,
    /// Spans, log records or data points.
    pub records: u64,
    /// Bytes of the batches, not compressed.
    pub bytes: u64,
    /// Records in a second, the mean of the last few.
    pub per_second: f64,
    /// Records in each of the last seconds, the latest last.
    pub history: Vec<u64>,
}

/// What came of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceRow {
    /// `service.name`.
    pub name: Arc<str>,
    /// Spans.
    pub spans: u64,
    /// Spans with an error as their status.
    pub errors: u64,
    /// Log records.
    pub logs: u64,
    /// Data points.
    pub points: u64,
    /// Spans in a second, the mean of the last few.
    pub per_second: f64,
    /// Spans in each of the last seconds, the latest last.
    pub history: Vec<u64>,
    /// What it was asked lately: its spans of kind server and consumer.
    pub asked: RecentRow,
}

/// What came of an operation: spans of one service, name and kind.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationRow {
    /// The service.
    pub service: Arc<str>,
    /// The name of the spans.
    pub name: Arc<str>,
    /// `SpanKind` as OTLP numbers it.
    pub kind: i32,
    /// Spans.
    pub spans: u64,
    /// Spans with an error as their status.
    pub errors: u64,
    /// Lately.
    pub recent: RecentRow,
}

/// Spans of the last 15 to 30 seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RecentRow {
    /// How many.
    pub spans: u64,
    /// How many with an error as their status.
    pub errors: u64,
    /// How many in a second.
    pub per_second: f64,
    /// Nanoseconds that half of them took at most, to one part in 16.
    pub p50_ns: u64,
    /// Nanoseconds that 90 % of them took at most, to one part in 16.
    pub p90_ns: u64,
    /// Nanoseconds that 99 % of them took at most, to one part in 16.
    pub p99_ns: u64,
    /// Nanoseconds that the longest took.
    pub longest_ns: u64,
}

impl RecentRow {
    /// The part that failed, 0 to 1.
    pub fn error_share(&self) -> f64 {
        if self.spans == 0 { 0.0 } else { self.errors as f64 / self.spans as f64 }
    }
}

/// Where an error was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorSource {
    /// By the status of a span.
    Span,
    /// By the severity of a log record.
    Log,
}

/// An error, however often it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorRow {
    /// The service.
    pub service: Arc<str>,
    /// Where it was told.
    pub source: ErrorSource,
    /// The span's name, or the log record's severity.
    pub operation: Arc<str>,
    /// What it says of itself.
    pub text: Arc<str>,
    /// How often it came since it was first remembered.
    pub count: u64,
    /// When it came last, Unix nanoseconds.
    pub last_ns: u64,
}

/// What a summary does not tell apart, because it keeps to its bounds or cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// Records of services beyond the bound, counted under one name.
    pub services: u64,
    /// Spans of operations beyond the bound, counted under one name.
    pub operations: u64,
    /// Spans of traces that were not gathered.
    pub spans: u64,
    /// Records that were counted but not read.
    pub unread: u64,
}
