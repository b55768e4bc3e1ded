//! What went where, in records, and whether the sums are right.

use std::{fmt, sync::Arc};

use operators::DropReason;
use otlp::Signal;

use crate::{
    histogram::Distribution,
    ledger::{DropCause, ExporterCounters, InletCounters, PARTIAL_SUCCESS, RefusedCode, StageCounters},
};

/// Counts by name, for those that are not zero.
pub type Named = Vec<(Arc<str>, u64)>;

/// Everything counted in a graph, in records.
///
/// While work is going on a reading may fall between two counters; at any quiescent point [`Stats::check`] holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Ways in.
    pub inlets: Vec<InletStats>,
    /// Stages.
    pub stages: Vec<StageStats>,
    /// Exporters.
    pub exporters: Vec<ExporterStats>,
    /// Shares dropped without an outcome in this process: a bug if not zero.
    pub unresolved: u64,
}

/// offered = admitted + refused.
#[derive(Clone, Debug, PartialEq)]
pub struct InletStats {
    /// The pipeline's name.
    pub name: Arc<str>,
    /// The records' kind.
    pub signal: Signal,
    /// Records that were offered.
    pub offered: u64,
    /// Records that were let in.
    pub admitted: u64,
    /// Records that were not, by code.
    pub refused: Named,
    /// Batches handed to the outlets, behind all stages and batchers.
    pub batches: u64,
    /// Records in them.
    pub left: u64,
}

/// entered + made = out + removed + dropped + held.
#[derive(Clone, Debug, PartialEq)]
pub struct StageStats {
    /// Its name.
    pub name: Arc<str>,
    /// The records' kind.
    pub signal: Signal,
    /// Records that came in.
    pub entered: u64,
    /// Records that were made here.
    pub made: u64,
    /// Records that were sent on.
    pub out: u64,
    /// Records that were taken out as configured, by rule.
    pub removed: Named,
    /// Records that were lost, by reason.
    pub dropped: Named,
    /// Records that are kept for now.
    pub held: u64,
    /// Panics that were contained.
    pub panics: u64,
}

/// enqueued = delivered + rejected + dropped + queued + in flight.
#[derive(Clone, Debug, PartialEq)]
pub struct ExporterStats {
    /// Its name.
    pub name: Arc<str>,
    /// The records' kind.
    pub signal: Signal,
    /// Records that were handed back because the queue was full; no part of the sum.
    pub refused: u64,
    /// Records that were taken into the queue, or lost at its door.
    pub enqueued: u64,
    /// Records that the far side took.
    pub delivered: u64,
    /// Records that the far side refused for good, by code: a gRPC code's name, an HTTP status, `partial_success`, or
    /// `unsendable` where they were not sent at all.
    pub rejected: Named,
    /// Of these, records of requests that were refused as a whole.
    pub refused_whole: u64,
    /// Records that were given up, by cause.
    pub dropped: Named,
    /// Of these, but for those of a shutdown, records whose senders waited and were told so: they have them, and nothing is lost.
    pub handed_back: u64,
    /// Records that wait.
    pub queued: u64,
    /// Records that are being sent.
    pub in_flight: u64,
    /// Records that were sent again although the far side may have taken them before.
    pub maybe_duplicate: u64,
}

/// What an exporter's sends have come to, whatever the signal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SenderStats {
    /// The exporter's name.
    pub name: Arc<str>,
    /// Sends that began.
    pub sends: u64,
    /// Of these, sends that failed, tried again or not.
    pub failures: u64,
    /// Of these, sends that took too long.
    pub timeouts: u64,
    /// Panics that were contained.
    pub panics: u64,
    /// From being offered to the final answer, for each request.
    pub latency: Distribution,
}

/// A sum that is not right: records went missing, or were counted twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where.
    pub component: String,
    /// The records' kind.
    pub signal: Signal,
    /// The identity in words.
    pub identity: &'static str,
    /// Its left side.
    pub left: u64,
    /// Its right side.
    pub right: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { component, signal, identity, left, right } = self;
        write!(f, "{component} ({signal}): {identity} does not hold: {left} ≠ {right}; please report it")
    }
}

impl std::error::Error for Violation {}

impl Stats {
    /// Whether every record is accounted for. Meaningful when nothing is moving.
    ///
    /// # Errors
    /// The first identity that does not hold: a bug of this program.
    pub fn check(&self) -> Result<(), Violation> {
        self.inlets.iter().try_for_each(InletStats::check)?;
        self.stages.iter().try_for_each(StageStats::check)?;
        self.exporters.iter().try_for_each(ExporterStats::check)
    }

    /// The row of an exporter.
    pub fn exporter(&self, name: &str, signal: Signal) -> Option<&ExporterStats> {
        self.exporters.iter().find(|row| &*row.name == name && row.signal == signal)
    }
}

fn verify(
    name: &str,
    signal: Signal,
    identity: &'static str,
    left: u64,
    right: u64,
) -> Result<(), Violation> {
    if left == right {
        return Ok(());
    }
    Err(Violation { component: name.to_owned(), signal, identity, left, right })
}

fn total(counts: &Named) -> u64 {
    counts.iter().map(|(_, n)| n).sum()
}

fn add(counts: &mut Named, name: &str, n: u64) {
    if n == 0 {
        return;
    }
    match counts.iter_mut().find(|(known, _)| &**known == name) {
        Some((_, count)) => *count += n,
        None => counts.push((name.into(), n)),
    }
}

