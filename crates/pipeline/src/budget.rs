//! Memory that may be in use at once.

use std::sync::Arc;

use crate::sync::atomic::{AtomicUsize, Ordering};

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

/// Bytes taken from a [`Budget`]; given back when the last clone is dropped, so that copies of a batch that share its
/// bytes are charged once.
#[derive(Clone, Debug)]
pub struct Charge {
    _taken: Arc<Taken>,
}

#[derive(Debug)]
struct Taken {
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
                Ok(_) => {
                    return Some(Charge { _taken: Arc::new(Taken { state: self.state.clone(), bytes }) });
                }
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

impl Drop for Taken {
    fn drop(&mut self) {
        self.state.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_with_the_last_clone() {
        let budget = Budget::new(100);
        let charge = budget.try_charge(60).unwrap();
        assert!(budget.try_charge(41).is_none());
        let clone = charge.clone();
        drop(charge);
        assert_eq!(budget.used(), 60);
        drop(clone);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn one_request_larger_than_the_budget_passes_alone() {
        let budget = Budget::new(100);
        let large = budget.try_charge(1000).unwrap();
        assert!(budget.try_charge(1).is_none());
        drop(large);
        assert!(budget.try_charge(1).is_some());
    }
}
