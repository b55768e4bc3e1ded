//! What batchers let go of, and why.

use std::sync::Arc;

use otlp::Signal;

use crate::ledger::{Counter, Gauge};

/// Upper bounds of the sizes of batches that are told apart, in records. Those of the Collector's `batch` processor.
pub const SIZE_BOUNDS: [u64; 22] = [
    10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000,
    10_000, 20_000, 30_000, 50_000, 100_000,
];

/// Sizes that are told apart: one more than there are bounds.
pub const SIZES: usize = SIZE_BOUNDS.len() + 1;

/// Why a batch leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// It is large enough, or cannot become larger.
    Size,
    /// It waited long enough.
    Timeout,
    /// An exporter had nothing to do.
    Idle,
    /// The pipeline is shutting down.
    Flush,
}

impl Trigger {
    /// Every one.
    pub const ALL: [Trigger; 4] = [Self::Size, Self::Timeout, Self::Idle, Self::Flush];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Timeout => "timeout",
            Self::Idle => "idle",
            Self::Flush => "flush",
        }
    }
}

/// The counters of one batcher.
#[derive(Debug)]
pub struct BatcherCounters {
    pub(crate) name: Arc<str>,
    pub(crate) signal: Signal,
    pub(crate) batches: [Counter; Trigger::ALL.len()],
    pub(crate) records: Counter,
    pub(crate) sizes: [Counter; SIZES],
    pub(crate) groups: Gauge,
}

impl BatcherCounters {
    pub(crate) fn new(name: &str, signal: Signal) -> Self {
        Self {
            name: name.into(),
            signal,
            batches: Default::default(),
            records: Counter::default(),
            sizes: std::array::from_fn(|_| Counter::default()),
            groups: Gauge::default(),
        }
    }

    pub(super) fn count(&self, trigger: Trigger, records: u64) {
        self.batches[trigger as usize].add(1);
        self.records.add(records);
        self.sizes[SIZE_BOUNDS.partition_point(|bound| *bound < records)].add(1);
    }
}

/// What all batchers of a name and signal have done.
#[derive(Clone, Debug, PartialEq)]
pub struct BatcherStats {
    /// Its name.
    pub name: Arc<str>,
    /// The records' kind.
    pub signal: Signal,
    /// Batches that left, in the order of [`Trigger::ALL`].
    pub batches: [u64; Trigger::ALL.len()],
    /// Records in them.
    pub records: u64,
    /// Batches by size: up to each of [`SIZE_BOUNDS`], and above.
    pub sizes: [u64; SIZES],
    /// Groups (tenants, sets of headers) that are kept apart now.
    pub groups: u64,
}

impl BatcherStats {
    pub(crate) fn collect(counters: &BatcherCounters, rows: &mut Vec<Self>) {
        let is_it = |row: &Self| row.name == counters.name && row.signal == counters.signal;
        let at = rows.iter().position(is_it).unwrap_or_else(|| {
            let (name, signal) = (counters.name.clone(), counters.signal);
            rows.push(Self { name, signal, batches: [0; 4], records: 0, sizes: [0; SIZES], groups: 0 });
            rows.len() - 1
        });
        let row = &mut rows[at];
        row.batches.iter_mut().zip(&counters.batches).for_each(|(sum, one)| *sum += one.get());
        row.sizes.iter_mut().zip(&counters.sizes).for_each(|(sum, one)| *sum += one.get());
        row.records += counters.records.get();
        row.groups += counters.groups.get();
    }
}
