//! The exporter: a table of series behind a lock.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use otlp::{Batch, Signal};
use pipeline::{Budget, Charge, Exporter, Item, Outcome, Sender, Shards, clock::now_ns, exporter::BoxFuture};

use super::{
    Endpoint, Format, Observed, PrometheusConfig, PrometheusStats, Serving, Syntax, proto,
    table::SeriesTable, text,
};
use crate::otlp::receiver::BindError;

/// Keeps the last value of every series for a Prometheus server to scrape.
///
/// It takes metrics only: a pipeline does not offer it spans or log records. Clones are the same exporter, so that one can
/// go into a pipeline and another be asked.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use aldis_connect::prometheus::{Format, PrometheusExporter};
/// use otlp::event::{Metric, MetricData, Number};
/// use pipeline::{TelemetryPipeline, clock::now_ns};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let exporter = PrometheusExporter::new();
/// let serving = exporter.serve("127.0.0.1:0")?; // such as 127.0.0.1:9464
/// let pipeline = TelemetryPipeline::builder().with_exporter(Arc::new(exporter.clone())).build()?;
/// let data = MetricData::Sum { value: Number::Int(3), monotonic: true, temporality: Default::default() };
/// let orders = Metric { name: "shop.orders".into(), data, ..Metric::default() };
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// pipeline.record_metric(orders).await?;
/// # Ok::<(), pipeline::RecordError>(())
/// # })?;
/// pipeline.shutdown(Duration::from_secs(30));
/// let text = String::from_utf8(exporter.render(Format::default(), now_ns()))?;
/// assert!(text.starts_with("# TYPE shop_orders_total counter\nshop_orders_total{"), "{text}");
/// assert!(text.ends_with("} 3\n"), "{text}");
/// # drop(serving);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PrometheusExporter {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    open_metrics: bool,
    books: Mutex<Books>,
    budget: Option<Budget>,
    /// Bytes of the longest exposition so far: what the next one is charged for beforehand.
    expected_bytes: AtomicUsize,
}

struct Books {
    table: SeriesTable,
    /// What the table is charged for.
    charge: Option<Charge>,
}

impl Default for PrometheusExporter {
    fn default() -> Self {
        Self::with_config(PrometheusConfig::default())
    }
}

impl fmt::Debug for PrometheusExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrometheusExporter").field("name", &self.inner.name).finish_non_exhaustive()
    }
}

impl PrometheusExporter {
    /// An exporter with default settings. It listens nowhere until [`PrometheusExporter::serve`].
    pub fn new() -> Self {
        Self::default()
    }

    /// An exporter with these settings.
    pub fn with_config(config: PrometheusConfig) -> Self {
        Self::charged(config, None)
    }

    /// An exporter whose series and answers are charged to this budget, besides their own bounds.
    pub fn with_budget(config: PrometheusConfig, budget: Budget) -> Self {
        Self::charged(config, Some(budget))
    }

    fn charged(config: PrometheusConfig, budget: Option<Budget>) -> Self {
        let charge = budget.as_ref().and_then(|budget| budget.try_charge(0));
        let inner = Inner {
            name: config.name.clone(),
            open_metrics: config.enable_open_metrics,
            books: Mutex::new(Books { table: SeriesTable::new(config), charge }),
            budget,
            expected_bytes: AtomicUsize::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Takes the points of a batch of metrics that arrived at `now_ns` (Unix nanoseconds). Other batches have none.
    pub fn observe(&self, batch: &Batch, now_ns: u64) -> Observed {
        let room = self.inner.budget.as_ref().map_or(usize::MAX, Budget::free);
        let mut books = self.books();
        let observed = books.table.observe(batch, now_ns, room);
        books.settle();
        observed
    }

    /// Exposes what is scraped here as `target_info` with these labels, for those who expose themselves.
    pub fn describe_self(&self, attributes: &[(String, String)], now_ns: u64) {
        let mut books = self.books();
        let strategy = books.table.config.translation_strategy;
        books.table.targets.insert_own(attributes, strategy, now_ns);
        books.settle();
    }

    /// Everything that is exposed at `now_ns`, in a format.
    pub fn render(&self, format: Format, now_ns: u64) -> Vec<u8> {
        let expected = self.inner.expected_bytes.load(Ordering::Relaxed);
        let mut out = Vec::with_capacity(expected + expected / 16);
        let mut books = self.books();
        books.table.expire(now_ns);
        books.settle();
        match format.syntax {
            Syntax::Text | Syntax::OpenMetrics => text::put(&books.table, format, &mut out),
            Syntax::Protobuf => proto::put(&books.table, format, &mut out),
        }
        drop(books);
        self.inner.expected_bytes.fetch_max(out.len(), Ordering::Relaxed);
        out
    }

    /// What it holds and has done.
    pub fn stats(&self) -> PrometheusStats {
        self.books().table.stats()
    }

    /// Answers scrapes of `http://ADDRESS/metrics` on a thread of its own, until what is returned is dropped. Port 0
    /// takes any free one.
    ///
    /// # Errors
    /// An address that the system refuses, or no thread.
    pub fn serve(&self, address: &str) -> Result<Serving, BindError> {
        let endpoint = Endpoint::bind(self, address)?;
        let shards = Shards::start(1, "prometheus")
            .map_err(|source| BindError::Socket { endpoint: address.to_owned(), source })?;
        Ok(endpoint.start_owning(shards))
    }

    /// As [`PrometheusExporter::serve`], for those that have threads: only listens, until [`Endpoint::start`].
    ///
    /// # Errors
    /// An address that the system refuses.
    pub fn listen(&self, address: &str) -> Result<(Endpoint, SocketAddr), BindError> {
        let endpoint = Endpoint::bind(self, address)?;
        let address = endpoint.address();
        Ok((endpoint, address))
    }

    /// Whether scrapers may have OpenMetrics.
    pub(super) fn offers_open_metrics(&self) -> bool {
        self.inner.open_metrics
    }

    /// Memory for one more exposition: `None` if there is none, `Some(None)` if nobody counts.
    pub(super) fn charge_exposition(&self) -> Option<Option<Charge>> {
        let expected = self.inner.expected_bytes.load(Ordering::Relaxed);
        match &self.inner.budget {
            Some(budget) => budget.try_charge(expected).map(Some),
            None => Some(None),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // The table is consistent after every statement that can panic.
        self.inner.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn settle(&mut self) {
        if let Some(charge) = &mut self.charge {
            charge.settle(self.table.memory_bytes());
        }
    }
}

impl Exporter for PrometheusExporter {
    fn name(&self) -> &str {
        &self.inner.name
    }

    fn takes(&self, signal: Signal) -> bool {
        signal == Signal::Metrics
    }

    fn open(&self) -> Box<dyn Sender> {
        Box::new(self.clone())
    }
}

impl Sender for PrometheusExporter {
    fn send<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Outcome> {
        let signal = item.batch.signal();
        let outcome = if self.takes(signal) {
            Outcome::Delivered { rejected: self.observe(&item.batch, now_ns()).rejected }
        } else {
            let reason = format!("a Prometheus server has no use for {signal}");
            Outcome::Permanent { code: "unimplemented".into(), reason }
        };
        Box::pin(std::future::ready(outcome))
    }
}
