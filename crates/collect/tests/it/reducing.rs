//! Sampling and aggregation before storage.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use aldis_collect::{
    AGGREGATE, Aggregation, EventType, Function, MemoryStorage, Sampling, TelemetryStorage, TelemetryStream,
};

use crate::scenes::{Moody, PATIENCE, collector, patient, wait_until};

#[test]
fn a_share_is_stored_and_the_rest_is_counted() {
    let collector = collector(patient());
    let storage = Arc::new(MemoryStorage::new());
    let sampling = Sampling::default().keep(EventType::Debug, 0.25).keep(EventType::Info, 0.0);
    let stream = TelemetryStream::new(&collector, storage.clone()).with_sampling(sampling);
    let consumer = stream.add_consumer(|_| ()).unwrap();
    stream.start().unwrap();
    for event_type in EventType::ALL {
        for _ in 0..4000 {
            collector.collect_event("s", "m", event_type, &[]);
        }
    }
    stream.stop_within(PATIENCE).unwrap();
    let data = storage.retrieve(None, None, None).unwrap();
    let count = |wanted| data.events.iter().filter(|event| event.event_type == wanted).count();
    assert_eq!((count(EventType::Info), count(EventType::Warning), count(EventType::Error)), (0, 4000, 4000));
    // Six standard deviations.
    assert!((1000 - 165..1000 + 165).contains(&count(EventType::Debug)), "{}", count(EventType::Debug));
    let stats = collector.stats();
    assert_eq!(stats.delivered + stats.sampled_out, 16_000);
    assert!(stats.is_closed_sum());
    assert_eq!(stream.consumer_stats(consumer).unwrap().delivered, 16_000);
}

#[test]
fn measurements_of_a_window_are_stored_as_one() {
    let collector = collector(patient());
    let storage = Arc::new(MemoryStorage::new());
    // A window is not over before the flush closes it.
    let aggregation = Aggregation::every(Duration::from_secs(1 << 33))
        .of([Function::Count, Function::Sum, Function::Min, Function::Max, Function::Mean, Function::Last])
        .unwrap();
    let stream = TelemetryStream::new(&collector, storage.clone()).with_aggregation(aggregation);
    stream.start().unwrap();
    for value in [3.0, 1.0, 2.0, 6.0] {
        collector.collect_metric("cpu", value, "percent", &[("core", "0")]);
    }
    collector.collect_metric("cpu", 50.0, "percent", &[("core", "1")]);
    collector.flush_within(PATIENCE).unwrap();
    let data = storage.retrieve(None, None, None).unwrap();
    let of = |core: &str| -> Vec<(String, f64)> {
        let metrics = data.metrics.iter().filter(|metric| metric.tag("core") == Some(core));
        metrics.map(|metric| (metric.tag(AGGREGATE).unwrap().to_owned(), metric.value)).collect()
    };
    let expected = [("count", 4.0), ("sum", 12.0), ("min", 1.0), ("max", 6.0), ("mean", 3.0), ("last", 6.0)];
    assert_eq!(of("0"), expected.map(|(function, value)| (function.to_owned(), value)));
    assert_eq!(of("1").len(), 6);
    let stats = collector.stats();
    assert_eq!((stats.aggregated, stats.delivered, stats.buffered), (5, 0, 0));
    assert!(stats.is_closed_sum());
}

#[test]
fn an_aggregation_of_nothing_is_refused_and_one_of_the_last_value_loses_nothing() {
    let collector = collector(patient());
    let storage = Arc::new(MemoryStorage::new());
    let aggregation = Aggregation::every(Duration::from_secs(1 << 33));
    assert_eq!(aggregation.clone().of([]).unwrap_err().to_string(), "functions takes one function at least");
    assert_eq!(aggregation.functions(), [Function::Last]);
    let stream = TelemetryStream::new(&collector, storage.clone()).with_aggregation(aggregation);
    stream.start().unwrap();
    collector.collect_metric("cpu", 3.0, "", &[]);
    collector.gauge("heat", "", &[]).set(7.0);
    stream.stop_within(PATIENCE).unwrap();
    assert_eq!(storage.retrieve(None, None, None).unwrap().metrics.len(), 2);
    let stats = collector.stats();
    assert_eq!((stats.emitted, stats.aggregated, stats.dropped.total()), (2, 2, 0));
    assert!(stats.is_closed_sum(), "{stats}");
}

