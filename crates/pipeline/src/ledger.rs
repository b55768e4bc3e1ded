//! The counters behind [`crate::Stats`], one set for each shard that counts.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use operators::DropReason;
use otlp::Signal;

use crate::{
    Histogram, Progress,
    batcher::{BatcherCounters, BatcherStats},
    item::Context,
    limits::MAX_REJECTED_CODES,
    stats::{ExporterStats, InletStats, SenderStats, StageStats, Stats},
    sync::atomic::AtomicI64,
};

/// All counters of one graph. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    books: Arc<Mutex<Books>>,
}

#[derive(Debug, Default)]
struct Books {
    inlets: Vec<Arc<InletCounters>>,
    stages: Vec<Arc<StageCounters>>,
    exporters: Vec<Arc<ExporterCounters>>,
    batchers: Vec<Arc<BatcherCounters>>,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Undoes an addition that is about to be made once more.
    pub(crate) fn take_back(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n as i64, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, n: u64) {
        self.0.fetch_sub(n as i64, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n as i64, Ordering::Relaxed);
    }

    /// Its value; a reading in the middle of a change may be behind by that change, never below zero.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed).max(0) as u64
    }
}

/// Why an item is not let in. The sender is told to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedCode {
    /// Memory is short.
    Memory,
    /// A stage cannot take it.
    Stage,
    /// The pipeline is shutting down.
    Closed,
}

impl RefusedCode {
    /// Every code.
    pub const ALL: [RefusedCode; 3] = [Self::Memory, Self::Stage, Self::Closed];

    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Stage => "stage",
            Self::Closed => "closed",
        }
    }
}

/// Records at the way in, of one signal.
#[derive(Debug)]
pub struct InletCounters {
    pub(crate) name: Arc<str>,
    pub(crate) signal: Signal,
    pub(crate) offered: Counter,
    pub(crate) admitted: Counter,
    pub(crate) refused: [Counter; RefusedCode::ALL.len()],
    /// Batches handed to the outlets.
    pub(crate) batches: Counter,
    /// Records in them.
    pub(crate) left: Counter,
}

/// Records at a stage, of one signal.
#[derive(Debug)]
pub struct StageCounters {
    pub(crate) name: Arc<str>,
    pub(crate) signal: Signal,
    pub(crate) rules: Vec<Arc<str>>,
    pub(crate) entered: Counter,
    pub(crate) made: Counter,
    pub(crate) out: Counter,
    pub(crate) removed: Vec<Counter>,
    pub(crate) dropped: [Counter; DropReason::ALL.len()],
    pub(crate) held: Gauge,
    pub(crate) panics: Counter,
}

/// Why an exporter's records are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropCause {
    /// They made room for newer ones.
    Oldest,
    /// The queue was full.
    Newest,
    /// Retrying is switched off.
    NoRetry,
    /// `max_elapsed_time` was over.
    Elapsed,
    /// Their sender had stopped waiting.
    Deadline,
    /// They had not left when the pipeline shut down.
    Shutdown,
}

impl DropCause {
    /// Every cause.
    pub const ALL: [DropCause; 6] =
        [Self::Oldest, Self::Newest, Self::NoRetry, Self::Elapsed, Self::Deadline, Self::Shutdown];

    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oldest => "queue_full_oldest",
            Self::Newest => "queue_full_newest",
            Self::NoRetry => "no_retry",
            Self::Elapsed => "max_elapsed_time",
            Self::Deadline => "deadline",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Records refused for good, by the far side's code. Only answers that say so come here, so a lock costs nothing that
/// counts.
#[derive(Debug, Default)]
pub(crate) struct RejectedByCode(Mutex<BTreeMap<String, u64>>);

/// The code of records that the far side refused in an answer that took others.
pub const PARTIAL_SUCCESS: &str = "partial_success";

/// Where codes are counted that are too many to be told apart.
const OTHER_CODES: &str = "other";

impl RejectedByCode {
    pub(crate) fn add(&self, code: &str, records: u64) {
        if records == 0 {
            return;
        }
        let mut by_code = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_told_apart = by_code.len() < MAX_REJECTED_CODES || by_code.contains_key(code);
        let name = if is_told_apart { code } else { OTHER_CODES };
        *by_code.entry(name.to_owned()).or_default() += records;
    }

