use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
};

use otlp::{AttributeValue, TelemetryEvent};

use super::*;
use crate::{Exporter, Item, NullExporter, Outcome, Sender};

/// Keeps what it is sent; can be told to hold everything back.
#[derive(Clone, Default)]
struct Memory {
    got: Arc<Mutex<Vec<Item>>>,
    held: Arc<AtomicBool>,
    released: Arc<tokio::sync::Notify>,
}

impl Exporter for Memory {
    fn name(&self) -> &str {
        "memory"
    }
    fn open(&self) -> Box<dyn Sender> {
        Box::new(self.clone())
    }
}

impl Sender for Memory {
    fn send<'a>(&'a self, item: &'a Item) -> crate::exporter::BoxFuture<'a, Outcome> {
        Box::pin(async move {
            while self.held.load(Ordering::SeqCst) {
                self.released.notified().await;
            }
            self.got.lock().unwrap().push(Item::new(item.batch.clone()));
            Outcome::DELIVERED
        })
    }
}

impl Memory {
    fn holding() -> Self {
        let memory = Self::default();
        memory.held.store(true, Ordering::SeqCst);
        memory
    }

    fn release(&self) {
        self.held.store(false, Ordering::SeqCst);
        self.released.notify_waiters();
        self.released.notify_one();
    }

    fn names(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        let spans = |item: &Item| {
            (0..item.batch.len()).map(|i| item.batch.span(i).name().to_owned()).collect::<Vec<_>>()
        };
        got.iter().flat_map(spans).collect()
    }
}

fn span(n: usize) -> Span {
    Span {
        name: format!("op-{n}"),
        trace_id: format!("trace-{n}"),
        span_id: format!("{n:016x}"),
        attributes: vec![("service.name".to_owned(), AttributeValue::String(format!("service-{}", n % 3)))],
        start_time_ns: 1_000 + n as u64,
        end_time_ns: 2_000 + n as u64,
        ..Span::default()
    }
}

/// Pressure changes what a request begins with, not whether one that has begun takes what it has room for.
#[test]
fn a_request_takes_what_it_has_room_for_while_the_queue_is_full() {
    let intake = Intake::new(&intake::IntakeSettings {
        records: 200,
        bytes: 1 << 20,
        batch_size: 1000,
        strategy: BackpressureStrategy::AdaptiveSampling,
        depth: otlp::Depth::Counts,
        workers: 1,
    });
    let log = LogRecord::default();
    now(intake.record_waiting(&Event::Log(&log))).unwrap();
    let is_taken = |n: usize| {
        // Random enough to be kept whatever the threshold.
        let span = Span { trace_id: "f".repeat(32), ..span(n) };
        now(intake.record_waiting(&Event::Span(&span))).is_ok()
    };
    assert!((0..1000).any(|n| !is_taken(n)), "it never was full");
    assert_ne!(intake.threshold_for(&Event::Log(&log)), Default::default(), "it does not sample");
    assert_eq!(now(intake.record_waiting(&Event::Log(&log))), Ok(()));
    let counts = intake.counts();
    assert_eq!((counts.refused, counts.sampled), (1, 0));
    assert_eq!(counts.pending, counts.received - 1);
}

/// Ready at once, unless the strategy is to block.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("not ready"),
    }
}

/// Sooner than anybody waits in vain, and late enough for a machine that is busy with others.
const SOON: Duration = Duration::from_secs(120);

fn ends(pipeline: &TelemetryPipeline) {
    let report = pipeline.shutdown(SOON);
    assert!(report.is_clean(), "{report}");
}

#[test]
fn what_is_recorded_arrives_once() {
    let memory = Memory::default();
    let pipeline = TelemetryPipeline::builder()
        .with_batch_size(7)
        .with_shards(2)
        .with_exporter(Arc::new(memory.clone()))
        .build()
        .unwrap();
    thread::scope(|scope| {
        for t in 0..3 {
            let pipeline = &pipeline;
            scope.spawn(move || {
                for n in 0..500 {
                    now(pipeline.record_span(span(t * 500 + n))).unwrap();
                }
            });
        }
    });
    ends(&pipeline);
    let names = memory.names();
    assert_eq!(names.len(), 1500);
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 1500);
    let stats = pipeline.stats();
    stats.check().unwrap();
    assert_eq!((stats.events_received, stats.events_processed, stats.events_pending), (1500, 1500, 0));
    assert!(stats.avg_batch_size <= 7.0 && stats.batches_created >= 1500 / 7);
    assert!(stats.p99_processing_latency_us > 0.0 && stats.p99_ingestion_latency_us > 0.0);
    assert_eq!(now(pipeline.record_span(span(0))), Err(RecordError::Closed));
}

