//! How a receiver of files ended, for those who wait for it: who stops it, and who takes its place.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::checkpoint::Entry;

/// How far a receiver came, once it has ended.
#[derive(Debug, Default)]
pub(super) struct End {
    came_to: Mutex<Option<Vec<Entry>>>,
    told: Condvar,
}

/// Says how far a receiver came when it is dropped, so that a panic leaves nobody waiting.
pub(super) struct Tell {
    pub(super) end: Arc<End>,
    pub(super) came_to: Vec<Entry>,
}

impl Drop for Tell {
    fn drop(&mut self) {
        *self.end.lock() = Some(std::mem::take(&mut self.came_to));
        self.end.told.notify_all();
    }
}

impl End {
    /// Waits for it; `None` if it has not come by the deadline. Blocks.
    pub(super) fn wait_until(&self, deadline: Instant) -> Option<Vec<Entry>> {
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.told.wait_timeout_while(self.lock(), left, |came_to| came_to.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Waits for it, however long that takes. Blocks.
    pub(super) fn wait(&self) -> Vec<Entry> {
        loop {
            if let Some(entries) = self.wait_until(Instant::now() + Duration::from_secs(1)) {
                return entries;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Entry>>> {
        self.came_to.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