    /// Every code and its count.
    pub(crate) fn for_each(&self, mut see: impl FnMut(&str, u64)) {
        let by_code = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        by_code.iter().for_each(|(code, records)| see(code, *records));
    }
}

/// One exporter's records by signal, and its sends.
#[derive(Debug)]
pub struct ExporterCounters {
    pub(crate) name: Arc<str>,
    pub(crate) rows: [ExporterRow; Signal::ALL.len()],
    pub(crate) sends: Counter,
    pub(crate) failures: Counter,
    pub(crate) panics: Counter,
    pub(crate) timeouts: Counter,
    /// From being offered to the final answer.
    pub(crate) latency: Histogram,
}

/// One exporter's records of one signal.
#[derive(Debug, Default)]
pub(crate) struct ExporterRow {
    pub(crate) refused: Counter,
    pub(crate) enqueued: Counter,
    pub(crate) delivered: Counter,
    /// Records that an answer left out although it took others.
    pub(crate) partial_success: Counter,
    /// Records of requests that were refused whole.
    pub(crate) rejected: RejectedByCode,
    /// Of these and of `partial_success`, records of requests of which nothing was taken.
    pub(crate) refused_whole: Counter,
    pub(crate) dropped: [Counter; DropCause::ALL.len()],
    /// Of these, but for those of a shutdown, records whose senders were told so.
    pub(crate) handed_back: Counter,
    pub(crate) queued: Gauge,
    pub(crate) in_flight: Gauge,
    pub(crate) maybe_duplicate: Counter,
}

impl ExporterRow {
    /// Counts records of an item that are given up.
    pub(crate) fn drop_records(&self, cause: DropCause, records: u64, context: &Context) {
        self.dropped[cause as usize].add(records);
        if cause != DropCause::Shutdown {
            self.handed_back.add(context.handed_back(records));
        }
    }

    /// Counts what the attempts at an item of so many records have settled; returns how many that leaves.
    pub(crate) fn settle(&self, records: u64, progress: Option<&Progress>) -> u64 {
        let Some(progress) = progress else { return records };
        self.delivered.add(progress.delivered());
        progress.rejections().for_each(|(code, records)| self.rejected.add(code, records));
        records.saturating_sub(progress.records())
    }
}

impl ExporterCounters {
    pub(crate) fn row(&self, signal: Signal) -> &ExporterRow {
        &self.rows[signal_number(signal)]
    }
}

pub(crate) fn signal_number(signal: Signal) -> usize {
    match signal {
        Signal::Traces => 0,
        Signal::Logs => 1,
        Signal::Metrics => 2,
        Signal::Profiles => 3,
    }
}

impl Ledger {
    /// No counters yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counters for the way into a pipeline. Sets of the same name and signal are reported as their sum; a set that nobody
    /// counts in any more is given out again, so that a graph that changes for ever does not fill the books.
    pub fn inlet(&self, name: &str, signal: Signal) -> Arc<InletCounters> {
        let is_it = |counters: &InletCounters| &*counters.name == name && counters.signal == signal;
        reuse(&mut self.books().inlets, is_it, || InletCounters {
            name: name.into(),
            signal,
            offered: Counter::default(),
            admitted: Counter::default(),
            refused: Default::default(),
            batches: Counter::default(),
            left: Counter::default(),
        })
    }

    /// Counters for a stage with these rules; as for [`Ledger::inlet`].
    pub fn stage(&self, name: &str, signal: Signal, rules: &[Arc<str>]) -> Arc<StageCounters> {
        let is_it = |counters: &StageCounters| {
            let same = &*counters.name == name && counters.signal == signal && counters.rules == rules;
            same && counters.held.get() == 0
        };
        reuse(&mut self.books().stages, is_it, || StageCounters {
            name: name.into(),
            signal,
            rules: rules.to_vec(),
            entered: Counter::default(),
            made: Counter::default(),
            out: Counter::default(),
            removed: rules.iter().map(|_| Counter::default()).collect(),
            dropped: Default::default(),
            held: Gauge::default(),
            panics: Counter::default(),
        })
    }

