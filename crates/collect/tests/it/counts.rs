//! Every record is in exactly one place, whatever happens to it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use aldis_collect::{
    EventType, MemoryStorage, Overflow, TelemetryConfig, TelemetryData, TelemetryStorage, TelemetryStream,
};
use proptest::prelude::*;

use crate::scenes::{Moody, PATIENCE, collector, event, messages, patient, wait_until};

#[test]
fn a_collector_alone_is_a_ring() {
    let collector = collector(TelemetryConfig { buffer_size: 1000, ..TelemetryConfig::default() });
    for i in 0..2500 {
        assert!(event(&collector, &i.to_string()));
    }
    let stats = collector.stats();
    assert_eq!((stats.emitted, stats.buffered, stats.dropped.displaced), (2500, 1000, 1500));
    let held = collector.flush_within(PATIENCE).unwrap();
    assert_eq!(messages(&held), (1500..2500).map(|i| i.to_string()).collect::<Vec<_>>());
    let seqs: Vec<u64> = held.events.iter().map(|event| event.origin.seq).collect();
    assert_eq!(seqs, (1501..=2500).collect::<Vec<_>>());
    let stats = collector.stats();
    assert_eq!((stats.delivered, stats.buffered), (1000, 0));
    assert!(stats.is_closed_sum(), "{stats}");
}

#[test]
fn the_newest_are_dropped_where_that_is_asked_for_and_leave_a_gap_in_numbers() {
    let overflow = Overflow::DropNewest;
    let collector = collector(TelemetryConfig { buffer_size: 10, overflow, ..TelemetryConfig::default() });
    let taken = (0..12).filter(|i| event(&collector, &i.to_string())).count();
    assert_eq!(taken, 10);
    assert_eq!(collector.stats().dropped.queue_full, 2);
    assert_eq!(messages(&collector.flush_within(PATIENCE).unwrap()).len(), 10);
    assert!(event(&collector, "after"));
    assert_eq!(collector.flush_within(PATIENCE).unwrap().events[0].origin.seq, 13);
}

#[test]
fn bytes_are_bounded_too() {
    let max_bytes = 64 << 10;
    let collector = collector(TelemetryConfig { max_bytes, ..TelemetryConfig::default() });
    let long = "x".repeat(10_000);
    for _ in 0..100 {
        event(&collector, &long);
    }
    assert_eq!(collector.stats().buffered, 6);
    assert!(!event(&collector, &"x".repeat(max_bytes)));
    let stats = collector.stats();
    assert_eq!((stats.emitted, stats.dropped.displaced, stats.dropped.too_large), (101, 94, 1));
    assert!(stats.is_closed_sum(), "{stats}");
}

#[test]
fn what_is_recorded_after_the_close_is_counted() {
    let collector = collector(TelemetryConfig::default());
    event(&collector, "before");
    collector.close();
    collector.close();
    assert!(!event(&collector, "after"));
    assert!(!collector.collect_metric("cpu", 1.0, "", &[]));
    let other = collector.clone();
    std::thread::spawn(move || assert!(!event(&other, "elsewhere"))).join().unwrap();
    let stats = collector.stats();
    assert_eq!((stats.emitted, stats.buffered, stats.dropped.after_close), (4, 1, 3));
    assert_eq!(messages(&collector.flush_within(PATIENCE).unwrap()), ["before"]);
}

#[test]
fn nothing_is_recorded_or_counted_where_collecting_is_disabled() {
    let collector = collector(TelemetryConfig { enabled: false, ..TelemetryConfig::default() });
    assert!(!event(&collector, "never"));
    collector.counter("never", "", &[]).add(1);
    assert_eq!(collector.stats().emitted, 0);
    assert!(collector.flush_within(PATIENCE).unwrap().is_empty());
}

#[test]
fn whoever_blocks_gets_room_when_there_is_some() {
    let overflow = Overflow::Block(PATIENCE);
    let collector = collector(TelemetryConfig { buffer_size: 100, max_items: 100, overflow, ..patient() });
    let storage = Moody::shut();
    let stream = TelemetryStream::new(&collector, storage.clone());
    stream.start().unwrap();
    let producer = collector.clone();
    let producer = std::thread::spawn(move || (0..1000).filter(|i| event(&producer, &i.to_string())).count());
    crate::scenes::wait_until("the storage is called", || storage.calls.load(Ordering::SeqCst) > 0);
    storage.open();
    assert_eq!(producer.join().unwrap(), 1000);
    collector.flush_within(PATIENCE).unwrap();
    assert_eq!(messages(&storage.kept()), (0..1000).map(|i| i.to_string()).collect::<Vec<_>>());
    assert_eq!(collector.stats().dropped.total(), 0);
}

