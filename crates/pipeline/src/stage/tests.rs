use operators::{Held, Operator};
use proptest::prelude::*;

use super::*;
use crate::{
    Receipt,
    batcher::tests::{batch, names},
};

/// Does to its batches what their sizes say; knows every way in which an operator may behave.
#[derive(Default)]
struct Moody {
    rules: Vec<Arc<str>>,
    kept: Vec<otlp::Batch>,
    mood: usize,
}

impl Operator for Moody {
    fn needs(&self) -> Depth {
        Depth::Records
    }

    fn step(&mut self, mut batch: otlp::Batch, _: &StepContext<'_>, out: &mut Output) {
        let half = batch.len() / 2;
        match self.mood {
            0 => out.emit(batch),
            1 => out.removed(0, batch.len() as u64),
            2 => {
                let gone = batch.retain(|_, i| i >= half);
                out.removed(1, gone as u64);
                out.emit(batch);
            }
            3 => {
                let gone = batch.retain(|_, i| i >= half);
                out.dropped(DropReason::TooLarge, gone as u64);
                otlp::split(batch, 2, 0).into_iter().for_each(|part| out.emit(part));
            }
            4 => self.kept.push(batch),
            5 => self.kept.drain(..).chain([batch]).for_each(|batch| out.emit(batch)),
            6 => {
                out.emit(batch.clone());
                out.made(batch.len() as u64);
                out.emit(batch);
            }
            _ => panic!("in a mood"),
        }
    }

    /// Decides for what it kept: half of a batch goes on, the rest is removed or lost.
    fn shed(&mut self, bytes: usize, _: u64, out: &mut Output) {
        let mut freed = 0;
        while freed < bytes
            && let Some(mut batch) = self.kept.pop()
        {
            freed += batch.memory_bytes();
            let half = batch.len() / 2;
            let gone = batch.retain(|_, i| i >= half) as u64;
            if batch.len().is_multiple_of(2) {
                out.removed(1, gone);
            } else {
                out.dropped(DropReason::TooLarge, gone);
            }
            out.emit(batch);
        }
    }

    fn held(&self) -> Held {
        Held {
            records: self.kept.iter().map(|batch| batch.len() as u64).sum(),
            bytes: self.kept.iter().map(otlp::Batch::memory_bytes).sum(),
        }
    }

    fn rules(&self) -> &[Arc<str>] {
        &self.rules
    }
}

fn stage(mood: Arc<std::sync::atomic::AtomicUsize>, ledger: &Ledger, health: &Health) -> Stage {
    struct Shared(Moody, Arc<std::sync::atomic::AtomicUsize>);
    impl Operator for Shared {
        fn needs(&self) -> Depth {
            self.0.needs()
        }
        fn step(&mut self, batch: otlp::Batch, about: &StepContext<'_>, out: &mut Output) {
            self.0.mood = self.1.load(std::sync::atomic::Ordering::Relaxed);
            self.0.step(batch, about, out);
        }
        fn shed(&mut self, bytes: usize, now_ns: u64, out: &mut Output) {
            if self.1.load(std::sync::atomic::Ordering::Relaxed) == 7 {
                panic!("in a mood");
            }
            self.0.shed(bytes, now_ns, out);
        }
        fn held(&self) -> Held {
            self.0.held()
        }
        fn rules(&self) -> &[Arc<str>] {
            self.0.rules()
        }
    }
    let make = move || -> Box<dyn Operator> {
        let rules = vec!["all".into(), "half".into()];
        Box::new(Shared(Moody { rules, ..Moody::default() }, mood.clone()))
    };
    Stage::new("moody", Signal::Traces, Box::new(make), ledger, health)
}

fn poll(receipt: &mut Receipt) -> Option<Outcome> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(receipt).poll(&mut context) {
        std::task::Poll::Ready(outcome) => Some(outcome),
        std::task::Poll::Pending => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever an operator does, every record is accounted for and everybody who waits is told.
    #[test]
    fn every_record_is_accounted_for(steps in prop::collection::vec((1usize..9, 0usize..9), 1..30)) {
        let (ledger, health, budget) = (Ledger::new(), Health::new(), Budget::new(usize::MAX));
        let mood = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut stage = stage(mood.clone(), &ledger, &health);
        stage.charge_to(&budget);
        let mut entered = 0;
        for (records, how) in steps {
            if how == 8 {
                // Shedding, in the mood of the last step: 1 byte is one batch.
                let mut out = Vec::new();
                let held = stage.held();
                stage.shed(if records < 6 { 1 } else { usize::MAX }, 0, &mut out);
                prop_assert!(stage.held().is_zero() || (records < 6 && stage.held().bytes < held.bytes));
                // What it let go of is charged as long as somebody has it.
                let passed_on: usize = out.iter().map(|item| item.batch.memory_bytes()).sum();
                prop_assert_eq!(budget.used(), stage.held().bytes as usize + passed_on);
                prop_assert!(out.iter().all(|item| item.context.shares.is_empty()), "nobody waits any more");
                prop_assert!(ledger.stats().check().is_ok());
                continue;
            }
            mood.store(how, std::sync::atomic::Ordering::Relaxed);
            entered += records as u64;
            let (mut receipt, share) = Receipt::new(records as u64);
            let mut item = Item::new(batch(0..records));
            item.context.shares.push(share);
            let dead = stage.is_dead();
            let holds = stage.held().records > 0;
            let mut out = Vec::new();
            let size = item.size().bytes as usize;
            item.context.charges.extend(budget.try_charge(size));
            stage.step(item, 0, &mut out);
            // So is what comes out beyond what went in.
            let passed_on: usize = out.iter().map(|item| item.batch.memory_bytes()).sum();
            let charged = if out.is_empty() { 0 } else { passed_on.max(size) };
            prop_assert_eq!(budget.used(), stage.held().bytes as usize + charged);
            out.into_iter().for_each(|item| item.resolve(Outcome::DELIVERED));
            let told = poll(&mut receipt);
            let half = records as u64 / 2;
            match how {
                _ if dead => prop_assert!(matches!(told, Some(Outcome::Retry { .. })), "dead"),
                7 => prop_assert!(matches!(told, Some(Outcome::Retry { maybe_delivered: false, .. })), "panicked"),
                _ if holds => prop_assert_eq!(told, Some(Outcome::DELIVERED)),
                1 => prop_assert_eq!(told, Some(Outcome::Removed)),
                3 => prop_assert_eq!(told, Some(Outcome::Delivered { rejected: half })),
                _ => prop_assert_eq!(told, Some(Outcome::DELIVERED)),
            }
            let stats = ledger.stats();
            prop_assert_eq!(stats.stages[0].entered, entered);
            prop_assert_eq!(budget.used() as u64, stage.held().bytes);
            prop_assert!(stats.check().is_ok(), "{}", stats.check().unwrap_err());
        }
    }
}

