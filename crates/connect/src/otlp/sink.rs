//! A far side that takes everything and counts: for measuring what is between it and a [load generator](super::load).
//!
//! It is a [`Receiver`] that checks framing only, in front of an inlet that counts records and forgets them. Bodies that
//! come compressed are decompressed to be counted, so give it a core of its own.
//!
//! ```no_run
//! use std::time::{Duration, Instant};
//! use aldis_connect::otlp::{ReceiverSettings, sink::{Sink, SinkSettings}};
//! use pipeline::Shards;
//!
//! let shards = Shards::start(1, "sink")?;
//! let sink = Sink::start(SinkSettings::default(), &shards)?;
//! // …
//! let report = sink.stop(Instant::now() + Duration::from_secs(1));
//! println!("{} records in {:.1} s", report.records, report.seconds);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use otlp::{Batch, Check, Codec, Depth, Signal};
use pipeline::{Budget, Inlet, Item, Outcome, Shards, Share, histogram::Histogram};

use super::{BindError, Inlets, Listening, Receiver, ReceiverCounts, ReceiverSettings, stamp};

/// How much a sink takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Requests per second.
    Requests(f64),
    /// Records per second.
    Records(f64),
}

/// Settings of a sink.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkSettings {
    /// Where and what it listens to; `check` is always [`Check::Framing`].
    pub receiver: ReceiverSettings,
    /// Take no more than this: answers wait for their turn. `None` is as fast as it can.
    pub rate: Option<Rate>,
    /// The share of requests that is refused (retryable), 0 to 1, evenly spread.
    pub refuse: f64,
    /// Bytes of bodies being read or counted at once.
    pub budget_bytes: usize,
}

impl Default for SinkSettings {
    fn default() -> Self {
        Self { receiver: ReceiverSettings::default(), rate: None, refuse: 0.0, budget_bytes: 1 << 30 }
    }
}

/// What arrived.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SinkReport {
    /// Requests taken.
    pub requests: u64,
    /// Records of those requests.
    pub records: u64,
    /// Bytes of those requests as they came over the wire; of JSON, of the protobuf it became.
    pub bytes: u64,
    /// Requests refused on purpose.
    pub refused_requests: u64,
    /// From the first request to the last, in seconds.
    pub seconds: f64,
    /// How many stamps of a [load generator](super::load) were seen.
    pub stamps: u64,
    /// The median time from a stamped request's sending to its arrival here, in milliseconds, to one part in 16. Both ends
    /// must read the same clock.
    pub p50_ms: f64,
    /// The 90th percentile of the same.
    pub p90_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// The longest, exactly.
    pub max_ms: f64,
}

/// A sink at work.
#[derive(Debug)]
pub struct Sink {
    listening: Listening,
    counter: Arc<Counter>,
}

#[derive(Debug)]
struct Counter {
    budget: Budget,
    rate: Option<Rate>,
    refuse: f64,
    requests: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
    refused: AtomicU64,
    first_ns: AtomicU64,
    last_ns: AtomicU64,
    /// When the next answer may be given, Unix nanoseconds.
    free_ns: AtomicU64,
    latency: Histogram,
    longest_ns: AtomicU64,
}

impl Sink {
    /// Listens on these shards.
    ///
    /// # Errors
    /// A wrong setting, or an address that the system refuses.
    pub fn start(settings: SinkSettings, shards: &Shards) -> Result<Sink, BindError> {
        let receiver = Receiver::bind(ReceiverSettings { check: Check::Framing, ..settings.receiver })?;
        let counter = Arc::new(Counter {
            budget: Budget::new(settings.budget_bytes),
            rate: settings.rate,
            refuse: settings.refuse.clamp(0.0, 1.0),
            requests: AtomicU64::new(0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            first_ns: AtomicU64::new(u64::MAX),
            last_ns: AtomicU64::new(0),
            free_ns: AtomicU64::new(0),
            latency: Histogram::default(),
            longest_ns: AtomicU64::new(0),
        });
        let with = |inlets: Inlets, signal| inlets.with(signal, counter.clone() as Arc<dyn Inlet>);
        let inlets = (0..shards.count()).map(|_| Signal::ALL.into_iter().fold(Inlets::new(), with)).collect();
        let listening = receiver.start(shards, inlets);
        Ok(Sink { listening, counter })
    }

    /// The address of the gRPC listener.
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.listening.grpc_addr()
    }