#[test]
fn every_signal_arrives_as_itself() {
    let memory = Memory::default();
    let pipeline = TelemetryPipeline::builder().with_exporter(Arc::new(memory.clone())).build().unwrap();
    now(pipeline.record_span(span(1))).unwrap();
    now(pipeline.record_log(LogRecord { severity_text: "WARN".to_owned(), ..LogRecord::default() })).unwrap();
    now(pipeline.record_metric(Metric { name: "requests".to_owned(), ..Metric::default() })).unwrap();
    ends(&pipeline);
    let mut signals: Vec<_> = memory.got.lock().unwrap().iter().map(|item| item.batch.signal()).collect();
    signals.sort_unstable();
    assert_eq!(signals, RECORDED);
    pipeline.stats().check().unwrap();
}

/// Fills a pipeline whose exporter holds everything back, then lets go; returns what arrived and the numbers.
fn overload(strategy: BackpressureStrategy, records: usize) -> (Vec<String>, PipelineStats, usize) {
    let memory = Memory::holding();
    let settings = crate::ExporterSettings { consumers: 1, timeout: SOON, ..Default::default() };
    let pipeline = TelemetryPipeline::builder()
        .with_batch_size(4)
        .with_channel_capacity(32)
        .with_shards(1)
        .with_backpressure_strategy(strategy)
        .with_exporter_settings(settings)
        .with_exporter(Arc::new(memory.clone()))
        .build()
        .unwrap();
    let errors = (0..records).filter(|n| now(pipeline.record_span(span(*n))).is_err()).count();
    memory.release();
    ends(&pipeline);
    let stats = pipeline.stats();
    stats.check().unwrap();
    assert_eq!((stats.events_received, stats.events_pending), (records as u64, 0));
    assert_eq!(stats.events_processed as usize, memory.names().len());
    (memory.names(), stats, errors)
}

#[test]
fn dropping_the_oldest_keeps_the_newest() {
    let (names, stats, errors) = overload(BackpressureStrategy::DropOldest, 2000);
    assert_eq!(errors, 0);
    assert!(stats.events_dropped > 1000, "{stats:?}");
    assert!((1969..2000).all(|n| names.contains(&format!("op-{n}"))), "{names:?}");
}

#[test]
fn dropping_the_newest_keeps_the_oldest() {
    let (names, stats, errors) = overload(BackpressureStrategy::DropNewest, 2000);
    assert_eq!(stats.events_dropped as usize, errors);
    assert!(errors > 1000);
    assert!((0..32).all(|n| names.contains(&format!("op-{n}"))), "{names:?}");
}

#[test]
fn blocking_loses_nothing() {
    let memory = Memory::holding();
    let pipeline = TelemetryPipeline::builder()
        .with_batch_size(4)
        .with_channel_capacity(16)
        .with_shards(2)
        .with_backpressure_strategy(BackpressureStrategy::Block)
        .with_exporter(Arc::new(memory.clone()))
        .build()
        .unwrap();
    let (begun, recorded) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for t in 0..4 {
            let (pipeline, begun, recorded) = (&pipeline, &begun, &recorded);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                for n in 0..500 {
                    begun.fetch_add(1, Ordering::SeqCst);
                    runtime.block_on(pipeline.record_span(span(t * 500 + n))).unwrap();
                    recorded.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        // Until all four have waited for a while.
        let end = Instant::now() + SOON;
        loop {
            let done = || recorded.load(Ordering::SeqCst);
            let before = done();
            assert!(before < 2000 && Instant::now() < end, "nobody waited");
            let all_wait = begun.load(Ordering::SeqCst) == before + 4;
            thread::sleep(Duration::from_millis(100));
            if all_wait && done() == before {
                break;
            }
        }
        memory.release();
    });
    ends(&pipeline);
    let stats = pipeline.stats();
    stats.check().unwrap();
    assert_eq!((stats.events_processed, stats.events_dropped), (2000, 0));
    // Four waited all the time that nothing left, and most others a little: waiting is part of the latency.
    assert!(stats.avg_ingestion_latency_us > 20.0, "{stats:?}");
}

/// Some have a trace, some have none.
fn log(n: usize) -> LogRecord {
    let trace_id = (!n.is_multiple_of(3)).then(|| format!("trace-{n}"));
    LogRecord { trace_id, time_ns: n as u64, ..LogRecord::default() }
}

