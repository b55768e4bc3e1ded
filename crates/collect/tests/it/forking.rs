//! A process that forks while its other threads record, store and listen.
#![cfg(target_os = "linux")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aldis_collect::{
    FileStorage, MemoryStorage, Overflow, PerProcess, TelemetryCollector, TelemetryConfig, TelemetryStorage,
    TelemetryStream,
};

use crate::scenes::{PATIENCE, collector, event, messages, patient};

/// Runs something in a forked child: the code it returns is that of the child, 101 if it panics, 124 if it hangs.
fn in_child(run: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs what a child of a program with threads may not by the letter of POSIX, and may with glibc, whose
    // allocator survives a fork; it ends by `_exit`.
    #[allow(unsafe_code, reason = "there is no other way to fork")]
    match unsafe { libc::fork() } {
        0 => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or(101);
            // SAFETY: ends this process.
            unsafe { libc::_exit(code) }
        }
        child => {
            let (mut status, end) = (0, Instant::now() + 2 * PATIENCE);
            // SAFETY: `child` is a child of this process that nobody else waits for.
            while unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == 0 {
                std::thread::sleep(Duration::from_millis(5));
                if Instant::now() > end {
                    // SAFETY: as above.
                    unsafe { libc::kill(child, libc::SIGKILL) };
                    return 124;
                }
            }
            if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 99 }
        }
    }
}

#[test]
fn a_child_begins_empty_and_its_parent_keeps_what_it_had() {
    let collector = collector(TelemetryConfig::default());
    let counter = collector.counter("orders", "", &[]);
    event(&collector, "of the parent");
    counter.add(5);
    let code = in_child(|| {
        event(&collector, "of the child");
        counter.add(2);
        let data = collector.flush_within(PATIENCE).unwrap();
        assert_eq!(messages(&data), ["of the child"]);
        assert_eq!(data.metrics[0].value, 2.0);
        let stats = collector.stats();
        assert_eq!((stats.emitted, stats.delivered, stats.buffered), (2, 2, 0));
        // And so does a child of the child.
        in_child(|| i32::from(collector.stats().emitted != 0 || !event(&collector, "third")))
    });
    assert_eq!(code, 0);
    event(&collector, "later");
    let data = collector.flush_within(PATIENCE).unwrap();
    assert_eq!(messages(&data), ["of the parent", "later"]);
    assert_eq!(data.metrics[0].value, 5.0);
}

/// Keeps every lock of a collector busy while its process forks.
fn busy<T>(collector: &TelemetryCollector, run: impl FnOnce() -> T) -> T {
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    event(collector, "busy");
                    let _ = collector.stats();
                }
            });
        }
        let result = run();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        result
    })
}

#[test]
fn a_child_of_a_busy_process_streams_to_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("family.jsonl");
    let overflow = Overflow::Block(PATIENCE);
    let collector =
        collector(TelemetryConfig { overflow, flush_interval: Duration::from_millis(1), ..patient() });
    let stream = TelemetryStream::new(&collector, FileStorage::open(&path).unwrap());
    stream.start().unwrap();
    let codes: Vec<i32> = busy(&collector, || {
        (0..20)
            .map(|child| {
                in_child(|| {
                    for i in 0..50 {
                        assert!(event(&collector, &format!("child {child} {i}")));
                    }
                    collector.flush_within(PATIENCE).unwrap();
                    let stats = collector.stats();
                    i32::from(stats.emitted != 50 || stats.delivered != 50)
                })
            })
            .collect()
    });
    assert_eq!(codes, [0; 20]);
    collector.flush_within(PATIENCE).unwrap();
    stream.stop_within(PATIENCE).unwrap();
    let stats = collector.stats();
    assert!(stats.is_closed_sum() && stats.dropped.total() == 0, "{stats}");
    let storage = FileStorage::open(&path).unwrap();
    let read = messages(&storage.retrieve(None, None, None).unwrap());
    assert_eq!(storage.stats().bad_lines, 0);
    let of = |who: &str| read.iter().filter(|message| message.starts_with(who)).count() as u64;
    assert_eq!((of("busy"), of("child")), (stats.delivered, 20 * 50));
    let mut children: Vec<&String> = read.iter().filter(|message| message.starts_with("child")).collect();
    children.sort();
    children.dedup();
    assert_eq!(children.len(), 20 * 50);
}

