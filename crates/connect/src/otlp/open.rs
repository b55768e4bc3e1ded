//! What of a receiver is open: connections, and listeners.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// Waits until nothing is open any more.
#[derive(Debug, Default)]
pub(super) struct Open {
    now: Mutex<OpenNow>,
    changed: Condvar,
}

/// How many there are.
#[derive(Debug, Default)]
pub(super) struct OpenNow {
    pub(super) connections: usize,
    /// Listeners whose acceptors have not ended: their ports are taken.
    listeners: usize,
}

impl Open {
    /// Waits until `deadline`; how many connections there are then.
    pub(super) fn wait_for_none(&self, deadline: Instant) -> usize {
        let mut now = self.lock();
        while now.connections > 0 || now.listeners > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            now = self.changed.wait_timeout(now, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        now.connections
    }

    /// Says that there is less.
    pub(super) fn tell(&self) {
        self.changed.notify_all();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, OpenNow> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One listener that is accepted from, counted as long as it lives.
pub(super) struct Accepting(Arc<Open>);

impl Accepting {
    pub(super) fn new(open: &Arc<Open>) -> Self {
        open.lock().listeners += 1;
        Self(open.clone())
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.lock().listeners -= 1;
        self.0.tell();
    }
}