/// The row of this name and signal, made if it is not there.
fn row<T>(rows: &mut Vec<T>, is_it: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    let at = rows.iter().position(is_it).unwrap_or_else(|| {
        rows.push(new());
        rows.len() - 1
    });
    &mut rows[at]
}

impl InletStats {
    /// See [`Stats::check`].
    ///
    /// # Errors
    /// If the identity does not hold.
    pub fn check(&self) -> Result<(), Violation> {
        let right = self.admitted + total(&self.refused);
        verify(&self.name, self.signal, "offered = admitted + refused", self.offered, right)
    }

    pub(crate) fn collect(counters: &InletCounters, rows: &mut Vec<Self>) {
        let (name, signal) = (counters.name.clone(), counters.signal);
        let row = row(
            rows,
            |row| row.name == counters.name && row.signal == signal,
            || Self { name, signal, offered: 0, admitted: 0, refused: Vec::new(), batches: 0, left: 0 },
        );
        row.offered += counters.offered.get();
        row.admitted += counters.admitted.get();
        row.batches += counters.batches.get();
        row.left += counters.left.get();
        for (code, counter) in RefusedCode::ALL.iter().zip(&counters.refused) {
            add(&mut row.refused, code.name(), counter.get());
        }
    }
}

impl StageStats {
    /// See [`Stats::check`].
    ///
    /// # Errors
    /// If the identity does not hold.
    pub fn check(&self) -> Result<(), Violation> {
        let right = self.out + total(&self.removed) + total(&self.dropped) + self.held;
        let identity = "entered + made = out + removed + dropped + held";
        verify(&self.name, self.signal, identity, self.entered + self.made, right)
    }

    pub(crate) fn collect(counters: &StageCounters, rows: &mut Vec<Self>) {
        let (name, signal) = (counters.name.clone(), counters.signal);
        let new = || Self {
            name,
            signal,
            entered: 0,
            made: 0,
            out: 0,
            removed: Vec::new(),
            dropped: Vec::new(),
            held: 0,
            panics: 0,
        };
        let row = row(rows, |row| row.name == counters.name && row.signal == signal, new);
        row.entered += counters.entered.get();
        row.made += counters.made.get();
        row.out += counters.out.get();
        row.held += counters.held.get();
        row.panics += counters.panics.get();
        for (rule, counter) in counters.rules.iter().zip(&counters.removed) {
            add(&mut row.removed, rule, counter.get());
        }
        for (reason, counter) in DropReason::ALL.iter().zip(&counters.dropped) {
            add(&mut row.dropped, reason.name(), counter.get());
        }
    }
}

impl SenderStats {
    pub(crate) fn collect(counters: &ExporterCounters, rows: &mut Vec<Self>) {
        let is_it = |row: &Self| row.name == counters.name;
        let row = row(rows, is_it, || Self { name: counters.name.clone(), ..Self::default() });
        row.sends += counters.sends.get();
        row.failures += counters.failures.get();
        row.timeouts += counters.timeouts.get();
        row.panics += counters.panics.get();
        row.latency.add(&counters.latency.snapshot());
    }
}

impl ExporterStats {
    /// The row of an exporter that was offered nothing yet.
    pub fn none(name: &str, signal: Signal) -> Self {
        Self {
            name: name.into(),
            signal,
            refused: 0,
            enqueued: 0,
            delivered: 0,
            rejected: Vec::new(),
            refused_whole: 0,
            dropped: Vec::new(),
            handed_back: 0,
            queued: 0,
            in_flight: 0,
            maybe_duplicate: 0,
        }
    }

    /// See [`Stats::check`].
    ///
    /// # Errors
    /// If the identity does not hold.
    pub fn check(&self) -> Result<(), Violation> {
        let settled = self.delivered + total(&self.rejected) + total(&self.dropped);
        let identity = "enqueued = delivered + rejected + dropped + queued + in flight";
        verify(&self.name, self.signal, identity, self.enqueued, settled + self.queued + self.in_flight)
    }

    /// Records that were given up, whatever the cause.
    pub fn dropped_total(&self) -> u64 {
        total(&self.dropped)
    }

    /// Of these, records that nobody has any more: those that were not handed back to a sender.
    pub fn lost(&self) -> u64 {
        // While work is going on one count may be ahead of the other.
        self.dropped_total().saturating_sub(self.handed_back)
    }

    /// Records that the far side refused, whatever the code.
    pub fn rejected_total(&self) -> u64 {
        total(&self.rejected)
    }

    pub(crate) fn collect(counters: &ExporterCounters, rows: &mut Vec<Self>) {
        for (signal, from) in Signal::ALL.iter().zip(&counters.rows) {
            if from.enqueued.get() == 0 && from.refused.get() == 0 {
                continue;
            }
            let new = || Self::none(&counters.name, *signal);
            let row = row(rows, |row| row.name == counters.name && row.signal == *signal, new);
            row.refused += from.refused.get();
            row.enqueued += from.enqueued.get();
            row.delivered += from.delivered.get();
            row.queued += from.queued.get();
            row.in_flight += from.in_flight.get();
            row.maybe_duplicate += from.maybe_duplicate.get();
            row.refused_whole += from.refused_whole.get();
            row.handed_back += from.handed_back.get();
            add(&mut row.rejected, PARTIAL_SUCCESS, from.partial_success.get());
            from.rejected.for_each(|code, records| add(&mut row.rejected, code, records));
            for (cause, counter) in DropCause::ALL.iter().zip(&from.dropped) {
                add(&mut row.dropped, cause.name(), counter.get());
            }
        }
    }
}