    /// Counters for an exporter; as for [`Ledger::inlet`].
    pub fn exporter(&self, name: &str) -> Arc<ExporterCounters> {
        let is_it = |counters: &ExporterCounters| &*counters.name == name;
        reuse(&mut self.books().exporters, is_it, || ExporterCounters {
            name: name.into(),
            rows: Default::default(),
            sends: Counter::default(),
            failures: Counter::default(),
            panics: Counter::default(),
            timeouts: Counter::default(),
            latency: Histogram::default(),
        })
    }

    /// Counters for a batcher; as for [`Ledger::inlet`].
    pub fn batcher(&self, name: &str, signal: Signal) -> Arc<BatcherCounters> {
        let is_it = |counters: &BatcherCounters| &*counters.name == name && counters.signal == signal;
        reuse(&mut self.books().batchers, is_it, || BatcherCounters::new(name, signal))
    }

    /// What batchers have let go of, rows of the same name and signal added up.
    pub fn batchers(&self) -> Vec<BatcherStats> {
        let mut rows = Vec::new();
        self.books().batchers.iter().for_each(|counters| BatcherStats::collect(counters, &mut rows));
        rows
    }

    /// What exporters' sends have come to, rows of the same name added up.
    pub fn senders(&self) -> Vec<SenderStats> {
        let mut rows = Vec::new();
        self.books().exporters.iter().for_each(|counters| SenderStats::collect(counters, &mut rows));
        rows
    }

    /// What they say now, rows of the same name and signal added up.
    pub fn stats(&self) -> Stats {
        let books = self.books();
        let mut stats = Stats { unresolved: crate::receipt::dropped_unresolved(), ..Stats::default() };
        books.inlets.iter().for_each(|counters| InletStats::collect(counters, &mut stats.inlets));
        books.stages.iter().for_each(|counters| StageStats::collect(counters, &mut stats.stages));
        books.exporters.iter().for_each(|counters| ExporterStats::collect(counters, &mut stats.exporters));
        stats
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A set of counters that is in the books and nowhere else, or one that is made and put there.
fn reuse<T>(books: &mut Vec<Arc<T>>, is_it: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> Arc<T> {
    // Only whoever has the books can give out more of one that has no other holder.
    if let Some(counters) = books.iter().find(|counters| Arc::strong_count(counters) == 1 && is_it(counters))
    {
        return counters.clone();
    }
    let counters = Arc::new(make());
    books.push(counters.clone());
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_nobody_uses_are_given_out_again_and_count_on() {
        let ledger = Ledger::new();
        for _ in 0..3 {
            let (one, two) = (ledger.inlet("traces", Signal::Traces), ledger.inlet("traces", Signal::Traces));
            assert!(!Arc::ptr_eq(&one, &two), "shards count in sets of their own");
            one.offered.add(2);
            two.offered.add(3);
            let stage = ledger.stage("filter", Signal::Traces, &["one".into()]);
            stage.entered.add(1);
            ledger.stage("filter", Signal::Traces, &[]).entered.add(1);
            ledger.exporter("otlp").sends.add(1);
            ledger.batcher("batch", Signal::Traces).records.add(1);
        }
        let books = ledger.books();
        assert_eq!((books.inlets.len(), books.stages.len(), books.exporters.len()), (2, 2, 1));
        assert_eq!(books.batchers.len(), 1);
        drop(books);
        assert_eq!(ledger.batchers()[0].records, 3);
        assert_eq!(ledger.stats().inlets[0].offered, 15);
        let stage = ledger.stage("filter", Signal::Traces, &[]);
        stage.held.set(7);
        drop(stage);
        ledger.stage("filter", Signal::Traces, &[]).held.set(0);
        assert_eq!(ledger.books().stages.len(), 3, "what is held is not forgotten");
    }
}
