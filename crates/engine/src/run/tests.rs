use std::time::{Duration, Instant};

use connect::otlp::{Keepalive, Protocol};
use otlp::{Codec, Signal};
use pipeline::{
    Acknowledge,
    queue::{Bounds, Policy, Sizer},
};

mod red;

use super::*;
use crate::{check, components::Settings, graph::Stage};

const FILE: &str = include_str!("../../testdata/configs/good/collector_production.yaml");

fn graph() -> Graph {
    check(FILE, &|name| (name == "DEPLOYMENT").then(|| "live".to_owned())).graph
}

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

#[test]
fn every_key_of_a_receiver_reaches_its_listener() {
    let graph = graph();
    let Settings::OtlpReceiver(settings) = &graph.receivers[&id("otlp")] else { panic!() };
    let grpc = settings.grpc.as_ref().unwrap();
    assert_eq!(grpc.endpoint, "127.0.0.1:4317");
    assert_eq!(
        (grpc.max_recv_msg_size_mib, grpc.max_concurrent_streams, grpc.include_metadata),
        (16, 512, true)
    );
    assert_eq!((grpc.read_buffer_size, grpc.write_buffer_size), (Some(524_288), Some(524_288)));
    let keepalive = Keepalive {
        max_connection_idle: Some(Duration::from_secs(11)),
        max_connection_age: Some(Duration::from_secs(720)),
        max_connection_age_grace: Some(Duration::from_secs(13)),
        time: Duration::from_secs(30),
        timeout: Duration::from_secs(5),
    };
    assert_eq!(grpc.keepalive, keepalive);
    let http = settings.http.as_ref().unwrap();
    assert_eq!((http.endpoint.as_str(), http.max_request_body_size), ("127.0.0.1:4318", 33_554_432));
    assert_eq!(
        Signal::ALL.map(|signal| http.path(signal).to_owned())[..3],
        ["/in/traces", "/in/logs", "/in/metrics"]
    );
}

#[test]
fn every_key_of_an_exporter_reaches_its_queue() {
    let graph = graph();
    let budget = Budget::new(1 << 20);
    let Settings::OtlpExporter(tempo) = &graph.exporters[&id("otlp/tempo")] else { panic!() };
    let config = tempo.named("otlp/tempo");
    assert_eq!(
        (config.name.as_str(), config.protocol, config.compression),
        ("otlp/tempo", Protocol::Grpc, Some(Codec::Zstd))
    );
    assert_eq!(config.headers, [("x-scope-orgid".to_owned(), connect::Secret::from("1"))]);
    let queue = exporters::queue(&graph.exporters[&id("otlp/tempo")], &budget);
    assert_eq!(queue.bounds, Bounds { items: 10_000, sizer: Sizer::Records, bytes: 1 << 20 });
    assert_eq!((queue.consumers, queue.timeout), (4, Duration::from_secs(10)));
    assert_eq!((queue.policy, queue.acknowledge), (Policy::Block, Acknowledge::Accepted));
    assert_eq!((queue.retry.multiplier, queue.retry.max_elapsed_time), (2.0, Duration::ZERO));
    assert_eq!(
        (queue.retry.initial_interval, queue.retry.max_interval),
        (Duration::from_secs(1), Duration::from_secs(10))
    );

    let Settings::OtlpExporter(loki) = &graph.exporters[&id("otlphttp/loki")] else { panic!() };
    assert_eq!((loki.config.compression, loki.config.compression_level), (Some(Codec::Gzip), 6));
    assert_eq!(loki.config.traces_endpoint.as_deref(), Some("http://elsewhere.example/v1/traces"));
    let queue = exporters::queue(&graph.exporters[&id("otlphttp/loki")], &budget);
    assert_eq!(queue.acknowledge, Acknowledge::Exported);
}

#[test]
fn processors_keep_their_order_and_settings() {
    let graph = graph();
    // The second edit chooses by `service.name`, which the first might change: they stay apart.
    let names: Vec<String> = graph.pipelines[0].stages.iter().map(Stage::name).collect();
    assert_eq!(names, ["filter/health", "resource", "attributes/redact", "batch"]);
    let small = graph.pipelines[1].stages.last().unwrap();
    let Stage::Batch { settings, .. } = small else { panic!() };
    assert_eq!((settings.send_batch_size, settings.send_batch_max_size), (128, 8192));
    assert_eq!(
        (settings.metadata_keys.join(" "), settings.metadata_cardinality_limit),
        ("x-tenant".to_owned(), 50)
    );
    assert_eq!(graph.limiters[&id("memory_limiter")].limit_percentage, 80);
}

/// Of what a receiver takes in for several pipelines, every limiter's budget is charged, and each can say no.
#[test]
fn every_limiter_behind_a_receiver_holds() {
    let file = "
receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}}}}
processors:
  memory_limiter/small: {check_interval: 1s, limit_mib: 10, spike_limit_mib: 2}
  memory_limiter/large: {check_interval: 1s, limit_mib: 100, spike_limit_mib: 20}
