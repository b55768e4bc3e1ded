//! Senders, the chain's task and a shutdown in every order.

use std::sync::atomic::AtomicU64;

use loom::thread;

use super::*;
use crate::{
    Batcher, BatcherSettings, Receipt,
    batcher::tests::batch,
    exporting::models::open_exporter,
    sync::model::{block_on, check, spawn},
};

/// Takes everything and counts it.
pub(crate) struct End {
    budget: Budget,
    records: AtomicU64,
}

impl End {
    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }
}

impl Inlet for End {
    fn offer(&self, item: Item, _now_ns: u64) {
        self.records.fetch_add(item.batch.len() as u64, Ordering::Relaxed);
        item.resolve(Outcome::DELIVERED);
    }

    fn depth(&self) -> Depth {
        Depth::Counts
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }
}

/// A batcher that is never full, and the end behind it.
pub(crate) fn chain(ledger: &Ledger) -> (Arc<Chain>, Arc<End>) {
    let end = Arc::new(End { budget: Budget::new(1), records: AtomicU64::new(0) });
    (batching(false, Outlet::Inlet(end.clone()), ledger), end)
}

fn batching(eager: bool, outlet: Outlet, ledger: &Ledger) -> Arc<Chain> {
    let settings = BatcherSettings { min_records: 100, eager, ..BatcherSettings::default() };
    let parts = ChainParts {
        name: "traces".to_owned(),
        signal: Signal::Traces,
        shard: 0,
        steps: vec![Step::Batcher(Batcher::new(settings))],
        outlets: vec![outlet],
        depth: Depth::Counts,
        budget: Budget::new(1 << 20),
        limiter: None,
        compressor: None,
    };
    Chain::new(parts, ledger)
}

fn offer(chain: &Chain, now_ns: u64) -> Receipt {
    let (receipt, share) = Receipt::new(1);
    let mut item = Item::new(batch(0..1));
    item.context.shares.push(share);
    chain.offer(item, now_ns);
    receipt
}

/// What is offered while the chain closes is passed on or refused, never left in a batcher that nobody empties.
#[test]
fn what_is_offered_while_it_closes_is_passed_on_or_refused() {
    check(3, || {
        let ledger = Ledger::new();
        let (chain, end) = chain(&ledger);
        let running = spawn(chain.clone().run());
        let offered = chain.clone();
        let other = thread::spawn(move || offer(&offered, clock::now_ns()));
        let one = offer(&chain, clock::now_ns());
        assert_eq!(chain.close(clock::now_ns()), 0);
        let outcomes = [block_on(one), block_on(other.join().unwrap())];
        running.join().unwrap();
        let delivered = outcomes.iter().filter(|outcome| **outcome == Outcome::DELIVERED).count() as u64;
        assert_eq!((end.records(), chain.held()), (delivered, Size::default()));
        ledger.stats().check().unwrap();
    });
}

/// The task sleeps for as long as nothing is due; an item that is due earlier wakes it.
#[test]
fn what_is_due_is_let_go_by_the_task() {
    check(4, || {
        let ledger = Ledger::new();
        let (chain, end) = chain(&ledger);
        let running = spawn(chain.clone().run());
        // It came long ago: its time is over.
        assert_eq!(block_on(offer(&chain, 0)), Outcome::DELIVERED);
        assert_eq!(end.records(), 1);
        chain.close(clock::now_ns());
        running.join().unwrap();
    });
}

/// What lingers because the exporter is busy, or its queue full, leaves when it is not: long before its time, which never
/// comes here.
#[test]
fn what_lingers_leaves_when_the_exporter_is_free() {
    [9, 1].into_iter().for_each(lingers_before_a_queue_of);
}

fn lingers_before_a_queue_of(items: u64) {
    check(2, move || {
        let ledger = Ledger::new();
        let (queue, consumer) = open_exporter(items, &ledger);
        let chain = batching(true, Outlet::Exporter { queue: queue.clone(), required: true }, &ledger);
        let running = spawn(chain.clone().run());
        let receipts = [0, 1].map(|_| offer(&chain, clock::now_ns()));
        for receipt in receipts {
            assert_eq!(block_on(receipt), Outcome::DELIVERED);
        }
        assert_eq!(chain.close(clock::now_ns()), 0);
        running.join().unwrap();
        let left = block_on(queue.drain(clock::instant(u64::MAX)));
        assert!(left.is_empty(), "{left}");
        consumer.join().unwrap();
        ledger.stats().check().unwrap();
    });
}
