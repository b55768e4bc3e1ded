//! From a collector to consumers and a storage.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    Aggregation, FileStorage, FlushError, MemoryStorage, Sampling, StorageBackend, StorageError,
    SubscriberId, SubscriberStats, TelemetryCollector, TelemetryData, TelemetryStorage, Verdict,
    limits::{DROP_TIMEOUT, FLUSH_TIMEOUT, MAX_SUBSCRIBERS},
    process::{Inherited, PerProcess},
    pump::Roster,
    reduction::Reducer,
    subscriber::Subscriber,
    sync::Instant,
};

/// Takes what a collector buffers, in the background: shows it to consumers, and stores it.
///
/// It takes everything at least every [`crate::TelemetryConfig::flush_interval`], and whenever
/// [`crate::TelemetryConfig::buffer_size`] records have come. Every consumer has a bounded queue and a thread of its own: one that is
/// slow misses records, which is counted, and holds up nobody. Dropping the stream stops it.
///
/// ```
/// use std::sync::Arc;
/// use aldis_collect::{EventType, MemoryStorage, TelemetryCollector, TelemetryConfig, TelemetryStorage, TelemetryStream};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let collector = TelemetryCollector::new(TelemetryConfig::default())?;
/// let storage = Arc::new(MemoryStorage::new());
/// let stream = TelemetryStream::new(&collector, storage.clone());
/// stream.add_consumer(|data| {
///     for event in &data.events {
///         println!("{}", event.message);
///     }
/// })?;
/// stream.start()?;
///
/// collector.collect_event("app", "started", EventType::Info, &[]);
/// collector.flush()?;
/// assert_eq!(storage.retrieve(None, None, None)?.events[0].message, "started");
/// stream.stop()?;
/// # Ok(())
/// # }
/// ```
pub struct TelemetryStream {
    collector: TelemetryCollector,
    outlet: Arc<Outlet>,
}

/// Where a stream leads.
pub(crate) struct Outlet {
    pub(crate) storage: Arc<dyn TelemetryStorage>,
    pub(crate) consumers: Roster,
    next_id: AtomicU64,
    sampling: Sampling,
    aggregation: Option<Aggregation>,
    reducer: PerProcess<Mutex<Reducer>>,
    error: Inherited<Option<String>>,
}

impl Outlet {
    fn new(
        storage: Arc<dyn TelemetryStorage>,
        sampling: Sampling,
        aggregation: Option<Aggregation>,
    ) -> Arc<Self> {
        Arc::new(Self {
            storage,
            consumers: Inherited::new(Vec::new()),
            next_id: AtomicU64::new(1),
            sampling,
            reducer: PerProcess::new(Mutex::new(Reducer::new(sampling, aggregation.clone()))),
            aggregation,
            error: Inherited::new(None),
        })
    }

    /// Sampling and aggregation of this process.
    pub(crate) fn reducer(&self) -> &Mutex<Reducer> {
        self.reducer.get(|_| Mutex::new(Reducer::new(self.sampling, self.aggregation.clone())))
    }

    /// Remembers what the storage complained of.
    pub(crate) fn note(&self, error: Option<String>) {
        if let Some(error) = error {
            self.error.change(|last| *last = Some(error.clone()));
        }
    }
}

/// Why a stream did not start, or took no consumer.
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamError {
    /// Another stream takes from this collector: stop that one first.
    AlreadyStreaming,
    /// It has as many consumers, or listeners, as it may have.
    TooManySubscribers,
    /// The system refused a thread: free resources and try again.
    Thread(std::io::Error),
}

impl StreamError {
    /// A name for programs, the same in every language.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlreadyStreaming => "already_streaming",
            Self::TooManySubscribers => "too_many_subscribers",
            Self::Thread(_) => "thread",
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyStreaming => f.write_str("another stream takes from this collector; stop it first"),
            Self::TooManySubscribers => write!(f, "there are {MAX_SUBSCRIBERS} subscribers already"),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}

impl std::error::Error for StreamError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            _ => None,
        }
    }
}

impl TelemetryStream {
    /// A stream from a collector to a storage. It does nothing before [`TelemetryStream::start`].
    pub fn new(collector: &TelemetryCollector, storage: impl TelemetryStorage + 'static) -> Self {
        let outlet = Outlet::new(Arc::new(storage), Sampling::default(), None);
        Self { collector: collector.clone(), outlet }
    }

