//! What an exporter's consumers and its callers share.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError},
};

use otlp::Signal;

use super::{Acknowledge, ExporterSettings};
use crate::{
    Exporter, Health, Item, Outcome, Sender,
    exporter::Packing,
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
    pub(super) exporter: Arc<dyn Exporter>,
    /// What the exporter says of it.
    pub(super) packing: Packing,
    pub(super) settings: ExporterSettings,
    pub(super) counters: Arc<ExporterCounters>,
    pub(super) health: Health,
    pub(super) shards: usize,
    state: Mutex<State>,
    /// The connection of each shard; its consumers send on it at once.
    senders: Vec<Mutex<Option<Arc<dyn Sender>>>>,
    /// One for each consumer.
    pub(super) wake: Vec<Notify>,
    /// Consumers in `State::idle`.
    pub(super) free: AtomicUsize,
    /// The queue has become emptier.
    pub(super) room: Notify,
    /// An item was settled while draining.
    pub(super) moved: Notify,
    /// True once the time for draining is over.
    pub(super) abort: watch::Sender<bool>,
    /// Whether the last send failed; health is told about changes only.
    pub(super) failing: AtomicBool,
}

/// What is behind the lock. Nothing under it calls anybody else.
pub(super) struct State {
    pub(super) queue: MemoryQueue<Item>,
    /// Items whose senders wait for room ([`crate::queue::Policy::Block`]), oldest first.
    pub(super) blocked: VecDeque<(Size, Item)>,
    pub(super) blocked_size: Size,
    /// Consumers with nothing to do, by shard.
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
    wake: Vec<usize>,
}

impl Told {
    pub(super) fn tell(&mut self, shared: &Shared) {
        self.wake.drain(..).for_each(|consumer| shared.wake[consumer].notify_one());
        crate::receipt::resolve_all(std::mem::take(&mut self.accepted), Outcome::DELIVERED);
        for (_, item) in self.evicted.drain(..) {
            item.resolve(Outcome::overloaded("newer items took its place in the exporter's queue"));
        }
    }
}

impl Shared {
    pub(super) fn new(
        exporter: Arc<dyn Exporter>,
        settings: ExporterSettings,
        shards: usize,
        counters: Arc<ExporterCounters>,
        health: Health,
    ) -> Self {
        let state = State {
            queue: MemoryQueue::new(settings.bounds, settings.policy),
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
            packing: exporter.packing(),
            exporter,
            settings,
            counters,
            health,
            shards,
            state: Mutex::new(state),
            senders: (0..shards).map(|_| Mutex::new(None)).collect(),
            wake: (0..settings.consumers.max(1)).map(|_| Notify::new()).collect(),
            free: AtomicUsize::new(0),
            room: Notify::new(),
            moved: Notify::new(),
            abort: watch::Sender::new(false),
            failing: AtomicBool::new(false),
        }
    }

    pub(super) fn consumers(&self) -> usize {
        self.wake.len()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        super::lock(&self.state)
    }

    /// The sender of a consumer's shard. Locked by that shard only.
    pub(super) fn sender(&self, consumer: usize) -> MutexGuard<'_, Option<Arc<dyn Sender>>> {
        self.senders[consumer % self.shards].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses a sender no more, unless another has taken its place: its state cannot be trusted after a panic.
    pub(super) fn close(&self, consumer: usize, sender: &Arc<dyn Sender>) {
        let mut slot = self.sender(consumer);
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, sender)) {
            *slot = None;
        }
    }

    /// Puts an item into the queue and counts it. What is to be told must be told after the lock is released.
    pub(super) fn enqueue(&self, state: &mut State, mut item: Item, size: Size, now_ns: u64) -> Enqueued {
        let row = self.counters.row(item.batch.signal());
        let mut told = Told::default();
        let accepted = self.settings.acknowledge == Acknowledge::Accepted;
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
                    row.dropped[DropCause::Oldest as usize].add(size.records);
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
        self.settings.bounds.admit(state.blocked_size, size)
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
    pub(super) fn take_idle(&self, state: &mut State, home: usize) -> Option<usize> {
        let home = home % self.shards;
        let consumer = state.idle[home].pop().or_else(|| state.idle.iter_mut().find_map(Vec::pop));
        self.free.store(state.idle_count(), Ordering::Relaxed);
        consumer
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
        self.wake.iter().for_each(Notify::notify_one);
        self.moved.notify_waiters();
    }

    /// Waits until nothing waits and nothing is being sent.
    pub(super) async fn settled(&self) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            {
                let state = self.state();
                let empty = state.queue.waiting().is_zero() && state.queue.leased().is_zero();
                if empty && state.blocked.is_empty() {
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
            row.dropped[DropCause::Shutdown as usize].add(size.records);
            state.undelivered[signal_number(signal)] += size.records;
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