#[test]
fn whoever_blocks_in_vain_drops_in_time() {
    let overflow = Overflow::Block(Duration::from_millis(5));
    let collector = collector(TelemetryConfig { buffer_size: 2, overflow, ..TelemetryConfig::default() });
    assert!(event(&collector, "1") && event(&collector, "2"));
    assert!(!event(&collector, "3"));
    assert_eq!(collector.stats().dropped.queue_full, 1);
}

#[test]
fn records_of_threads_that_ended_are_there_and_their_lanes_are_not() {
    let collector = collector(TelemetryConfig { buffer_size: 100_000, ..TelemetryConfig::default() });
    for i in 0..200 {
        let collector = collector.clone();
        std::thread::spawn(move || event(&collector, &i.to_string())).join().unwrap();
    }
    let data = collector.flush_within(PATIENCE).unwrap();
    assert_eq!(messages(&data), (0..200).map(|i| i.to_string()).collect::<Vec<_>>());
    let stats = collector.stats();
    assert_eq!((stats.emitted, stats.delivered), (200, 200));
}

#[test]
fn a_thread_records_until_its_very_end() {
    struct Farewell(aldis_collect::TelemetryCollector);
    impl Drop for Farewell {
        fn drop(&mut self) {
            event(&self.0, "farewell");
        }
    }
    thread_local! {
        static FAREWELL: std::cell::RefCell<Option<Farewell>> = const { std::cell::RefCell::new(None) };
    }
    let collector = collector(TelemetryConfig::default());
    let inner = collector.clone();
    std::thread::spawn(move || {
        // Registered before the lane, so destroyed after it on this platform; either way it is recorded.
        FAREWELL.with(|farewell| *farewell.borrow_mut() = Some(Farewell(inner.clone())));
        event(&inner, "hello");
    })
    .join()
    .unwrap();
    assert_eq!(messages(&collector.flush_within(PATIENCE).unwrap()), ["hello", "farewell"]);
}

#[derive(Clone, Debug)]
enum Act {
    Event(usize),
    Metric,
    Flush,
    Start,
    Stop,
    Close,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        20 => (0..200_usize).prop_map(Act::Event),
        8 => Just(Act::Metric),
        3 => Just(Act::Flush),
        1 => Just(Act::Start),
        1 => Just(Act::Stop),
        1 => prop::bool::weighted(0.05).prop_map(|closes| if closes { Act::Close } else { Act::Metric }),
    ];
    prop::collection::vec(act, 0..120)
}

/// The numbers of events, as kind 0, and of metrics.
fn numbered(data: &TelemetryData) -> Vec<(usize, u64)> {
    let events = data.events.iter().map(|event| (0, event.origin.seq));
    let mut all: Vec<_> = events.chain(data.metrics.iter().map(|metric| (1, metric.origin.seq))).collect();
    all.sort_unstable();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against a list: what a collector of one thread hands out, stores and drops.
    #[test]
    fn one_thread_is_a_list(acts in acts(), buffer_size in 1..40_usize, drops_newest: bool) {
        let overflow = if drops_newest { Overflow::DropNewest } else { Overflow::DropOldest };
        // While a stream runs there is room for all.
        let collector = collector(TelemetryConfig { buffer_size, overflow, ..patient() });
        let storage = Arc::new(MemoryStorage::new());
        let stream = TelemetryStream::new(&collector, storage.clone());
        let (mut ring, mut stored, mut out, mut dropped) = (Vec::new(), Vec::new(), Vec::new(), 0_u64);
        let (mut streaming, mut closed, mut numbers) = (false, false, [0_u64; 2]);
        for act in &acts {
            match act {
                Act::Event(_) | Act::Metric => {
                    let kind = usize::from(matches!(act, Act::Metric));
                    numbers[kind] += 1;
                    let taken = match act {
                        Act::Event(size) => collector.collect_event("s", &"m".repeat(*size), EventType::Info, &[]),
                        _ => collector.collect_metric("m", 1.0, "", &[]),
                    };
                    let full = !streaming && ring.len() == buffer_size;
                    prop_assert_eq!(taken, !(closed || full && drops_newest));
                    if !taken {
                        dropped += 1;
                        continue;
                    }
                    if full {
                        ring.remove(0);
                        dropped += 1;
                    }
                    ring.push((kind, numbers[kind]));
                }
                Act::Flush => {
                    let data = collector.flush_within(PATIENCE).unwrap();
                    if streaming {
                        prop_assert!(data.is_empty());
                        stored.append(&mut ring);
                    } else {
                        ring.sort_unstable();
                        prop_assert_eq!(&numbered(&data), &ring);
                        out.append(&mut ring);
                    }
                }
                Act::Start => prop_assert_eq!(stream.start().is_ok(), !std::mem::replace(&mut streaming, true)),
                Act::Stop => {
                    stream.stop_within(PATIENCE).unwrap();
                    if std::mem::replace(&mut streaming, false) {
                        stored.append(&mut ring);
                    }
                }
                Act::Close => {
                    collector.close();
                    closed = true;
                }
            }
        }
        if streaming {
            collector.flush_within(PATIENCE).unwrap();
            stored.append(&mut ring);
        }
        let stats = collector.stats();
        prop_assert!(stats.is_closed_sum());
        prop_assert_eq!(stats.emitted, numbers.iter().sum::<u64>());
        prop_assert_eq!(stats.dropped.total(), dropped);
        prop_assert_eq!(stats.delivered as usize, stored.len() + out.len());
        prop_assert_eq!(stats.buffered as usize, ring.len());
        let data = storage.retrieve(None, None, None).unwrap();
        stored.sort_unstable();
        prop_assert_eq!(numbered(&data), stored);
    }
}

