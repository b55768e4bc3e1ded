//! Threads that record, a worker, a reader and a shutdown in every order.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
};

use loom::thread::{self, JoinHandle};
use operators::sample::Threshold;
use otlp::Depth;

use super::{intake::IntakeSettings, *};
use crate::{
    Budget, ChainParts, Inlet, Item, Outcome, Outlet,
    exporting::models::open_exporter,
    sync::{
        Notify,
        model::{block_on, check, spawn},
    },
};

/// Takes everything and counts it.
struct End {
    budget: Budget,
    records: AtomicU64,
    came: Notify,
}

impl Inlet for End {
    fn offer(&self, item: Item, _now_ns: u64) {
        self.records.fetch_add(item.batch.len() as u64, Ordering::Relaxed);
        item.resolve(Outcome::DELIVERED);
        self.came.notify_one();
    }

    fn depth(&self) -> Depth {
        Depth::Records
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }
}

impl End {
    async fn has(&self, records: u64) {
        while self.records.load(Ordering::Relaxed) < records {
            self.came.notified().await;
        }
    }
}

/// A pipeline with a worker, and what other threads it has.
struct World {
    core: Arc<Core>,
    threads: Vec<JoinHandle<()>>,
}

/// What is recorded waits in requests of `batch_size` records, `records` records or `bytes` bytes in all.
struct Bounds {
    strategy: BackpressureStrategy,
    batch_size: usize,
    records: usize,
    bytes: usize,
}

impl World {
    fn new(bounds: &Bounds, outlet: impl Fn() -> Outlet, ledger: Ledger) -> Self {
        let chain = |i: usize| {
            let parts = ChainParts {
                name: RECORDED[i].name().to_owned(),
                signal: RECORDED[i],
                shard: 0,
                steps: Vec::new(),
                outlets: vec![outlet()],
                depth: Depth::Records,
                budget: Budget::new(1),
                limiter: None,
                compressor: None,
            };
            Chain::new(parts, &ledger)
        };
        let Bounds { strategy, batch_size, records, bytes } = *bounds;
        let depth = Depth::Records;
        let queues = match outlet() {
            Outlet::Exporter { queue, .. } => vec![queue],
            Outlet::Inlet(_) => Vec::new(),
        };
        let core = Arc::new(Core {
            intake: Intake::new(&IntakeSettings { records, bytes, batch_size, strategy, depth, workers: 1 }),
            tap: Arc::new(Tap::new(1 << 20)),
            barrier: Barrier::new(1),
            fates: Arc::default(),
            queues,
            chains: vec![array::from_fn(chain)],
            blocks: strategy == BackpressureStrategy::Block,
            ask: crate::queue::Size { requests: 1, records: 1, bytes: 1 },
            // A nap is over at once.
            flush_interval: Duration::ZERO,
            ledger,
            health: Health::new(),
            shards: Shards::none(),
            working: watch::Sender::new(1),
        });
        let threads = vec![spawn(worker::run(core.clone(), 0))];
        Self { core, threads }
    }

    /// With an end that takes everything.
    fn open(strategy: BackpressureStrategy, batch_size: usize, records: usize) -> (Self, Arc<End>) {
        Self::bounded(&Bounds { strategy, batch_size, records, bytes: 1 << 20 })
    }

    fn bounded(bounds: &Bounds) -> (Self, Arc<End>) {
        let end = Arc::new(End { budget: Budget::new(1), records: AtomicU64::new(0), came: Notify::new() });
        let world = Self::new(bounds, || Outlet::Inlet(end.clone()), Ledger::new());
        (world, end)
    }

    fn record(&self) -> Result<(), RecordError> {
        record(&self.core)
    }

    /// Shuts down; every record must be in the books. Returns what arrived and what was left behind.
    fn finish(self) -> (u64, u64) {
        let report = block_on(self.core.drain(Instant::now() + Duration::from_secs(3600)));
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        let stats = self.core.stats();
        stats.check().unwrap();
        assert_eq!(stats.events_pending, 0);
        (stats.events_processed, report.unsent)
    }
}

fn record(core: &Core) -> Result<(), RecordError> {
    block_on(core.intake.record_waiting(&Event::Log(&LogRecord::default())))
}

