//! What a program calls.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    CollectorStats, ConfigError, Counter, EventType, FlushError, Gauge, MetricKind, StreamError,
    SubscriberId, SubscriberStats, TelemetryConfig, TelemetryData, ValueRef, Verdict,
    hub::{Bounds, Hub},
    instrument::Cell,
    lane,
    limits::{DROP_TIMEOUT, FLUSH_TIMEOUT},
    name::NameCache,
    process::{Inherited, PerProcess},
    pump::{self, Roster},
    record::{EventBody, MetricBody},
    stream::{Outlet, add, find, remove},
    subscriber::Subscriber,
};

/// Collects events and metrics from all threads of a program.
///
/// Recording writes into a buffer of the calling thread and returns; it waits for nobody, unless [`crate::Overflow::Block`] says so. A
/// collector alone is a ring of [`TelemetryConfig::buffer_size`] records, which [`TelemetryCollector::flush`] hands out. With a running
/// [`crate::TelemetryStream`] records go to consumers and a storage in the background.
///
/// Clones are the same collector. When the last is dropped, what is buffered is stored, if a stream runs. A forked child has its own:
/// empty, with the stream, the listeners and the instruments of its parent.
///
/// ```
/// use aldis_collect::{EventType, TelemetryCollector, TelemetryConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let collector = TelemetryCollector::new(TelemetryConfig::default())?;
/// collector.collect_event("app", "Started", EventType::Info, &[("version", 3.into())]);
/// collector.collect_metric("cpu", 45.2, "percent", &[("core", "0")]);
///
/// let data = collector.flush()?;
/// assert_eq!((data.events.len(), data.metrics.len()), (1, 1));
/// assert_eq!(data.metrics[0].unit, "percent");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TelemetryCollector {
    core: Arc<Core>,
}

struct Core {
    config: TelemetryConfig,
    hub: PerProcess<Arc<Hub>>,
    plan: Inherited<Plan>,
    listeners: Arc<Roster>,
    next_listener: AtomicU64,
}

/// What a forked child takes over.
#[derive(Clone, Default)]
struct Plan {
    outlet: Option<Arc<Outlet>>,
    /// Those whose handles are gone are no child's.
    instruments: Vec<Weak<Cell>>,
    /// How many there are before those that are gone are looked for.
    forget_at: usize,
}

impl Plan {
    fn add(&mut self, cell: &Arc<Cell>) {
        if self.instruments.len() >= self.forget_at {
            self.instruments.retain(|cell| cell.strong_count() > 0);
            self.forget_at = (2 * self.instruments.len()).max(16);
        }
        self.instruments.push(Arc::downgrade(cell));
    }
}

impl TelemetryCollector {
    /// A collector of that configuration.
    ///
    /// # Errors
    /// A setting is out of its range.
    pub fn new(config: TelemetryConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let hub = PerProcess::new(Hub::new(Bounds::of(&config)));
        let core = Core {
            config,
            hub,
            plan: Inherited::new(Plan::default()),
            listeners: Arc::new(Inherited::new(Vec::new())),
            next_listener: AtomicU64::new(1),
        };
        Ok(Self { core: Arc::new(core) })
    }

    /// Its configuration.
    pub fn config(&self) -> &TelemetryConfig {
        &self.core.config
    }

