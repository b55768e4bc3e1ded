//! Flushing, and the beginning and end of a stream and of the collector.

use std::{
    fmt,
    sync::{Arc, PoisonError, Weak},
    time::Duration,
};

use super::{Hub, State};
use crate::{
    chunk::{Chunk, Size},
    instrument::Cell,
    lane,
    stream::Outlet,
    sync::{Instant, MutexGuard},
};

/// Why not everything was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushError {
    /// The time was over: try again, or look at the storage.
    Timeout {
        /// Records that were accepted and are not stored yet, newer ones included.
        remaining: u64,
    },
    /// The stream was stopped, or could have no thread, before everything was stored: what remains is in the collector. Start a stream,
    /// or flush again, which hands it out.
    Stopped {
        /// Records that were accepted and are not stored, newer ones included.
        remaining: u64,
    },
    /// The storage could not sync, or that of a stream that was stopped before: what it has stored may not survive a crash of the machine.
    /// The stream has the storage's error.
    NotSynced,
    /// A storage asked for it while it was storing for this collector: it would wait for itself.
    WhileStoring,
}

impl FlushError {
    /// A name for programs, the same in every language.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "flush_timeout",
            Self::Stopped { .. } => "flush_stopped",
            Self::NotSynced => "not_synced",
            Self::WhileStoring => "while_storing",
        }
    }
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { remaining } => write!(f, "{remaining} records were not stored in time"),
            Self::Stopped { remaining } => {
                write!(f, "the stream was stopped, and left {remaining} records in the collector")
            }
            Self::NotSynced => f.write_str("the storage could not sync what it has stored"),
            Self::WhileStoring => f.write_str("a storage cannot flush the collector it is storing for"),
        }
    }
}

impl std::error::Error for FlushError {}

/// How far it is with what is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Stored,
    NotSynced,
    /// The time is over.
    Waiting(u64),
    /// Nobody stores any more.
    Left(u64),
}

impl Standing {
    fn into_result(self) -> Result<(), FlushError> {
        match self {
            Self::Stored => Ok(()),
            Self::NotSynced => Err(FlushError::NotSynced),
            Self::Waiting(remaining) => Err(FlushError::Timeout { remaining }),
            Self::Left(remaining) => Err(FlushError::Stopped { remaining }),
        }
    }
}

/// How long whoever waits is not asked whether to go on.
const SLICE: Duration = Duration::from_millis(50);

impl Hub {
    /// Hands out what is buffered if no stream runs. Otherwise returns nothing, once everything accepted before the call is stored: then
    /// it hands out nothing even if the stream is stopped meanwhile. Asks now and then whether to go on, under no lock.
    pub(crate) fn flush(
        &self,
        timeout: Duration,
        mut is_wanted: impl FnMut() -> bool,
    ) -> Result<Vec<Chunk>, FlushError> {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        state.trim(&self.bounds);
        state.read_instruments(&self.bounds);
        state.sweep();
        if state.outlet.is_none() {
            let mut chunks = state.hand_out();
            if std::mem::take(&mut state.owes_instruments) {
                // Now there is room.
                state.read_instruments_owed();
                state.sweep();
                chunks.append(&mut state.hand_out());
            }
            if state.blocked > 0 {
                self.room.notify_all();
            }
            return Ok(chunks);
        }
        if lane::is_storing(self.id) {
            return Err(FlushError::WhileStoring);
        }
        let target = self.ask_to_store(&mut state);
        loop {
            let until = deadline.min(Instant::now() + SLICE);
            let (unlocked, standing) = self.wait_until_stored(state, target, until);
            drop(unlocked);
            if !matches!(standing, Standing::Waiting(_)) || until == deadline || !is_wanted() {
                return standing.into_result().map(|()| Vec::new());
            }
            state = self.lock();
        }
    }

    /// Takes back what [`Hub::flush`] handed out.
    pub(crate) fn recycle(&self, chunks: Vec<Chunk>) {
        let mut state = self.lock();
        chunks.into_iter().for_each(|chunk| state.queue.recycle(chunk));
    }

    /// Has everything stored and synced that was swept; says where it ends.
    fn ask_to_store(&self, state: &mut State) -> u64 {
        let target = state.queue.end();
        if state.unsynced_to > 0 {
            // What could not be synced is tried again, also where nothing came since. Who waits for it waits for that.
            state.synced_to = state.sound_to;
            state.sync_stopped();
        }
        state.flush_to = state.flush_to.max(target);
        state.is_due = true;
        self.work.notify_one();
        target
    }