/// Whoever adds and removes others, or asks for instruments, holds what a child takes over as often as not.
#[test]
fn a_child_has_stream_listeners_and_consumers_whatever_others_do_with_them_when_it_is_forked() {
    let collector = collector(TelemetryConfig { realtime_mode: true, ..patient() });
    let heard = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let hear = || {
        let heard = heard.clone();
        move |data: &aldis_collect::TelemetryData| {
            heard.fetch_add(data.len() as u64, std::sync::atomic::Ordering::SeqCst);
        }
    };
    collector.add_listener(hear()).unwrap();
    let stream = TelemetryStream::new(&collector, MemoryStorage::new());
    stream.add_consumer(hear()).unwrap();
    stream.start().unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let goes_on = || !done.load(std::sync::atomic::Ordering::Relaxed);
    let failed = std::thread::scope(|scope| {
        scope.spawn(|| {
            while goes_on() {
                let other = collector.add_listener(|_: &aldis_collect::TelemetryData| ()).unwrap();
                collector.remove_listener(other);
            }
        });
        scope.spawn(|| {
            while goes_on() {
                let other = stream.add_consumer(|_: &aldis_collect::TelemetryData| ()).unwrap();
                stream.remove_consumer(other);
            }
        });
        scope.spawn(|| {
            while goes_on() {
                drop(collector.counter("of a moment", "", &[]));
            }
        });
        let child = || {
            event(&collector, "1");
            if !collector.is_streaming() || collector.flush_within(PATIENCE).is_err() {
                return 1;
            }
            let has_heard = || heard.load(std::sync::atomic::Ordering::SeqCst) == 2;
            crate::scenes::wait_until("both saw it", has_heard);
            0
        };
        let failed = (0..60).map(|_| in_child(child)).find(|code| *code != 0);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        failed
    });
    assert_eq!(failed, None);
}

#[test]
fn a_child_of_a_child_does_not_wait_for_what_its_parent_was_making() {
    let collector = collector(TelemetryConfig { realtime_mode: true, ..patient() });
    let stream = TelemetryStream::new(&collector, MemoryStorage::new());
    stream.start().unwrap();
    for child in 0..20 {
        let code = in_child(|| {
            std::thread::scope(|scope| {
                scope.spawn(|| event(&collector, "of the child, first thing"));
                (0..child).for_each(|_| std::thread::yield_now());
                in_child(|| {
                    event(&collector, "1");
                    i32::from(collector.stats().emitted != 1 || collector.flush_within(PATIENCE).is_err())
                })
            })
        });
        assert_eq!(code, 0);
    }
}

/// Runs something in a forked child without a look at the time: the code it returns, or 99 if a signal ended it, that of a clock of its own
/// among them.
fn in_child_at_once(run: impl FnOnce() -> i32) -> i32 {
    // SAFETY: as in `in_child`.
    #[allow(unsafe_code, reason = "there is no other way to fork")]
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: a child that hangs is ended by a signal, which this process handles nowhere.
            unsafe { libc::alarm(PATIENCE.as_secs() as u32) };
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or(101);
            // SAFETY: ends this process.
            unsafe { libc::_exit(code) }
        }
        child => {
            let mut status = 0;
            // SAFETY: `child` is a child of this process that nobody else waits for.
            let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!(waited, child);
            if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 99 }
        }
    }
}

/// A thread of the child makes one value after the other while others fork: it is as often as not just at one.
#[test]
fn a_child_of_a_child_does_not_wait_for_a_place_that_its_parent_was_filling() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    const VALUES: usize = 100_000;
    let values: Vec<PerProcess<usize>> = (0..VALUES).map(PerProcess::new).collect();
    let code = in_child(|| {
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for value in &values {
                    value.get(|parents| *parents);
                    made.fetch_add(1, Ordering::SeqCst);
                }
            });
            let mut code = 0;
            while code == 0 && made.load(Ordering::SeqCst) < VALUES {
                code = in_child_at_once(|| {
                    let at = made.load(Ordering::SeqCst);
                    let around = at.saturating_sub(1)..VALUES.min(at + 3);
                    let own = |i: usize| **values[i].get(|parents| parents + 1);
                    i32::from(around.clone().any(|i| own(i) != i + 1))
                });
            }
            code
        })
    });
    assert_eq!(code, 0);
}

#[test]
fn listeners_and_consumers_of_a_parent_are_called_in_the_child() {
    let collector = collector(TelemetryConfig { realtime_mode: true, ..patient() });
    let shared = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = |shared: &Arc<std::sync::atomic::AtomicU64>, weight| {
        let shared = shared.clone();
        move |data: &aldis_collect::TelemetryData| {
            shared.fetch_add(weight * data.len() as u64, std::sync::atomic::Ordering::SeqCst);
        }
    };
    collector.add_listener(count(&shared, 1)).unwrap();
    let stream = TelemetryStream::new(&collector, MemoryStorage::new());
    stream.add_consumer(count(&shared, 100)).unwrap();
    stream.start().unwrap();
    let code = in_child(|| {
        event(&collector, "1");
        collector.flush_within(PATIENCE).unwrap();
        assert_eq!(stream.storage().retrieve(None, None, None).unwrap().len(), 1);
        stream.stop_within(PATIENCE).unwrap();
        crate::scenes::wait_until("both saw it", || shared.load(std::sync::atomic::Ordering::SeqCst) == 101);
        0
    });
    assert_eq!(code, 0);
    assert_eq!(shared.load(std::sync::atomic::Ordering::SeqCst), 0);
    // Ending in a child that did nothing concerns nobody.
    assert_eq!(
        in_child(|| {
            drop((stream, collector));
            0
        }),
        0
    );
}
