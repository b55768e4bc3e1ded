//! A load generator: sends bodies that were made beforehand, again and again, and measures the answers.
//!
//! ```no_run
//! use std::time::Duration;
//! use aldis_connect::otlp::{OtlpConfig, load::{self, Corpus, Load, Pace}};
//!
//! let corpus = Corpus::logs(16, 1000);
//! let settings = Load {
//!     target: OtlpConfig::default().with_endpoint("127.0.0.1:4317"),
//!     connections: 8,
//!     in_flight: 4,
//!     pace: Pace::Requests(500.0),
//!     duration: Duration::from_secs(10),
//!     ..Load::default()
//! };
//! println!("{} records/s", load::run(&settings, &corpus)?.records_per_second());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod corpus;
mod payload;
mod play;
mod report;

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use otlp::WireError;
use pipeline::Outcome;
use tokio::task::JoinSet;

pub use self::{
    corpus::{Corpus, CorpusError},
    play::{Shot, play},
    report::{LoadReport, Refused},
};
use self::{payload::Payload, report::Tally};
use super::{OtlpConfig, SettingsError, channel::Channel, intake::now_ns};
use crate::codec::CodecError;

/// How fast to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The next request when one is answered.
    Closed,
    /// So many requests per second, evenly, as long as the requests in flight allow. Latencies count from when a request
    /// was due, not from when it could be sent.
    Requests(f64),
}

/// What to send, how, and for how long.
#[derive(Clone, Debug)]
pub struct Load {
    /// Endpoint, protocol, encoding, compression, level, headers, timeout.
    pub target: OtlpConfig,
    /// HTTP/2 connections; over HTTP/1.1 there are `connections * in_flight`.
    pub connections: usize,
    /// Requests in flight per connection.
    pub in_flight: usize,
    /// How fast.
    pub pace: Pace,
    /// For how long. What is in flight then is waited for.
    pub duration: Duration,
    /// How many requests, if the duration allows as many; `None` sets no number.
    pub requests: Option<u64>,
    /// Write the time of sending into every so many-th request, over the time of its first record, for a
    /// [`sink`](super::sink) to read; zero stamps none. A stamped request is compressed when it is sent.
    pub stamp_every: u64,
    /// Counts requests as they are answered, for whoever watches.
    pub answered: Arc<AtomicU64>,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            target: OtlpConfig::default(),
            connections: 1,
            in_flight: 1,
            pace: Pace::Closed,
            duration: Duration::from_secs(10),
            requests: None,
            stamp_every: 0,
            answered: Arc::default(),
        }
    }
}

impl Load {
    /// The target as each connection has it, and the connections.
    fn channels(&self) -> Result<(OtlpConfig, Vec<Channel>), LoadError> {
        let mut target = self.target.clone();
        target.connections = match target.protocol {
            super::Protocol::Grpc => 1,
            super::Protocol::Http => self.in_flight.max(1),
        };
        if let Pace::Requests(rate) = self.pace
            && !(rate.is_finite() && rate > 0.0)
        {
            let message = "must be a positive number of requests per second".to_owned();
            return Err(LoadError::Settings(SettingsError { key: "rate", message }));
        }
        let tls = target.client_tls().map_err(LoadError::Settings)?;
        let channels = (0..self.connections.max(1))
            .map(|_| target.channel(tls.as_ref()))
            .collect::<Result<_, _>>()
            .map_err(LoadError::Settings)?;
        Ok((target, channels))
    }
}