    /// A stream to the storage that the collector's configuration names.
    ///
    /// # Errors
    /// It cannot be opened, or is [`StorageBackend::Sqlite`], which another crate opens.
    pub fn from_config(collector: &TelemetryCollector) -> Result<Self, StorageError> {
        let config = collector.config();
        match config.storage_backend {
            StorageBackend::Memory => Ok(Self::new(collector, MemoryStorage::new())),
            StorageBackend::File => Ok(Self::new(
                collector,
                FileStorage::open(config.storage_path.as_deref().unwrap_or(Path::new("")))?,
            )),
            StorageBackend::Sqlite => Err(StorageError::new(
                "storage_backend sqlite: open a DatabaseStorage of the crate aldis-sqlite and give it to TelemetryStream::new",
            )),
        }
    }

    /// Stores a share of the events only. Call it before the stream is started.
    #[must_use]
    pub fn with_sampling(self, sampling: Sampling) -> Self {
        let outlet = Outlet::new(self.outlet.storage.clone(), sampling, self.outlet.aggregation.clone());
        self.leading_to(outlet)
    }

    /// Stores one metric for each window and series. Call it before the stream is started.
    #[must_use]
    pub fn with_aggregation(self, aggregation: Aggregation) -> Self {
        let outlet = Outlet::new(self.outlet.storage.clone(), self.outlet.sampling, Some(aggregation));
        self.leading_to(outlet)
    }

    fn leading_to(mut self, outlet: Arc<Outlet>) -> Self {
        let consumers = self.outlet.consumers.change(std::mem::take);
        outlet.consumers.change(|to| to.clone_from(&consumers));
        outlet.next_id.store(self.outlet.next_id.load(Ordering::Relaxed), Ordering::Relaxed);
        self.outlet = outlet;
        self
    }

    /// Shows everything that the stream takes to `consumer`, on a thread of its own, batch by batch; whatever it returns or if it
    /// panics, others are not concerned. What it records in the same collector is stored, and shown to no consumer.
    ///
    /// # Errors
    /// There are [`MAX_SUBSCRIBERS`] of them.
    pub fn add_consumer<V: Verdict>(
        &self,
        consumer: impl Fn(&TelemetryData) -> V + Send + Sync + 'static,
    ) -> Result<SubscriberId, StreamError> {
        let id = SubscriberId(self.outlet.next_id.fetch_add(1, Ordering::Relaxed));
        add(&self.outlet.consumers, &Subscriber::new(id, "consumer", consumer))?;
        Ok(id)
    }

    /// Shows a consumer nothing any more, but for what waits for it.
    pub fn remove_consumer(&self, id: SubscriberId) -> bool {
        remove(&self.outlet.consumers, id)
    }

    /// What became of the records shown to a consumer.
    pub fn consumer_stats(&self, id: SubscriberId) -> Option<SubscriberStats> {
        find(&self.outlet.consumers, id).map(|consumer| consumer.stats())
    }

    /// The last error of a consumer.
    pub fn consumer_error(&self, id: SubscriberId) -> Option<String> {
        find(&self.outlet.consumers, id).and_then(|consumer| consumer.last_error())
    }

    /// The last error of the storage.
    pub fn storage_error(&self) -> Option<String> {
        self.outlet.error.get()
    }

    /// The storage.
    pub fn storage(&self) -> &Arc<dyn TelemetryStorage> {
        &self.outlet.storage
    }

    /// Begins to take from the collector, what it holds already first.
    ///
    /// # Errors
    /// Another stream does, or there is no thread to be had.
    pub fn start(&self) -> Result<(), StreamError> {
        self.collector.attach(&self.outlet)
    }

    /// Ends to take from the collector: as [`TelemetryStream::stop_within`] 30 seconds.
    ///
    /// # Errors
    /// Something was not stored, or not shown, in time, or it is called from within.
    pub fn stop(&self) -> Result<(), StopError> {
        self.stop_within(FLUSH_TIMEOUT)
    }

