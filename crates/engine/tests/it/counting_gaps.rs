//! Many collectors feed one engine: what of them got lost is seen there.

use std::{sync::Arc, time::Duration};

use collect::{EventType, MemoryStorage, Overflow, TelemetryCollector, TelemetryConfig, TelemetryStream};
use connect::{
    collect::to_pipeline,
    otlp::{OtlpConfig, OtlpExporter, Protocol},
};
use pipeline::{ExporterSettings, TelemetryPipeline};

use crate::{
    ends::{BOTH, Far, Near, PATIENCE, block_on, eventually, logs},
    telling::{get, readers, samples, sum},
};

type Record = fn(&TelemetryCollector) -> bool;

const EVENT: Record = |collector| collector.collect_event("cart", "full", EventType::Info, &[]);
const METRIC: Record = |collector| collector.collect_metric("cpu", 1.0, "", &[]);

/// A collector that loses some of what it records, and the engine that it sends the rest to.
fn lose(near: &Near, overflow: Overflow, (record, other): (Record, Record), kept: usize, lost: usize) {
    let config = OtlpConfig { timeout: 2 * PATIENCE, ..OtlpConfig::default() };
    let config = config.with_endpoint(near.address("grpc").to_string());
    let exporter = Arc::new(OtlpExporter::try_new(config.with_protocol(Protocol::Grpc)).unwrap());
    // One request at a time: what comes late, or twice, is counted as that.
    let settings = ExporterSettings { consumers: 1, timeout: 2 * PATIENCE, ..ExporterSettings::default() };
    let builder = TelemetryPipeline::builder().with_exporter(exporter).with_exporter_settings(settings);
    let pipeline = Arc::new(builder.with_shards(1).build().unwrap());
    let config = TelemetryConfig { buffer_size: kept, overflow, ..TelemetryConfig::default() };
    let collector = TelemetryCollector::new(config).unwrap();
    let stream = TelemetryStream::new(&collector, MemoryStorage::new());
    stream.add_consumer(to_pipeline(&pipeline, collect::Emitter::here("shop"))).unwrap();
    // Nobody takes them yet: there is room for the first ones, or for the last.
    let taken = (0..kept + lost).filter(|_| record(&collector)).count();
    assert_eq!(taken, if overflow == Overflow::DropOldest { kept + lost } else { kept });
    assert_eq!(collector.stats().dropped.total(), lost as u64);
    stream.start().unwrap();
    collector.flush().unwrap();
    // Events and metrics have numbers of their own: the others leave no gap.
    assert!(other(&collector) && record(&collector));
    stream.stop().unwrap();
    assert_eq!(collector.stats().dropped.total(), lost as u64);
    let left = pipeline.shutdown(PATIENCE);
    assert!(left.exporters.is_empty() && left.unsent == 0, "{left:?}");
}

fn file(far: &Far, settings: &str, more: &str) -> String {
    format!(
        "receivers: {{otlp: {BOTH}}}\nprocessors: {{gaps: {{{settings}}}, {more}}}\nexporters: {{{}}}\nservice:\n  telemetry: {{{}}}\n  \
         pipelines: {{logs: {{receivers: [otlp], processors: [gaps, batch], exporters: [otlp]}}, metrics: {{receivers: [otlp], processors: [gaps], exporters: [otlp]}}}}\n",
        far.exporter("otlp", ""),
        readers("normal")
    )
}

#[test]
fn what_collectors_lost_is_counted_by_host_process_and_thread() {
    let far = Far::taking();
    let mut near = Near::running(&file(&far, "", "batch: "));
    let page = |near: &Near| samples(&get(near.address("metrics"), "/metrics").1);
    let pid = std::process::id().to_string();
    lose(&near, Overflow::DropNewest, (EVENT, METRIC), 10, 15);
    lose(&near, Overflow::DropNewest, (EVENT, METRIC), 20, 3);
    lose(&near, Overflow::DropNewest, (METRIC, EVENT), 5, 7);
    lose(&near, Overflow::DropOldest, (EVENT, METRIC), 10, 12);
    // Each is the first thread of its collector, and all are of one process.
    let counts_of = |near: &Near, stage: &str| {
        let (page, here) = (page(near), [("stage", stage), ("pid", &*pid), ("lane", "1")]);
        ["received", "missing", "before_first", "duplicates", "late"]
            .map(|what| sum(&page, &format!("aldis_gaps_{what}"), &here))
    };
    let counts = |near: &Near| counts_of(near, "logs:gaps");
    assert_eq!(counts(&near), [44.0, 18.0, 12.0, 0.0, 0.0]);
    assert_eq!(counts_of(&near, "metrics:gaps"), [9.0, 7.0, 0.0, 0.0, 0.0]);
    block_on(async {
        assert_eq!(near.ask(logs(2)).await, pipeline::Outcome::DELIVERED);
        eventually("all arrived", || far.sizes().iter().sum::<usize>() >= 55).await;
    });
    assert_eq!(sum(&page(&near), "aldis_gaps_unnumbered", &[]), 2.0);
    // What is counted stays while the processor does, and is forgotten with it.
    let reload = |near: &mut Near, text: &str| {
        let graph = aldis_engine::check(text, &|_| None).graph;
        near.engine_mut().reload(&graph, Duration::from_secs(10)).unwrap();
    };
    reload(&mut near, &file(&far, "", "batch: {timeout: 1s}"));
    assert_eq!(counts(&near), [44.0, 18.0, 12.0, 0.0, 0.0]);
    reload(&mut near, &file(&far, "max_senders: 100", "batch: {timeout: 1s}"));
    assert_eq!(counts(&near), [0.0; 5]);
}
