//! What turns health red, made to happen: a stage that dies, a receipt that is dropped. That records are lost is made to happen in
//! `tests/it/telling.rs`.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use operators::{Operator, Output, StepContext};
use otlp::{Batch, Depth, Span, event::RequestBuilder};
use pipeline::{
    Chain, ChainParts, Context, Inlet, Item, Outlet, Receipt, Stage, Step, limits::MAX_STAGE_RESTARTS,
};

use super::*;

/// An engine that shows its health.
fn engine() -> Engine {
    let file = "
extensions: {health_check: {endpoint: '127.0.0.1:0'}}
receivers: {nop: }
exporters: {nop: }
service: {extensions: [health_check], pipelines: {traces: {receivers: [nop], exporters: [nop]}}}
";
    let checked = check(file, &|_| None);
    assert!(!checked.problems.has_errors(), "{:#?}", checked.problems);
    Engine::start(&checked.graph, Options { shards: 1, ..Options::default() }).unwrap()
}

/// The status of a page, and what stands on it.
fn page(engine: &Engine, path: &str) -> (u16, String) {
    let bound = engine.addresses().iter().find(|bound| bound.protocol == "health").unwrap();
    let mut stream = TcpStream::connect(bound.address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

fn item() -> (Receipt, Item) {
    let mut builder = RequestBuilder::new(Signal::Traces, Depth::Records);
    builder.push_span(&Span::default()).unwrap();
    let (receipt, share) = Receipt::new(1);
    let context = Context { shares: vec![share], ..Context::default() };
    (receipt, Item { batch: builder.finish(), context })
}

/// Panics whatever it is given.
struct Broken;

impl Operator for Broken {
    fn needs(&self) -> Depth {
        Depth::Counts
    }

    fn step(&mut self, _: Batch, _: &StepContext<'_>, _: &mut Output) {
        panic!("broken for good");
    }
}

#[test]
fn health_is_red_for_good_when_a_stage_dies() {
    let engine = engine();
    let make = Box::new(|| Box::new(Broken) as Box<dyn Operator>);
    let stage = Stage::new("traces:broken", Signal::Traces, make, &engine.ledger, &engine.health);
    let queue = engine.queues[&(id("nop"), Signal::Traces)].clone();
    let parts = ChainParts {
        name: "traces/broken".to_owned(),
        signal: Signal::Traces,
        shard: 0,
        steps: vec![Step::Stage(stage)],
        outlets: vec![Outlet::Exporter { queue, required: true }],
        depth: Depth::Counts,
        budget: engine.budget.clone(),
        limiter: None,
        compressor: None,
    };
    let chain = Chain::new(parts, &engine.ledger);
    for restarts in 0..=MAX_STAGE_RESTARTS {
        let is_dead = page(&engine, "/live").0 == 503;
        assert!(!is_dead, "after {restarts} panics it is made anew");
        chain.offer(item().1, now_ns());
    }
    let (status, body) = page(&engine, "/");
    assert!(status == 503 && body.contains(r#""component":"traces:broken""#), "{body}");
    assert!(body.contains(r#""final":true"#), "{body}");
    assert_eq!(page(&engine, "/live").0, 503, "a restart helps");
    engine.shutdown(Instant::now() + Duration::from_secs(5));
}

/// Set in the process that the next test is done in.
const ALONE: &str = "ALDIS_TEST_ALONE";

#[test]
fn health_is_red_when_a_receipt_is_dropped() {
    // Receipts are counted for the whole process, in which other tests look at their health.
    if std::env::var_os(ALONE).is_none() {
        let itself = std::env::current_exe().unwrap();
        let test = "run::tests::red::health_is_red_when_a_receipt_is_dropped";
        let ran =
            std::process::Command::new(itself).args(["--exact", test]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let engine = engine();
    assert_eq!(page(&engine, "/").0, 200);
    // What is dropped on the way, and not resolved.
    let (receipt, item) = item();
    drop(item);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let outcome = runtime.block_on(receipt);
    assert!(matches!(outcome, pipeline::Outcome::Retry { maybe_delivered: true, .. }), "{outcome:?}");
    let (status, body) = page(&engine, "/");
    assert!(status == 503 && body.contains("1 receipts were never answered"), "{body}");
    assert_eq!(page(&engine, "/live").0, 200, "a restart does not help");
    assert_eq!(engine.stats().unresolved, 1);
    engine.shutdown(Instant::now() + Duration::from_secs(5));
}
