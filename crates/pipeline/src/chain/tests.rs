use std::{sync::Mutex, time::Duration};

use operators::{Held, Operator, Output, StepContext};
use proptest::prelude::*;

use super::*;
use crate::{
    Acknowledge, BatcherSettings, Exporter, ExporterSettings, Health, MemoryLimitSettings, Packing, Receipt,
    Sender, Shards,
    batcher::tests::{batch, names},
    exporter::BoxFuture,
    retry::RetrySettings,
};

/// Answers everything alike and remembers it.
#[derive(Clone)]
struct Fixed {
    name: &'static str,
    answer: Outcome,
    got: Arc<Mutex<Vec<Item>>>,
}

impl Exporter for Fixed {
    fn name(&self) -> &str {
        self.name
    }
    fn open(&self) -> Box<dyn Sender> {
        Box::new(self.clone())
    }
}

impl Sender for Fixed {
    fn send<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Outcome> {
        self.got.lock().unwrap().push(Item::new(item.batch.clone()));
        Box::pin(std::future::ready(self.answer.clone()))
    }
}

fn fixed(name: &'static str, answer: Outcome) -> Fixed {
    Fixed { name, answer, got: Arc::default() }
}

/// How long is waited for what must come, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

struct Graph {
    shards: Shards,
    ledger: Ledger,
    health: Health,
}

impl Graph {
    fn new() -> Self {
        Self { shards: Shards::start(1, "chain").unwrap(), ledger: Ledger::new(), health: Health::new() }
    }