/// Sampling under pressure: spans and log records stand for what is gone, data points are dropped or whole.
#[test]
fn adaptive_sampling_keeps_counts_unbiased() {
    let memory = Memory::holding();
    let settings = crate::ExporterSettings { consumers: 1, timeout: SOON, ..Default::default() };
    let pipeline = TelemetryPipeline::builder()
        .with_batch_size(50)
        .with_channel_capacity(20_000)
        .with_shards(1)
        .with_backpressure_strategy(BackpressureStrategy::AdaptiveSampling)
        .with_exporter_settings(settings)
        .with_exporter(Arc::new(memory.clone()))
        .build()
        .unwrap();
    let (total, every) = (100_000, 100);
    let mut points = 0;
    for n in 0..total {
        now(pipeline.record_span(span(n))).unwrap();
        now(pipeline.record_log(log(n))).unwrap();
        if n % every == 0 {
            points += u64::from(now(pipeline.record_metric(Metric::default())).is_ok());
        }
    }
    memory.release();
    ends(&pipeline);
    let stats = pipeline.stats();
    stats.check().unwrap();
    assert!(stats.events_sampled_out > 100_000, "{stats:?}");
    assert_eq!(stats.events_dropped, (total / every) as u64 - points, "only data points are dropped");
    // Every record that arrived stands for as many as its threshold says; together they stand for all. The variance of a
    // weight w is w (w - 1) for each record kept.
    let (mut stands_for, mut variance, mut delivered) = ([0.0; 2], [0.0; 2], 0);
    for item in memory.got.lock().unwrap().iter() {
        for i in 0..item.batch.len() {
            let (number, threshold) = match item.batch.signal() {
                Signal::Traces => {
                    (0, operators::sample::OtelState::read(item.batch.span(i).trace_state()).threshold)
                }
                Signal::Logs => {
                    let digits = item.batch.attributes_of(i).text("sampling.threshold");
                    (1, digits.map(|digits| operators::sample::Threshold::parse(digits).unwrap()))
                }
                _ => {
                    delivered += 1;
                    continue;
                }
            };
            let weight = threshold.map_or(1.0, operators::sample::Threshold::adjusted_count);
            stands_for[number] += weight;
            variance[number] += weight * (weight - 1.0);
        }
    }
    assert_eq!(delivered, points);
    for (stands_for, variance) in stands_for.into_iter().zip(variance) {
        let error = (stands_for - total as f64).abs();
        assert!(variance > 0.0 && error < 5.0 * variance.sqrt(), "{stands_for} for {total}");
    }
}

#[test]
fn an_iterator_drains_what_was_accepted_and_a_later_one_goes_on() {
    let pipeline = TelemetryPipeline::builder().with_shards(2).build().unwrap();
    (0..300).for_each(|n| now(pipeline.record_span(span(n))).unwrap());
    let drained: BTreeSet<String> = pipeline
        .event_stream()
        .map(|event| match event {
            TelemetryEvent::Span(span) => {
                assert_eq!(span.attributes[0].0, "service.name");
                format!("{} {}", span.name, span.trace_id)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(drained.len(), 300);
    assert!(drained.contains("op-299 trace-299"));
    assert_eq!(pipeline.event_stream().count(), 0);
    now(pipeline.record_log(LogRecord::default())).unwrap();
    assert_eq!(pipeline.event_stream().collect::<Vec<_>>(), [TelemetryEvent::Log(LogRecord::default())]);
}

#[test]
fn a_stream_is_live_and_ends_at_shutdown() {
    let pipeline = Arc::new(TelemetryPipeline::builder().build().unwrap());
    let mut stream = pipeline.event_stream();
    let reader = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut count = 0;
            while std::future::poll_fn(|cx| {
                futures_core::Stream::poll_next(std::pin::Pin::new(&mut stream), cx)
            })
            .await
            .is_some()
            {
                count += 1;
            }
            count
        })
    });
    for n in 0..100 {
        now(pipeline.record_span(span(n))).unwrap();
        if n % 40 == 0 {
            thread::sleep(Duration::from_millis(5));
        }
    }
    pipeline.shutdown(SOON);
    assert_eq!(reader.join().unwrap(), 100);
}

#[test]
fn a_lagging_stream_counts_what_it_missed() {
    let pipeline = TelemetryPipeline::builder()
        .with_event_stream_bytes(2_000)
        .with_shards(1)
        .with_batch_size(5)
        .build()
        .unwrap();
    (0..500).for_each(|n| now(pipeline.record_span(span(n))).unwrap());
    let mut stream = pipeline.event_stream();
    let mut seen = 0;
    while stream.next().is_some() {
        seen += 1;
    }
    assert!(seen > 0 && seen < 500);
    assert_eq!(seen + stream.missed(), 500);
}

#[test]
fn a_hanging_exporter_is_reported_by_name() {
    let memory = Memory::holding();
    let pipeline = TelemetryPipeline::builder()
        .with_exporter(Arc::new(memory))
        .with_exporter(Arc::new(NullExporter))
        .build()
        .unwrap();
    (0..10).for_each(|n| now(pipeline.record_span(span(n))).unwrap());
    // The other has none left when the time is over.
    let end = Instant::now() + SOON;
    let taken = || {
        let stats = pipeline.stats();
        stats.detail.exporter("null", Signal::Traces).map_or(0, |row| row.delivered)
    };
    while taken() < 10 && Instant::now() < end {
        thread::sleep(Duration::from_millis(1));
    }
    let report = pipeline.shutdown(Duration::from_millis(200));
    assert_eq!(report.exporters.len(), 1, "{report}");
    assert_eq!(report.exporters[0].exporter, "memory");
    assert_eq!(report.exporters[0].left, [(Signal::Traces, 10)]);
    let stats = pipeline.stats();
    stats.check().unwrap();
    // The other exporter took them.
    assert_eq!(stats.events_processed, 10);
}

