//! What the threads of a collector share: bounds, the queue behind the lanes, and the counts in which every record is once.
//!
//! A record goes into its thread's [`Lane`] as long as that has a grant. When the grant is used up, the thread takes the hub's lock,
//! then its lane's, and asks for more; the [`Overflow`] policy speaks where there is none. A sweep moves what lanes hold to the
//! queue. Locks are taken in this order only: hub, lane. Nothing that a user wrote runs under either.

use std::{
    sync::{Arc, PoisonError, Weak, atomic::AtomicU64},
    time::Duration,
};

use crate::{
    CollectorStats, Overflow, TelemetryConfig,
    chunk::{Queue, Size},
    clock::Anchored,
    instrument::Cell,
    lane::{self, Inside, Lane},
    limits::{GRANT_BYTES, GRANT_ITEMS, MAX_RECORD_BYTES},
    record::Body,
    stats::Dropped,
    stream::Outlet,
    sync::{
        Condvar, Instant, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

mod barrier;
mod instruments;
mod work;

pub use barrier::FlushError;
pub(crate) use work::{Settled, Work};

/// The bounds and policies of a collector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    buffer_size: usize,
    /// Records by which a full ring grows before it drops that many, so that not every record asks for its place. Whoever looks at it finds
    /// no more than its size.
    slack: usize,
    max: Size,
    overflow: Overflow,
    interval: Duration,
    is_realtime: bool,
}

impl Bounds {
    pub(crate) fn of(config: &TelemetryConfig) -> Self {
        let is_ring = config.overflow == Overflow::DropOldest;
        Self {
            buffer_size: config.buffer_size,
            slack: if is_ring { (config.buffer_size / 4).min(GRANT_ITEMS) } else { 0 },
            max: Size { items: config.max_items, bytes: config.max_bytes },
            overflow: config.overflow,
            interval: config.flush_interval,
            is_realtime: config.realtime_mode,
        }
    }
}

/// The shared part of a collector in one process.
pub(crate) struct Hub {
    id: u64,
    bounds: Bounds,
    state: Mutex<State>,
    /// The pump waits here.
    work: Condvar,
    /// Producers that block wait here.
    room: Condvar,
    /// Whoever flushes waits here.
    settled: Condvar,
    /// The pump sleeps until the next record.
    asleep: AtomicBool,
}

/// What the lock of a hub protects.
pub(crate) struct State {
    /// The first is for threads that are ending.
    lanes: Vec<Arc<Lane>>,
    next_lane: u32,
    reap_at: usize,
    queue: Queue,
    /// What lanes hold or may take without asking.
    granted: Size,
    /// What is being stored.
    in_flight: Size,
    /// Records in open aggregates.
    held: u64,
    /// Records that may have been recorded since the last take.
    issued: usize,
    /// Records offered in lanes that are gone.
    retired: u64,
    counts: Counts,
    outlet: Option<Arc<Outlet>>,
    /// Records, those that are being stored included, that the last stream left: a ring keeps as many until they are handed out.
    left: usize,
    /// Streams that were stopped before their aggregates were stored.
    leaving: Vec<Arc<Outlet>>,
    instruments: Vec<Arc<Cell>>,
    /// How many there are before those that count no further are looked for.
    forget_at: usize,
    /// There was no room for what some of them hold.
    owes_instruments: bool,
    has_listeners: bool,
    is_pumped: bool,
    is_closed: bool,
    is_ending: bool,
    /// Everything is to be taken now.
    is_due: bool,
    tick_at: Instant,
    /// The storage is to be told of a tick when there is time.
    is_tick_owed: bool,
    /// Everything before this position is to be stored and synced.
    flush_to: u64,
    /// Everything before this position is.
    synced_to: u64,
    /// Where the last flush ended whose sync failed, unless one since went well.
    unsynced_to: u64,
    /// Streams whose storage could not sync, and has not since: stopped ones are tried again too, as long as their owners keep them.
    unsynced: Vec<Weak<Outlet>>,
    /// Where the last flush ended whose sync went well.
    sound_to: u64,
    /// Everything before this position was shown to listeners.
    shown: u64,
    blocked: usize,
    clock: Anchored,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    delivered: u64,
    sampled_out: u64,
    aggregated: u64,
    dropped: Dropped,
    unseen: u64,
}

/// Lanes before the dead among them are first looked for.
const REAP_AT: usize = 16;

impl Hub {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let state = State {
            lanes: vec![Arc::new(Lane::new(0))],
            next_lane: 1,
            reap_at: REAP_AT,
            queue: Queue::default(),
            granted: Size::default(),
            in_flight: Size::default(),
            held: 0,
            issued: 0,
            retired: 0,
            counts: Counts::default(),
            outlet: None,
            left: 0,
            leaving: Vec::new(),
            instruments: Vec::new(),
            forget_at: 0,
            owes_instruments: false,
            has_listeners: false,
            is_pumped: false,
            is_closed: false,
            is_ending: false,
            is_due: false,
            tick_at: Instant::now() + bounds.interval,
            is_tick_owed: false,
            flush_to: 0,
            synced_to: 0,
            unsynced_to: 0,
            unsynced: Vec::new(),
            sound_to: 0,
            shown: 0,
            blocked: 0,
            clock: Anchored::now(),
        };
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            bounds,
            state: Mutex::new(state),
            work: Condvar::new(),
            room: Condvar::new(),
            settled: Condvar::new(),
            asleep: AtomicBool::new(false),
        })
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Records. `false`: it was dropped, and counted.
    #[inline]
    pub(crate) fn emit<B: Body>(&self, body: &B) -> bool {
        let len = body.len();
        match len.and_then(|len| lane::push_here(self.id, len, body, &self.asleep)) {
            Some(false) => true,
            Some(true) => {
                self.wake();
                true
            }
            None => self.emit_asking(len, body),
        }
    }

    /// Records with the hub's leave.
    #[cold]
    fn emit_asking<B: Body>(&self, len: Option<usize>, body: &B) -> bool {
        let made = lane::lane_here(self.id, || self.add_lane());
        let mut state = self.lock();
        let lane = made.unwrap_or_else(|| state.lanes[0].clone());
        let is_nested = lane::is_calling(self.id);
        let mut deadline = None;
        loop {
            let mut inside = lane.lock();
            let Some(len) = len.filter(|len| *len <= MAX_RECORD_BYTES.min(self.bounds.max.bytes)) else {
                return state.refuse::<B>(&mut inside, |dropped| &mut dropped.too_large);
            };
            if state.is_closed {
                return state.refuse::<B>(&mut inside, |dropped| &mut dropped.after_close);
            }
            if lane::is_storing(self.id) {
                return state.refuse::<B>(&mut inside, |dropped| &mut dropped.suppressed);
            }
            if state.grant(&self.bounds, &mut inside, len) {
                inside.write(lane.number(), len, body, is_nested);
                drop(inside);
                self.note_work(&mut state);
                return true;
            }
            drop(inside);
            if state.reclaim() {
                continue;
            }
            let made_room = match self.bounds.overflow {
                Overflow::DropOldest => state.displace(&self.bounds),
                Overflow::DropNewest => false,
                Overflow::Block(wait) => {
                    let deadline = *deadline.get_or_insert_with(|| Instant::now() + wait);
                    let waited;
                    (state, waited) = self.wait_for_room(state, deadline);
                    waited
                }
            };
            if !made_room {
                return state.refuse::<B>(&mut lane.lock(), |dropped| &mut dropped.queue_full);
            }
        }
    }

    fn add_lane(&self) -> Arc<Lane> {
        let mut state = self.lock();
        if state.lanes.len() >= state.reap_at {
            state.reap();
        }
        let lane = Arc::new(Lane::new(state.next_lane));
        state.next_lane = state.next_lane.wrapping_add(1);
        state.lanes.push(lane.clone());
        lane
    }

    /// Waits until there may be room. `false`: the time is over.
    fn wait_for_room<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        deadline: Instant,
    ) -> (MutexGuard<'a, State>, bool) {
        let left = deadline.saturating_duration_since(Instant::now());
        // A listener may wait: it is not needed to make room.
        if left.is_zero() || state.is_closed {
            return (state, false);
        }
        state.is_due = true;
        self.work.notify_one();
        state.blocked += 1;
        let (mut state, _) = self.room.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        state.blocked -= 1;
        (state, true)
    }

    /// Wakes the pump if what was just granted fills the buffer, or if it waits for every record.
    fn note_work(&self, state: &mut State) {
        let is_full = state.outlet.is_some() && !state.is_due && state.issued >= self.bounds.buffer_size;
        if is_full {
            state.is_due = true;
        }
        if is_full || self.asleep.swap(false, Ordering::Relaxed) {
            self.work.notify_one();
        }
    }

    /// Wakes the pump.
    #[cold]
    fn wake(&self) {
        // Whoever says that it sleeps holds the lock until it does.
        drop(self.lock());
        self.work.notify_one();
    }

    /// Where every record is.
    pub(crate) fn stats(&self) -> CollectorStats {
        let mut state = self.lock();
        state.trim(&self.bounds);
        let Counts { delivered, sampled_out, aggregated, dropped, unseen } = state.counts;
        let mut emitted = state.retired;
        let mut buffered = state.queue.size().items + state.in_flight.items;
        for lane in &state.lanes {
            let inside = lane.lock();
            emitted += inside.offered();
            buffered += inside.chunk.size().items;
        }
        let buffered = buffered as u64 + state.held;
        let listeners_active = self.bounds.is_realtime;
        CollectorStats {
            emitted,
            delivered,
            sampled_out,
            aggregated,
            dropped,
            buffered,
            unseen,
            listeners_active,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.lanes.iter().for_each(|lane| lane.abandon());
    }
}