    /// Waits until no exporter has anything left to do.
    fn settle(&self) {
        let end = std::time::Instant::now() + PATIENCE;
        let busy = || self.ledger.stats().exporters.iter().any(|row| row.queued + row.in_flight > 0);
        while busy() && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn outlet(&self, exporter: &Fixed, required: bool) -> Outlet {
        let settings = ExporterSettings {
            acknowledge: Acknowledge::Exported,
            retry: RetrySettings { enabled: false, ..RetrySettings::default() },
            ..ExporterSettings::default()
        };
        let exporter = Arc::new(exporter.clone());
        Outlet::Exporter {
            queue: ExporterQueue::start(exporter, settings, &self.shards, &self.ledger, &self.health),
            required,
        }
    }

    fn chain(&self, steps: Vec<Step>, outlets: Vec<Outlet>) -> ChainParts {
        ChainParts {
            name: "traces".to_owned(),
            signal: Signal::Traces,
            shard: 0,
            steps,
            outlets,
            depth: Depth::Counts,
            budget: Budget::new(1 << 20),
            limiter: None,
            compressor: None,
        }
    }
}

fn offer(chain: &Chain, records: usize) -> Outcome {
    let (receipt, share) = Receipt::new(records as u64);
    let mut item = Item::new(batch(0..records));
    item.context.shares.push(share);
    chain.offer(item, clock::now_ns());
    wait(receipt)
}

/// Holds every batch it is given until it has to let go.
#[derive(Default)]
struct Hoard {
    kept: std::collections::VecDeque<otlp::Batch>,
}

impl Operator for Hoard {
    fn needs(&self) -> Depth {
        Depth::Records
    }
    fn step(&mut self, batch: otlp::Batch, _: &StepContext<'_>, _: &mut Output) {
        self.kept.push_back(batch);
    }
    fn held(&self) -> Held {
        Held {
            records: self.kept.iter().map(|batch| batch.len() as u64).sum(),
            bytes: self.kept.iter().map(otlp::Batch::memory_bytes).sum(),
        }
    }
    fn shed(&mut self, bytes: usize, _: u64, out: &mut Output) {
        let mut freed = 0;
        while freed < bytes
            && let Some(oldest) = self.kept.pop_front()
        {
            freed += oldest.memory_bytes();
            out.emit(oldest);
        }
    }
}

fn hoard(graph: &Graph, name: &str) -> Step {
    let make = || -> Box<dyn Operator> { Box::new(Hoard::default()) };
    Step::Stage(Stage::new(name, Signal::Traces, Box::new(make), &graph.ledger, &graph.health))
}

/// An item is counted as delivered a moment before its memory is given back.
fn comes_to(budget: &Budget, used: usize) {
    let end = std::time::Instant::now() + PATIENCE;
    while budget.used() != used && std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(budget.used(), used);
}

fn delivered(exporter: &Fixed) -> usize {
    exporter.got.lock().unwrap().iter().map(|item| item.batch.len()).sum()
}

#[test]
fn closing_has_stages_let_go_of_what_they_hold() {
    let graph = Graph::new();
    let exporter = fixed("one", Outcome::DELIVERED);
    let batcher = BatcherSettings { eager: false, ..BatcherSettings::default() };
    let steps = vec![hoard(&graph, "first"), hoard(&graph, "second"), Step::Batcher(Batcher::new(batcher))];
    let parts = graph.chain(steps, vec![graph.outlet(&exporter, true)]);
    let (budget, chain) = (parts.budget.clone(), Chain::new(parts, &graph.ledger));
    // Whoever sent them has the answer already.
    assert_eq!((offer(&chain, 3), offer(&chain, 2)), (Outcome::DELIVERED, Outcome::DELIVERED));
    // Flushing is for those who wait, and nobody waits for what a stage holds.
    chain.flush(clock::now_ns());
    assert_eq!((chain.held().records, delivered(&exporter)), (5, 0));
    assert!(budget.used() > 0);
    assert_eq!(chain.close(clock::now_ns()), 0);
    graph.settle();
    assert_eq!(exporter.got.lock().unwrap().iter().map(names).collect::<Vec<_>>(), [[0, 1, 2, 0, 1]]);
    let stats = graph.ledger.stats();
    stats.check().unwrap();
    assert_eq!((stats.stages[0].held, stats.stages[1].held), (0, 0));
    comes_to(&budget, 0);
}

#[test]
fn stages_let_go_when_memory_is_wanted_back() {
    let graph = Graph::new();
    let exporter = fixed("one", Outcome::DELIVERED);
    let may = Arc::new(tokio::sync::Semaphore::new(0));
    let slow = Slow { fixed: exporter.clone(), packing: Packing::Any, may: may.clone() };
    let (settings, Graph { shards, ledger, health }) = (ExporterSettings::default(), &graph);
    let queue = ExporterQueue::start(Arc::new(slow), settings, shards, ledger, health);
    let one = batch(0..9).memory_bytes();
    let limit = 4 * one;
    let outlets = vec![Outlet::Exporter { queue, required: true }];
    let parts = graph.chain(vec![hoard(&graph, "hoard")], outlets);
    let chain = Chain::new(ChainParts { budget: Budget::new(limit), ..parts }, &graph.ledger);
    for n in 1..=20 {
        assert_eq!(offer(&chain, 9), Outcome::DELIVERED);
        // What it let go of waits in the exporter's queue, charged; for that it is not asked to let go of more.
        assert_eq!(chain.held().records, 9 * n.min(4), "after {n}");
        assert_eq!(chain.budget().used(), one * n as usize, "after {n}");
    }
    may.add_permits(20);
    comes_to(chain.budget(), limit);
    // It holds as much as it may, and no less: a new body finds no room, and asks for some.
    graph.shards.spawn(0, chain.clone().run());
    let end = std::time::Instant::now() + PATIENCE;
    let body = limit / 2;
    // Once: who asks again while another is being made room for may be made room for, too.
    assert!(chain.budget().try_charge(body).is_none());
    while chain.budget().used() > limit - body && std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(chain.budget().try_charge(body).is_some());
    assert_eq!(chain.held().records, 2 * 9);
    chain.close(clock::now_ns());
    graph.settle();
    assert_eq!(delivered(&exporter), 20 * 9);
    graph.ledger.stats().check().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    /// Two stages that hold, a batcher between them, a budget that is too small: all that went in comes out once.
    #[test]
    fn nothing_that_is_held_is_lost(offers in prop::collection::vec(1usize..9, 1..20), limit in 0usize..4_000, batched in 1usize..9) {
        let graph = Graph::new();
        let exporter = fixed("one", Outcome::DELIVERED);
        let batcher = BatcherSettings { min_records: batched, eager: false, ..BatcherSettings::default() };
        let steps = vec![hoard(&graph, "first"), Step::Batcher(Batcher::new(batcher)), hoard(&graph, "second")];
        let parts = graph.chain(steps, vec![graph.outlet(&exporter, true)]);
        let chain = Chain::new(ChainParts { budget: Budget::new(limit), ..parts }, &graph.ledger);
        for records in &offers {
            prop_assert_eq!(offer(&chain, *records), Outcome::DELIVERED);
            prop_assert!(graph.ledger.stats().stages.iter().all(|stage| stage.check().is_ok()));
        }
        prop_assert_eq!(chain.close(clock::now_ns()), 0);
        graph.settle();
        prop_assert_eq!(delivered(&exporter), offers.iter().sum::<usize>());
        let stats = graph.ledger.stats();
        prop_assert!(stats.check().is_ok(), "{}", stats.check().unwrap_err());
        prop_assert!(stats.stages.iter().all(|stage| stage.held == 0 && stage.out == stage.entered));
    }
}

fn wait(receipt: Receipt) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, receipt).await.expect("an answer") })
}

