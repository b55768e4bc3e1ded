//! What tests have in common: collectors, and storages that can be told to misbehave.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use aldis_collect::{
    EventType, StorageError, TelemetryCollector, TelemetryConfig, TelemetryData, TelemetryStorage, limits,
};

pub(crate) fn collector(config: TelemetryConfig) -> TelemetryCollector {
    TelemetryCollector::new(config).unwrap()
}

/// A stream of it flushes when it is told to, and at no other time.
pub(crate) fn patient() -> TelemetryConfig {
    TelemetryConfig { flush_interval: Duration::from_secs(3600), ..TelemetryConfig::default() }
}

pub(crate) fn event(collector: &TelemetryCollector, message: &str) -> bool {
    collector.collect_event("test", message, EventType::Info, &[("size", 3.into()), ("who", "ada".into())])
}

pub(crate) fn messages(data: &TelemetryData) -> Vec<String> {
    data.events.iter().map(|event| event.message.clone()).collect()
}

/// How long what is to come may take on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Does again what ends with dropping a collector or a stream if that took as long as it may: what is not stored by then is given up.
pub(crate) fn in_time<T>(mut attempt: impl FnMut() -> T) -> T {
    for _ in 1..10 {
        let begun = Instant::now();
        let outcome = attempt();
        if begun.elapsed() < limits::DROP_TIMEOUT {
            return outcome;
        }
    }
    attempt()
}

/// Waits for what is to come.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never so: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Keeps everything; can be held shut, be slow, fail and panic.
#[derive(Default)]
pub(crate) struct Moody {
    kept: Mutex<TelemetryData>,
    held: Mutex<bool>,
    released: Condvar,
    pub(crate) calls: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) is_moody: AtomicBool,
    pub(crate) cannot_sync: AtomicBool,
}

impl Moody {
    pub(crate) fn shut() -> Arc<Self> {
        let storage = Self::default();
        *storage.held.lock().unwrap() = true;
        Arc::new(storage)
    }

    pub(crate) fn open(&self) {
        *self.held.lock().unwrap() = false;
        self.released.notify_all();
    }

    pub(crate) fn kept(&self) -> TelemetryData {
        self.kept.lock().unwrap().clone()
    }
}

impl TelemetryStorage for Moody {
    fn store(&self, data: &TelemetryData) -> Result<(), StorageError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let mut held = self.held.lock().unwrap();
        while *held {
            held = self.released.wait(held).unwrap();
        }
        drop(held);
        let mut part = data.clone();
        if self.is_moody.load(Ordering::SeqCst) {
            match call % 5 {
                0 => return Err(StorageError::new("not in the mood")),
                1 => panic!("thrown on purpose"),
                2 => {
                    let stored = part.events.len() / 2;
                    part.events.truncate(stored);
                    part.metrics.clear();
                    self.kept.lock().unwrap().append(part);
                    return Err(StorageError::new("had enough").after(stored));
                }
                3 => std::thread::sleep(Duration::from_millis(2)),
                _ => {}
            }
        }
        self.kept.lock().unwrap().append(part);
        Ok(())
    }

    fn retrieve(
        &self,
        start_ns: Option<u64>,
        end_ns: Option<u64>,
        limit: Option<usize>,
    ) -> Result<TelemetryData, StorageError> {
        let mut data = self.kept();
        data.select(start_ns, end_ns, limit);
        Ok(data)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        if self.cannot_sync.load(Ordering::SeqCst) {
            Err(StorageError::new("the disk is on fire"))
        } else {
            Ok(())
        }
    }
}