    /// Waits until everything before a position is stored and synced.
    fn wait_until_stored<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        target: u64,
        deadline: Instant,
    ) -> (MutexGuard<'a, State>, Standing) {
        while state.synced_to < target {
            let left = deadline.saturating_duration_since(Instant::now());
            // Without a stream, or a pump, nobody will.
            let is_left = !state.is_pumped || state.outlet.is_none();
            if is_left || left.is_zero() {
                let remaining = state.unsettled();
                return (
                    state,
                    if is_left { Standing::Left(remaining) } else { Standing::Waiting(remaining) },
                );
            }
            state = self.settled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let is_synced = target == 0 || state.unsynced_to < target;
        (state, if is_synced { Standing::Stored } else { Standing::NotSynced })
    }

    /// Begins to store. `false`: another stream does.
    pub(crate) fn attach(&self, outlet: &Arc<Outlet>) -> bool {
        let mut state = self.lock();
        if state.outlet.is_some() {
            return false;
        }
        state.trim(&self.bounds);
        state.outlet = Some(outlet.clone());
        state.left = 0;
        state.tick_at = Instant::now() + self.bounds.interval;
        state.sweep();
        state.issued = state.granted.items;
        state.sync_stopped();
        // A flush that waits since the stream before is this one's to end.
        state.is_due = state.queue.size().items > 0 || state.flush_to > state.synced_to;
        self.work.notify_one();
        true
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.lock().outlet.is_some()
    }

    /// Ends to store, once everything accepted before is stored or the time is over.
    pub(crate) fn detach(&self, outlet: &Arc<Outlet>, timeout: Duration) -> Result<(), FlushError> {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        if state.outlet.as_ref().is_none_or(|attached| !Arc::ptr_eq(attached, outlet)) {
            return Ok(());
        }
        state.read_instruments(&self.bounds);
        state.sweep();
        let target = self.ask_to_store(&mut state);
        let (mut state, mut standing) = self.wait_until_stored(state, target, deadline);
        // Whoever stopped it meanwhile may have started another one.
        if state.outlet.as_ref().is_none_or(|attached| !Arc::ptr_eq(attached, outlet)) {
            return standing.into_result();
        }
        state.leave();
        if state.is_storing() || matches!(standing, Standing::Waiting(_) | Standing::Left(_)) {
            state.leaving.push(outlet.clone());
        }
        self.work.notify_one();
        self.settled.notify_all();
        // What was taken meanwhile is being stored, or in aggregates, which are sealed next: once it is stopped nobody stores any more.
        while state.is_storing() && state.is_pumped && state.outlet.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                if standing == Standing::Stored {
                    standing = Standing::Waiting(state.unsettled());
                }
                break;
            }
            state = self.settled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        standing.into_result()
    }

    /// Records nothing any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        if !state.is_closed {
            state.read_instruments(&self.bounds);
        }
        state.is_closed = true;
        // Who holds no grant must ask, and is told.
        state.reclaim();
        self.room.notify_all();
    }

    /// Ends the pump, once everything is stored or the time is over.
    pub(crate) fn end(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        self.close();
        let mut state = self.lock();
        state.sweep();
        if state.outlet.is_some() && !lane::is_storing(self.id) {
            let target = self.ask_to_store(&mut state);
            state = self.wait_until_stored(state, target, deadline).0;
        }
        if state.outlet.is_some() {
            state.leave();
        }
        state.is_ending = true;
        self.work.notify_one();
        while state.is_pumped && !lane::is_storing(self.id) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.settled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether a pump is to be started: there is none, and from now on there is.
    pub(crate) fn claim_pump(&self) -> bool {
        !std::mem::replace(&mut self.lock().is_pumped, true)
    }

    pub(crate) fn set_listening(&self, has_listeners: bool) {
        let mut state = self.lock();
        if has_listeners && !state.has_listeners {
            // What was there before is not shown.
            state.sweep();
            state.shown = state.queue.end();
        }
        state.has_listeners = has_listeners;
        self.work.notify_one();
    }

    pub(crate) fn add_instrument(&self, cell: Arc<Cell>) {
        self.lock().add_instrument(cell);
    }
}

impl State {
    /// Has those synced again that could not, and were stopped.
    fn sync_stopped(&mut self) {
        for unsynced in self.unsynced.iter().filter_map(Weak::upgrade) {
            let mut others = self.leaving.iter().chain(&self.outlet);
            if others.all(|other| !Arc::ptr_eq(other, &unsynced)) {
                self.leaving.push(unsynced);
            }
        }
    }

    fn hand_out(&mut self) -> Vec<Chunk> {
        let (chunks, size) = self.queue.take(Size { items: usize::MAX, bytes: usize::MAX });
        self.counts.delivered += size.items as u64;
        self.left = 0;
        chunks
    }

    fn is_storing(&self) -> bool {
        self.in_flight.items > 0 || self.held > 0
    }

    fn unsettled(&self) -> u64 {
        let in_lanes: usize = self.lanes.iter().map(|lane| lane.lock().chunk.size().items).sum();
        (self.queue.size().items + self.in_flight.items + in_lanes) as u64 + self.held
    }
}