fn busy() -> Outcome {
    Outcome::Retry { after: None, maybe_delivered: false, overloaded: false, reason: "503".to_owned() }
}

#[test]
fn a_fan_out_succeeds_if_a_required_exporter_delivers() {
    let cases = [
        (Outcome::DELIVERED, true, busy(), true, Outcome::DELIVERED),
        (busy(), true, Outcome::DELIVERED, false, busy()),
        (busy(), false, Outcome::DELIVERED, false, Outcome::DELIVERED),
    ];
    for (one, one_required, two, two_required, expected) in cases {
        let graph = Graph::new();
        let (one, two) = (fixed("one", one), fixed("two", two));
        let outlets = vec![graph.outlet(&one, one_required), graph.outlet(&two, two_required)];
        let chain = Chain::new(graph.chain(Vec::new(), outlets), &graph.ledger);
        assert_eq!(offer(&chain, 3), expected);
        // The one that nobody waits for may still be at it.
        graph.settle();
        graph.shards.stop(std::time::Instant::now());
        for exporter in [&one, &two] {
            assert_eq!(exporter.got.lock().unwrap().iter().map(names).collect::<Vec<_>>(), [[0, 1, 2]]);
        }
        graph.ledger.stats().check().unwrap();
    }
}

#[test]
fn a_lingering_batch_leaves_when_its_time_is_over() {
    let graph = Graph::new();
    let exporter = fixed("one", Outcome::DELIVERED);
    let settings = BatcherSettings {
        eager: false,
        flush_interval: Duration::from_millis(20),
        ..BatcherSettings::default()
    };
    let steps = vec![Step::Batcher(Batcher::new(settings))];
    let chain = Chain::new(graph.chain(steps, vec![graph.outlet(&exporter, true)]), &graph.ledger);
    graph.shards.spawn(0, chain.clone().run());
    assert_eq!(offer(&chain, 3), Outcome::DELIVERED);
    assert_eq!(chain.depth(), Depth::Records);
}

