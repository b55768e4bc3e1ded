//! Eight threads, slow, failing and panicking listeners, consumers and storage; the sum is closed at any instant, and at the end
//! everything that is said to be stored is, each thread's in order.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use aldis_collect::{
    EventType, Overflow, SubscriberId, TelemetryCollector, TelemetryConfig, TelemetryData, TelemetryStream,
    Value,
};

use crate::scenes::{Moody, PATIENCE, collector};

const THREADS: i64 = 8;

fn slow(data: &TelemetryData) {
    thread::sleep(Duration::from_micros(data.len() as u64));
}

fn failing(_: &TelemetryData) -> Result<(), &'static str> {
    Err("no")
}

fn panicking(data: &TelemetryData) {
    assert!(data.is_empty(), "thrown on purpose");
}

struct Storm {
    collector: TelemetryCollector,
    storage: Arc<Moody>,
    stream: TelemetryStream,
    listeners: [SubscriberId; 3],
    consumers: [SubscriberId; 3],
}

impl Storm {
    fn gather(overflow: Overflow) -> Self {
        let config = TelemetryConfig {
            buffer_size: 50,
            max_items: 2_000,
            flush_interval: Duration::from_millis(1),
            realtime_mode: true,
            overflow,
            ..TelemetryConfig::default()
        };
        let collector = collector(config);
        let storage = Arc::new(Moody::default());
        storage.is_moody.store(true, Ordering::SeqCst);
        let stream = TelemetryStream::new(&collector, storage.clone());
        let listeners = [
            collector.add_listener(slow).unwrap(),
            collector.add_listener(failing).unwrap(),
            collector.add_listener(panicking).unwrap(),
        ];
        let consumers = [
            stream.add_consumer(slow).unwrap(),
            stream.add_consumer(failing).unwrap(),
            stream.add_consumer(panicking).unwrap(),
        ];
        Self { collector, storage, stream, listeners, consumers }
    }

    fn blow(&self, thread: i64, each: i64) {
        for i in 0..each {
            let metadata = [("thread", thread.into()), ("number", i.into())];
            self.collector.collect_event("storm", "blow", EventType::Info, &metadata);
            if i % 1000 == 0 {
                self.collector.flush_within(PATIENCE).unwrap();
            }
        }
    }

    fn rage(&self, each: i64) {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let stats = self.collector.stats();
                    assert!(stats.is_closed_sum(), "{stats}");
                    thread::sleep(Duration::from_micros(200));
                }
            });
            let blow = |thread| scope.spawn(move || self.blow(thread, each));
            let threads: Vec<_> = (0..THREADS).map(blow).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            done.store(true, Ordering::SeqCst);
        });
        self.collector.flush_within(PATIENCE).unwrap();
        self.stream.stop_within(PATIENCE).unwrap();
    }

    fn check(&self, each: i64) {
        let stats = self.collector.stats();
        assert_eq!((stats.emitted as i64, stats.buffered), (THREADS * each, 0), "{stats}");
        assert!(stats.is_closed_sum(), "{stats}");
        let kept = self.storage.kept();
        assert_eq!(kept.len() as u64, stats.delivered);
        assert_in_order(&kept);
        let settled = stats.delivered + stats.dropped.storage_error;
        let shown = self.consumers.map(|id| self.stream.consumer_stats(id).unwrap());
        for shown in shown {
            assert!(shown.is_closed_sum() && shown.pending == 0 && shown.offered == settled, "{shown:?}");
        }
        assert!(shown[0].delivered > 0 && shown[1].failed > 0 && shown[2].panicked > 0, "{shown:?}");
        for id in self.listeners {
            let shown = self.collector.listener_stats(id).unwrap();
            assert!(shown.is_closed_sum(), "{shown:?}");
            assert!(shown.offered + stats.unseen >= settled, "{shown:?} {stats}");
        }
        assert!(self.stream.storage_error().is_some());
    }
}

fn assert_in_order(kept: &TelemetryData) {
    let mut last = BTreeMap::new();
    for event in &kept.events {
        let number = |key: &str| match event.get(key) {
            Some(Value::Int(number)) => *number,
            other => panic!("{other:?}"),
        };
        let before = last.insert(number("thread"), number("number"));
        assert!(before < Some(number("number")), "out of order: {event:?}");
    }
}

fn storm(overflow: Overflow, each: i64) {
    let storm = Storm::gather(overflow);
    storm.stream.start().unwrap();
    storm.rage(each);
    storm.check(each);
}

#[test]
fn the_sum_is_closed_in_a_storm_that_drops_the_oldest() {
    storm(Overflow::DropOldest, 20_000);
}

#[test]
fn the_sum_is_closed_in_a_storm_that_drops_the_newest() {
    storm(Overflow::DropNewest, 20_000);
}

#[test]
fn the_sum_is_closed_in_a_storm_that_waits() {
    storm(Overflow::Block(PATIENCE), 4_000);
}
