//! What an exporter's consumers and its callers share.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError},
};

use otlp::Signal;

use super::{
    Acknowledge, ExporterSettings, QueueFill,
    drive::{Drive, SharedPacking},
};
use crate::{
    Exporter, Health, Item, Outcome, clock,
    health::Severity,
    ledger::{DropCause, ExporterCounters, signal_number},
    queue::{LeaseQueue, MemoryQueue, RefusalReason, Size},
    sync::{
        Mutex, MutexGuard, Notify,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        watch,
    },
};

/// Everything but the tasks.
pub(super) struct Shared {
    /// What the exporter says of it.
    pub(super) packing: SharedPacking,
    pub(super) counters: Arc<ExporterCounters>,
    pub(super) health: Health,
    pub(super) shards: usize,
    state: Mutex<State>,
    /// Consumers in `State::idle`.
    pub(super) free: AtomicUsize,
    /// The queue has become emptier.
    pub(super) room: Notify,
    /// An item was settled while draining.
    pub(super) moved: Notify,
    /// True once the time for draining is over.
    pub(super) abort: watch::Sender<bool>,
    /// What it is called in `health`.
    component: String,
    /// Whether health was told that sends fail, and not yet that they do not any more.
    failing: AtomicBool,
    /// Whether the graph has no use for it any more: nobody is told of it. Held while health is told.
    is_leaving: Mutex<bool>,
}

/// What is behind the lock. Nothing under it calls anybody else.
pub(super) struct State {
    pub(super) queue: MemoryQueue<Item>,
    /// Who empties it: consumers of any other are about to end.
    pub(super) drive: Arc<Drive>,
    /// Items whose senders wait for room ([`crate::queue::Policy::Block`]), oldest first.
    pub(super) blocked: VecDeque<(Size, Item)>,
    pub(super) blocked_size: Size,
    /// Consumers of `drive` with nothing to do, by shard.
    pub(super) idle: Vec<Vec<usize>>,
    /// To be told when a consumer has nothing to do.
    pub(super) lingering: Vec<Arc<Notify>>,
    /// To be told when something has left the queue.
    pub(super) crowded_out: Vec<Arc<Notify>>,
    pub(super) open: bool,
    /// Set with [`Shared::give_up`]: what comes back is not queued any more.
    pub(super) given_up: bool,
    /// Records given up in a shutdown, by signal.
    pub(super) undelivered: [u64; Signal::ALL.len()],
}

impl State {
    pub(super) fn idle_count(&self) -> usize {
        self.idle.iter().map(Vec::len).sum()
    }

    /// Whether nothing waits and nothing is being sent.
    pub(super) fn is_settled(&self) -> bool {
        self.queue.waiting().is_zero() && self.queue.leased().is_zero() && self.blocked.is_empty()
    }

    /// Whether an item would be taken, or refused for good, without anything making room.
    pub(super) fn has_room(&self, size: Size) -> bool {
        !self.open || (self.blocked.is_empty() && self.queue.admits(size))
    }
}

/// What became of an item that was offered.
pub(super) enum Enqueued {
    Taken(Told),
    Not(RefusalReason, Item),
}

/// Outcomes to be told once the lock is released, and consumers to be woken.
#[derive(Default)]
pub(super) struct Told {
    accepted: Vec<crate::Share>,
    evicted: Vec<(Size, Item)>,
    wake: Vec<Arc<Notify>>,
}

impl Told {
    pub(super) fn tell(&mut self) {
        self.wake.drain(..).for_each(|consumer| consumer.notify_one());
        crate::receipt::resolve_all(std::mem::take(&mut self.accepted), Outcome::DELIVERED);
        for (_, item) in self.evicted.drain(..) {
            item.resolve(Outcome::overloaded("newer items took its place in the exporter's queue"));
        }
    }
}

impl Shared {
    pub(super) fn fill(&self) -> QueueFill {
        let state = self.state();
        QueueFill {
            waiting: state.queue.waiting(),
            in_flight: state.queue.leased(),
            blocked: state.blocked_size,
            bounds: state.drive.settings.bounds,
        }
    }

