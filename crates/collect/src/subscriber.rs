//! Listeners and consumers: each has a queue, a thread and counts of its own, so that none can hold up another.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, PoisonError},
    time::Duration,
};

use crate::{
    SubscriberStats, TelemetryData,
    chunk::Size,
    isolated::isolated,
    lane,
    limits::{SUBSCRIBER_BYTES, SUBSCRIBER_ITEMS},
    process::PerProcess,
    sync::{
        Condvar, Instant, Mutex, MutexGuard,
        thread::{self, ThreadId},
    },
};

/// The number of a listener in its collector, or of a consumer in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId(pub(crate) u64);

impl SubscriberId {
    /// The number, from 1.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SubscriberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a listener or consumer may return: nothing, or a `Result` whose error is counted and kept as text. All records of the batch count
/// as failed then, but for a [`Failure`] that says how many.
pub trait Verdict {
    /// What failed.
    ///
    /// # Errors
    /// The call failed.
    fn into_result(self) -> Result<(), Failure>;
}

impl Verdict for () {
    fn into_result(self) -> Result<(), Failure> {
        Ok(())
    }
}

impl<E: fmt::Display> Verdict for Result<(), E> {
    fn into_result(self) -> Result<(), Failure> {
        self.map_err(|error| Failure { error: error.to_string(), records: None })
    }
}

impl Verdict for Result<(), Failure> {
    fn into_result(self) -> Result<(), Failure> {
        self
    }
}

/// Why a listener or consumer failed, and with how many records of a batch: the others count as delivered.
///
/// ```
/// use aldis_collect::{Failure, TelemetryData};
///
/// let consumer = |data: &TelemetryData| match data.events.iter().filter(|event| event.message.is_empty()).count() {
///     0 => Ok(()),
///     empty => Err(Failure::of(empty as u64, "what has no message is not sent")),
/// };
/// assert!(consumer(&TelemetryData::default()).is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    error: String,
    /// `None`: all.
    records: Option<u64>,
}

impl Failure {
    /// With so many records, of which there may be as many as the batch has.
    pub fn of(records: u64, error: impl Into<String>) -> Self {
        Self { error: error.into(), records: Some(records) }
    }

    /// With how many records. `None`: with all of the batch.
    pub fn records(&self) -> Option<u64> {
        self.records
    }

    /// The error as text.
    pub fn error(&self) -> &str {
        &self.error
    }
}

type Callback = dyn Fn(&TelemetryData) -> Result<(), Failure> + Send + Sync;

/// A listener or a consumer.
pub(crate) struct Subscriber {
    pub(crate) id: SubscriberId,
    name: &'static str,
    callback: Arc<Callback>,
    channel: PerProcess<Channel>,
}

/// Batches on their way to a subscriber.
#[derive(Default)]
struct Channel {
    state: Mutex<ChannelState>,
    /// There is a batch, or there will be none.
    ready: Condvar,
    /// Nothing is pending.
    idle: Condvar,
}

#[derive(Default)]
struct ChannelState {
    batches: VecDeque<(Arc<TelemetryData>, Size)>,
    waiting: Size,
    stats: SubscriberStats,
    last_error: Option<String>,
    is_running: bool,
    is_closed: bool,
    /// The thread that calls it.
    thread: Option<ThreadId>,
}

impl Channel {
    fn lock(&self) -> MutexGuard<'_, ChannelState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber {
    pub(crate) fn new<V: Verdict>(
        id: SubscriberId,
        name: &'static str,
        callback: impl Fn(&TelemetryData) -> V + Send + Sync + 'static,
    ) -> Arc<Self> {
        let callback = Arc::new(move |data: &TelemetryData| callback(data).into_result());
        Arc::new(Self { id, name, callback, channel: PerProcess::new(Channel::default()) })
    }

    fn channel(&self) -> &Arc<Channel> {
        self.channel.get(|_| Channel::default())
    }

    /// Lets it have a batch when it comes to it; counts the batch as lagged where too much waits for it already.
    pub(crate) fn offer(&self, hub: u64, data: &Arc<TelemetryData>, bytes: usize) {
        let channel = self.channel();
        let mut state = channel.lock();
        let size = Size { items: data.len(), bytes };
        let items = size.items as u64;
        state.stats.offered += items;
        let after = state.waiting + size;
        let is_over = after.items > SUBSCRIBER_ITEMS || after.bytes > SUBSCRIBER_BYTES;
        let is_taken = !state.is_closed
            && (state.batches.is_empty() || !is_over)
            && (state.is_running || self.spawn(hub, channel));
        if !is_taken {
            state.stats.lagged += items;
            return;
        }
        state.is_running = true;
        state.stats.pending += items;
        state.waiting = after;
        state.batches.push_back((data.clone(), size));
        channel.ready.notify_one();
    }

    fn spawn(&self, hub: u64, channel: &Arc<Channel>) -> bool {
        let (channel, callback) = (channel.clone(), self.callback.clone());
        let run = move || lane::calling(hub, || run(&channel, &*callback));
        thread::Builder::new().name(format!("{}-{}", self.name, self.id)).spawn(run).is_ok()
    }

    pub(crate) fn stats(&self) -> SubscriberStats {
        self.channel().lock().stats
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        self.channel().lock().last_error.clone()
    }

    /// Whether this thread is the one that calls it.
    pub(crate) fn is_calling(&self) -> bool {
        let channel = self.channel.existing();
        channel.is_some_and(|channel| channel.lock().thread == Some(thread::current().id()))
    }

    /// Waits until nothing is pending; says how much is when the time is over.
    pub(crate) fn drain(&self, deadline: Instant) -> u64 {
        let channel = self.channel();
        let mut state = channel.lock();
        while state.stats.pending > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = channel.idle.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.stats.pending
    }

    /// Lets its thread end when it has taken what waits.
    pub(crate) fn close(&self) {
        if let Some(channel) = self.channel.existing() {
            channel.lock().is_closed = true;
            channel.ready.notify_all();
        }
    }

    /// Drops what waits for it.
    pub(crate) fn give_up(&self) {
        let mut state = self.channel().lock();
        let items: u64 = state.batches.drain(..).map(|(_, size)| size.items as u64).sum();
        state.waiting = Size::default();
        state.stats.pending -= items;
        state.stats.lagged += items;
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.close();
    }
}

/// How long a thread without work lives on, so that a subscriber that is rarely called costs none.
const IDLE: Duration = Duration::from_secs(60);

fn run(channel: &Channel, callback: &Callback) {
    let mut state = channel.lock();
    state.thread = Some(thread::current().id());
    loop {
        let Some((data, size)) = state.batches.pop_front() else {
            if state.is_closed {
                break;
            }
            let (woken, timeout) =
                channel.ready.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if timeout.timed_out() && state.batches.is_empty() {
                break;
            }
            continue;
        };
        state.waiting -= size;
        drop(state);
        let result = isolated(|| callback(&data));
        // The last to hold a batch frees it, not under the lock.
        drop(data);
        state = channel.lock();
        let items = size.items as u64;
        state.stats.pending -= items;
        match result {
            Some(Ok(())) => state.stats.delivered += items,
            Some(Err(Failure { error, records })) => {
                let failed = records.unwrap_or(items).min(items);
                state.stats.failed += failed;
                state.stats.delivered += items - failed;
                state.last_error = Some(error);
            }
            None => {
                state.stats.panicked += items;
                state.last_error = Some("it panicked".to_owned());
            }
        }
        if state.stats.pending == 0 {
            channel.idle.notify_all();
        }
    }
    state.is_running = false;
    state.thread = None;
}