impl State {
    /// Counts a record that is not taken.
    fn refuse<B: Body>(&mut self, inside: &mut Inside, reason: fn(&mut Dropped) -> &mut u64) -> bool {
        inside.number(B::KIND);
        *reason(&mut self.counts.dropped) += 1;
        false
    }

    /// Gives a lane leave for a record of `len` bytes at least. `false`: there is no room.
    fn grant(&mut self, bounds: &Bounds, inside: &mut Inside, len: usize) -> bool {
        self.take_back(inside);
        let Size { items, bytes } = self.free(bounds);
        if items == 0 || bytes < len {
            return false;
        }
        // The record that fills the buffer must ask, so that the pump is woken by it and not by a later one.
        let until_full = bounds.buffer_size.saturating_sub(self.issued + 1);
        let share = (bounds.buffer_size / 4).clamp(1, GRANT_ITEMS).min(items);
        let items = if until_full > 0 { share.min(until_full) } else { share };
        let bytes = (bounds.max.bytes / 64).min(GRANT_BYTES).max(len).min(bytes);
        self.give(inside, Size { items, bytes });
        true
    }

    fn take_back(&mut self, inside: &mut Inside) {
        let unused = std::mem::take(&mut inside.left);
        self.granted -= unused;
        self.issued = self.issued.saturating_sub(unused.items);
    }

