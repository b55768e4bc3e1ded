//! The modelled shop's requests, in the order and, if wanted, at the times at which they leave.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use connect::otlp::load::Shot;
use pipeline::clock::now_ns;
use workload::{Request, Settings, SettingsError, Totals, Workload};

/// A shop whose requests are sent. Clones stand for the same one.
#[derive(Clone)]
pub(crate) struct Shop {
    shared: Arc<Mutex<Shared>>,
    closing: Arc<AtomicBool>,
    settings: Arc<Settings>,
}

struct Shared {
    workload: Workload,
    ready: VecDeque<Request>,
    closed: bool,
}

impl Shop {
    /// One that opens now.
    pub(crate) fn open(settings: Settings) -> Result<Shop, SettingsError> {
        let settings = Settings { start_ns: now_ns(), ..settings };
        let workload = Workload::new(settings.clone())?;
        let shared = Shared { workload, ready: VecDeque::new(), closed: false };
        Ok(Shop {
            shared: Arc::new(Mutex::new(shared)),
            closing: Arc::default(),
            settings: Arc::new(settings),
        })
    }

    /// The next request, when it is due; `None` when it has closed and everything has been said.
    pub(crate) fn next_on_time(&self) -> Option<Shot> {
        self.next(true)
    }

    /// The next request, as soon as may be. There is no end of them before [`Shop::close`].
    pub(crate) fn next_at_once(&self) -> Option<Shot> {
        self.next(false)
    }

    fn next(&self, on_time: bool) -> Option<Shot> {
        let mut shared = self.lock();
        let mut made = Vec::new();
        while shared.ready.is_empty() {
            match shared.workload.next_ns() {
                Some(at) if !self.closing.load(Relaxed) => shared.workload.advance(at, &mut made),
                Some(_) => {
                    shared.workload.finish(&mut made);
                    shared.closed = true;
                }
                None => return None,
            }
            // Nobody asks for single traces here.
            drop(shared.workload.drain_traces());
            shared.ready.extend(made.drain(..));
        }
        let request = shared.ready.pop_front()?;
        let since = Duration::from_nanos(request.at_ns.saturating_sub(self.settings.start_ns));
        Some(Shot {
            signal: request.signal,
            bytes: request.body,
            records: request.records as u64,
            due: Some(since).filter(|_| on_time && !shared.closed),
        })
    }

    /// No trace begins any more; those in flight go to their end, and everything is exported.
    pub(crate) fn close(&self) {
        self.closing.store(true, Relaxed);
    }

    /// What goes wrong now.
    pub(crate) fn incidents(&self) -> Vec<String> {
        self.settings.incidents_at(now_ns()).map(ToString::to_string).collect()
    }

    /// The truth.
    pub(crate) fn totals(&self) -> Totals {
        self.lock().workload.totals()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
