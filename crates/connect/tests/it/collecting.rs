//! From a collector inside a program to a receiver, and to a scraper.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::sync::Arc;

use aldis_connect::{
    collect::to_pipeline,
    otlp::{OtlpConfig, OtlpExporter, Protocol},
    prometheus::{Format, PrometheusExporter},
};
use collect::{
    Emitter, EventType, MemoryStorage, ORIGIN, SubscriberStats, TelemetryCollector, TelemetryConfig,
    TelemetryStream,
};
use otlp::{
    Check, Checker, Depth, LogRecord, Signal,
    event::{AttributeValue, Metric, MetricData, Number},
};
use pipeline::{BackpressureStrategy, TelemetryPipeline};

use crate::side::{PATIENCE, Side};

/// An attempt that took too long would be made again, and what arrived would be there twice.
fn patient() -> OtlpConfig {
    OtlpConfig { timeout: PATIENCE, ..OtlpConfig::default() }
}

/// Collects a little, streams it through a pipeline, and ends both.
fn run(pipeline: TelemetryPipeline, collect: impl FnOnce(&TelemetryCollector)) -> SubscriberStats {
    let pipeline = Arc::new(pipeline);
    let collector = TelemetryCollector::new(TelemetryConfig::default()).unwrap();
    let stream = TelemetryStream::new(&collector, MemoryStorage::new());
    let consumer = stream.add_consumer(to_pipeline(&pipeline, Emitter::here("shop"))).unwrap();
    stream.start().unwrap();
    collect(&collector);
    stream.stop().unwrap();
    let left = pipeline.shutdown(2 * PATIENCE);
    assert!(left.exporters.is_empty() && left.unsent == 0, "{left:?}");
    stream.consumer_stats(consumer).unwrap()
}

