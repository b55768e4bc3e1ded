//! What there is to do for the pump.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{Bounds, Hub, State};
use crate::{
    chunk::{Chunk, Size},
    limits::{BATCH_BYTES, BATCH_ITEMS},
    stream::Outlet,
    sync::{Instant, atomic::Ordering},
};

/// What the pump is to do next.
pub(crate) enum Work {
    /// Show these records to listeners. They stay where they are.
    Show(Chunk),
    /// Store these, then [`Hub::settle`].
    Store(Arc<Outlet>, Vec<Chunk>),
    /// Store aggregates whose window is over and let the storage do what is due, then [`Hub::ticked`].
    Tick(Arc<Outlet>),
    /// Store open aggregates and sync the storage, then [`Hub::sealed`].
    Seal(Arc<Outlet>, u64),
    /// End.
    End,
}

/// What became of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) delivered: u64,
    pub(crate) sampled_out: u64,
    pub(crate) aggregated: u64,
    pub(crate) storage_error: u64,
    /// By how many there are more, or fewer, records in open aggregates.
    pub(crate) held: i64,
}

/// How long the pump sleeps where no tick is due.
const LONG: Duration = Duration::from_secs(3600);

impl Hub {
    /// Waits for work.
    pub(crate) fn next_work(&self) -> Work {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.find_work(&self.bounds) {
                return work;
            }
            if self.bounds.is_realtime && state.has_listeners {
                self.asleep.store(true, Ordering::Relaxed);
                // Whoever records after this look sees that the pump sleeps.
                state.sweep();
                if state.queue.end() > state.shown {
                    self.asleep.store(false, Ordering::Relaxed);
                    continue;
                }
            }
            let ticks = state.outlet.is_some();
            let wait = if ticks { state.tick_at.saturating_duration_since(Instant::now()) } else { LONG };
            state = self.work.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
            self.asleep.store(false, Ordering::Relaxed);
        }
    }

    /// Says what became of the records of [`Work::Store`].
    pub(crate) fn settle(&self, settled: Settled, chunks: Vec<Chunk>) {
        let mut state = self.lock();
        let stored = std::mem::take(&mut state.in_flight);
        state.left = state.left.saturating_sub(stored.items);
        state.count(settled);
        chunks.into_iter().for_each(|chunk| state.queue.recycle(chunk));
        if state.blocked > 0 {
            self.room.notify_all();
        }
    }

    /// Says what became of the aggregates of [`Work::Tick`].
    pub(crate) fn ticked(&self, settled: Settled) {
        self.lock().count(settled);
    }

    /// Says what became of the aggregates of [`Work::Seal`].
    pub(crate) fn sealed(&self, outlet: &Arc<Outlet>, settled: Settled, to: u64, is_synced: bool) {
        let mut state = self.lock();
        state.count(settled);
        state.synced_to = state.synced_to.max(to);
        state
            .unsynced
            .retain(|other| other.strong_count() > 0 && !std::ptr::eq(other.as_ptr(), &raw const **outlet));
        if !is_synced {
            state.unsynced.push(Arc::downgrade(outlet));
        }
        if !state.unsynced.is_empty() {
            state.unsynced_to = state.unsynced_to.max(to);
        } else if state.unsynced_to <= to {
            (state.sound_to, state.unsynced_to) = (state.sound_to.max(to), 0);
        }
        self.settled.notify_all();
    }

    /// Says that the pump ends.
    pub(crate) fn ended(&self) {
        self.lock().is_pumped = false;
        self.settled.notify_all();
    }
}

impl State {
    fn find_work(&mut self, bounds: &Bounds) -> Option<Work> {
        if bounds.is_realtime && self.has_listeners {
            self.sweep();
            self.counts.unseen += self.queue.front().saturating_sub(self.shown);
            let unseen = self.queue.copy_from(self.shown);
            self.shown = self.queue.end();
            if let Some(chunk) = unseen {
                return Some(Work::Show(chunk));
            }
        }
        if let Some(outlet) = self.leaving.pop() {
            return Some(Work::Seal(outlet, self.synced_to));
        }
        if let Some(outlet) = self.outlet.clone() {
            let now = Instant::now();
            let ticks = now >= self.tick_at;
            if ticks {
                self.is_due = true;
                self.tick_at = now + bounds.interval;
            }
            if self.is_due
                && let Some(work) = self.find_due(bounds, &outlet)
            {
                self.is_tick_owed |= ticks;
                return Some(work);
            }
            if ticks || std::mem::take(&mut self.is_tick_owed) {
                return Some(Work::Tick(outlet));
            }
        }
        self.is_ending.then_some(Work::End)
    }

    /// What a flush has to do.
    fn find_due(&mut self, bounds: &Bounds, outlet: &Arc<Outlet>) -> Option<Work> {
        if self.flush_to > self.synced_to && self.queue.front() >= self.flush_to {
            if !std::mem::take(&mut self.owes_instruments) {
                return Some(Work::Seal(outlet.clone(), self.flush_to));
            }
            // Once for each flush, so that it ends.
            self.read_instruments_owed();
            self.sweep();
            self.flush_to = self.queue.end();
        } else {
            self.read_instruments(bounds);
            self.sweep();
        }
        // What is granted now was not recorded yet, and counts towards the next full buffer.
        self.issued = self.granted.items;
        let (chunks, size) = self.queue.take(Size { items: BATCH_ITEMS, bytes: BATCH_BYTES });
        self.is_due = self.queue.size().items > 0 || self.flush_to > self.synced_to;
        if chunks.is_empty() {
            return None;
        }
        self.in_flight = size;
        Some(Work::Store(outlet.clone(), chunks))
    }

    fn count(&mut self, settled: Settled) {
        self.counts.delivered += settled.delivered;
        self.counts.sampled_out += settled.sampled_out;
        self.counts.aggregated += settled.aggregated;
        self.counts.dropped.storage_error += settled.storage_error;
        self.held = self.held.saturating_add_signed(settled.held);
    }
}
