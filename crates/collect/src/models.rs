//! Collectors, streams and listeners in every order.

use std::{
    sync::{Arc, Mutex as Plain},
    time::Duration,
};

use crate::{
    Aggregation, CollectorStats, EventType, FlushError, Overflow, StorageError, TelemetryCollector,
    TelemetryConfig, TelemetryData, TelemetryStorage, TelemetryStream,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
        model::check,
        thread::{self, JoinHandle},
    },
};

/// Nothing happens because of the time alone.
const NEVER: Duration = Duration::from_secs(3600);

fn collector(buffer_size: usize, overflow: Overflow) -> TelemetryCollector {
    let config = TelemetryConfig {
        buffer_size,
        max_items: buffer_size,
        overflow,
        flush_interval: NEVER,
        ..TelemetryConfig::default()
    };
    TelemetryCollector::new(config).unwrap()
}

fn emit(collector: &TelemetryCollector, name: &str) -> bool {
    collector.collect_event(name, "", EventType::Info, &[])
}

/// Records so many events on a thread of its own; says how many were taken.
fn emitting(collector: &TelemetryCollector, count: usize) -> JoinHandle<u64> {
    let collector = collector.clone();
    thread::spawn(move || (0..count).filter(|_| emit(&collector, "other")).count() as u64)
}

fn closed(collector: &TelemetryCollector) -> CollectorStats {
    let stats = collector.stats();
    assert!(stats.is_closed_sum(), "{stats:?}");
    stats
}

/// Keeps what is stored. No thread waits for its lock: nothing of a model happens under it.
#[derive(Clone, Default)]
struct Kept(Arc<Plain<Vec<String>>>);

impl Kept {
    fn has(&self, name: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|kept| *kept == name).count()
    }

    fn len(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }
}

impl TelemetryStorage for Kept {
    fn store(&self, data: &TelemetryData) -> Result<(), StorageError> {
        self.0.lock().unwrap().extend(data.events.iter().map(|event| event.source.to_string()));
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

fn streaming(collector: &TelemetryCollector) -> (TelemetryStream, Kept) {
    let kept = Kept::default();
    let stream = TelemetryStream::new(collector, kept.clone());
    stream.start().unwrap();
    (stream, kept)
}

/// Without a stream a collector is a ring: while one thread records, another takes what there is.
#[test]
fn a_ring_loses_nothing_that_it_does_not_count() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
        check(3, move || {
            let collector = collector(1, overflow);
            let other = emitting(&collector, 2);
            let own = u64::from(emit(&collector, "own"));
            let during = collector.flush().unwrap().len() as u64;
            closed(&collector);
            let taken = other.join().unwrap() + own;
            let after = collector.flush().unwrap().len() as u64;
            let stats = closed(&collector);
            assert_eq!((stats.emitted, stats.buffered, stats.delivered), (3, 0, during + after));
            // What was taken was handed out, but for what made room.
            assert_eq!(taken, stats.delivered + stats.dropped.displaced);
            assert_eq!(stats.dropped.queue_full, 3 - taken);
        });
    }
}

/// What was taken before a flush is stored when it returns, whoever recorded it, and once.
#[test]
fn a_flush_is_a_barrier() {
    check(2, || {
        let collector = collector(8, Overflow::DropNewest);
        let (stream, kept) = streaming(&collector);
        let is_said = Arc::new(AtomicBool::new(false));
        let (other, says) = (collector.clone(), is_said.clone());
        let other = thread::spawn(move || {
            assert!(emit(&other, "other"));
            says.store(true, Ordering::Release);
        });
        assert!(emit(&collector, "own"));
        let was_said = is_said.load(Ordering::Acquire);
        collector.flush().unwrap();
        assert_eq!(kept.has("own"), 1);
        assert!(!was_said || kept.has("other") == 1, "it was recorded before the flush");
        other.join().unwrap();
        stream.stop().unwrap();
        let stats = closed(&collector);
        assert_eq!((stats.emitted, stats.delivered, kept.len()), (2, 2, 2));
    });
}

/// Two barriers at once: nobody waits in vain.
#[test]
fn flushes_end_beside_each_other() {
    check(2, || {
        let collector = collector(8, Overflow::DropNewest);
        let (stream, kept) = streaming(&collector);
        let flushing = collector.clone();
        let other = thread::spawn(move || {
            assert!(emit(&flushing, "other"));
            flushing.flush().unwrap();
        });
        assert!(emit(&collector, "own"));
        collector.flush().unwrap();
        assert_eq!(kept.has("own"), 1);
        other.join().unwrap();
        assert_eq!(kept.len(), 2);
        stream.stop().unwrap();
    });
}