#[test]
fn events_become_logs_and_metrics_metrics_at_an_otlp_endpoint() {
    let side = Side::with_metrics();
    let config = patient().with_endpoint(side.grpc().to_string()).with_protocol(Protocol::Grpc);
    let exporter = Arc::new(OtlpExporter::try_new(config).unwrap());
    let stats = run(TelemetryPipeline::builder().with_exporter(exporter).build().unwrap(), |collector| {
        for i in 0..1000_i64 {
            collector.collect_event("cart", &format!("event {i}"), EventType::Warning, &[("i", i.into())]);
        }
        collector.counter("orders", "{order}", &[("city", "berlin")]).add(7);
        collector.collect_metric("cpu", 45.2, "percent", &[]);
    });
    assert_eq!((stats.delivered, stats.failed), (1002, 0));
    let batches = side.memory.batches.lock().unwrap();
    let (mut logs, mut metrics) = (Vec::new(), Vec::new());
    for batch in batches.iter() {
        // As deep as it takes to read records.
        let batch =
            Checker::new(batch.signal(), Check::Full, Depth::Records).check(batch.raw().clone()).unwrap();
        for i in 0..batch.len() {
            match batch.signal() {
                Signal::Logs => logs.push(LogRecord::from_view(batch.log(i), batch.resource_of(i))),
                Signal::Metrics => {
                    metrics.push(Metric::from_view(batch.point(i), batch.metric_of(i), batch.resource_of(i)));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let of = |log: &LogRecord, key: &str| {
        log.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone()).unwrap()
    };
    logs.sort_by_key(|log| match of(log, ORIGIN.1) {
        AttributeValue::Int(seq) => seq,
        other => panic!("{other:?}"),
    });
    assert_eq!(logs.len(), 1000);
    for (i, log) in logs.iter().enumerate() {
        assert_eq!(log.body, Some(AttributeValue::String(format!("event {i}"))));
        assert_eq!((log.severity_number, of(log, "i")), (13, AttributeValue::Int(i as i64)));
        assert_eq!(of(log, "service.name"), AttributeValue::String("shop".into()));
        assert_eq!(of(log, ORIGIN.1), AttributeValue::Int(i as i64 + 1));
    }
    metrics.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(metrics.iter().map(|metric| &*metric.name).collect::<Vec<_>>(), ["cpu", "orders"]);
    assert_eq!(metrics[0].data, MetricData::Gauge(Number::Double(45.2)));
    assert!(matches!(metrics[1].data, MetricData::Sum { value: Number::Double(7.0), monotonic: true, .. }));
}

#[test]
fn metrics_are_shown_to_a_scraper_one_series_each() {
    let exporter = PrometheusExporter::new();
    let pipeline = TelemetryPipeline::builder().with_exporter(Arc::new(exporter.clone())).build().unwrap();
    run(pipeline, |collector| {
        let orders = collector.counter("orders", "", &[("city", "berlin")]);
        for depth in 0..10 {
            orders.add(2);
            collector.collect_metric("queue.depth", f64::from(depth), "", &[]);
            collector.flush().unwrap();
        }
    });
    let now_ns =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let text = String::from_utf8(exporter.render(Format::default(), now_ns)).unwrap();
    let samples = |name: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(samples("queue_depth{"), ["9"], "{text}");
    assert_eq!(samples("orders_total{"), ["20"], "{text}");
}

#[test]
fn a_pipeline_that_blocks_makes_the_consumer_wait_and_nobody_else() {
    let side = Side::start();
    let config = patient().with_endpoint(format!("http://{}", side.http()));
    let exporter = Arc::new(OtlpExporter::try_new(config.with_protocol(Protocol::Http)).unwrap());
    let builder =
        TelemetryPipeline::builder().with_exporter(exporter).with_channel_capacity(10).with_batch_size(5);
    let pipeline = builder.with_backpressure_strategy(BackpressureStrategy::Block).build().unwrap();
    let stats = run(pipeline, |collector| {
        for _ in 0..500 {
            collector.collect_event("cart", "event", EventType::Info, &[]);
        }
    });
    assert_eq!((stats.delivered, stats.failed), (500, 0));
    assert_eq!(side.memory.batches.lock().unwrap().iter().map(|batch| batch.len()).sum::<usize>(), 500);
}

#[test]
fn what_a_full_pipeline_does_not_take_fails_and_no_more() {
    let side = Side::start();
    let config = patient().with_endpoint(format!("http://{}", side.http()));
    let exporter = Arc::new(OtlpExporter::try_new(config.with_protocol(Protocol::Http)).unwrap());
    let builder = TelemetryPipeline::builder().with_exporter(exporter).with_channel_capacity(10);
    let pipeline = builder.with_backpressure_strategy(BackpressureStrategy::DropNewest).build().unwrap();
    let stats = run(pipeline, |collector| {
        for _ in 0..20_000 {
            collector.collect_event("cart", "event", EventType::Info, &[]);
        }
    });
    assert!(stats.failed > 0 && stats.delivered > 0 && stats.is_closed_sum(), "{stats:?}");
    let arrived = side.memory.batches.lock().unwrap().iter().map(|batch| batch.len()).sum::<usize>();
    assert_eq!(arrived as u64, stats.delivered);
}

#[test]
fn what_a_pipeline_refuses_fails() {
    let pipeline = Arc::new(TelemetryPipeline::builder().build().unwrap());
    pipeline.shutdown(PATIENCE);
    let collector = TelemetryCollector::new(TelemetryConfig::default()).unwrap();
    let stream = TelemetryStream::new(&collector, MemoryStorage::new());
    let consumer = stream.add_consumer(to_pipeline(&pipeline, Emitter::here("shop"))).unwrap();
    stream.start().unwrap();
    collector.collect_event("cart", "event", EventType::Info, &[]);
    stream.stop().unwrap();
    assert_eq!(stream.consumer_stats(consumer).unwrap().failed, 1);
    assert!(stream.consumer_error(consumer).unwrap().contains("1 of 1"));
}

/// The deepest values that a collector takes arrive, whoever reads the request: what a request cannot nest is JSON.
#[test]
fn values_that_are_too_deep_for_a_request_are_carried_as_json() {
    use collect::{TelemetryData, TelemetryEvent, Value, limits::MAX_VALUE_DEPTH};
    use opentelemetry_proto::tonic::{collector::logs::v1::ExportLogsServiceRequest, common::v1::any_value};
    use prost::Message;

    // Of each number of levels one: lists and maps in turns, the innermost with a number in it.
    let of_levels = |levels: usize| {
        (0..levels).fold(Value::Int(7), |inner, level| match level % 2 {
            0 => Value::List(vec![inner]),
            _ => Value::Map(vec![("in".into(), inner)]),
        })
    };
    let metadata =
        (0..=MAX_VALUE_DEPTH).map(|levels| (levels.to_string().into(), of_levels(levels))).collect();
    let event = TelemetryEvent { metadata, ..TelemetryEvent::default() };
    let data = TelemetryData { events: vec![event], metrics: vec![] };
    let batches = Emitter::here("shop").batches(&data).unwrap();
    let request = ExportLogsServiceRequest::decode(batches[0].raw().clone()).unwrap();
    let log = &request.resource_logs[0].scope_logs[0].log_records[0];
    for levels in 0..=MAX_VALUE_DEPTH {
        let attribute = log.attributes.iter().find(|attribute| attribute.key == levels.to_string()).unwrap();
        let (mut at, mut nested) = (attribute.value.as_ref().unwrap(), 0);
        let bottom = loop {
            at = match at.value.as_ref().expect("no value is unset") {
                any_value::Value::ArrayValue(list) => &list.values[0],
                any_value::Value::KvlistValue(map) => map.values[0].value.as_ref().unwrap(),
                bottom => break bottom.clone(),
            };
            nested += 1;
        };
        assert_eq!(nested, levels.min(24), "{levels}");
        let expected = match levels - nested {
            0 => any_value::Value::IntValue(7),
            left => {
                let fields = vec![("in".into(), of_levels(left))];
                let json = collect::json::of_fields(&fields);
                let json = json.strip_prefix("{\"in\":").unwrap().strip_suffix('}').unwrap();
                any_value::Value::StringValue(json.to_owned())
            }
        };
        assert_eq!(bottom, expected, "{levels}");
    }
}