    /// The address of the HTTP listener.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.listening.http_addr()
    }

    /// What its receiver counted, refusals of malformed requests among it.
    pub fn received(&self) -> ReceiverCounts {
        self.listening.counts()
    }

    /// What arrived so far.
    pub fn report(&self) -> SinkReport {
        self.counter.report()
    }

    /// Ends it. Blocks; see [`Listening::stop`].
    pub fn stop(self, deadline: Instant) -> SinkReport {
        self.listening.stop(deadline);
        self.counter.report()
    }
}

impl Inlet for Counter {
    fn offer(&self, item: Item, now_ns: u64) {
        let number = self.requests.load(Relaxed) + self.refused.load(Relaxed);
        // Evenly: refuse whenever the whole part of the expected number of refusals grows.
        if ((number + 1) as f64 * self.refuse).floor() > (number as f64 * self.refuse).floor() {
            self.refused.fetch_add(1, Relaxed);
            let reason = "refused on purpose".to_owned();
            return item.resolve(Outcome::Retry {
                after: None,
                maybe_delivered: false,
                overloaded: false,
                reason,
            });
        }
        let records = item.batch.len() as u64;
        self.requests.fetch_add(1, Relaxed);
        self.records.fetch_add(records, Relaxed);
        self.bytes.fetch_add(wire_bytes(&item.batch), Relaxed);
        self.first_ns.fetch_min(now_ns, Relaxed);
        self.last_ns.fetch_max(now_ns, Relaxed);
        stamp::ages(item.batch.signal(), item.batch.raw(), now_ns, |age_ns| {
            self.latency.observe(age_ns);
            self.longest_ns.fetch_max(age_ns, Relaxed);
        });
        match self.wait(records, now_ns) {
            Some(wait) => {
                let shares = item.context.shares;
                tokio::spawn(answer_later(shares, wait));
            }
            None => item.resolve(Outcome::DELIVERED),
        }
    }

    fn depth(&self) -> Depth {
        Depth::Counts
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }
}

/// As many of these wait as requests are in flight, which the listener bounds.
async fn answer_later(shares: Vec<Share>, wait: Duration) {
    tokio::time::sleep(wait).await;
    pipeline::receipt::resolve_all(shares, Outcome::DELIVERED);
}

impl Counter {
    /// How long a request of so many records has to wait for its turn; `None` if there is no rate.
    fn wait(&self, records: u64, now_ns: u64) -> Option<Duration> {
        let takes_s = match self.rate? {
            Rate::Requests(per_second) => 1.0 / per_second,
            Rate::Records(per_second) => records as f64 / per_second,
        };
        let takes_ns = (takes_s * 1e9) as u64;
        let turn = |free_ns: u64| free_ns.max(now_ns).saturating_add(takes_ns);
        let before = self.free_ns.fetch_update(Relaxed, Relaxed, |free_ns| Some(turn(free_ns))).ok()?;
        Some(Duration::from_nanos(turn(before).saturating_sub(now_ns)))
    }

    fn report(&self) -> SinkReport {
        let (first, last) = (self.first_ns.load(Relaxed), self.last_ns.load(Relaxed));
        SinkReport {
            requests: self.requests.load(Relaxed),
            records: self.records.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            refused_requests: self.refused.load(Relaxed),
            seconds: last.saturating_sub(first) as f64 / 1e9,
            stamps: self.latency.count(),
            p50_ms: self.latency.quantile_ns(0.5) / 1e6,
            p90_ms: self.latency.quantile_ns(0.9) / 1e6,
            p99_ms: self.latency.quantile_ns(0.99) / 1e6,
            max_ms: self.longest_ns.load(Relaxed) as f64 / 1e6,
        }
    }
}

fn wire_bytes(batch: &Batch) -> u64 {
    let kept = [Codec::Gzip, Codec::Zstd].into_iter().find_map(|codec| batch.compressed(codec));
    kept.unwrap_or(batch.raw()).len() as u64
}
