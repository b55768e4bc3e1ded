//! When records leave, and what `flush` promises.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aldis_collect::{
    EventType, FlushError, MemoryStorage, Overflow, StopError, StorageError, StreamError, TelemetryCollector,
    TelemetryConfig, TelemetryData, TelemetryStorage, TelemetryStream,
};

use crate::scenes::{Moody, PATIENCE, collector, event, in_time, messages, patient, wait_until};

#[test]
fn a_flush_is_a_barrier_for_what_any_thread_recorded() {
    let collector = collector(patient());
    let storage = Arc::new(MemoryStorage::new());
    let stream = TelemetryStream::new(&collector, storage.clone());
    stream.start().unwrap();
    // The threads live on: their buffers are not flushed by their end.
    let (gate, (tell, told)) = (Arc::new(std::sync::Barrier::new(9)), std::sync::mpsc::channel());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (collector, gate, tell) = (collector.clone(), gate.clone(), tell.clone());
            std::thread::spawn(move || {
                event(&collector, "one");
                tell.send(()).unwrap();
                gate.wait();
            })
        })
        .collect();
    (0..8).for_each(|_| told.recv().unwrap());
    assert!(collector.flush_within(PATIENCE).unwrap().is_empty());
    assert_eq!(storage.retrieve(None, None, None).unwrap().len(), 8);
    gate.wait();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_full_buffer_flushes_by_the_very_record_that_fills_it() {
    for buffer_size in [1, 2, 3, 5, 10, 999, 1000, 1001, 5000] {
        let collector = collector(TelemetryConfig { buffer_size, ..patient() });
        let storage = Arc::new(MemoryStorage::new());
        let stream = TelemetryStream::new(&collector, storage.clone());
        stream.start().unwrap();
        for _ in 0..3 {
            for _ in 1..buffer_size {
                event(&collector, "not yet");
            }
            let stored = storage.stats().items;
            assert_eq!(stored % buffer_size, 0, "of {buffer_size}");
            event(&collector, "now");
            wait_until("it is stored", || storage.stats().items == stored + buffer_size);
        }
    }
}

#[test]
fn an_interval_flushes_what_a_sleeping_thread_recorded() {
    let config = TelemetryConfig { flush_interval: Duration::from_millis(5), ..TelemetryConfig::default() };
    let collector = collector(config);
    let storage = Arc::new(MemoryStorage::new());
    let stream = TelemetryStream::new(&collector, storage.clone());
    stream.start().unwrap();
    for i in 1..=3 {
        event(&collector, "once");
        wait_until("it is stored", || storage.stats().items == i);
    }
}