/// Why nothing could be sent.
#[derive(Debug)]
pub enum LoadError {
    /// A setting is wrong.
    Settings(SettingsError),
    /// The corpus is empty.
    NothingToSend,
    /// Stamps are asked for, and no request has a time to write them over.
    NothingToStamp,
    /// A request is malformed, which protobuf would show to the far side; JSON has no form for it.
    Malformed(WireError),
    /// A body could not be compressed.
    Codec(CodecError),
    /// The system refused a runtime.
    Io(io::Error),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Settings(error) => error.fmt(f),
            LoadError::NothingToSend => f.write_str("there is no request to send"),
            LoadError::NothingToStamp => {
                f.write_str("no request begins with a record that has a time: nothing can be stamped")
            }
            LoadError::Malformed(error) => write!(f, "a request has no JSON form: {error}"),
            LoadError::Codec(error) => error.fmt(f),
            LoadError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

/// Sends, on the calling thread, until the time is over.
///
/// # Errors
/// Settings that make no sense; failed requests are in the report.
pub fn run(settings: &Load, corpus: &Corpus) -> Result<LoadReport, LoadError> {
    if corpus.is_empty() {
        return Err(LoadError::NothingToSend);
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(LoadError::Io)?;
    let generator = Arc::new(Generator::new(settings, corpus)?);
    let cpu_before = report::own_cpu();
    let begin = Instant::now();
    runtime.block_on(async {
        let mut workers = JoinSet::new();
        for channel in 0..generator.channels.len() {
            for _ in 0..settings.in_flight.max(1) {
                workers.spawn(generator.clone().work(channel, begin));
            }
        }
        workers.join_all().await;
    });
    Ok(generator.tally.report(begin.elapsed(), report::own_cpu().saturating_sub(cpu_before)))
}

struct Generator {
    settings: Load,
    channels: Vec<Channel>,
    corpus: Corpus,
    /// What is sent for each body of the corpus.
    payloads: Vec<Payload>,
    next: AtomicU64,
    tally: Tally,
}

impl Generator {
    fn new(settings: &Load, corpus: &Corpus) -> Result<Self, LoadError> {
        let (target, channels) = settings.channels()?;
        let is_stamped = settings.stamp_every > 0;
        let payloads = corpus
            .bodies()
            .iter()
            .map(|body| Payload::new(&target, corpus.signal(), body, is_stamped))
            .collect::<Result<Vec<_>, _>>()?;
        if is_stamped && !payloads.iter().any(Payload::can_be_stamped) {
            return Err(LoadError::NothingToStamp);
        }
        Ok(Self {
            settings: settings.clone(),
            channels,
            corpus: corpus.clone(),
            payloads,
            next: AtomicU64::new(0),
            tally: Tally::default(),
        })
    }

    async fn work(self: Arc<Self>, channel: usize, begin: Instant) {
        loop {
            let number = self.next.fetch_add(1, Relaxed);
            if self.settings.requests.is_some_and(|requests| number >= requests) {
                return;
            }
            let due = match self.settings.pace {
                Pace::Closed => Instant::now(),
                Pace::Requests(rate) => {
                    let after = Duration::try_from_secs_f64(number as f64 / rate).ok();
                    let within = after.filter(|after| *after < self.settings.duration);
                    // What is due after the end is not waited for.
                    let Some(due) = within.and_then(|after| begin.checked_add(after)) else { return };
                    tokio::time::sleep_until(due.into()).await;
                    due
                }
            };
            if due.duration_since(begin) >= self.settings.duration
                || begin.elapsed() >= self.settings.duration
            {
                return;
            }
            let i = (number % self.payloads.len() as u64) as usize;
            let records = self.corpus.bodies()[i].records;
            let every = self.settings.stamp_every;
            let is_stamped = every > 0 && number.is_multiple_of(every);
            let stamped =
                is_stamped.then(|| self.payloads[i].stamped(&self.settings.target, now_ns())).flatten();
            let payload = stamped.unwrap_or_else(|| self.payloads[i].sent.clone());
            let codec = self.settings.target.compression;
            let reply = self.channels[channel].send(self.corpus.signal(), payload, codec).await;
            self.tally.note(&reply, records, due.elapsed());
            self.settings.answered.fetch_add(1, Relaxed);
            if matches!(reply.outcome, Outcome::Retry { .. }) {
                // A far side that refuses at once must not turn this thread into a busy loop.
                tokio::task::yield_now().await;
            }
        }
    }
}