#[test]
fn what_arrives_in_one_turn_leaves_as_one() {
    let graph = Graph::new();
    let exporter = fixed("one", Outcome::DELIVERED);
    let steps = vec![Step::Batcher(Batcher::new(BatcherSettings::default()))];
    let chain = Chain::new(graph.chain(steps, vec![graph.outlet(&exporter, true)]), &graph.ledger);
    graph.shards.spawn(0, chain.clone().run());
    let (receipt, mut share) = Receipt::new(3);
    let on_shard = chain.clone();
    graph.shards.spawn(0, async move {
        for n in 0..3 {
            let mut item = Item::new(batch(n..n + 1));
            let left = share.split_off(2 - n as u64);
            item.context.shares.push(std::mem::replace(&mut share, left));
            on_shard.offer(item, clock::now_ns());
        }
        share.resolve(Outcome::Removed);
    });
    // Every exporter is idle, so nothing waits for the 200 ms of a batch; but the three were there at once.
    assert_eq!(wait(receipt), Outcome::DELIVERED);
    let got = exporter.got.lock().unwrap();
    assert_eq!(got.iter().map(names).collect::<Vec<_>>(), [[0, 1, 2]]);
}

#[test]
fn closing_lets_batchers_go_and_refuses_what_comes() {
    let graph = Graph::new();
    let exporter = fixed("one", Outcome::DELIVERED);
    let settings = BatcherSettings { eager: false, ..BatcherSettings::default() };
    let steps = vec![Step::Batcher(Batcher::new(settings))];
    let chain = Chain::new(graph.chain(steps, vec![graph.outlet(&exporter, true)]), &graph.ledger);
    let (receipt, share) = Receipt::new(2);
    let mut item = Item::new(batch(0..2));
    item.context.shares.push(share);
    chain.offer(item, clock::now_ns());
    assert_eq!(chain.held().records, 2);
    assert_eq!(chain.close(clock::now_ns()), 0);
    assert_eq!(wait(receipt), Outcome::DELIVERED);
    assert!(matches!(offer(&chain, 1), Outcome::Retry { .. }));
    let stats = graph.ledger.stats();
    stats.check().unwrap();
    assert_eq!((stats.inlets[0].offered, stats.inlets[0].admitted), (3, 2));
    assert_eq!(stats.inlets[0].refused, [("closed".into(), 1)]);
}

#[test]
fn while_memory_is_short_everything_is_refused() {
    let graph = Graph::new();
    let exporter = fixed("one", Outcome::DELIVERED);
    let settings =
        MemoryLimitSettings { limit_mib: 10, spike_limit_mib: 2, ..MemoryLimitSettings::default() };
    let limiter = MemoryLimiter::new(&settings, 0).unwrap();
    let parts = graph.chain(Vec::new(), vec![graph.outlet(&exporter, true)]);
    let chain = Chain::new(ChainParts { limiter: Some(limiter.clone()), ..parts }, &graph.ledger);
    limiter.observe(11 << 20);
    assert!(matches!(offer(&chain, 4), Outcome::Retry { .. }));
    limiter.observe(1 << 20);
    assert_eq!(offer(&chain, 4), Outcome::DELIVERED);
    let stats = graph.ledger.stats();
    stats.check().unwrap();
    assert_eq!(stats.inlets[0].refused, [("memory".into(), 4)]);
}

#[test]
fn a_chain_may_end_in_another() {
    let graph = Graph::new();
    let exporter = fixed("one", Outcome::DELIVERED);
    let second = Chain::new(graph.chain(Vec::new(), vec![graph.outlet(&exporter, true)]), &graph.ledger);
    let first = Chain::new(graph.chain(Vec::new(), vec![Outlet::Inlet(second)]), &graph.ledger);
    assert_eq!(offer(&first, 4), Outcome::DELIVERED);
}

/// A codec that keeps every second byte, and an exporter that needs no more.
struct Halves;

impl Compressor for Halves {
    fn codec(&self) -> otlp::Codec {
        otlp::Codec::Zstd
    }
    fn compress(&self, request: &[u8]) -> Option<bytes::Bytes> {
        Some(request.iter().step_by(2).copied().collect())
    }
}

/// Takes nothing until it may; says what it needs of a request.
#[derive(Clone)]
struct Slow {
    fixed: Fixed,
    packing: Packing,
    may: Arc<tokio::sync::Semaphore>,
}

