//! Where a receiver's telemetry goes, which may change while it comes.

use std::{
    fmt,
    sync::{Arc, PoisonError},
};

use otlp::Signal;

use crate::{Inlet, sync::RwLock};

/// One shard's ways into the pipelines, by signal. Clones are the same ways.
///
/// Whoever holds them need not know when they [lead elsewhere](Inlets::lead_as): what is offered [through](Inlets::through)
/// them is with the old inlet or with the new one, and once `lead_as` has returned nobody is inside an old one any more, so
/// that it can be closed without refusing anything.
///
/// ```
/// use std::sync::Arc;
/// use aldis_pipeline::{Budget, Inlet, Inlets, Item};
/// use otlp::{Depth, Signal};
///
/// struct Forget(Budget);
///
/// impl Inlet for Forget {
///     fn offer(&self, _item: Item, _now_ns: u64) {}
///     fn depth(&self) -> Depth {
///         Depth::Counts
///     }
///     fn budget(&self) -> &Budget {
///         &self.0
///     }
/// }
///
/// let inlets = Inlets::new().with(Signal::Logs, Arc::new(Forget(Budget::new(1 << 20))));
/// let depth = inlets.through(Signal::Logs, |inlet| inlet.map(|inlet| inlet.depth()));
/// assert_eq!(depth, Some(Depth::Counts));
/// inlets.lead_as(&Inlets::new());
/// assert!(inlets.get(Signal::Logs).is_none());
/// ```
#[derive(Clone)]
pub struct Inlets {
    /// Read by one shard, and written when a graph changes: never contended for long.
    by_signal: Arc<[Way; Signal::ALL.len()]>,
}

type Way = RwLock<Option<Arc<dyn Inlet>>>;

impl Default for Inlets {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Inlets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Signal::ALL.into_iter().filter(|signal| self.get(*signal).is_some())).finish()
    }
}

impl Inlets {
    /// None yet.
    pub fn new() -> Self {
        Self { by_signal: Arc::new(Signal::ALL.map(|_| RwLock::new(None))) }
    }

    /// With this way in for a signal.
    #[must_use]
    pub fn with(self, signal: Signal, inlet: Arc<dyn Inlet>) -> Self {
        self.lead(signal, Some(inlet));
        self
    }

    /// Where a signal goes now: to know the budget that a body is to be charged to, say. What is offered to it later may find
    /// it closed; offer [`through`](Inlets::through) instead.
    pub fn get(&self, signal: Signal) -> Option<Arc<dyn Inlet>> {
        self.way(signal).read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls `offer` with the way in for a signal, which stays open until it returns. How deep a batch must be indexed is asked
    /// here: the inlet may be another one than a moment before.
    pub fn through<T>(&self, signal: Signal, offer: impl FnOnce(Option<&dyn Inlet>) -> T) -> T {
        offer(self.way(signal).read().unwrap_or_else(PoisonError::into_inner).as_deref())
    }

    /// From now on these lead to where `other` does. Waits for those who are inside.
    pub fn lead_as(&self, other: &Inlets) {
        Signal::ALL.into_iter().for_each(|signal| self.lead(signal, other.get(signal)));
    }

    fn lead(&self, signal: Signal, inlet: Option<Arc<dyn Inlet>>) {
        let mut way = self.way(signal).write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *way, inlet);
        // What it held is let go of once nobody waits for the lock.
        drop(way);
        drop(before);
    }

    fn way(&self, signal: Signal) -> &Way {
        &self.by_signal[signal as usize]
    }
}

#[cfg(all(test, aldis_models))]
mod models;
