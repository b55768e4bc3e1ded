//! What a program asks of the parts: settings that are read back, counts, and errors that say what to do.

use std::{error::Error, io, time::Duration};

use aldis_collect::{
    Aggregation, CollectorStats, ConfigError, Counter, Dropped, EventType, Fields, FileStats, FileStorage,
    FlushError, Function, LogSink, MAX_SERIES, MemoryStats, MemoryStorage, Name, PerProcess, Record,
    Sampling, ScanReport, StopError, StreamError, SubscriberId, SubscriberStats, TelemetryConfig,
    TelemetryData, TelemetryEvent, TelemetryMetric, TelemetryStorage, TelemetryStream, Value, ValueRef,
    Verdict, limits,
};

use crate::scenes::{PATIENCE, collector, event, messages, patient, wait_until};

#[test]
fn what_is_dropped_is_counted_by_its_reason() {
    let collector = collector(TelemetryConfig { buffer_size: 1, ..patient() });
    let counter: Counter = collector.counter("orders", "", &[]);
    counter.clone().add(2);
    assert_eq!(counter.pending(), 2);
    event(&collector, "1");
    event(&collector, "2");
    collector.close();
    event(&collector, "3");
    let stats: CollectorStats = collector.stats();
    let dropped: Dropped = stats.dropped;
    let reasons: Vec<_> = dropped.by_reason().into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(reasons, [("displaced", 1), ("after_close", 1)]);
    assert_eq!((dropped.total(), stats.emitted, stats.buffered), (2, 3, 1));
    assert_eq!(
        stats.to_string(),
        "emitted 3 = delivered 0 + sampled out 0 + aggregated 0 + buffered 1 + displaced 1 + after_close 1"
    );
}

#[test]
fn errors_say_what_to_do() {
    let wrong: ConfigError =
        TelemetryConfig { flush_interval: Duration::ZERO, ..patient() }.validate().unwrap_err();
    assert_eq!(wrong.to_string(), "flush_interval takes 1 ms to 1 h");
    let thread = StreamError::Thread(io::Error::other("no more threads"));
    assert_eq!(thread.to_string(), "cannot start a thread: no more threads");
    assert!(thread.source().is_some());
    let collector = collector(patient());
    let stream = TelemetryStream::new(&collector, MemoryStorage::new());
    for _ in 0..limits::MAX_SUBSCRIBERS {
        stream.add_consumer(|_: &TelemetryData| ()).unwrap();
        collector.add_listener(|_: &TelemetryData| ()).unwrap();
    }
    let refused = [
        stream.add_consumer(|_: &TelemetryData| ()).unwrap_err(),
        collector.add_listener(|_: &TelemetryData| ()).unwrap_err(),
    ];
    assert!(refused.iter().all(|error| matches!(error, StreamError::TooManySubscribers)), "{refused:?}");
    assert_eq!(refused[0].to_string(), "there are 64 subscribers already");
    let left = StopError::Incomplete { unstored: 3, is_synced: false, unseen: Vec::new() };
    assert_eq!((left.code(), StopError::FromWithin.code()), ("stop_incomplete", "stop_from_within"));
    assert!(StopError::FromWithin.to_string().contains("would wait for itself"));
    let stopped = FlushError::Stopped { remaining: 3 };
    assert_eq!(stopped.to_string(), "the stream was stopped, and left 3 records in the collector");
    assert_eq!(left.to_string(), "stopped with 3 records not stored, the storage could not sync");
    assert!(FlushError::WhileStoring.to_string().contains("cannot flush the collector it is storing for"));
}

#[test]
fn memory_keeps_no_more_than_its_bounds_and_says_what_it_forgot() {
    let storage = MemoryStorage::with_bounds(3, 1 << 20);
    let at = |time_ns| TelemetryEvent { time_ns, ..TelemetryEvent::default() };
    storage.store(&TelemetryData { events: (1..=5).map(at).collect(), metrics: Vec::new() }).unwrap();
    let stats: MemoryStats = storage.stats();
    assert_eq!((stats.items, stats.evicted), (3, 2));
    let kept = storage.retrieve(None, None, None).unwrap();
    assert_eq!(kept.events.iter().map(|event| event.time_ns).collect::<Vec<_>>(), [3, 4, 5]);
    let small = MemoryStorage::with_bounds(1000, stats.bytes);
    small.store(&TelemetryData { events: (1..=9).map(at).collect(), metrics: Vec::new() }).unwrap();
    assert!(small.stats().bytes <= stats.bytes && small.stats().evicted == 6, "{:?}", small.stats());
}