impl Exporter for Slow {
    fn name(&self) -> &str {
        self.fixed.name
    }
    fn open(&self) -> Box<dyn Sender> {
        Box::new(self.clone())
    }
    fn packing(&self) -> Packing {
        self.packing
    }
}

impl Sender for Slow {
    fn send<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.may.acquire().await.unwrap().forget();
            self.fixed.send(item).await
        })
    }
}

/// What an exporter needs besides the compressed form is what its queue holds, and nothing else is charged.
#[test]
fn queues_hold_the_compressed_form_only() {
    use otlp::Codec;
    let raw = batch(0..40).to_wire();
    let half = raw.len().div_ceil(2) as u64;
    let whole = batch(0..40).memory_bytes() as u64;
    // What it says it needs; whether the pipeline compresses; what its queue then holds of a request received with zstd.
    let cases = [
        (Packing::Any, true, half),
        (Packing::Only(Codec::Zstd), true, half),
        (Packing::Only(Codec::Zstd), false, half),
        (Packing::Any, false, whole + half),
        (Packing::Only(Codec::Gzip), true, whole + half),
        (Packing::Never, true, whole + half),
    ];
    for (packing, compresses, expected) in cases {
        let graph = Graph::new();
        let settings = ExporterSettings { acknowledge: Acknowledge::Exported, ..ExporterSettings::default() };
        let may = Arc::new(tokio::sync::Semaphore::new(0));
        let one = Slow { fixed: fixed("one", Outcome::DELIVERED), packing, may: may.clone() };
        let queue = ExporterQueue::start(
            Arc::new(one.clone()),
            settings,
            &graph.shards,
            &graph.ledger,
            &graph.health,
        );
        let parts = graph.chain(Vec::new(), vec![Outlet::Exporter { queue: queue.clone(), required: true }]);
        let compressor = compresses.then(|| Arc::new(Halves) as Arc<dyn Compressor>);
        let chain = Chain::new(ChainParts { compressor, ..parts }, &graph.ledger);
        let mut receipts = Vec::new();
        for _ in 0..3 {
            let (receipt, share) = Receipt::new(40);
            let mut item = Item::new(batch(0..40));
            item.batch.set_compressed(Codec::Zstd, Halves.compress(&raw).unwrap());
            item.context.shares.push(share);
            let charge = chain.budget().try_charge(whole as usize + half as usize).unwrap();
            item.context.charges.push(charge);
            chain.offer(item, clock::now_ns());
            receipts.push(receipt);
        }
        assert_eq!(queue.held(), Size { requests: 3, records: 120, bytes: 3 * expected }, "{packing:?}");
        assert_eq!(chain.budget().used() as u64, 3 * expected, "{packing:?}");
        may.add_permits(3);
        for receipt in receipts {
            assert_eq!(wait(receipt), Outcome::DELIVERED);
        }
        graph.settle();
        assert_eq!((queue.held(), chain.budget().used()), (Size::default(), 0));
        let got = one.fixed.got.lock().unwrap();
        assert!(got.iter().all(|item| item.batch.packed().is_some() == (expected == half)), "{packing:?}");
        assert!(got.iter().all(|item| item.batch.counts().records == 40));
        graph.ledger.stats().check().unwrap();
    }
}

