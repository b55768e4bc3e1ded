//! The contract between an operator and whoever calls it.

use std::sync::Arc;

use otlp::{Batch, Depth};

/// Something that is done to batches, as a pure state machine: time comes in as an argument, effects go out through an
/// [`Output`].
///
/// The caller owes three things. It gives [`Operator::step`] only batches indexed to at least [`Operator::needs`] (and
/// hence never framing-checked ones, unless that is [`Depth::Counts`]). It calls [`Operator::tick`] when the deadline
/// returned last has come, and [`Operator::shed`] when memory is short and at the end. And it counts: over any interval,
/// `in + made = out + removed{rule} + dropped{reason} + change of held`, in records.
///
/// An operator never panics on data. A caller that contains panics all the same must count the batch it gave as dropped
/// ([`DropReason::Panicked`]) and go on with a freshly built operator.
pub trait Operator: Send {
    /// How deep batches must be indexed before they are given to [`Operator::step`].
    fn needs(&self) -> Depth;

    /// Does its work on one batch. What becomes of its records is put into `out`, or is [`Operator::held`] afterwards.
    fn step(&mut self, batch: Batch, context: &StepContext<'_>, out: &mut Output);

    /// Does what time alone makes due, and says when to be called next (Unix nanoseconds); `None` means only after
    /// another step.
    fn tick(&mut self, _now_ns: u64, _out: &mut Output) -> Option<u64> {
        None
    }

    /// What it keeps between calls. An operator that ever holds records takes them over from whoever sent them: their
    /// sender has its answer before they leave.
    fn held(&self) -> Held {
        Held::default()
    }

    /// Frees at least `bytes` of what it holds, or all where that is less, by deciding now what it would rather have decided
    /// later: into `out` goes whatever follows from that. [`usize::MAX`] means everything, and that there will be no
    /// other step. One that holds nothing has nothing to do.
    fn shed(&mut self, _bytes: usize, _now_ns: u64, _out: &mut Output) {}

    /// The names of its rules, so that they can be counted by number: [`Output::removed`] names a rule by its position
    /// here. They never change during its life.
    fn rules(&self) -> &[Arc<str>] {
        &[]
    }
}

/// What an operator may know about a batch besides its records.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepContext<'a> {
    /// The time, Unix nanoseconds.
    pub now_ns: u64,
    /// Request headers kept by the receiver, sorted by name, lower case. A header sent more than once has one entry per
    /// value.
    pub headers: &'a [(String, String)],
    /// Who sent the batch, where receivers tell senders apart.
    pub tenant: Option<&'a str>,
}

/// What an operator keeps between calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Records that have come in and have gone nowhere yet.
    pub records: u64,
    /// Bytes of memory that it keeps, by capacity.
    pub bytes: usize,
}

/// Why records are lost without a rule that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DropReason {
    /// The result would not fit into one request ([`otlp::limits::MAX_REQUEST_BYTES`]).
    TooLarge,
    /// Only the framing of the request was checked, and the operator must read it. A caller that keeps its promises never
    /// sees this.
    NotChecked,
    /// The operator panicked. Counted by the caller that contained it, never by an operator.
    Panicked,
}

impl DropReason {
    /// Every reason, in order.
    pub const ALL: [DropReason; 3] = [Self::TooLarge, Self::NotChecked, Self::Panicked];

    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            DropReason::TooLarge => "too_large",
            DropReason::NotChecked => "not_checked",
            DropReason::Panicked => "panicked",
        }
    }
}

/// The ports of an operator. The caller keeps one and empties it after each call, so that a step allocates nothing for
/// it.
///
/// ```
/// use aldis_operators::Output;
///
/// let mut out = Output::default();
/// out.removed(0, 3);
/// out.removed(0, 2);
/// assert_eq!(out.removals(), &[(0, 5)]);
/// out.clear();
/// assert!(out.removals().is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Output {
    main: Vec<Batch>,
    removed: Vec<(usize, u64)>,
    dropped: Vec<(DropReason, u64)>,
    made: u64,
}

impl Output {
    /// Sends a batch on. A batch without records ends here; nothing is lost by that.
    pub fn emit(&mut self, batch: Batch) {
        if !batch.is_empty() {
            self.main.push(batch);
        }
    }

    /// Counts `n` records that a rule took out, as configured: a success for whoever sent them. `rule` is a position in
    /// [`Operator::rules`].
    pub fn removed(&mut self, rule: usize, n: u64) {
        add(&mut self.removed, rule, n);
    }

    /// Counts `n` records that are lost.
    pub fn dropped(&mut self, reason: DropReason, n: u64) {
        add(&mut self.dropped, reason, n);
    }

    /// Counts `n` records that did not come in but were made here.
    pub fn made(&mut self, n: u64) {
        self.made += n;
    }

    /// Takes out the batches that were sent on, in order.
    pub fn take_main(&mut self) -> std::vec::Drain<'_, Batch> {
        self.main.drain(..)
    }

    /// The batches that were sent on, in order.
    pub fn main(&self) -> &[Batch] {
        &self.main
    }

    /// Records removed, by rule; each rule at most once and never with zero.
    pub fn removals(&self) -> &[(usize, u64)] {
        &self.removed
    }

    /// Records lost, by reason; each reason at most once and never with zero.
    pub fn drops(&self) -> &[(DropReason, u64)] {
        &self.dropped
    }

    /// Records made here.
    pub fn made_records(&self) -> u64 {
        self.made
    }

    /// Everything counted out of it: records sent on, removed and dropped.
    pub fn accounted(&self) -> u64 {
        let main: u64 = self.main.iter().map(|batch| batch.len() as u64).sum();
        let removed: u64 = self.removed.iter().map(|&(_, n)| n).sum();
        let dropped: u64 = self.dropped.iter().map(|&(_, n)| n).sum();
        main + removed + dropped
    }

    /// Empties all ports, keeping their memory.
    pub fn clear(&mut self) {
        self.main.clear();
        self.removed.clear();
        self.dropped.clear();
        self.made = 0;
    }
}

fn add<K: PartialEq + Copy>(counts: &mut Vec<(K, u64)>, key: K, n: u64) {
    if n == 0 {
        return;
    }
    match counts.iter_mut().find(|(known, _)| *known == key) {
        Some((_, count)) => *count += n,
        None => counts.push((key, n)),
    }
}