#[test]
fn what_a_stopped_stream_left_is_no_more_than_a_ring_may_hold() {
    // Handed out, taken by the next stream, or pushed out one by one.
    for then in ["flush", "start", "emit"] {
        let collector = collector(patient());
        let storage = Moody::shut();
        let stream = TelemetryStream::new(&collector, storage.clone());
        stream.start().unwrap();
        event(&collector, "under way");
        assert!(collector.flush_within(Duration::from_millis(5)).is_err());
        wait_until("the storage is called", || storage.calls.load(Ordering::SeqCst) == 1);
        let number = 50_000;
        (0..number).for_each(|i| assert!(event(&collector, &i.to_string())));
        assert!(stream.stop_within(Duration::from_millis(5)).is_err());
        let stats = collector.stats();
        assert_eq!((stats.buffered, stats.dropped.total()), (number + 1, 0), "{stats}");
        storage.open();
        wait_until("what was under way is stored", || collector.stats().delivered == 1);
        match then {
            "flush" => {
                let left = (0..number).map(|i| i.to_string());
                assert!(messages(&collector.flush_within(PATIENCE).unwrap()).into_iter().eq(left));
                // Now it is a ring of its size again.
                (0..5000).for_each(|i| assert!(event(&collector, &i.to_string())));
                assert_eq!(collector.stats().buffered, 1000);
            }
            "start" => {
                stream.start().unwrap();
                collector.flush_within(PATIENCE).unwrap();
                assert_eq!(storage.kept().len() as u64, number + 1);
                assert_eq!(collector.stats().dropped.total(), 0);
            }
            _ => {
                (0..700).for_each(|_| assert!(event(&collector, "late")));
                let stats = collector.stats();
                assert_eq!((stats.buffered, stats.dropped.displaced), (number, 700), "{stats}");
                assert_eq!(messages(&collector.flush_within(PATIENCE).unwrap())[0], "700");
            }
        }
        assert!(collector.stats().is_closed_sum());
    }
}

#[test]
fn a_ring_holds_the_newest_and_no_more_whenever_anybody_looks() {
    for (buffer_size, threads) in [(1, 1), (3, 1), (100, 1), (1000, 1), (5000, 1), (1000, 4)] {
        let collector = collector(TelemetryConfig { buffer_size, ..patient() });
        let orders = collector.counter("orders", "", &[]);
        for round in 1..=3 {
            let record = || (0..2 * buffer_size + 7).for_each(|i| assert!(event(&collector, &i.to_string())));
            std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(record))));
            let stats = collector.stats();
            assert_eq!(stats.buffered, buffer_size as u64, "of {buffer_size} in round {round}: {stats}");
            assert!(stats.is_closed_sum(), "{stats}");
            record();
            orders.add(1);
            let data = collector.flush_within(PATIENCE).unwrap();
            let newest = (0..2 * buffer_size + 7).map(|i| i.to_string()).skip(buffer_size + 7);
            assert!(messages(&data).into_iter().eq(newest), "of {buffer_size} in round {round}");
            assert_eq!(data.metrics.len(), 1);
            let (stats, all) = (collector.stats(), (threads + 1) * (2 * buffer_size + 7) + 1);
            assert_eq!(stats.emitted, (round * all) as u64);
            assert!(stats.is_closed_sum() && stats.buffered == 0, "{stats}");
        }
        // A stream begins with no more, either.
        (0..2 * buffer_size).for_each(|i| assert!(event(&collector, &i.to_string())));
        let storage = Arc::new(MemoryStorage::new());
        let stream = TelemetryStream::new(&collector, storage.clone());
        stream.start().unwrap();
        collector.flush_within(PATIENCE).unwrap();
        assert_eq!(storage.stats().items, buffer_size);
    }
}