/// A worker that is falling asleep sees the record, or is woken by it.
#[test]
fn a_record_wakes_the_worker() {
    check(3, || {
        let (world, end) = World::open(BackpressureStrategy::DropNewest, 2, 4);
        world.record().unwrap();
        block_on(end.has(1));
        assert_eq!(world.finish(), (1, 0));
    });
}

/// Whoever waits for room is woken when there is some, by a request taken from the queue or by one taken half full.
#[test]
fn whoever_waits_for_room_records_in_the_end() {
    check(2, || {
        let (world, _) = World::open(BackpressureStrategy::Block, 1, 1);
        for _ in 0..4 {
            world.record().unwrap();
        }
        assert_eq!(world.finish(), (4, 0));
    });
}

/// The same where bytes are short: any request fills the queue.
#[test]
fn whoever_waits_for_bytes_records_in_the_end() {
    check(2, || {
        let strategy = BackpressureStrategy::Block;
        let (world, _) = World::bounded(&Bounds { strategy, batch_size: 1, records: 9, bytes: 1 });
        for _ in 0..4 {
            world.record().unwrap();
        }
        assert_eq!(world.finish(), (4, 0));
    });
}

/// What is accepted while the pipeline shuts down is sent, what is not is refused.
#[test]
fn what_is_accepted_during_a_shutdown_is_sent() {
    check(2, || {
        let (world, _) = World::open(BackpressureStrategy::DropNewest, 1, 4);
        let core = world.core.clone();
        let other = thread::spawn(move || u64::from(record(&core).is_ok()));
        let (arrived, unsent) = world.finish();
        assert_eq!((arrived, unsent), (other.join().unwrap(), 0));
    });
}

/// Whoever waits for room when the pipeline shuts down is let go.
#[test]
fn whoever_waits_for_room_in_a_shutdown_is_let_go() {
    check(2, || {
        let (world, _) = World::open(BackpressureStrategy::Block, 1, 1);
        let core = world.core.clone();
        let other = thread::spawn(move || (0..3).filter(|_| record(&core).is_ok()).count() as u64);
        let (arrived, unsent) = world.finish();
        assert_eq!((arrived, unsent), (other.join().unwrap(), 0));
    });
}

/// Those that make room for newer ones are counted.
#[test]
fn what_makes_room_is_counted() {
    check(2, || {
        let (world, _) = World::open(BackpressureStrategy::DropOldest, 1, 1);
        let core = world.core.clone();
        let other = thread::spawn(move || (0..2).for_each(|_| record(&core).unwrap()));
        (0..2).for_each(|_| world.record().unwrap());
        other.join().unwrap();
        let core = world.core.clone();
        let (arrived, unsent) = world.finish();
        assert_eq!(arrived + core.stats().events_dropped, 4);
        assert_eq!(unsent, 0);
    });
}

/// However a record that fills the queue and the worker that empties it get in each other's way, an empty queue samples
/// nothing.
#[test]
fn an_empty_queue_samples_nothing() {
    check(3, || {
        let (world, end) = World::open(BackpressureStrategy::AdaptiveSampling, 1, 1);
        world.record().unwrap();
        block_on(end.has(1));
        let core = world.core.clone();
        assert_eq!(world.finish(), (1, 0));
        let log = LogRecord::default();
        assert_eq!(core.intake.threshold_for(&Event::Log(&log)), Threshold::ALWAYS);
    });
}

/// The iterator hands out all that was accepted before it was asked.
#[test]
fn a_reader_gets_what_was_accepted_before() {
    check(2, || {
        let (world, _) = World::open(BackpressureStrategy::DropNewest, 2, 4);
        world.record().unwrap();
        assert_eq!(EventStream::new(world.core.clone()).count(), 1);
        assert_eq!(world.finish(), (1, 0));
    });
}

/// A worker waits for room in the exporter's queue, those who record wait for the worker: all get through.
#[test]
fn a_full_exporter_holds_up_and_lets_go() {
    check(2, || {
        let ledger = Ledger::new();
        let (queue, consumer) = open_exporter(1, &ledger);
        let strategy = BackpressureStrategy::Block;
        let bounds = Bounds { strategy, batch_size: 1, records: 1, bytes: 1 << 20 };
        let outlet = || Outlet::Exporter { queue: queue.clone(), required: true };
        let mut world = World::new(&bounds, outlet, ledger);
        world.threads.push(consumer);
        (0..2).for_each(|_| world.record().unwrap());
        assert_eq!(world.finish(), (2, 0));
    });
}
