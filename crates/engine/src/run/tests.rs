use std::time::Duration;

use connect::otlp::{Keepalive, Protocol};
use otlp::Codec;
use pipeline::{
    Acknowledge,
    queue::{Bounds, Policy, Sizer},
};

use super::*;
use crate::{check, graph::Stage};

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
    assert_eq!(config.headers, [("x-scope-orgid".to_owned(), "1".to_owned())]);
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
    let mut builder = Builder::new(&graph, &shards).unwrap();
    builder.build();
    let budget = |name: &str| builder.doors[&(name.to_owned(), 0)].budget().clone();
    let each = ["traces/1", "traces/2", "traces/3"].map(budget);
    let receiver = door::to_all(
        graph
            .fed_by(&id("otlp"), Signal::Traces)
            .map(|plan| builder.doors[&(plan.name.clone(), 0)].clone())
            .collect(),
    )
    .unwrap();

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
