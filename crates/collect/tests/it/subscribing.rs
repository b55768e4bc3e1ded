//! Listeners and consumers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use aldis_collect::{
    Failure, FlushError, MemoryStorage, StopError, StorageError, TelemetryConfig, TelemetryData,
    TelemetryStorage, TelemetryStream, limits,
};

use crate::scenes::{Moody, PATIENCE, collector, event, messages, patient, wait_until};

fn realtime() -> TelemetryConfig {
    TelemetryConfig { realtime_mode: true, ..patient() }
}

#[test]
fn a_listener_sees_each_record_at_once_and_the_buffer_keeps_it() {
    let collector = collector(realtime());
    let (tell, told) = mpsc::channel();
    collector.add_listener(move |data| tell.send(messages(data)).unwrap()).unwrap();
    for i in 0..100 {
        event(&collector, &i.to_string());
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), [i.to_string()]);
    }
    assert_eq!(collector.flush_within(PATIENCE).unwrap().len(), 100);
    assert!(collector.stats().listeners_active);
}

#[test]
fn a_listener_is_not_called_without_real_time_mode() {
    let collector = collector(patient());
    let id = collector.add_listener(|data| assert!(data.is_empty(), "called")).unwrap();
    event(&collector, "1");
    assert_eq!(collector.flush_within(PATIENCE).unwrap().len(), 1);
    assert_eq!(collector.listener_stats(id).unwrap().offered, 0);
    assert!(!collector.stats().listeners_active);
}

#[test]
fn a_listener_that_was_removed_sees_nothing_new() {
    let collector = collector(realtime());
    let seen = Arc::new(AtomicU64::new(0));
    let count = seen.clone();
    let id = collector
        .add_listener(move |data| {
            count.fetch_add(data.len() as u64, Ordering::SeqCst);
        })
        .unwrap();
    event(&collector, "1");
    wait_until("it is seen", || seen.load(Ordering::SeqCst) == 1);
    assert!(collector.remove_listener(id));
    assert!(!collector.remove_listener(id));
    event(&collector, "2");
    let (tell, told) = mpsc::channel();
    collector.add_listener(move |data| tell.send(messages(data)).unwrap()).unwrap();
    event(&collector, "3");
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), ["3"]);
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[test]
fn a_listener_may_remove_itself_while_it_is_called() {
    let collector = collector(realtime());
    let own = Arc::new(Mutex::new(None));
    let (inner, id, (tell, told)) = (collector.clone(), own.clone(), mpsc::channel());
    let listener = move |_: &aldis_collect::TelemetryData| {
        let id = id.lock().unwrap().unwrap();
        tell.send(inner.remove_listener(id)).unwrap();
    };
    let mut slot = own.lock().unwrap();
    *slot = Some(collector.add_listener(listener).unwrap());
    drop(slot);
    event(&collector, "1");
    assert!(told.recv_timeout(PATIENCE).unwrap());
}

#[test]
fn what_listeners_and_consumers_record_is_stored_and_does_not_call_them_again() {
    let collector = collector(realtime());
    let calls = Arc::new(AtomicU64::new(0));
    let echo = |prefix: &'static str| {
        let (collector, calls) = (collector.clone(), calls.clone());
        move |data: &aldis_collect::TelemetryData| {
            calls.fetch_add(data.len() as u64, Ordering::SeqCst);
            for message in messages(data) {
                assert!(event(&collector, &format!("{prefix} {message}")));
            }
            collector.flush_within(PATIENCE).unwrap();
        }
    };
    let listener = collector.add_listener(echo("heard")).unwrap();
    let storage = Arc::new(MemoryStorage::new());
    let stream = TelemetryStream::new(&collector, storage.clone());
    stream.add_consumer(echo("consumed")).unwrap();
    stream.start().unwrap();
    event(&collector, "hello");
    collector.flush_within(PATIENCE).unwrap();
    wait_until("all three are stored", || collector.stats().delivered == 3);
    collector.flush_within(PATIENCE).unwrap();
    stream.stop_within(PATIENCE).unwrap();
    let mut stored = messages(&storage.retrieve(None, None, None).unwrap());
    stored.sort();
    assert_eq!(stored, ["consumed hello", "heard hello", "hello"]);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    collector.remove_listener(listener);
}

