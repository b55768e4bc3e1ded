//! A storage that does what a scenario says, and subscribers that do.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use collect::{
    MemoryStorage, StorageError, SubscriberStats, TelemetryCollector, TelemetryData, TelemetryStorage,
    TelemetryStream,
};
use serde_json::Value;

use crate::parity::text;

/// What code that the library calls uses of it, and what it was told.
#[derive(Clone, Default)]
pub(crate) struct Within(Arc<Mutex<Inside>>);

#[derive(Default)]
pub(crate) struct Inside {
    pub(crate) collector: Option<TelemetryCollector>,
    pub(crate) stream: Option<Arc<TelemetryStream>>,
    pub(crate) told: Vec<String>,
}

impl Within {
    pub(crate) fn inside<T>(&self, run: impl FnOnce(&mut Inside) -> T) -> T {
        run(&mut self.0.lock().unwrap())
    }

    fn run(&self, what: &str) {
        let (collector, stream) = self.inside(|inside| (inside.collector.clone(), inside.stream.clone()));
        let told = match what {
            "flushes" => collector.unwrap().flush().map_or_else(|error| error.code(), |_| "ok"),
            "stops" => stream.unwrap().stop().map_or_else(|error| error.code(), |()| "ok"),
            // On another thread: this one stores, and is told no.
            "stopped" => {
                let stop = move || stream.unwrap().stop_within(Duration::ZERO);
                let stopped = std::thread::spawn(stop).join().unwrap();
                stopped.map_or_else(|error| error.code(), |()| "ok")
            }
            "records" => {
                let taken = collector.unwrap().collect_event("within", "said", collect::EventType::Info, &[]);
                if taken { "taken" } else { "dropped" }
            }
            _ => return,
        };
        self.inside(|inside| inside.told.push(format!("{what}: {told}")));
    }

    /// What a subscriber does.
    pub(crate) fn subscriber(
        &self,
        step: &Value,
    ) -> impl Fn(&TelemetryData) -> Result<(), String> + Send + Sync + 'static {
        let (within, does) = (self.clone(), text(step, "does").to_owned());
        move |_: &TelemetryData| {
            within.run(&does);
            if does == "fails" { Err("RuntimeError: on purpose".to_owned()) } else { Ok(()) }
        }
    }
}

pub(crate) fn stats(of: Option<SubscriberStats>) -> String {
    let Some(of) = of else { return "none".to_owned() };
    format!(
        "offered={} delivered={} failed={} lagged={} pending={} is_closed_sum={}",
        of.offered,
        of.delivered,
        of.failed + of.panicked,
        of.lagged,
        of.pending,
        u8::from(of.is_closed_sum())
    )
}

/// Keeps what it stores, if it stores it.
pub(crate) struct Scripted {
    memory: MemoryStorage,
    /// What each call does: `ok`, `fails`, `holds` until it is let go, or what [`Within`] does. The last goes on.
    stores: Vec<String>,
    cannot_sync: bool,
    calls: AtomicUsize,
    is_let_go: Mutex<bool>,
    go: Condvar,
    within: Within,
}

impl Scripted {
    pub(crate) fn new(step: &Value, within: Within) -> Self {
        let stores = step["stores"].as_array().unwrap().iter();
        Self {
            memory: MemoryStorage::new(),
            stores: stores.map(|does| does.as_str().unwrap().to_owned()).collect(),
            cannot_sync: step["cannot_sync"].as_bool().unwrap_or(false),
            calls: AtomicUsize::new(0),
            is_let_go: Mutex::new(false),
            go: Condvar::new(),
            within,
        }
    }

    pub(crate) fn is_called(&self) -> bool {
        self.calls.load(Ordering::SeqCst) > 0
    }

    pub(crate) fn let_go(&self) {
        *self.is_let_go.lock().unwrap() = true;
        self.go.notify_all();
    }
}

impl TelemetryStorage for Scripted {
    fn store(&self, data: &TelemetryData) -> Result<(), StorageError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst).min(self.stores.len() - 1);
        let does = &self.stores[call];
        self.within.run(does);
        if does == "fails" {
            return Err(StorageError::new("on purpose"));
        }
        let mut is_let_go = self.is_let_go.lock().unwrap();
        while does == "holds" && !*is_let_go {
            is_let_go = self.go.wait(is_let_go).unwrap();
        }
        drop(is_let_go);
        self.memory.store(data)
    }

    fn retrieve(
        &self,
        start_ns: Option<u64>,
        end_ns: Option<u64>,
        limit: Option<usize>,
    ) -> Result<TelemetryData, StorageError> {
        self.memory.retrieve(start_ns, end_ns, limit)
    }

    fn sync(&self) -> Result<(), StorageError> {
        if self.cannot_sync { Err(StorageError::new("on purpose")) } else { Ok(()) }
    }
}