fn unstored(stopped: Result<(), StopError>) -> u64 {
    match stopped {
        Err(StopError::Incomplete { unstored, .. }) => unstored,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flush_in_vain_says_what_remains() {
    let collector = collector(patient());
    let storage = Moody::shut();
    let stream = TelemetryStream::new(&collector, storage.clone());
    stream.start().unwrap();
    event(&collector, "1");
    event(&collector, "2");
    let remaining = collector.flush_within(Duration::from_millis(20));
    assert_eq!(remaining, Err(FlushError::Timeout { remaining: 2 }));
    // Both are under way then: what was not taken when the stream is stopped is nobody's to store.
    wait_until("the storage is called", || storage.calls.load(Ordering::SeqCst) == 1);
    assert_eq!(collector.stats().buffered, 2);
    let stopped = stream.stop_within(Duration::from_millis(20));
    assert_eq!(unstored(stopped), 2);
    storage.open();
    wait_until("what was under way is stored", || collector.stats().delivered == 2);
    assert!(collector.stats().is_closed_sum());
}

#[test]
fn a_flush_that_waits_is_a_barrier_also_when_the_stream_is_stopped() {
    let collector = collector(patient());
    let storage = Moody::shut();
    let stream = TelemetryStream::new(&collector, storage.clone());
    stream.start().unwrap();
    event(&collector, "under way");
    let asked = Arc::new(AtomicU64::new(0));
    let (flushing, asks) = (collector.clone(), asked.clone());
    let flush = std::thread::spawn(move || {
        flushing.flush_while(Duration::from_secs(600), || {
            // The collector can be used here, and at that.
            asks.fetch_add(flushing.stats().buffered, Ordering::SeqCst);
            true
        })
    });
    wait_until("it waits", || asked.load(Ordering::SeqCst) > 2);
    // What was not taken when the stream is stopped would be left, too.
    wait_until("it is under way", || storage.calls.load(Ordering::SeqCst) == 1);
    event(&collector, "left");
    assert_eq!(unstored(stream.stop_within(Duration::from_millis(5))), 2);
    assert_eq!(flush.join().unwrap(), Err(FlushError::Stopped { remaining: 2 }));
    // It did not take what is for somebody else.
    assert_eq!(messages(&collector.flush_within(PATIENCE).unwrap()), ["left"]);
    storage.open();
    wait_until("the other is stored", || collector.stats().delivered == 2);
}

#[test]
fn a_flush_that_is_wanted_no_more_ends() {
    let collector = collector(patient());
    let storage = Moody::shut();
    let stream = TelemetryStream::new(&collector, storage.clone());
    stream.start().unwrap();
    event(&collector, "1");
    let mut left = 3;
    let flushed = collector.flush_while(Duration::from_secs(600), || {
        left -= 1;
        left > 0
    });
    assert_eq!((flushed, left), (Err(FlushError::Timeout { remaining: 1 }), 0));
    storage.open();
    collector.flush_within(PATIENCE).unwrap();
}

#[test]
fn who_stops_a_stream_that_another_has_stopped_stops_no_other_one() {
    for _ in 0..50 {
        let collector = collector(patient());
        let storage = Moody::shut();
        let stream = Arc::new(TelemetryStream::new(&collector, storage.clone()));
        let next = TelemetryStream::new(&collector, MemoryStorage::new());
        stream.start().unwrap();
        event(&collector, "1");
        let waiting = stream.clone();
        let stop = std::thread::spawn(move || waiting.stop_within(PATIENCE));
        wait_until("it is under way", || storage.calls.load(Ordering::SeqCst) == 1);
        // The other one may be waiting by now, or find it stopped.
        let _ = stream.stop_within(Duration::ZERO);
        next.start().unwrap();
        storage.open();
        let _ = stop.join().unwrap();
        assert!(collector.is_streaming());
        next.stop_within(PATIENCE).unwrap();
    }
}

#[test]
fn what_a_stopped_stream_did_not_store_is_handed_out() {
    let collector = collector(patient());
    let storage = Moody::shut();
    let stream = TelemetryStream::new(&collector, storage.clone());
    stream.start().unwrap();
    event(&collector, "under way");
    assert!(collector.flush_within(Duration::from_millis(5)).is_err());
    wait_until("it is under way", || storage.calls.load(Ordering::SeqCst) == 1);
    event(&collector, "left");
    assert_eq!(unstored(stream.stop_within(Duration::from_millis(5))), 2);
    assert_eq!(messages(&collector.flush_within(PATIENCE).unwrap()), ["left"]);
    storage.open();
    wait_until("the other is stored", || collector.stats().delivered == 2);
}

#[test]
fn a_flush_syncs_the_storage_and_so_does_the_stop() {
    let collector = collector(patient());
    let storage = Arc::new(Moody::default());
    let stream = TelemetryStream::new(&collector, storage.clone());
    stream.start().unwrap();
    event(&collector, "1");
    collector.flush_within(PATIENCE).unwrap();
    assert_eq!(storage.syncs.load(Ordering::SeqCst), 1);
    event(&collector, "2");
    stream.stop_within(PATIENCE).unwrap();
    assert_eq!(storage.syncs.load(Ordering::SeqCst), 2);
    assert_eq!(messages(&storage.kept()), ["1", "2"]);
}

#[test]
fn a_sync_that_fails_is_told() {
    let collector = collector(patient());
    let storage = Arc::new(Moody::default());
    let stream = TelemetryStream::new(&collector, storage.clone());
    stream.start().unwrap();
    event(&collector, "1");
    storage.cannot_sync.store(true, Ordering::SeqCst);
    assert_eq!(collector.flush_within(PATIENCE), Err(FlushError::NotSynced));
    assert_eq!(stream.storage_error().as_deref(), Some("the disk is on fire"));
    event(&collector, "2");
    let unsynced = StopError::Incomplete { unstored: 0, is_synced: false, unseen: Vec::new() };
    assert_eq!(stream.stop_within(PATIENCE), Err(unsynced));
    storage.cannot_sync.store(false, Ordering::SeqCst);
    stream.start().unwrap();
    event(&collector, "3");
    collector.flush_within(PATIENCE).unwrap();
    assert_eq!(messages(&storage.kept()), ["1", "2", "3"]);
}

#[test]
fn what_could_not_be_synced_is_synced_by_the_next_flush_or_the_stop() {
    for stops in [false, true] {
        let collector = collector(patient());
        let storage = Arc::new(Moody::default());
        let stream = TelemetryStream::new(&collector, storage.clone());
        stream.start().unwrap();
        event(&collector, "1");
        storage.cannot_sync.store(true, Ordering::SeqCst);
        for syncs in 1..=3 {
            assert_eq!(collector.flush_within(PATIENCE), Err(FlushError::NotSynced));
            assert_eq!(storage.syncs.load(Ordering::SeqCst), syncs);
        }
        storage.cannot_sync.store(false, Ordering::SeqCst);
        if stops {
            stream.stop_within(PATIENCE).unwrap();
        } else {
            assert!(collector.flush_within(PATIENCE).unwrap().is_empty());
            // Nothing came since.
            collector.flush_within(PATIENCE).unwrap();
        }
        assert_eq!(storage.syncs.load(Ordering::SeqCst), 4);
        assert_eq!(messages(&storage.kept()), ["1"]);
    }
}

#[test]
fn what_a_stopped_stream_could_not_sync_is_synced_when_another_starts_and_until_then_no_flush_went_well() {
    let collector = collector(patient());
    let (first, second) = (Arc::new(Moody::default()), Arc::new(Moody::default()));
    let stopped = TelemetryStream::new(&collector, first.clone());
    stopped.start().unwrap();
    event(&collector, "1");
    first.cannot_sync.store(true, Ordering::SeqCst);
    stopped.stop_within(PATIENCE).unwrap_err();
    let tried = first.syncs.load(Ordering::SeqCst);
    let stream = TelemetryStream::new(&collector, second.clone());
    stream.start().unwrap();
    wait_until("it is tried again", || first.syncs.load(Ordering::SeqCst) > tried);
    event(&collector, "2");
    assert_eq!(collector.flush_within(PATIENCE), Err(FlushError::NotSynced));
    assert_eq!(stopped.storage_error().as_deref(), Some("the disk is on fire"));
    assert_eq!((stream.storage_error(), second.syncs.load(Ordering::SeqCst)), (None, 1));
    first.cannot_sync.store(false, Ordering::SeqCst);
    let tried = first.syncs.load(Ordering::SeqCst);
    collector.flush_within(PATIENCE).unwrap();
    assert_eq!(first.syncs.load(Ordering::SeqCst), tried + 1);
    // It is, and is left alone.
    event(&collector, "3");
    collector.flush_within(PATIENCE).unwrap();
    assert_eq!(first.syncs.load(Ordering::SeqCst), tried + 1);
    stream.stop_within(PATIENCE).unwrap();

    // One that nobody keeps is nobody's.
    second.cannot_sync.store(true, Ordering::SeqCst);
    stream.start().unwrap();
    event(&collector, "4");
    stream.stop_within(PATIENCE).unwrap_err();
    drop(stream);
    stopped.start().unwrap();
    event(&collector, "5");
    collector.flush_within(PATIENCE).unwrap();
    assert_eq!((messages(&first.kept()).len(), messages(&second.kept()).len()), (2, 3));
}

#[test]
fn a_collector_has_one_stream_at_a_time_and_another_after_it() {
    let (first, second) = in_time(|| {
        let collector = collector(patient());
        event(&collector, "before any");
        let (first, second) = (Arc::new(MemoryStorage::new()), Arc::new(MemoryStorage::new()));
        let stream = TelemetryStream::new(&collector, first.clone());
        let other = TelemetryStream::new(&collector, second.clone());
        stream.start().unwrap();
        assert!(matches!(other.start(), Err(StreamError::AlreadyStreaming)));
        stream.stop_within(PATIENCE).unwrap();
        event(&collector, "between");
        other.start().unwrap();
        event(&collector, "after");
        drop(other);
        (first, second)
    });
    assert_eq!(messages(&first.retrieve(None, None, None).unwrap()), ["before any"]);
    assert_eq!(messages(&second.retrieve(None, None, None).unwrap()), ["between", "after"]);
}

#[test]
fn dropping_the_last_handle_stores_what_is_buffered() {
    let stored = in_time(|| {
        let storage = Arc::new(MemoryStorage::new());
        let collector = collector(patient());
        let stream = TelemetryStream::new(&collector, storage.clone());
        stream.start().unwrap();
        event(&collector, "last words");
        drop(collector);
        drop(stream);
        storage.stats().items
    });
    assert_eq!(stored, 1);
}

/// Records and flushes while it stores.
struct Chatty(std::sync::OnceLock<TelemetryCollector>);

impl TelemetryStorage for Chatty {
    fn store(&self, _: &TelemetryData) -> Result<(), StorageError> {
        let collector = self.0.get().unwrap();
        // A stream of its collector, be it another one.
        let other = TelemetryStream::new(collector, MemoryStorage::new());
        assert!(other.is_within() && other.stop() == Err(StopError::FromWithin));
        drop(other);
        assert!(!event(collector, "stored something"));
        assert_eq!(collector.flush_within(PATIENCE), Err(FlushError::WhileStoring));
        Ok(())
    }

    fn retrieve(
        &self,
        _: Option<u64>,
        _: Option<u64>,
        _: Option<usize>,
    ) -> Result<TelemetryData, StorageError> {
        Ok(TelemetryData::default())
    }
}

#[test]
fn a_storage_that_records_is_told_no_and_waits_for_nothing() {
    let collector = collector(patient());
    let storage = Arc::new(Chatty(std::sync::OnceLock::new()));
    let _ = storage.0.set(collector.clone());
    let stream = TelemetryStream::new(&collector, storage.clone());
    stream.start().unwrap();
    event(&collector, "1");
    collector.flush_within(PATIENCE).unwrap();
    let stats = collector.stats();
    assert_eq!((stats.emitted, stats.delivered, stats.dropped.suppressed), (2, 1, 1));
    stream.stop_within(PATIENCE).unwrap();
}

#[test]
fn counters_and_gauges_are_recorded_by_a_flush() {
    let collector = collector(patient());
    let storage = Arc::new(MemoryStorage::new());
    let stream = TelemetryStream::new(&collector, storage.clone());
    stream.start().unwrap();
    let orders = collector.counter("orders", "{order}", &[("shop", "berlin")]);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let orders = orders.clone();
            std::thread::spawn(move || (0..10_000).for_each(|_| orders.add(1)))
        })
        .collect();
    for _ in 0..20 {
        collector.flush_within(PATIENCE).unwrap();
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop(orders);
    collector.gauge("unset", "", &[]);
    collector.flush_within(PATIENCE).unwrap();
    let data = storage.retrieve(None, None, None).unwrap();
    let total: f64 = data.metrics.iter().map(|metric| metric.value).sum();
    assert_eq!(total, 40_000.0);
    assert!(
        data.metrics.iter().all(|metric| metric.name == "orders" && metric.tag("shop") == Some("berlin"))
    );
    assert_eq!(collector.stats().emitted, data.len() as u64);
}

#[test]
fn a_time_is_that_of_the_clock() {
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        i128::try_from(since.unwrap().as_nanos()).unwrap()
    };
    let collector = collector(TelemetryConfig::default());
    let before = now();
    collector.collect_event("a", "b", EventType::Info, &[]);
    let after = now();
    let time = i128::from(collector.flush_within(PATIENCE).unwrap().events[0].time_ns);
    // The cycle counter is calibrated once: it may be off by a little.
    let slack = 1_000_000_000;
    assert!(time > before - slack && time < after + slack, "{before} {time} {after}");
}