#[test]
fn a_consumer_that_hangs_lags_and_holds_up_nobody() {
    let collector = collector(patient());
    let storage = Arc::new(MemoryStorage::new());
    let stream = TelemetryStream::new(&collector, storage.clone());
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let hanging = stream.add_consumer(move |_| held.lock().unwrap().recv().map_err(|_| "let go")).unwrap();
    let lively = stream.add_consumer(|_| ()).unwrap();
    let has_seen = |records: u64| stream.consumer_stats(lively).unwrap().delivered == records;
    stream.start().unwrap();
    let records = 3 * limits::SUBSCRIBER_ITEMS as u64;
    for i in 1..=records {
        event(&collector, "x");
        if i % 10_000 == 0 {
            collector.flush_within(PATIENCE).unwrap();
            // It is to lag behind neither, whenever its thread is let in.
            wait_until("the lively one has seen them", || has_seen(i));
        }
    }
    collector.flush_within(PATIENCE).unwrap();
    assert_eq!(storage.stats().items as u64, records);
    wait_until("the lively one has seen all", || has_seen(records));
    let stats = stream.consumer_stats(hanging).unwrap();
    assert!(stats.is_closed_sum() && stats.lagged > 0 && stats.delivered == 0, "{stats:?}");
    assert!(stats.pending <= 2 * limits::SUBSCRIBER_ITEMS as u64, "{stats:?}");
    let Err(StopError::Incomplete { unseen, .. }) = stream.stop_within(Duration::from_millis(20)) else {
        panic!("it waited for a consumer that does not return")
    };
    assert_eq!(unseen.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [hanging]);
    drop(release);
    wait_until("it returns", || stream.consumer_stats(hanging).unwrap().pending == 0);
    let stats = stream.consumer_stats(hanging).unwrap();
    assert!(stats.is_closed_sum() && stats.offered == records, "{stats:?}");
}

#[test]
fn errors_and_panics_are_told_apart_and_kept() {
    let collector = collector(patient());
    let stream = TelemetryStream::new(&collector, MemoryStorage::new());
    let failing = stream.add_consumer(|_| Err::<(), _>("out of ink")).unwrap();
    let panicking = stream.add_consumer(|data| assert!(data.is_empty(), "thrown on purpose")).unwrap();
    stream.start().unwrap();
    event(&collector, "1");
    stream.stop_within(PATIENCE).unwrap();
    assert_eq!(stream.consumer_stats(failing).unwrap().failed, 1);
    assert_eq!(stream.consumer_error(failing).as_deref(), Some("out of ink"));
    assert_eq!(stream.consumer_stats(panicking).unwrap().panicked, 1);
    assert!(stream.consumer_error(panicking).is_some());
    assert_eq!(collector.stats().delivered, 1);
}

#[test]
fn a_consumer_says_how_many_records_of_a_batch_it_failed_with() {
    let collector = collector(patient());
    let stream = TelemetryStream::new(&collector, MemoryStorage::new());
    let some = stream.add_consumer(|_| Err::<(), _>(Failure::of(2, "two of them"))).unwrap();
    let more = stream.add_consumer(|_| Err::<(), _>(Failure::of(20, "more than there were"))).unwrap();
    stream.start().unwrap();
    (0..5).for_each(|i| assert!(event(&collector, &i.to_string())));
    stream.stop_within(PATIENCE).unwrap();
    for (consumer, failed) in [(some, 2), (more, 5)] {
        let stats = stream.consumer_stats(consumer).unwrap();
        assert_eq!((stats.delivered, stats.failed), (5 - failed, failed));
        assert!(stats.is_closed_sum(), "{stats:?}");
    }
    assert_eq!(stream.consumer_error(some).as_deref(), Some("two of them"));
    let failure = Failure::of(2, "two of them");
    assert_eq!((failure.records(), failure.error()), (Some(2), "two of them"));
}

#[test]
fn what_a_panic_leaves_may_panic_too_and_stops_nobody() {
    struct Explosive(Moody);
    impl TelemetryStorage for Explosive {
        fn store(&self, data: &TelemetryData) -> Result<(), StorageError> {
            match self.0.calls.load(Ordering::SeqCst) {
                0 => {
                    self.0.calls.fetch_add(1, Ordering::SeqCst);
                    std::panic::panic_any(Bomb)
                }
                _ => self.0.store(data),
            }
        }
        fn retrieve(
            &self,
            _: Option<u64>,
            _: Option<u64>,
            _: Option<usize>,
        ) -> Result<TelemetryData, StorageError> {
            Ok(self.0.kept())
        }
        fn sync(&self) -> Result<(), StorageError> {
            std::panic::panic_any(Bomb)
        }
    }
    let collector = collector(realtime());
    let explode_once = |calls: AtomicU64| {
        move |_: &TelemetryData| {
            if calls.fetch_add(1, Ordering::SeqCst) == 0 {
                std::panic::panic_any(Bomb)
            }
        }
    };
    let listener = collector.add_listener(explode_once(AtomicU64::new(0))).unwrap();
    let stream = TelemetryStream::new(&collector, Explosive(Moody::default()));
    let consumer = stream.add_consumer(explode_once(AtomicU64::new(0))).unwrap();
    stream.start().unwrap();
    event(&collector, "1");
    assert_eq!(collector.flush_within(PATIENCE), Err(FlushError::NotSynced));
    wait_until("both exploded", || {
        let stats = [collector.listener_stats(listener), stream.consumer_stats(consumer)];
        stats.iter().flatten().all(|stats| stats.panicked == 1)
    });
    event(&collector, "2");
    assert_eq!(collector.flush_within(PATIENCE), Err(FlushError::NotSynced));
    wait_until("both go on", || {
        let stats = [collector.listener_stats(listener), stream.consumer_stats(consumer)];
        stats.iter().flatten().all(|stats| stats.delivered == 1)
    });
    assert_eq!(messages(&stream.storage().retrieve(None, None, None).unwrap()), ["2"]);
    let stats = collector.stats();
    assert_eq!((stats.delivered, stats.dropped.storage_error), (1, 1));
    assert_eq!(stream.storage_error().as_deref(), Some("the storage panicked"));
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("thrown on purpose");
    }
}