    /// Gives a lane that holds no grant leave for so much, and room.
    fn give(&mut self, inside: &mut Inside, leave: Size) {
        if inside.chunk.room() < leave.bytes {
            let size = inside.chunk.size();
            let empty = self.queue.empty_chunk(leave.bytes);
            self.queue.push(std::mem::replace(&mut inside.chunk, empty));
            self.granted -= size;
        }
        inside.left = leave;
        self.granted += leave;
        self.issued += leave.items;
    }

    /// The room that is taken.
    fn used(&self) -> Size {
        self.queue.size() + self.granted + self.in_flight
    }

    /// Records that there is room for without slack. What a stream left was let in while there was more room, and stays.
    fn capacity(&self, bounds: &Bounds) -> usize {
        match (&self.outlet, bounds.overflow) {
            (Some(_), _) => bounds.max.items,
            (None, Overflow::DropOldest) => bounds.buffer_size.max(self.left),
            (None, Overflow::DropNewest | Overflow::Block(_)) => bounds.buffer_size,
        }
    }

    /// Ends to store: what is there now is left.
    fn leave(&mut self) {
        self.outlet = None;
        self.reclaim();
        self.left = self.used().items;
    }

    /// Whether it is a ring that holds more than its size.
    fn is_over(&self, bounds: &Bounds) -> bool {
        self.outlet.is_none() && bounds.slack > 0 && self.used().items > self.capacity(bounds)
    }

    /// Drops what a ring holds beyond its size.
    fn trim(&mut self, bounds: &Bounds) {
        if self.is_over(bounds) {
            self.reclaim();
            self.sweep();
            while self.is_over(bounds) && self.evict() {}
        }
    }

    /// The room that is left.
    fn free(&self, bounds: &Bounds) -> Size {
        let used = self.used();
        let slack = if self.outlet.is_some() { 0 } else { bounds.slack };
        let items = self.capacity(bounds) + slack;
        Size { items: items.saturating_sub(used.items), bytes: bounds.max.bytes.saturating_sub(used.bytes) }
    }

    /// Takes back what lanes were granted and have not used. `false`: there was nothing.
    fn reclaim(&mut self) -> bool {
        let mut back = Size::default();
        for lane in &self.lanes {
            back += std::mem::take(&mut lane.lock().left);
        }
        self.granted -= back;
        self.issued = self.issued.saturating_sub(back.items);
        back != Size::default()
    }

    /// Makes room by dropping the oldest records. `false`: there are none but those that are being stored.
    fn displace(&mut self, bounds: &Bounds) -> bool {
        if self.queue.size().items == 0 {
            self.sweep();
        }
        let is_any = self.evict();
        while self.is_over(bounds) && self.evict() {}
        is_any
    }

    /// Drops the oldest record of the queue. `false`: there is none.
    fn evict(&mut self) -> bool {
        let displaced = self.queue.evict();
        self.counts.dropped.displaced += displaced.items as u64;
        displaced.items > 0
    }

    /// Moves what lanes hold to the queue.
    fn sweep(&mut self) {
        self.clock.refresh();
        // The first lane, of threads that have given up their own, last: so what a thread says at its end comes at the end.
        let (ending, own) = self.lanes.split_at(1);
        for lane in own.iter().chain(ending) {
            let mut inside = lane.lock();
            inside.anchor = self.clock;
            self.granted -= inside.chunk.size();
            self.queue.drain(&mut inside.chunk);
        }
    }

    /// Forgets the lanes of threads that have ended.
    fn reap(&mut self) {
        self.sweep();
        let State { lanes, granted, retired, .. } = self;
        lanes.retain(|lane| {
            let is_orphaned = lane.is_orphaned();
            let mut inside = lane.lock();
            // What its thread recorded after the sweep and before it ended stays for the next one.
            if !is_orphaned || !inside.chunk.is_empty() {
                return true;
            }
            *granted -= std::mem::take(&mut inside.left);
            *retired += inside.offered();
            false
        });
        self.reap_at = REAP_AT.max(2 * self.lanes.len());
    }
}