#[test]
fn a_scan_goes_on_while_it_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scanned.jsonl");
    let storage = FileStorage::open(&path).unwrap();
    let at = |time_ns| TelemetryMetric { time_ns, ..TelemetryMetric::default() };
    storage.store(&TelemetryData { events: Vec::new(), metrics: (0..1000).map(at).collect() }).unwrap();
    let stats: FileStats = storage.stats();
    let length = std::fs::metadata(&path).unwrap().len();
    assert_eq!((stats.written_records, stats.written_bytes), (1000, length));
    let mut seen = Vec::new();
    let visit = |record: Record| {
        seen.push(record.time_ns());
        seen.len() < 3
    };
    let report: ScanReport = storage.scan_while(Some(10), None, visit).unwrap();
    assert_eq!((seen, report.records), (vec![10, 11, 12], 3));
    let report = storage.scan(Some(10), Some(20), |_| ()).unwrap();
    assert_eq!((report.records, report.bad_lines), (10, 0));
    assert_eq!(report.bytes_read + report.bytes_passed_over, length);
}

#[test]
fn values_and_names_are_what_they_are_made_of() {
    assert_eq!(EventType::from_text("Warning"), Some(EventType::Warning));
    assert_eq!(EventType::from_text("loud"), None);
    let fields: Fields = vec![(Name::from("a"), Value::from(true))];
    let map = Value::from(fields.clone());
    assert_eq!(map, Value::Map(fields));
    assert!(matches!(ValueRef::from(&map), ValueRef::Value(Value::Map(_))));
    let at = |time_ns| TelemetryEvent { time_ns, ..TelemetryEvent::default() };
    let mut data = TelemetryData { events: vec![at(3), at(1), at(2)], metrics: Vec::new() };
    data.select(Some(2), None, Some(1));
    assert_eq!(data.events, [at(2)]);
}

#[test]
fn what_reduces_says_how() {
    let sampling = Sampling::default().keep(EventType::Debug, 0.25);
    assert_eq!((sampling.share(EventType::Debug), sampling.share(EventType::Info)), (0.25, 1.0));
    let aggregation = Aggregation::every(Duration::from_secs(1)).of([Function::Count]).unwrap();
    assert_eq!(aggregation.functions(), [Function::Count]);
    // Of more series than there may be, those beyond are stored as they are.
    let collector = collector(TelemetryConfig { buffer_size: 2 * MAX_SERIES, ..patient() });
    let storage = std::sync::Arc::new(MemoryStorage::new());
    let stream = TelemetryStream::new(&collector, storage.clone()).with_aggregation(aggregation);
    stream.start().unwrap();
    for number in 0..MAX_SERIES + 5 {
        collector.collect_metric(&number.to_string(), 7.0, "", &[]);
    }
    stream.stop_within(PATIENCE).unwrap();
    let stored = storage.retrieve(None, None, None).unwrap().metrics;
    assert!(stored.len() >= MAX_SERIES + 5, "{}", stored.len());
    assert_eq!(collector.stats().aggregated + collector.stats().delivered, MAX_SERIES as u64 + 5);
}

#[test]
fn a_listener_that_fails_says_why() {
    fn verdict<V: Verdict>(verdict: V) -> Option<String> {
        verdict.into_result().err().map(|failure| failure.error().to_owned())
    }
    assert_eq!((verdict(()), verdict(Err::<(), _>("no"))), (None, Some("no".to_owned())));
    let collector = collector(TelemetryConfig { realtime_mode: true, ..patient() });
    let id: SubscriberId = collector.add_listener(|_: &TelemetryData| Err::<(), _>("not today")).unwrap();
    assert!(!collector.is_streaming());
    let stream = TelemetryStream::new(&collector, MemoryStorage::new());
    stream.start().unwrap();
    assert!(collector.is_streaming());
    event(&collector, "1");
    let failed = || collector.listener_stats(id).is_some_and(|stats: SubscriberStats| stats.failed == 1);
    wait_until("it has failed", failed);
    assert_eq!(collector.listener_error(id).as_deref(), Some("not today"));
}

#[test]
fn a_value_of_a_process_is_there_from_the_beginning() {
    let value = PerProcess::new(7);
    assert_eq!(value.existing().map(|value| **value), Some(7));
    assert_eq!(**value.get(|_| 8), 7);
}

#[test]
fn a_sink_is_the_logger_of_its_program() {
    let collector = collector(patient());
    LogSink::new(&collector).install(log::LevelFilter::Warn).unwrap();
    assert!(LogSink::new(&collector).install(log::LevelFilter::Warn).is_err());
    log::warn!(target: "naming", "heard");
    log::info!(target: "naming", "not heard");
    let data = collector.flush_within(PATIENCE).unwrap();
    let own = data.events.iter().filter(|event| event.source == "naming").cloned().collect();
    assert_eq!(messages(&TelemetryData { events: own, metrics: Vec::new() }), ["heard"]);
}