#[test]
fn parts_of_an_item_keep_their_shares() {
    let (ledger, health) = (Ledger::new(), Health::new());
    let mut stage = stage(Arc::new(3.into()), &ledger, &health);
    let (mut receipt, share) = Receipt::new(8);
    let mut item = Item::new(batch(0..8));
    item.context.shares.push(share);
    let mut out = Vec::new();
    stage.step(item, 0, &mut out);
    assert_eq!(out.iter().map(names).collect::<Vec<_>>(), [[4, 5], [6, 7]]);
    let weights = out.iter().map(|item| item.context.shares.iter().map(Share::weight).sum::<u64>());
    assert_eq!(weights.collect::<Vec<_>>(), [2, 2]);
    out.remove(0).resolve(Outcome::DELIVERED);
    assert_eq!(poll(&mut receipt), None);
    out.remove(0).resolve(Outcome::Delivered { rejected: 1 });
    assert_eq!(poll(&mut receipt), Some(Outcome::Delivered { rejected: 5 }));
}

#[test]
fn a_stage_that_keeps_panicking_dies_and_says_so() {
    let (ledger, health) = (Ledger::new(), Health::new());
    let mut stage = stage(Arc::new(7.into()), &ledger, &health);
    let mut out = Vec::new();
    for panics in 0..=MAX_STAGE_RESTARTS {
        assert!(!stage.is_dead(), "after {panics} panics");
        stage.step(Item::new(batch(0..1)), 0, &mut out);
        assert_eq!(health.worst().is_some_and(|worst| worst == Severity::Dead), stage.is_dead());
    }
    assert!(stage.is_dead());
    stage.step(Item::new(batch(0..3)), 0, &mut out);
    assert!(out.is_empty());
    let stats = ledger.stats();
    stats.check().unwrap();
    assert_eq!(
        (stats.stages[0].panics, stats.stages[0].entered),
        (MAX_STAGE_RESTARTS + 1, MAX_STAGE_RESTARTS + 4)
    );
    assert_eq!(health.problems()["moody"].to_string(), "dead: stage moody panicked: in a mood");
}

#[test]
fn a_stage_reads_no_batch_that_was_checked_for_framing_only() {
    let (ledger, health) = (Ledger::new(), Health::new());
    let mut stage = stage(Arc::new(0.into()), &ledger, &health);
    let bytes = batch(0..2).to_wire();
    let framed = otlp::Checker::new(Signal::Traces, Check::Framing, Depth::Counts).check(bytes).unwrap();
    let (mut receipt, share) = Receipt::new(2);
    let mut item = Item::new(framed);
    item.context.shares.push(share);
    stage.step(item, 0, &mut Vec::new());
    assert!(matches!(poll(&mut receipt), Some(Outcome::Permanent { .. })));
    ledger.stats().check().unwrap();
}

#[test]
fn a_stage_that_works_again_is_well_again() {
    let (ledger, health) = (Ledger::new(), Health::new());
    let mood = Arc::new(std::sync::atomic::AtomicUsize::new(7));
    let mut stage = stage(mood.clone(), &ledger, &health);
    let mut out = Vec::new();
    stage.step(Item::new(batch(0..3)), 1, &mut out);
    assert_eq!(health.worst(), Some(Severity::Degraded));
    mood.store(0, std::sync::atomic::Ordering::Relaxed);
    stage.step(Item::new(batch(0..3)), 2, &mut out);
    assert_eq!(health.worst(), None);
    mood.store(7, std::sync::atomic::Ordering::Relaxed);
    (0..=MAX_STAGE_RESTARTS).for_each(|_| stage.step(Item::new(batch(0..3)), 3, &mut out));
    mood.store(0, std::sync::atomic::Ordering::Relaxed);
    stage.step(Item::new(batch(0..3)), 4, &mut out);
    assert_eq!(health.worst(), Some(Severity::Dead), "it takes nothing any more");
}