    /// Records an event, now. `false`: it was not taken, and is counted as dropped, or collecting is disabled.
    #[inline]
    pub fn collect_event(
        &self,
        source: &str,
        message: &str,
        event_type: EventType,
        metadata: &[(&str, ValueRef<'_>)],
    ) -> bool {
        self.core.config.enabled && self.core.hub().emit(&EventBody { source, message, event_type, metadata })
    }

    /// Records a measurement, now. `false`: it was not taken, and is counted as dropped, or collecting is disabled.
    #[inline]
    pub fn collect_metric(&self, name: &str, value: f64, unit: &str, tags: &[(&str, &str)]) -> bool {
        let kind = MetricKind::Gauge;
        self.core.config.enabled && self.core.hub().emit(&MetricBody { name, value, unit, tags, kind })
    }

    /// A metric that counts what happens between flushes: a handle costs an atomic addition where `collect_metric` records.
    ///
    /// ```
    /// use aldis_collect::{TelemetryCollector, TelemetryConfig};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let collector = TelemetryCollector::new(TelemetryConfig::default())?;
    /// let orders = collector.counter("orders", "{order}", &[("shop", "berlin")]);
    /// orders.add(2);
    /// orders.add(3);
    /// assert_eq!(collector.flush()?.metrics[0].value, 5.0);
    /// assert!(collector.flush()?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn counter(&self, name: &str, unit: &str, tags: &[(&str, &str)]) -> Counter {
        Counter(self.instrument(Cell::new(name, unit, tags, MetricKind::Delta)))
    }

    /// A metric that has a value: the last one before a flush is recorded.
    ///
    /// ```
    /// use aldis_collect::{TelemetryCollector, TelemetryConfig};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let collector = TelemetryCollector::new(TelemetryConfig::default())?;
    /// let depth = collector.gauge("queue.depth", "{item}", &[]);
    /// depth.set(3.0);
    /// depth.set(1.0);
    /// assert_eq!(collector.flush()?.metrics[0].value, 1.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn gauge(&self, name: &str, unit: &str, tags: &[(&str, &str)]) -> Gauge {
        Gauge(self.instrument(Cell::new(name, unit, tags, MetricKind::Gauge)))
    }

    fn instrument(&self, cell: Arc<Cell>) -> Arc<Cell> {
        if self.core.config.enabled {
            self.core.hub().add_instrument(cell.clone());
            self.core.plan.change(|plan| plan.add(&cell));
        }
        cell
    }

    /// Shows records to `listener` as soon as they are recorded, if [`TelemetryConfig::realtime_mode`] is set, on a thread of its own;
    /// whatever it returns or if it panics, others are not concerned. What it records in the same collector is buffered as usual, and
    /// shown to no listener. A listener that holds the collector keeps it alive until it is removed.
    ///
    /// # Errors
    /// There are [`MAX_SUBSCRIBERS`](crate::limits::MAX_SUBSCRIBERS) of them, or there is no thread to be had.
    ///
    /// ```
    /// use aldis_collect::{TelemetryCollector, TelemetryConfig};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = TelemetryConfig { realtime_mode: true, ..TelemetryConfig::default() };
    /// let collector = TelemetryCollector::new(config)?;
    /// let (tell, told) = std::sync::mpsc::channel();
    /// collector.add_listener(move |data| {
    ///     for metric in data.metrics.iter().filter(|metric| metric.name == "cpu" && metric.value > 80.0) {
    ///         tell.send(metric.value).unwrap();
    ///     }
    /// })?;
    /// collector.collect_metric("cpu", 93.5, "percent", &[]);
    /// assert_eq!(told.recv()?, 93.5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_listener<V: Verdict>(
        &self,
        listener: impl Fn(&TelemetryData) -> V + Send + Sync + 'static,
    ) -> Result<SubscriberId, StreamError> {
        let id = SubscriberId(self.core.next_listener.fetch_add(1, Ordering::Relaxed));
        add(&self.core.listeners, &Subscriber::new(id, "listener", listener))?;
        if self.core.config.realtime_mode && self.core.config.enabled {
            self.core.hub().set_listening(true);
            self.core.pump(self.core.hub())?;
        }
        Ok(id)
    }

    /// Shows a listener nothing any more, but for what waits for it. `false`: there is no such listener.
    pub fn remove_listener(&self, id: SubscriberId) -> bool {
        let is_removed = remove(&self.core.listeners, id);
        let is_any_left = !self.core.listeners.get().is_empty();
        self.core.hub().set_listening(is_any_left && self.core.config.realtime_mode);
        is_removed
    }

    /// What became of the records shown to a listener.
    pub fn listener_stats(&self, id: SubscriberId) -> Option<SubscriberStats> {
        find(&self.core.listeners, id).map(|listener| listener.stats())
    }

    /// The last error of a listener.
    pub fn listener_error(&self, id: SubscriberId) -> Option<String> {
        find(&self.core.listeners, id).and_then(|listener| listener.last_error())
    }

    /// Flushes within 30 seconds, see [`TelemetryCollector::flush_within`].
    ///
    /// # Errors
    /// Not everything was stored in time.
    pub fn flush(&self) -> Result<TelemetryData, FlushError> {
        self.flush_within(FLUSH_TIMEOUT)
    }

    /// With a running stream: a barrier. Returns, with nothing, once everything that was accepted before the call, from whatever
    /// thread, is stored and the storage is synced. What a storage refused is dropped, and counted. Open windows of an aggregation are
    /// closed. Consumers may see it later.
    ///
    /// Without one: hands out what is buffered.
    ///
    /// # Errors
    /// Not everything was stored in time, or before the stream was stopped; it stays buffered.
    pub fn flush_within(&self, timeout: Duration) -> Result<TelemetryData, FlushError> {
        self.flush_while(timeout, || true)
    }

    /// As [`TelemetryCollector::flush_within`], and asks `is_wanted` every 50 milliseconds that it waits whether to go on: as if the time was
    /// over, if not. Where a stream ran when it was called, it is a barrier to its end, and hands out nothing even if the stream is stopped
    /// meanwhile.
    ///
    /// # Errors
    /// As [`TelemetryCollector::flush_within`].
    pub fn flush_while(
        &self,
        timeout: Duration,
        is_wanted: impl FnMut() -> bool,
    ) -> Result<TelemetryData, FlushError> {
        let hub = self.core.hub();
        let chunks = hub.flush(timeout, is_wanted)?;
        let (mut names, mut data) = (NameCache::new(), TelemetryData::default());
        chunks.iter().for_each(|chunk| chunk.decode(&mut names, |_| true, &mut data));
        hub.recycle(chunks);
        Ok(data)
    }

    /// Whether a stream takes what is recorded.
    pub fn is_streaming(&self) -> bool {
        self.core.hub().is_attached()
    }

    /// Takes nothing any more: what is recorded from now on is counted as dropped. What is buffered can still be flushed, and a running
    /// stream goes on to store it. A second call does nothing.
    pub fn close(&self) {
        self.core.hub().close();
    }

    /// Where every record is.
    pub fn stats(&self) -> CollectorStats {
        self.core.hub().stats()
    }

    pub(crate) fn attach(&self, outlet: &Arc<Outlet>) -> Result<(), StreamError> {
        let hub = self.core.hub();
        if !hub.attach(outlet) {
            return Err(StreamError::AlreadyStreaming);
        }
        let pumped = self.core.pump(hub);
        if pumped.is_err() {
            // Nothing was stored, and all of it stays.
            let _ = hub.detach(outlet, Duration::ZERO);
            return pumped;
        }
        self.core.plan.change(|plan| plan.outlet = Some(outlet.clone()));
        pumped
    }

    /// Whether this thread is storing what this collector collected.
    pub(crate) fn is_storing(&self) -> bool {
        self.core.hub.existing().is_some_and(|hub| lane::is_storing(hub.id()))
    }

    pub(crate) fn detach(&self, outlet: &Arc<Outlet>, timeout: Duration) -> Result<(), FlushError> {
        let Some(hub) = self.core.hub.existing() else { return Ok(()) };
        self.core.plan.change(|plan| {
            if plan.outlet.as_ref().is_some_and(|attached| Arc::ptr_eq(attached, outlet)) {
                plan.outlet = None;
            }
        });
        hub.detach(outlet, timeout)
    }
}