#[test]
fn a_consumer_and_a_storage_that_panic_at_their_end_stop_nobody() {
    struct Explosive(Arc<Moody>, Bomb);
    impl TelemetryStorage for Explosive {
        fn store(&self, data: &TelemetryData) -> Result<(), StorageError> {
            self.0.store(data)
        }
        fn retrieve(
            &self,
            _: Option<u64>,
            _: Option<u64>,
            _: Option<usize>,
        ) -> Result<TelemetryData, StorageError> {
            Ok(self.0.kept())
        }
    }
    let collector = collector(patient());
    let held = Moody::shut();
    let stream = TelemetryStream::new(&collector, Explosive(held.clone(), Bomb));
    let bomb = Bomb;
    let seen = Arc::new(AtomicU64::new(0));
    let sees = seen.clone();
    let consumer = move |data: &TelemetryData| {
        let _bomb = &bomb;
        sees.fetch_add(data.len() as u64, Ordering::SeqCst);
    };
    let id = stream.add_consumer(consumer).unwrap();
    stream.start().unwrap();
    event(&collector, "1");
    let flushing = collector.clone();
    let flush = std::thread::spawn(move || flushing.flush_within(PATIENCE));
    wait_until("both have it", || held.calls.load(Ordering::SeqCst) > 0 && seen.load(Ordering::SeqCst) > 0);
    // The last to know the consumer may be its thread or this one, the last to know the storage is the collector's own.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stream.remove_consumer(id)));
    assert!(stream.stop_within(Duration::ZERO).is_err());
    drop(stream);
    // Nobody is there to store what it waits for.
    assert_eq!(flush.join().unwrap(), Err(FlushError::Stopped { remaining: 1 }));
    held.open();
    let storage = Moody::shut();
    storage.open();
    let next = TelemetryStream::new(&collector, storage.clone());
    next.start().unwrap();
    event(&collector, "2");
    collector.flush_within(PATIENCE).unwrap();
    assert_eq!(storage.kept().events[0].message, "2");
    assert!(collector.stats().is_closed_sum());
}

#[test]
fn a_consumer_that_stops_its_stream_is_told_no_and_may_drop_it() {
    let collector = collector(patient());
    let storage = Arc::new(MemoryStorage::new());
    let own: Arc<Mutex<Option<TelemetryStream>>> = Arc::default();
    let (tell, told) = mpsc::channel();
    let stream = TelemetryStream::new(&collector, storage.clone());
    let stops = own.clone();
    let consumer = move |data: &TelemetryData| {
        let mut own = stops.lock().unwrap();
        let stream = own.as_ref().unwrap();
        tell.send((stream.is_within(), stream.stop_within(PATIENCE))).unwrap();
        if messages(data) == ["enough"] {
            // It ends, and waits for nobody who waits for it.
            drop(own.take());
            tell.send((false, Ok(()))).unwrap();
        }
    };
    stream.add_consumer(consumer).unwrap();
    stream.start().unwrap();
    assert!(!stream.is_within());
    *own.lock().unwrap() = Some(stream);
    let next = || told.recv_timeout(PATIENCE).unwrap();
    event(&collector, "1");
    collector.flush_within(PATIENCE).unwrap();
    assert_eq!(next(), (true, Err(StopError::FromWithin)));
    // It goes on.
    event(&collector, "enough");
    collector.flush_within(PATIENCE).unwrap();
    assert_eq!((next(), next()), ((true, Err(StopError::FromWithin)), (false, Ok(()))));
    assert!(!collector.is_streaming());
    assert_eq!(storage.stats().items, 2);
}