    /// Stores what was accepted before the call, waits for consumers, and leaves the collector to itself. What was not stored in time
    /// stays in the collector; what was not shown to a consumer in time is lost to it, and counted as lagged. It can be started again.
    ///
    /// # Errors
    /// Something was not stored, or not shown, in time. [`StopError::FromWithin`]: see [`TelemetryStream::is_within`]; nothing was done, and
    /// the stream goes on.
    pub fn stop_within(&self, timeout: Duration) -> Result<(), StopError> {
        if self.is_within() { Err(StopError::FromWithin) } else { self.end(timeout) }
    }

    /// Whether this thread is calling one of its consumers, or storing what its collector collected: to stop it, such a thread would
    /// wait for itself. Have another thread do that, or drop the stream, which waits for whatever else there is.
    pub fn is_within(&self) -> bool {
        self.collector.is_storing()
            || self.outlet.consumers.get().iter().any(|consumer| consumer.is_calling())
    }

    /// Ends to take from the collector. Waits for no consumer that this thread is calling.
    fn end(&self, timeout: Duration) -> Result<(), StopError> {
        let deadline = Instant::now() + timeout;
        let stored = self.collector.detach(&self.outlet, timeout);
        let consumers = self.outlet.consumers.get();
        let mut unseen = Vec::new();
        for consumer in consumers.iter().filter(|consumer| !consumer.is_calling()) {
            let pending = consumer.drain(deadline);
            if pending > 0 {
                consumer.give_up();
                unseen.push((consumer.id, pending));
            }
        }
        let unstored = match stored {
            Err(FlushError::Timeout { remaining } | FlushError::Stopped { remaining }) => remaining,
            _ => 0,
        };
        let is_synced = stored != Err(FlushError::NotSynced);
        let is_all = unstored == 0 && is_synced && unseen.is_empty();
        if is_all { Ok(()) } else { Err(StopError::Incomplete { unstored, is_synced, unseen }) }
    }
}

impl Drop for TelemetryStream {
    fn drop(&mut self) {
        // What its storage would have to store while it drops the stream stays in the collector.
        let timeout = if self.collector.is_storing() { Duration::ZERO } else { DROP_TIMEOUT };
        // Whoever wants to know stops it.
        let _ = self.end(timeout);
    }
}

/// Why a stream was not stopped, or left something behind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopError {
    /// It was stopped, and left something behind.
    Incomplete {
        /// Records that were not stored in time. They are in the collector.
        unstored: u64,
        /// Whether the storage could sync what it has stored.
        is_synced: bool,
        /// Records that were not shown to a consumer in time.
        unseen: Vec<(SubscriberId, u64)>,
    },
    /// One of its consumers, or its storage, asked for it: it would wait for itself. The stream goes on; have another thread stop it.
    FromWithin,
}

impl StopError {
    /// A name for programs, the same in every language.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Incomplete { .. } => "stop_incomplete",
            Self::FromWithin => "stop_from_within",
        }
    }
}

impl fmt::Display for StopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Incomplete { unstored, is_synced, unseen } = self else {
            return f.write_str(
                "a stream cannot be stopped by its own consumer or storage: it would wait for itself",
            );
        };
        write!(f, "stopped with {unstored} records not stored")?;
        if !is_synced {
            f.write_str(", the storage could not sync")?;
        }
        unseen.iter().try_for_each(|(id, pending)| write!(f, ", {pending} not shown to consumer {id}"))
    }
}

impl std::error::Error for StopError {}

/// Adds one, if there is room.
pub(crate) fn add(roster: &Roster, subscriber: &Arc<Subscriber>) -> Result<(), StreamError> {
    let is_added = roster.change(|subscribers| {
        let has_room = subscribers.len() < MAX_SUBSCRIBERS;
        subscribers.extend(has_room.then(|| subscriber.clone()));
        has_room
    });
    if is_added { Ok(()) } else { Err(StreamError::TooManySubscribers) }
}

pub(crate) fn find(roster: &Roster, id: SubscriberId) -> Option<Arc<Subscriber>> {
    roster.get().into_iter().find(|subscriber| subscriber.id == id)
}

pub(crate) fn remove(roster: &Roster, id: SubscriberId) -> bool {
    let removed = roster.change(|subscribers| {
        let at = subscribers.iter().position(|subscriber| subscriber.id == id)?;
        Some(subscribers.remove(at))
    });
    // It may end here, under no lock.
    removed.is_some_and(|subscriber| {
        subscriber.close();
        true
    })
}