#[cfg(test)]
impl TelemetryCollector {
    /// How many the hub knows, and how many a child would look at.
    pub(crate) fn instruments(&self) -> (usize, usize) {
        (self.core.hub().instruments(), self.core.plan.get().instruments.len())
    }
}

impl Core {
    #[inline]
    fn hub(&self) -> &Arc<Hub> {
        self.hub.get(|_| self.hub_of_child())
    }

    fn hub_of_child(&self) -> Arc<Hub> {
        let hub = Hub::new(Bounds::of(&self.config));
        let plan = self.plan.get();
        plan.instruments.iter().filter_map(Weak::upgrade).for_each(|cell| hub.add_instrument(cell));
        let listens = self.config.realtime_mode && !self.listeners.get().is_empty();
        hub.set_listening(listens);
        let streams = plan.outlet.is_some_and(|outlet| hub.attach(&outlet));
        if listens || streams {
            // A child that can have no thread buffers, and counts what it drops.
            let _ = pump::ensure(&hub, &self.listeners);
        }
        hub
    }

    fn pump(&self, hub: &Arc<Hub>) -> Result<(), StreamError> {
        pump::ensure(hub, &self.listeners).map_err(StreamError::Thread)
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // A child that never recorded has nothing to store, and its parent's threads are not here.
        if let Some(hub) = self.hub.existing() {
            hub.end(DROP_TIMEOUT);
        }
    }
}