/// Records and bytes that wait are bounded while the exporter takes nothing, whatever the strategy.
#[test]
fn what_waits_is_bounded_in_records_and_bytes() {
    for (capacity, bytes) in [(5_000, 64 << 20), (1_000_000, 300_000)] {
        let memory = Memory::holding();
        let settings = crate::ExporterSettings { consumers: 1, timeout: SOON, ..Default::default() };
        let pipeline = TelemetryPipeline::builder()
            .with_batch_size(10)
            .with_shards(1)
            .with_channel_capacity(capacity)
            .with_channel_bytes(bytes)
            .with_exporter_settings(settings)
            .with_exporter(Arc::new(memory.clone()))
            .build()
            .unwrap();
        (0..20_000).for_each(|n| now(pipeline.record_span(span(n))).unwrap());
        let pending = pipeline.stats().events_pending as usize;
        // A span is about 90 bytes on the wire here; batches of ten wait at the exporter, too.
        let most = capacity.min(bytes / 60) + 10 * 10;
        assert!(pending > 0 && pending <= most, "{pending} of at most {most}");
        memory.release();
        pipeline.shutdown(SOON);
        pipeline.stats().check().unwrap();
    }
}

/// While the exporter is busy, records wait for others, and no longer than told.
#[test]
fn the_flush_interval_is_a_maximum() {
    for (interval, leaves) in [(Duration::from_millis(20), true), (Duration::from_secs(60), false)] {
        let memory = Memory::holding();
        let settings = crate::ExporterSettings { consumers: 1, timeout: SOON, ..Default::default() };
        let pipeline = TelemetryPipeline::builder()
            .with_flush_interval(interval)
            .with_shards(1)
            .with_exporter_settings(settings)
            .with_exporter(Arc::new(memory.clone()))
            .build()
            .unwrap();
        let row = |pipeline: &TelemetryPipeline| {
            let stats = pipeline.stats();
            stats.detail.exporter("memory", Signal::Traces).map_or((0, 0), |row| (row.in_flight, row.queued))
        };
        let until = |wanted: (u64, u64), patience: Duration| {
            let end = Instant::now() + patience;
            while row(&pipeline) != wanted && Instant::now() < end {
                thread::sleep(Duration::from_millis(1));
            }
            row(&pipeline) == wanted
        };
        now(pipeline.record_span(span(0))).unwrap();
        assert!(until((1, 0), SOON), "an idle exporter gets a record at once");
        now(pipeline.record_span(span(1))).unwrap();
        assert_eq!(until((1, 1), if leaves { SOON } else { Duration::from_millis(100) }), leaves);
        memory.release();
        ends(&pipeline);
        assert_eq!(memory.names(), ["op-0", "op-1"]);
    }
}

/// Compressed once, as the exporter that compresses does it; not at all unless asked for.
#[test]
fn compression_is_as_the_exporter_does_it() {
    struct Marked;
    impl crate::Compressor for Marked {
        fn codec(&self) -> otlp::Codec {
            otlp::Codec::Gzip
        }
        fn compress(&self, request: &[u8]) -> Option<bytes::Bytes> {
            Some(format!("{} bytes", request.len()).into())
        }
    }
    struct Compressing(Memory);
    impl Exporter for Compressing {
        fn name(&self) -> &str {
            "compressing"
        }
        fn open(&self) -> Box<dyn Sender> {
            self.0.open()
        }
        fn compressor(&self) -> Option<Arc<dyn crate::Compressor>> {
            Some(Arc::new(Marked))
        }
    }
    for compress in [true, false] {
        let memory = Memory::default();
        let pipeline = TelemetryPipeline::builder()
            .with_compression(compress)
            .with_exporter(Arc::new(NullExporter))
            .with_exporter(Arc::new(Compressing(memory.clone())))
            .build()
            .unwrap();
        now(pipeline.record_span(span(0))).unwrap();
        ends(&pipeline);
        let got = memory.got.lock().unwrap();
        let expected = compress.then(|| format!("{} bytes", got[0].batch.raw().len()).into());
        assert_eq!(got[0].batch.compressed(otlp::Codec::Gzip).cloned(), expected);
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let error = TelemetryPipeline::builder().with_batch_size(0).build().unwrap_err();
    assert_eq!(error.to_string(), "with_batch_size takes at least 1");
}
