//! Memory that may be in use at once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A bound on bytes in use, shared by whoever clones it.
#[derive(Clone, Debug)]
pub struct Budget {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    used: AtomicUsize,
}

/// Bytes taken from a [`Budget`]; given back when dropped.
#[derive(Debug)]
pub struct Charge {
    state: Arc<State>,
    bytes: usize,
}

impl Budget {
    /// A budget of this many bytes.
    pub fn new(limit: usize) -> Self {
        Self { state: Arc::new(State { limit, used: AtomicUsize::new(0) }) }
    }

    /// Takes bytes if that many are free. One request may always pass when nothing else is in use, however large it is:
    /// its own size limit bounds it.
    pub fn try_charge(&self, bytes: usize) -> Option<Charge> {
        let mut used = self.state.used.load(Ordering::Relaxed);
        loop {
            let after = used.saturating_add(bytes);
            if after > self.state.limit && used > 0 {
                return None;
            }
            match self.state.used.compare_exchange_weak(used, after, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(Charge { state: self.state.clone(), bytes }),
                Err(now) => used = now,
            }
        }
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.state.used.load(Ordering::Relaxed)
    }

    /// The bound, in bytes.
    pub fn limit(&self) -> usize {
        self.state.limit
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.state.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}
