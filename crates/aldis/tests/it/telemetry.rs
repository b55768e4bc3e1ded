//! The facade `aldis::telemetry`: what a program records, what it is told, what is left when it ends.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aldis::telemetry::*;
use otlp::{Batch, Codec, Signal};
use pipeline::{
    Compressor, Exporter, ExporterSettings, Item, Outcome, RetrySettings, Sender, exporter::BoxFuture,
};

/// Long enough for everything to leave.
const SOON: Duration = Duration::from_secs(60);

/// A destination that does with a request what the name of its first span says, and remembers what it was sent.
#[derive(Clone, Default)]
struct Told {
    batches: Arc<Mutex<Vec<Batch>>>,
    /// Whether those that block or hang may go on.
    released: Arc<(Mutex<bool>, Condvar)>,
}

impl Exporter for Told {
    fn name(&self) -> &str {
        "told"
    }

    fn open(&self) -> Box<dyn Sender> {
        Box::new(self.clone())
    }
}

impl Sender for Told {
    fn send<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.batches.lock().unwrap().push(item.batch.clone());
            match item.batch.span(0).name() {
                "reject" => Outcome::Delivered { rejected: 1 },
                "fail" => Outcome::Permanent { code: "told".into(), reason: "told to fail".into() },
                "retry" => Outcome::Retry {
                    after: None,
                    maybe_delivered: false,
                    overloaded: false,
                    reason: "told to".into(),
                },
                "hang" => std::future::pending().await,
                "block" => {
                    let (released, changed) = &*self.released;
                    drop(changed.wait_while(released.lock().unwrap(), |released| !*released).unwrap());
                    Outcome::DELIVERED
                }
                _ => Outcome::DELIVERED,
            }
        })
    }
}

/// A pipeline on one thread that sends each span in a request of its own, one at a time, and once only.
fn pipeline(told: &Told) -> TelemetryPipelineBuilder {
    let retry = RetrySettings { enabled: false, ..RetrySettings::default() };
    let settings = ExporterSettings { consumers: 1, timeout: SOON, retry, ..ExporterSettings::default() };
    TelemetryPipeline::builder()
        .with_batch_size(1)
        .with_shards(1)
        .with_exporter(Arc::new(told.clone()))
        .with_exporter_settings(settings)
}

