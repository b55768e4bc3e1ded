//! The way to a storage that stalls, and counts what comes through.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long the way is shut at the beginning of each [`PERIOD`], where it ever is.
pub(super) const STALL: Duration = Duration::from_millis(200);
/// From one stall to the next.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// What stands in front of every subject's storage, exporter, reporter or writer. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    began: Instant,
    stalls: bool,
    through: Arc<AtomicU64>,
}

impl Gate {
    pub(super) fn new(stalls: bool) -> Self {
        Self { began: Instant::now(), stalls, through: Arc::default() }
    }

    /// Lets so many records through, once it is open.
    pub(super) fn pass(&self, records: u64) {
        if self.stalls {
            let into = Duration::from_nanos((self.began.elapsed().as_nanos() % PERIOD.as_nanos()) as u64);
            thread::sleep(STALL.saturating_sub(into));
        }
        self.through.fetch_add(records, Ordering::Relaxed);
    }

    /// Records that came through.
    pub(super) fn through(&self) -> u64 {
        self.through.load(Ordering::Relaxed)
    }
}