#[test]
fn a_flush_takes_counters_too_where_the_buffer_was_full() {
    for streams in [false, true] {
        let overflow = Overflow::DropNewest;
        let collector = collector(TelemetryConfig { buffer_size: 5, max_items: 5, overflow, ..patient() });
        let orders = collector.counter("orders", "", &[]);
        let unfit = collector.counter(&"x".repeat(2 << 20), "", &[]);
        let storage = Moody::shut();
        let stream = TelemetryStream::new(&collector, storage.clone());
        if streams {
            stream.start().unwrap();
            // One is being stored, and does not come back.
            event(&collector, "1");
            let flushing = collector.clone();
            let early = std::thread::spawn(move || flushing.flush_within(PATIENCE));
            wait_until("the storage is called", || storage.calls.load(Ordering::SeqCst) > 0);
            while event(&collector, "more") {}
            orders.add(7);
            let flushing = collector.clone();
            let late = std::thread::spawn(move || flushing.flush_within(PATIENCE));
            storage.open();
            early.join().unwrap().unwrap();
            late.join().unwrap().unwrap();
        } else {
            while event(&collector, "more") {}
            orders.add(7);
        }
        unfit.add(1);
        let handed = collector.flush_within(PATIENCE).unwrap();
        let mut data = storage.kept();
        data.append(handed);
        assert_eq!(data.metrics.iter().map(|metric| metric.value).collect::<Vec<_>>(), [7.0]);
        assert_eq!((orders.pending(), unfit.pending()), (0, 0));
        let stats = collector.stats();
        assert!(stats.is_closed_sum() && stats.dropped.too_large == 1, "{stats}");
    }
}