    pub(super) fn new(
        exporter: Arc<dyn Exporter>,
        settings: ExporterSettings,
        shards: usize,
        counters: Arc<ExporterCounters>,
        (health, component): (Health, String),
    ) -> Self {
        let packing = SharedPacking::new(exporter.packing());
        let state = State {
            queue: MemoryQueue::new(settings.bounds, settings.policy).in_order(exporter.in_order()),
            drive: Arc::new(Drive::new(exporter, settings, shards)),
            blocked: VecDeque::new(),
            blocked_size: Size::default(),
            idle: vec![Vec::new(); shards],
            lingering: Vec::new(),
            crowded_out: Vec::new(),
            open: true,
            given_up: false,
            undelivered: Default::default(),
        };
        Self {
            packing,
            counters,
            health,
            shards,
            state: Mutex::new(state),
            free: AtomicUsize::new(0),
            room: Notify::new(),
            moved: Notify::new(),
            abort: watch::Sender::new(false),
            component,
            failing: AtomicBool::new(false),
            is_leaving: Mutex::new(false),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.counters.name
    }

    /// Puts an exporter in the place of the one there is. What waits, waits for it from now on, and its time has come: what
    /// failed before may not fail there. Returns what its consumers need; those of the one before finish what they are sending.
    pub(super) fn replace(&self, exporter: Arc<dyn Exporter>, settings: ExporterSettings) -> Arc<Drive> {
        self.packing.set(exporter.packing());
        let drive = Arc::new(Drive::new(exporter, settings, self.shards));
        let (before, mut told, crowded_out);
        {
            let mut state = self.state();
            before = std::mem::replace(&mut state.drive, drive.clone());
            state.queue.rebound(settings.bounds, settings.policy, drive.exporter.in_order());
            state.queue.all_due();
            state.queue.given_back().for_each(Item::begin_again);
            state.queue.start_over();
            state.idle.iter_mut().for_each(Vec::clear);
            self.free.store(0, Ordering::Relaxed);
            told = self.unblock(&mut state, 0, clock::now_ns());
            crowded_out = std::mem::take(&mut state.crowded_out);
        }
        before.wake.iter().for_each(|consumer| consumer.notify_one());
        crowded_out.iter().for_each(|lingering| lingering.notify_one());
        self.room.notify_waiters();
        told.tell();
        self.is_well();
        drive
    }

    /// Health is told when sends begin to fail, and when the far side has taken something since: `answered` is whether it was
    /// asked at all. One that refuses for good is counted, and does not make an exporter unwell that was well.
    pub(super) fn tell_health(&self, outcome: &Outcome, answered: bool, now_ns: u64) {
        let reason = match outcome {
            Outcome::Retry { reason, .. } => reason,
            Outcome::Permanent { reason, .. } if self.failing.load(Ordering::Relaxed) => reason,
            Outcome::Permanent { .. } => return self.counters.failures.add(1),
            Outcome::Delivered { .. } | Outcome::Removed if answered => return self.is_well(),
            Outcome::Delivered { .. } | Outcome::Removed => return,
        };
        self.counters.failures.add(1);
        let is_leaving = self.is_leaving.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_leaving {
            self.failing.store(true, Ordering::Relaxed);
            self.health.report(&self.component, Severity::Degraded, reason.clone(), now_ns);
        }
    }

    /// Nothing is left that it could fail with.
    pub(super) fn rests(&self, now_ns: u64) {
        if self.failing.load(Ordering::Relaxed) {
            self.health.rest(&self.component, now_ns);
        }
    }

    /// Nothing is wrong with it, or not any more.
    pub(super) fn is_well(&self) {
        if self.failing.load(Ordering::Relaxed) && self.failing.swap(false, Ordering::Relaxed) {
            self.health.resolve(&self.component);
        }
    }

    /// Nobody is to be told of it any more.
    pub(super) fn leave(&self) {
        let mut is_leaving = self.is_leaving.lock().unwrap_or_else(PoisonError::into_inner);
        *is_leaving = true;
        self.is_well();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        super::lock(&self.state)
    }

    /// Puts an item into the queue and counts it. What is to be told must be told after the lock is released.
    pub(super) fn enqueue(&self, state: &mut State, mut item: Item, size: Size, now_ns: u64) -> Enqueued {
        let row = self.counters.row(item.batch.signal());
        let mut told = Told::default();
        let accepted = state.drive.settings.acknowledge == Acknowledge::Accepted;
        let deadline_ns = item.context.deadline_ns;
        let mut shares = Vec::new();
        if accepted {
            // Nobody waits any longer, so nobody stops waiting.
            shares = std::mem::take(&mut item.context.shares);
            item.context.deadline_ns = None;
        }
        match state.queue.offer(item, size, now_ns, &mut told.evicted) {
            Ok(_) => {
                told.accepted = shares;
                row.enqueued.add(size.records);
                row.queued.add(size.records);
                for (size, item) in &told.evicted {
                    let row = self.counters.row(item.batch.signal());
                    row.queued.sub(size.records);
                    let rest = row.settle(size.records, item.context.progress.as_deref());
                    row.drop_records(DropCause::Oldest, rest, &item.context);
                }
                Enqueued::Taken(told)
            }
            Err(mut refusal) => {
                if accepted {
                    refusal.item.context.shares = shares;
                    refusal.item.context.deadline_ns = deadline_ns;
                }
                Enqueued::Not(refusal.reason, refusal.item)
            }
        }
    }

    /// Whether one more sender may wait: as much again as the queue holds.
    pub(super) fn may_block(&self, state: &State, size: Size) -> bool {
        state.drive.settings.bounds.admit(state.blocked_size, size)
    }

    /// Lets in those that waited for room, as far as there is: what one item took up may be enough for several. `home` is
    /// the shard whose consumers are preferred.
    pub(super) fn unblock(&self, state: &mut State, home: usize, now_ns: u64) -> Told {
        let mut all = Told::default();
        while let Some((size, item)) = state.blocked.pop_front() {
            if !state.queue.admits(size) {
                state.blocked.push_front((size, item));
                break;
            }
            state.blocked_size.sub(size);
            let row = self.counters.row(item.batch.signal());
            // They were counted when they began to wait.
            if let Enqueued::Taken(told) = self.enqueue(state, item, size, now_ns) {
                row.enqueued.take_back(size.records);
                row.queued.sub(size.records);
                all.accepted.extend(told.accepted);
                all.wake.extend(self.take_idle(state, home));
            }
        }
        all
    }

    /// An idle consumer to be woken, of the shard `home` if there is one.
    pub(super) fn take_idle(&self, state: &mut State, home: usize) -> Option<Arc<Notify>> {
        let home = home % self.shards;
        let consumer = state.idle[home].pop().or_else(|| state.idle.iter_mut().find_map(Vec::pop));
        self.free.store(state.idle_count(), Ordering::Relaxed);
        consumer.map(|consumer| state.drive.wake[consumer].clone())
    }

    /// Notes that a consumer has nothing to do (or is about to look). Returns who is to be told.
    pub(super) fn set_idle(&self, state: &mut State, consumer: usize, idle: bool) -> Vec<Arc<Notify>> {
        let list = &mut state.idle[consumer % self.shards];
        list.retain(|other| *other != consumer);
        if idle {
            list.push(consumer);
        }
        self.free.store(state.idle_count(), Ordering::Relaxed);
        if idle { std::mem::take(&mut state.lingering) } else { Vec::new() }
    }

    pub(super) fn wake_all(&self) {
        let drive = self.state().drive.clone();
        drive.wake.iter().for_each(|consumer| consumer.notify_one());
        self.moved.notify_waiters();
    }

    /// Waits until nothing waits and nothing is being sent.
    pub(super) async fn settled(&self) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            {
                if self.state().is_settled() {
                    return;
                }
            }
            moved.await;
        }
    }

    /// Drops all that waits; returns how much that was.
    pub(super) fn give_up(&self) -> Size {
        let mut state = self.state();
        state.given_up = true;
        let mut gone: Vec<(Size, Item)> = state.blocked.drain(..).collect();
        state.blocked_size = Size::default();
        while let Some(evicted) = state.queue.evict() {
            gone.push(evicted);
        }
        let mut total = Size::default();
        for (size, item) in &gone {
            total.add(*size);
            let signal = item.batch.signal();
            let row = self.counters.row(signal);
            row.queued.sub(size.records);
            let rest = row.settle(size.records, item.context.progress.as_deref());
            row.drop_records(DropCause::Shutdown, rest, &item.context);
            state.undelivered[signal_number(signal)] += rest;
        }
        drop(state);
        for (_, item) in gone {
            item.resolve(Outcome::unavailable("the exporter was shut down before this was sent"));
        }
        total
    }

    /// What was given up, and what is still being sent by a task that does not stop.
    pub(super) fn take_undelivered(&self) -> Vec<(Signal, u64)> {
        // Under one lock: what a consumer moves from one to the other meanwhile would be in neither.
        let mut state = self.state();
        let given_up = std::mem::take(&mut state.undelivered);
        let stuck = |signal: Signal| self.counters.row(signal).in_flight.get();
        let all = Signal::ALL.iter().zip(given_up).map(|(signal, n)| (*signal, n + stuck(*signal)));
        all.filter(|(_, n)| *n > 0).collect()
    }
}