/// Consumers that have nothing to do are no reason to offer a batch that its queue has no room for: it lingers until there
/// is some, whether or not its time is over.
#[test]
fn a_batch_lingers_while_its_queue_is_full() {
    use crate::queue::{Bounds, Sizer};
    let size = Item::new(batch(0..3)).size();
    let bounds = [
        Bounds { items: 1, sizer: Sizer::Requests, bytes: u64::MAX },
        Bounds { items: 5, sizer: Sizer::Records, bytes: u64::MAX },
        Bounds { items: 9, sizer: Sizer::Requests, bytes: size.bytes * 3 / 2 },
    ];
    for (bounds, eager) in bounds.into_iter().flat_map(|bounds| [(bounds, true), (bounds, false)]) {
        let graph = Graph::new();
        let may = Arc::new(tokio::sync::Semaphore::new(0));
        let slow = Slow { fixed: fixed("one", Outcome::DELIVERED), packing: Packing::Any, may: may.clone() };
        let settings = ExporterSettings {
            consumers: 3,
            bounds,
            acknowledge: Acknowledge::Exported,
            ..ExporterSettings::default()
        };
        let queue =
            ExporterQueue::start(Arc::new(slow), settings, &graph.shards, &graph.ledger, &graph.health);
        let flush_interval = if eager { Duration::from_secs(3600) } else { Duration::ZERO };
        let batcher = Batcher::new(BatcherSettings { eager, flush_interval, ..BatcherSettings::default() });
        let outlets = vec![Outlet::Exporter { queue: queue.clone(), required: true }];
        let chain = Chain::new(graph.chain(vec![Step::Batcher(batcher)], outlets), &graph.ledger);
        graph.shards.spawn(0, chain.clone().run());
        let receipts = [0, 1].map(|_| {
            let (receipt, share) = Receipt::new(3);
            let mut item = Item::new(batch(0..3));
            item.context.shares.push(share);
            chain.offer(item, clock::now_ns());
            // Everything on the shard has its turn.
            let (tell, told) = std::sync::mpsc::channel();
            graph.shards.spawn(0, async move {
                for _ in 0..20 {
                    yield_now().await;
                }
                tell.send(()).unwrap();
            });
            told.recv().unwrap();
            // What has come first is in the queue before there is another.
            let end = std::time::Instant::now() + PATIENCE;
            while queue.held() != size && std::time::Instant::now() < end {
                std::thread::sleep(Duration::from_millis(1));
            }
            receipt
        });
        assert_eq!((queue.held(), chain.held().records), (size, 3), "{bounds:?} {eager}");
        may.add_permits(2);
        for receipt in receipts {
            assert_eq!(wait(receipt), Outcome::DELIVERED, "{bounds:?} {eager}");
        }
        chain.close(clock::now_ns());
        graph.settle();
        graph.ledger.stats().check().unwrap();
    }
}

#[test]
fn a_filtered_batch_is_packed_without_what_was_filtered() {
    let mut item = Item::new(batch(0..10));
    item.batch.retain(|_, i| i % 3 == 0);
    item.batch.set_compressed(otlp::Codec::Gzip, bytes::Bytes::from_static(b"form"));
    item.pack(otlp::Codec::Gzip);
    assert_eq!((item.batch.len(), item.batch.counts().records, item.size().bytes), (4, 4, 4));
    assert!(!item.is_divisible());
    assert_eq!(item.batch.clone().packed(), Some((otlp::Codec::Gzip, &b"form"[..].into())));
}

#[test]
fn compression_is_done_once_for_all_outlets() {
    struct Reverse(Mutex<usize>);
    impl Compressor for Reverse {
        fn codec(&self) -> otlp::Codec {
            otlp::Codec::Zstd
        }
        fn compress(&self, request: &[u8]) -> Option<bytes::Bytes> {
            *self.0.lock().unwrap() += 1;
            Some(request.iter().rev().copied().collect())
        }
    }
    let graph = Graph::new();
    let (one, two) = (fixed("one", Outcome::DELIVERED), fixed("two", Outcome::DELIVERED));
    let parts = graph.chain(Vec::new(), vec![graph.outlet(&one, true), graph.outlet(&two, true)]);
    let compressor = Arc::new(Reverse(Mutex::new(0)));
    let chain = Chain::new(ChainParts { compressor: Some(compressor.clone()), ..parts }, &graph.ledger);
    assert_eq!(offer(&chain, 4), Outcome::DELIVERED);
    assert_eq!(*compressor.0.lock().unwrap(), 1);
    for exporter in [one, two] {
        let got = exporter.got.lock().unwrap();
        let mut bytes = got[0].batch.compressed(otlp::Codec::Zstd).unwrap().to_vec();
        bytes.reverse();
        assert_eq!(bytes, got[0].batch.raw()[..]);
    }
}
