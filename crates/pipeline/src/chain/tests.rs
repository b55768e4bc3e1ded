use std::{sync::Mutex, time::Duration};

use super::*;
use crate::{
    Acknowledge, BatcherSettings, Exporter, ExporterSettings, Health, MemoryLimitSettings, Receipt, Sender,
    Shards,
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

struct Graph {
    shards: Shards,
    ledger: Ledger,
    health: Health,
}

impl Graph {
    fn new() -> Self {
        Self { shards: Shards::start(1, "chain").unwrap(), ledger: Ledger::new(), health: Health::new() }
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

fn wait(receipt: Receipt) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(10), receipt).await.expect("an answer") })
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
        graph.shards.stop(std::time::Instant::now() + Duration::from_millis(50));
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