/// A stream that is stopped while others record and flush: what was taken is stored or is still there.
#[test]
fn a_stop_leaves_everything_stored_or_buffered() {
    check(2, || {
        let collector = collector(8, Overflow::DropNewest);
        let (stream, kept) = streaming(&collector);
        let flushing = collector.clone();
        let other = thread::spawn(move || {
            assert!(emit(&flushing, "other"));
            match flushing.flush() {
                Ok(data) => data.len() as u64,
                Err(FlushError::Stopped { .. }) => 0,
                Err(error) => panic!("{error}"),
            }
        });
        assert!(emit(&collector, "own"));
        stream.stop().unwrap();
        assert_eq!(kept.has("own"), 1);
        closed(&collector);
        let handed_out = other.join().unwrap();
        let left = collector.flush().unwrap().len() as u64;
        let stats = closed(&collector);
        assert_eq!((stats.emitted, stats.delivered, stats.buffered), (2, 2, 0));
        assert_eq!(kept.len() + handed_out + left, 2);
    });
}

/// What is taken while a stream is being stopped is not left in an aggregate that nobody closes.
#[test]
fn a_stop_leaves_no_aggregate_open() {
    check(2, || {
        let config = TelemetryConfig { buffer_size: 1, flush_interval: NEVER, ..TelemetryConfig::default() };
        let collector = TelemetryCollector::new(config).unwrap();
        let stream = TelemetryStream::new(&collector, Kept::default());
        let stream = stream.with_aggregation(Aggregation::every(NEVER));
        stream.start().unwrap();
        let measuring = collector.clone();
        let other = thread::spawn(move || assert!(measuring.collect_metric("depth", 1.0, "", &[])));
        stream.stop().unwrap();
        other.join().unwrap();
        let left = collector.flush().unwrap().len() as u64;
        let stats = closed(&collector);
        assert_eq!((stats.buffered, stats.aggregated + left), (0, 1), "{stats:?}");
    });
}

/// Nothing is taken by a call that begins after the collector was closed, and nothing is lost that was taken before.
#[test]
fn what_is_recorded_after_the_close_is_counted_and_nothing_else_is_dropped() {
    check(3, || {
        let collector = collector(8, Overflow::DropNewest);
        let is_closed = Arc::new(AtomicBool::new(false));
        let (other, closes) = (collector.clone(), is_closed.clone());
        let other = thread::spawn(move || {
            other.close();
            closes.store(true, Ordering::Release);
        });
        let mut taken = 0;
        for _ in 0..2 {
            let was_closed = is_closed.load(Ordering::Acquire);
            let is_taken = emit(&collector, "own");
            assert!(!was_closed || !is_taken);
            taken += u64::from(is_taken);
        }
        other.join().unwrap();
        assert!(!emit(&collector, "own"));
        let stats = closed(&collector);
        assert_eq!((stats.emitted, stats.buffered, stats.dropped.after_close), (3, taken, 3 - taken));
        assert_eq!(collector.flush().unwrap().len() as u64, taken);
    });
}

/// Who waits for room gets it from the thread that stores, however they meet.
#[test]
fn who_waits_for_room_is_woken() {
    check(2, || {
        let collector = collector(1, Overflow::Block(NEVER));
        let (stream, kept) = streaming(&collector);
        let other = emitting(&collector, 1);
        assert!(emit(&collector, "own"));
        assert_eq!(other.join().unwrap(), 1);
        stream.stop().unwrap();
        let stats = closed(&collector);
        assert_eq!((stats.emitted, stats.delivered, kept.len()), (2, 2, 2));
    });
}

/// In real time a record is shown, though the thread that shows it was just going to sleep.
#[test]
fn a_record_wakes_who_sleeps() {
    check(2, || {
        let config =
            TelemetryConfig { realtime_mode: true, flush_interval: NEVER, ..TelemetryConfig::default() };
        let collector = TelemetryCollector::new(config).unwrap();
        let seen = Arc::new((Mutex::new(0), Condvar::new()));
        let sees = seen.clone();
        let listener = collector.add_listener(move |data: &TelemetryData| {
            *sees.0.lock().unwrap() += data.len();
            sees.1.notify_one();
        });
        for count in 1..=2 {
            assert!(emit(&collector, "own"));
            let mut there = seen.0.lock().unwrap();
            while *there < count {
                there = seen.1.wait(there).unwrap();
            }
        }
        collector.remove_listener(listener.unwrap());
    });
}

/// A counter says everything that was added, once, whenever it is read. (Of a gauge loom knows too little: that an exchange stands
/// right behind what it has read, so that what is set beside it is set after it.)
#[test]
fn a_counter_is_read_whole() {
    check(3, || {
        let collector = collector(8, Overflow::DropNewest);
        let orders = collector.counter("orders", "", &[]);
        let other = thread::spawn(move || {
            orders.add(2);
            orders.add(3);
        });
        let mut metrics = collector.flush().unwrap().metrics;
        other.join().unwrap();
        metrics.extend(collector.flush().unwrap().metrics);
        assert_eq!(metrics.iter().map(|metric| metric.value).sum::<f64>(), 5.0);
    });
}
