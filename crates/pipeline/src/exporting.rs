//! An exporter behind its queue: leases, concurrency, timeouts, retries, acknowledgements, counts.
//!
//! [`ExporterQueue::offer`] puts an item in; *consumers*, tasks spread over the shards, lease it, send it, and settle it.
//! A sender that panics, hangs or fails is contained in `consumer`: its item is tried again by the rules of
//! [`RetrySettings`] and everything is counted.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use otlp::Codec;

use crate::{
    Exporter, Health, Ledger, RetrySettings, Shards,
    exporter::Packing,
    item::Item,
    limits,
    outcome::Outcome,
    queue::{Bounds, LeaseQueue, Policy, RefusalReason, Size, Sizer},
    sync::{
        Mutex, MutexGuard, Notify,
        atomic::Ordering,
        time::{Instant, timeout, timeout_at},
    },
};

mod consumer;
mod drive;
mod gauge;
mod state;
mod undelivered;

use drive::Drive;
pub use gauge::QueueGauge;
use state::{Enqueued, Shared, State};
pub use undelivered::Undelivered;

/// When whoever waits for an item is told that it was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acknowledge {
    /// Once it is in the queue. What the queue then holds is lost if the process dies.
    #[default]
    Accepted,
    /// Once the far side has answered (`wait_for_result: true`).
    Exported,
}

/// How an exporter is driven.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExporterSettings {
    /// Sends at once (`num_consumers`); at least one.
    pub consumers: usize,
    /// What its queue holds, items being sent included.
    pub bounds: Bounds,
    /// What happens to an item that does not fit.
    pub policy: Policy,
    /// When senders are answered.
    pub acknowledge: Acknowledge,
    /// How failed sends are repeated.
    pub retry: RetrySettings,
    /// How long one send may take.
    pub timeout: Duration,
}

impl Default for ExporterSettings {
    fn default() -> Self {
        Self {
            consumers: limits::DEFAULT_CONSUMERS,
            bounds: Bounds {
                items: limits::DEFAULT_QUEUE_REQUESTS,
                sizer: Sizer::Requests,
                bytes: limits::DEFAULT_QUEUE_BYTES,
            },
            policy: Policy::Refuse,
            acknowledge: Acknowledge::Accepted,
            retry: RetrySettings::default(),
            timeout: limits::DEFAULT_SEND_TIMEOUT,
        }
    }
}

impl ExporterSettings {
    /// Without a queue: at most `concurrency` items are taken, each is sent at once, and its sender waits for the answer.
    pub fn direct(concurrency: usize) -> Self {
        let mut settings =
            Self { consumers: concurrency, acknowledge: Acknowledge::Exported, ..Self::default() };
        settings.bounds.items = concurrency as u64;
        settings
    }
}

/// What an exporter's queue holds, and may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFill {
    /// What waits for its turn, or for another attempt.
    pub waiting: Size,
    /// What is being sent.
    pub in_flight: Size,
    /// What waits for room in front of it ([`Policy::Block`]).
    pub blocked: Size,
    /// What `waiting` and `in_flight` may be together.
    pub bounds: Bounds,
}

impl QueueFill {
    /// What counts against its bound on items, in the items of its sizer.
    pub fn items(&self) -> u64 {
        self.bounds.items_of(self.waiting) + self.bounds.items_of(self.in_flight)
    }
}

/// What would become of an item that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prospect {
    /// A consumer has nothing to do but send it.
    Sent,
    /// It would wait in the queue.
    Queued,
    /// There is no room.
    Full,
}

/// A running exporter. Clones stand for the same one.
#[derive(Clone)]
pub struct ExporterQueue {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for ExporterQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExporterQueue").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl ExporterQueue {
    /// Starts the consumers, spread over the shards.
    pub fn start(
        exporter: Arc<dyn Exporter>,
        settings: ExporterSettings,
        shards: &Shards,
        ledger: &Ledger,
        health: &Health,
    ) -> Self {
        let component = exporter.name().to_owned();
        Self::start_as(component, exporter, settings, shards, ledger, health)
    }

    /// The same, called `component` where health is told of it: for one of several queues of an exporter.
    pub fn start_as(
        component: String,
        exporter: Arc<dyn Exporter>,
        settings: ExporterSettings,
        shards: &Shards,
        ledger: &Ledger,
        health: &Health,
    ) -> Self {
        let counters = ledger.exporter(exporter.name());
        let told = (health.clone(), component);
        let shared = Arc::new(Shared::new(exporter, settings, shards.count(), counters, told));
        let (queue, drive) = (Self { shared: shared.clone() }, shared.state().drive.clone());
        queue.consume(&drive, shards);
        queue
    }

    /// Puts an exporter in the place of the one there is, with settings of its own: the queue and what it holds stay, what is
    /// being sent is finished by the one before. Where the new bounds allow less than is there, nothing is lost; there is
    /// no room until enough has left.
    pub fn replace(&self, exporter: Arc<dyn Exporter>, settings: ExporterSettings, shards: &Shards) {
        let drive = self.shared.replace(exporter, settings);
        self.consume(&drive, shards);
    }

    fn consume(&self, drive: &Arc<Drive>, shards: &Shards) {
        for i in 0..drive.consumers() {
            shards.spawn(i, consumer::run(self.shared.clone(), drive.clone(), i));
        }
    }

    /// It is about to be drained, and nobody has a use for it any more: nothing is told of its health from now on.
    pub fn leave(&self) {
        self.shared.leave();
    }

    /// Its exporter's name.
    pub fn name(&self) -> &str {
        self.shared.name()
    }