exporters: {nop: }
service:
  pipelines:
    traces/1: {receivers: [otlp], processors: [memory_limiter/small], exporters: [nop]}
    traces/2: {receivers: [otlp], processors: [memory_limiter/large], exporters: [nop]}
    traces/3: {receivers: [otlp], exporters: [nop]}
";
    let graph = check(file, &|_| None).graph;
    let shards = Shards::start(1, "limits").unwrap();
    let (budget, ledger, health) = (Budget::new(1 << 30), Ledger::new(), Health::new());
    let limiters = graph
        .limiters
        .iter()
        .map(|(id, settings)| (id.clone(), memory::limiter(id, settings, memory::total()).unwrap()));
    let mut sockets = Sockets::default();
    let mut around = exporters::Surroundings { sockets: &mut sockets, budget: &budget, tap: None };
    let opened =
        |(id, settings): (&Id, _)| (id.clone(), exporters::Opened::open(id, settings, &mut around).unwrap());
    let exporters = graph.exporters.iter().map(opened).map(|(id, opened)| (id, opened.start(&shards, 0)));
    let (limiters, exporters) = (limiters.collect(), exporters.collect());
    let mut assembly = pipelines::Assembly {
        graph: &graph,
        shards: &shards,
        ledger: &ledger,
        health: &health,
        budget: &budget,
        limiters: &limiters,
        exporters: &exporters,
        queues: &mut pipelines::Queues::new(),
        gaps: &mut stages::GapMeters::default(),
        replays: false,
    };
    let running = graph.pipelines.iter().map(|plan| assembly.pipeline(plan));
    let doors: Vec<_> = running.map(|running| running.doors()[0].clone()).collect();
    let each = [0, 1, 2].map(|i: usize| doors[i].budget().clone());
    let receiver = door::to_all(doors).unwrap();

    let body = receiver.budget().try_charge(5 << 20).unwrap();
    assert_eq!(each.each_ref().map(Budget::used), [5 << 20; 3]);
    assert!(receiver.budget().try_charge(4 << 20).is_none(), "the small one is full");
    drop(body);
    // What else feeds the second pipeline fills its budget: then nothing comes in here either.
    let other = each[1].try_charge(79 << 20).unwrap();
    assert!(receiver.budget().try_charge(2 << 20).is_none(), "the large one is full");
    assert_eq!(each.each_ref().map(Budget::used), [0, 79 << 20, 0]);
    drop(other);
    shards.stop(Instant::now());
}

#[test]
fn what_exporters_keep_is_charged_to_the_limiters_in_front_of_them() {
    let file = "
receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}}}}
processors:
  memory_limiter/a: {check_interval: 1s, limit_mib: 300}
  memory_limiter/b: {check_interval: 1s, limit_mib: 200}
exporters: {nop: , nop/limited: , nop/free: }
service:
  pipelines:
    metrics/a: {receivers: [otlp], processors: [memory_limiter/a], exporters: [nop, nop/limited]}
    metrics/b: {receivers: [otlp], processors: [memory_limiter/b], exporters: [nop]}
    metrics/c: {receivers: [otlp], exporters: [nop/free]}
";
    let graph = check(file, &|_| None).graph;
    let make = |(id, settings): (&Id, _)| (id.clone(), memory::limiter(id, settings, 1 << 32).unwrap());
    let limiters: BTreeMap<_, _> = graph.limiters.iter().map(make).collect();
    let general = Budget::new(1 << 30);
    let used = || {
        let limiter = |name: &str| limiters[&id(name)].budget().used();
        [limiter("memory_limiter/a"), limiter("memory_limiter/b"), general.used()]
    };
    for (exporter, expected) in [("nop", [7, 7, 0]), ("nop/limited", [7, 0, 0]), ("nop/free", [0, 0, 7])] {
        let budget = memory::of_exporter(&id(exporter), &graph, &limiters, &general);
        let charge = budget.try_charge(7);
        assert_eq!((charge.is_some(), used()), (true, expected), "{exporter}");
    }
}

#[test]
fn an_address_that_is_in_use_is_told_from_one_that_is_not_to_be_had() {
    let start = |address: &str| {
        let file = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{address}'}}}}}}}}\nexporters: {{nop: }}\n\
             service: {{pipelines: {{logs: {{receivers: [otlp], exporters: [nop]}}}}}}\n"
        );
        Engine::start(&check(&file, &|_| None).graph, Options { shards: 1, ..Options::default() })
    };
    let first = start("127.0.0.1:0").unwrap();
    let taken = start(&first.addresses()[0].address.to_string()).unwrap_err();
    assert!(taken.is_address_in_use(), "{taken}");
    // Of a network for documentation, RFC 5737: no machine has it.
    let elsewhere = start("192.0.2.1:4317").unwrap_err();
    assert!(!elsewhere.is_address_in_use(), "{elsewhere}");
    first.shutdown(std::time::Instant::now());
}