fn record(pipeline: &TelemetryPipeline, names: &[&str]) {
    for name in names {
        wait(pipeline.record_span(Span { name: (*name).to_owned(), ..Span::default() })).unwrap();
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn every_number_of_the_statistics_counts_what_it_says() {
    let pipeline = pipeline(&Told::default()).build().unwrap();
    record(&pipeline, &["take", "take", "take", "reject", "reject", "fail"]);
    assert!(pipeline.shutdown(SOON).is_clean());
    let stats = pipeline.stats();
    stats.check().unwrap();
    let counts = [stats.events_received, stats.events_processed, stats.events_rejected, stats.events_dropped];
    assert_eq!(counts, [6, 3, 2, 1]);
    assert_eq!((stats.events_sampled_out, stats.events_pending), (0, 0));
    assert_eq!((stats.batches_created, stats.avg_batch_size), (6, 1.0));
    assert_eq!(stats.export_errors, 1);
    let latencies = [
        (stats.avg_ingestion_latency_us, stats.p99_ingestion_latency_us),
        (stats.avg_processing_latency_us, stats.p99_processing_latency_us),
    ];
    assert!(latencies.iter().all(|(average, p99)| *average > 0.0 && *p99 > 0.0), "{latencies:?}");
    // Without a validator nothing is validated.
    let validated = (stats.avg_validation_latency_us, stats.p99_validation_latency_us);
    assert_eq!((stats.validation_errors, validated), (0, (0.0, 0.0)));
    let row = stats.detail.exporter("told", Signal::Traces).unwrap();
    assert_eq!((row.enqueued, row.delivered), (6, 3));
    let none = TelemetryPipeline::builder().build().unwrap().stats();
    assert_eq!((none.events_received, none.avg_batch_size), (0, 0.0));
}

#[test]
fn settings_of_exporters_say_whether_a_failed_send_is_repeated() {
    let told = Told::default();
    let pipeline = pipeline(&told).build().unwrap();
    record(&pipeline, &["retry"]);
    assert!(pipeline.shutdown(SOON).is_clean());
    assert_eq!(told.batches.lock().unwrap().len(), 1);
    assert_eq!(pipeline.stats().events_dropped, 1);
}

#[test]
fn health_says_what_is_wrong_with_an_exporter() {
    let retrying = ExporterSettings { consumers: 1, timeout: SOON, ..ExporterSettings::default() };
    let pipeline = pipeline(&Told::default()).with_exporter_settings(retrying).build().unwrap();
    assert_eq!(pipeline.health().worst(), None);
    record(&pipeline, &["retry"]);
    // What it fails with is told as long as it tries again.
    while pipeline.health().worst().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let problems = pipeline.health().problems();
    pipeline.shutdown(Duration::ZERO);
    assert!(problems["told"].to_string().contains("told to"), "{problems:?}");
}

#[test]
fn a_shutdown_says_what_was_left_and_where() {
    let told = Told::default();
    let pipeline = pipeline(&told).with_channel_capacity(10).build().unwrap();
    record(&pipeline, &["hang"; 8]);
    let report: DrainReport = pipeline.shutdown(Duration::from_millis(100));
    assert!(!report.is_clean());
    let at_exporters: u64 = report.exporters.iter().flat_map(|left| &left.left).map(|(_, n)| n).sum();
    assert!(at_exporters > 0, "{report}");
    assert_eq!(at_exporters + report.unsent, 8, "{report}");
    assert_eq!(report.threads_left, 0);
    assert_eq!(pipeline.stats().events_dropped, 8);
}

#[test]
fn a_shutdown_counts_the_threads_that_an_exporter_blocks() {
    let told = Told::default();
    let pipeline = pipeline(&told).build().unwrap();
    record(&pipeline, &["block"]);
    while told.batches.lock().unwrap().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let report = pipeline.shutdown(Duration::from_millis(50));
    assert_eq!(report.threads_left, 1, "{report}");
    *told.released.0.lock().unwrap() = true;
    told.released.1.notify_all();
}

#[test]
fn a_record_that_is_not_taken_says_what_can_be_done() {
    let strategy = BackpressureStrategy::DropNewest;
    let told = Told::default();
    let pipeline =
        pipeline(&told).with_channel_capacity(1).with_backpressure_strategy(strategy).build().unwrap();
    let span = |name: &str| Span { name: name.into(), ..Span::default() };
    let full = (0..10_000).find_map(|_| wait(pipeline.record_span(span("hang"))).err());
    assert_eq!(full, Some(RecordError::QueueFull));
    pipeline.shutdown(Duration::ZERO);
    assert_eq!(wait(pipeline.record_span(span("late"))), Err(RecordError::Closed));

    // Nothing of it is ever read, so that it takes up no memory.
    let huge = AttributeValue::Bytes(vec![0; otlp::limits::MAX_REQUEST_BYTES]);
    let span = Span { attributes: vec![("huge".into(), huge)], ..Span::default() };
    let pipeline = TelemetryPipeline::builder().build().unwrap();
    assert_eq!(wait(pipeline.record_span(span)), Err(RecordError::TooLarge));
    assert_eq!(pipeline.stats().events_dropped, 1);
}

#[test]
fn a_pipeline_that_is_not_built_says_why() {
    for (builder, method) in [
        (TelemetryPipeline::builder().with_batch_size(0), "with_batch_size"),
        (TelemetryPipeline::builder().with_channel_capacity(0), "with_channel_capacity"),
        (TelemetryPipeline::builder().with_channel_bytes(0), "with_channel_bytes"),
    ] {
        let error = builder.build().unwrap_err();
        assert!(matches!(error, BuildError::Setting { name, .. } if name == method), "{error}");
    }
    // A system without threads to give is hard to come by.
    let error = BuildError::Threads(std::io::Error::other("no more"));
    assert_eq!(error.to_string(), "cannot start the pipeline's threads: no more");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn a_compressor_of_ones_own_is_used_where_compression_is_on() {
    struct Mine;
    impl Compressor for Mine {
        fn codec(&self) -> Codec {
            Codec::Zstd
        }
        fn compress(&self, _: &[u8]) -> Option<bytes::Bytes> {
            Some(bytes::Bytes::from_static(b"mine"))
        }
    }
    for on in [true, false] {
        let told = Told::default();
        let pipeline = pipeline(&told).with_compression(on).with_compressor(Arc::new(Mine)).build().unwrap();
        record(&pipeline, &["take"]);
        pipeline.shutdown(SOON);
        let batch = told.batches.lock().unwrap()[0].clone();
        assert_eq!(batch.compressed(Codec::Zstd).map(|bytes| &bytes[..]), on.then_some(&b"mine"[..]));
    }
}

#[test]
fn without_room_for_streams_nothing_is_kept_for_them() {
    for (bytes, seen) in [(1 << 20, 3), (0, 0)] {
        let builder = TelemetryPipeline::builder().with_exporter(Arc::new(NullExporter));
        let pipeline = builder.with_event_stream_bytes(bytes).build().unwrap();
        record(&pipeline, &["a", "b", "c"]);
        let stream: EventStream = pipeline.event_stream();
        assert_eq!(stream.count(), seen);
        assert!(pipeline.shutdown(SOON).is_clean());
        assert_eq!(pipeline.stats().events_processed, 3, "the null exporter takes everything");
    }
}

/// Spans are not offered to an exporter of metrics: with it alone they end in the pipeline, and every sum closes.
#[tokio::test]
async fn an_exporter_is_offered_only_what_it_takes() {
    for has_another in [false, true] {
        let scraped = PrometheusExporter::new();
        let mut builder = TelemetryPipeline::builder().with_exporter(Arc::new(scraped.clone()));
        if has_another {
            builder = builder.with_exporter(Arc::new(NullExporter));
        }
        let pipeline = builder.build().unwrap();
        for _ in 0..3 {
            pipeline.record_span(Span::default()).await.unwrap();
        }
        for name in ["a", "b"] {
            pipeline.record_metric(Metric { name: name.into(), ..Metric::default() }).await.unwrap();
        }
        assert!(pipeline.shutdown(SOON).is_clean());
        let stats = pipeline.stats();
        stats.check().unwrap();
        assert_eq!((stats.events_received, stats.events_processed, stats.export_errors), (5, 5, 0));
        let row = |name, signal| stats.detail.exporter(name, signal).map_or(0, |row| row.delivered);
        assert_eq!((row("prometheus", Signal::Traces), row("prometheus", Signal::Metrics)), (0, 2));
        assert_eq!(row("null", Signal::Traces), if has_another { 3 } else { 0 });
        assert_eq!(scraped.stats().series, 2);
    }
}

#[test]
fn events_know_their_signal_and_metrics_their_kind() {
    let rows: [(TelemetryEvent, Signal); 3] = [
        (TelemetryEvent::Span(Span::default()), Signal::Traces),
        (TelemetryEvent::Log(LogRecord::default()), Signal::Logs),
        (TelemetryEvent::Metric(Metric::default()), Signal::Metrics),
    ];
    for (event, signal) in rows {
        assert_eq!(event.signal(), signal);
    }
    let temporality = Temporality::Delta;
    let kinds = [
        (MetricData::Gauge(Number::Double(0.5)), "gauge"),
        (MetricData::Sum { value: Number::Int(1), monotonic: true, temporality }, "sum"),
        (MetricData::Histogram { histogram: HistogramData::default(), temporality }, "histogram"),
    ];
    for (data, kind) in kinds {
        assert_eq!(data.kind_name(), kind);
    }
}

#[test]
fn now_is_the_time_in_unix_nanoseconds() {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (before, told, after) = (clock(), Duration::from_nanos(now()), clock());
    // Both read the system's clock; a step of it between two readings is no fault of either.
    let far = Duration::from_secs(3600);
    assert!(before < told + far && told < after + far, "{before:?} {told:?} {after:?}");
}