#[test]
fn counters_stay_counters() {
    let collector = collector(patient());
    let storage = Arc::new(MemoryStorage::new());
    let aggregation = Aggregation::every(Duration::from_secs(1 << 33)).of([Function::Max]).unwrap();
    let stream = TelemetryStream::new(&collector, storage.clone()).with_aggregation(aggregation);
    stream.start().unwrap();
    let orders = collector.counter("orders", "", &[]);
    for count in 1..=3 {
        orders.add(count);
        collector.flush_within(PATIENCE).unwrap();
    }
    stream.stop_within(PATIENCE).unwrap();
    let data = storage.retrieve(None, None, None).unwrap();
    assert_eq!(data.metrics.iter().map(|metric| metric.value).sum::<f64>(), 6.0);
    assert!(data.metrics.iter().all(|metric| metric.tags.is_empty()));
}

#[test]
fn aggregates_that_are_not_stored_count_for_all_they_stand_for() {
    let collector = collector(patient());
    let storage = Arc::new(Moody::default());
    // The first call fails.
    storage.is_moody.store(true, Ordering::SeqCst);
    let aggregation = Aggregation::every(Duration::from_secs(1 << 33));
    let stream = TelemetryStream::new(&collector, storage.clone()).with_aggregation(aggregation);
    stream.start().unwrap();
    for value in 0..10 {
        collector.collect_metric("cpu", f64::from(value), "", &[]);
    }
    collector.flush_within(PATIENCE).unwrap();
    let stats = collector.stats();
    assert_eq!((stats.dropped.storage_error, stats.aggregated, stats.buffered), (10, 0, 0));
    assert!(stats.is_closed_sum());
}

#[test]
fn streams_that_were_stopped_too_early_store_their_aggregates_when_they_can() {
    let collector = collector(patient());
    let storage = Moody::shut();
    let aggregation = || Aggregation::every(Duration::from_secs(1 << 33)).of([Function::Sum]).unwrap();
    // An event holds the storage up; measurements are held by the aggregation meanwhile.
    let first = TelemetryStream::new(&collector, storage.clone()).with_aggregation(aggregation());
    let second = TelemetryStream::new(&collector, storage.clone()).with_aggregation(aggregation());
    for (stream, value) in [(&first, 1.0), (&second, 2.0)] {
        stream.start().unwrap();
        collector.collect_event("s", "m", EventType::Info, &[]);
        collector.collect_metric("cpu", value, "", &[]);
        // The first is inside of the storage before it is stopped; the second cannot come to it.
        assert!(collector.flush_within(Duration::from_millis(5)).is_err());
        wait_until("the storage is called", || storage.calls.load(Ordering::SeqCst) == 1);
        assert!(stream.stop_within(Duration::from_millis(20)).is_err());
        assert!(collector.stats().is_closed_sum());
    }
    storage.open();
    wait_until("the first is stored", || collector.stats().aggregated > 0);
    // What the first had not taken when it was stopped is with the collector.
    collector.flush_within(PATIENCE).unwrap();
    wait_until("nothing is left", || collector.stats().buffered == 0);
    let stats = collector.stats();
    assert!(stats.is_closed_sum() && stats.emitted == 4, "{stats}");
}

#[test]
fn consumers_keep_their_numbers() {
    let collector = collector(patient());
    let stream = TelemetryStream::new(&collector, MemoryStorage::new());
    let early = stream.add_consumer(|_| ()).unwrap();
    let stream = stream
        .with_sampling(Sampling::default())
        .with_aggregation(Aggregation::every(Duration::from_secs(1)));
    let late = stream.add_consumer(|_| ()).unwrap();
    assert_ne!(early, late);
    stream.start().unwrap();
    collector.collect_event("s", "m", EventType::Info, &[]);
    stream.stop_within(PATIENCE).unwrap();
    for id in [early, late] {
        assert_eq!(stream.consumer_stats(id).unwrap().delivered, 1);
    }
}