    /// Whether its exporter needs nothing but the form compressed with this codec.
    pub(crate) fn takes_packed(&self, codec: Codec) -> bool {
        self.shared.packing.get().takes(codec)
    }

    /// How full it is.
    pub fn fill(&self) -> QueueFill {
        self.shared.fill()
    }

    /// Looks at it for as long as it is there.
    pub fn gauge(&self) -> QueueGauge {
        QueueGauge::of(&self.shared)
    }

    /// What it holds, items being sent included.
    pub fn held(&self) -> crate::queue::Size {
        let state = self.shared.state();
        let mut held = state.queue.waiting();
        held.add(state.queue.leased());
        held.add(state.blocked_size);
        held
    }

    /// Whether its exporter has a use for records of this signal; only those may be offered.
    pub fn takes(&self, signal: otlp::Signal) -> bool {
        self.shared.state().drive.exporter.takes(signal)
    }

    /// Puts an item in. `home` is the caller's shard: one of its consumers is preferred, so that the item stays in that
    /// core's caches. What becomes of the item is told to its shares and counted; nothing is returned.
    pub fn offer(&self, mut item: Item, home: usize, now_ns: u64) {
        if let Packing::Only(codec) = self.shared.packing.get() {
            // As it was received, say.
            item.pack(codec);
        }
        let (size, signal) = (item.size(), item.batch.signal());
        let row = self.shared.counters.row(signal);
        let mut state = self.shared.state();
        if !state.open {
            drop(state);
            row.refused.add(size.records);
            item.resolve(Outcome::unavailable("the exporter is shutting down"));
            return;
        }
        // Blocked items are before this one.
        let blocked = !state.blocked.is_empty() && state.drive.settings.policy == Policy::Block;
        let offered = if blocked {
            Enqueued::Not(RefusalReason::Wait, item)
        } else {
            self.shared.enqueue(&mut state, item, size, now_ns)
        };
        match offered {
            Enqueued::Taken(mut told) => {
                let wake = self.shared.take_idle(&mut state, home);
                drop(state);
                if let Some(consumer) = wake {
                    consumer.notify_one();
                }
                told.tell();
            }
            Enqueued::Not(RefusalReason::Wait, item) if self.shared.may_block(&state, size) => {
                row.enqueued.add(size.records);
                row.queued.add(size.records);
                state.blocked_size.add(size);
                state.blocked.push_back((size, item));
            }
            Enqueued::Not(RefusalReason::Dropped, item) => {
                drop(state);
                row.enqueued.add(size.records);
                row.drop_records(crate::ledger::DropCause::Newest, size.records, &item.context);
                item.resolve(Outcome::overloaded("the exporter's queue is full"));
            }
            Enqueued::Not(_, item) => {
                drop(state);
                row.refused.add(size.records);
                item.resolve(Outcome::overloaded("the exporter's queue is full"));
            }
        }
    }

    /// Consumers that have nothing to do; none while an item of this size would find no room. Batches linger only while
    /// this is zero.
    pub fn free_slots(&self, size: crate::queue::Size) -> usize {
        let free = self.shared.free.load(Ordering::Relaxed);
        if free > 0 && self.has_room(size) { free } else { 0 }
    }

    /// What would become of an item of this size, offered now. Unless it would be sent at once, `notify` is told when there
    /// is room, or when a consumer has nothing to do: ask again then.
    pub(crate) fn prospect(&self, size: crate::queue::Size, notify: &Arc<Notify>) -> Prospect {
        let mut state = self.shared.state();
        let has_room = state.has_room(size);
        if has_room && state.idle_count() > 0 {
            return Prospect::Sent;
        }
        let told = if has_room { &mut state.lingering } else { &mut state.crowded_out };
        if !told.iter().any(|waiting| Arc::ptr_eq(waiting, notify)) {
            told.push(notify.clone());
        }
        if has_room { Prospect::Queued } else { Prospect::Full }
    }

    /// Sends that failed, tried again or not.
    pub fn failures(&self) -> u64 {
        self.shared.counters.failures.get()
    }

    /// Whether [`ExporterQueue::room`] would return at once.
    pub fn has_room(&self, size: crate::queue::Size) -> bool {
        self.shared.state().has_room(size)
    }

    /// Waits until an item of this size would be taken without anything making room, or until it shuts down.
    pub async fn room(&self, size: crate::queue::Size) {
        loop {
            let notified = self.shared.room.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.has_room(size) {
                return;
            }
            notified.await;
        }
    }

    /// Lets what waits for another attempt be tried at once. For a shutdown that begins: the far side may be back, and there
    /// is no time to wait for later.
    pub fn hurry(&self) {
        self.shared.state().queue.all_due();
        self.shared.wake_all();
    }

    /// Takes no more items, sends what is there until `deadline` (what waits for another attempt is tried at once), gives
    /// up the rest, and says what did not leave.
    pub async fn drain(&self, deadline: Instant) -> Undelivered {
        {
            let mut state = self.shared.state();
            state.open = false;
            state.queue.all_due();
        }
        self.shared.wake_all();
        self.shared.room.notify_waiters();
        // Either nothing is left, or it is given up below.
        let _ = timeout_at(deadline, self.shared.settled()).await;
        let given_up = self.shared.give_up();
        self.shared.abort.send_replace(true);
        self.shared.wake_all();
        let _ = timeout(limits::ABORT_GRACE, self.shared.settled()).await;
        let name = self.name().to_owned();
        Undelivered { exporter: name, left: self.shared.take_undelivered(), waiting: given_up }
    }
}

/// Reads a lock that a panic elsewhere may have poisoned: the state is consistent after every statement that can panic.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod in_order;
#[cfg(test)]
mod tests;

#[cfg(all(test, aldis_models))]
pub(crate) mod models;
