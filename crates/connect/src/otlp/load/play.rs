//! Requests that are made when their turn comes.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use otlp::Signal;
use pipeline::Outcome;
use tokio::task::JoinSet;

use super::{
    super::{OtlpConfig, channel::Channel, intake::now_ns, stamp},
    Load, LoadError, LoadReport, Pace,
    corpus::Body,
    payload::Payload,
    report::{self, Tally},
};

/// A request to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shot {
    /// What it holds.
    pub signal: Signal,
    /// The protobuf message.
    pub bytes: Bytes,
    /// How many records it holds.
    pub records: u64,
    /// When to send it, from the beginning; `None` leaves that to the pace.
    pub due: Option<Duration>,
}

/// Sends what `next` yields, in that order, on the calling thread, until it yields nothing, or the time or the number of
/// requests is over. Each request is compressed when it is sent.
///
/// `next` is called on this thread, between requests: while it takes its time, answers wait.
///
/// ```no_run
/// use aldis_connect::otlp::{OtlpConfig, load::{self, Load, Shot}};
///
/// let settings = Load { target: OtlpConfig::default().with_endpoint("127.0.0.1:4317"), ..Load::default() };
/// let mut requests: Vec<Shot> = Vec::new();
/// let report = load::play(&settings, move || requests.pop())?;
/// println!("{} records", report.delivered_records);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Settings that make no sense; failed requests are in the report.
pub fn play(
    settings: &Load,
    next: impl FnMut() -> Option<Shot> + Send + 'static,
) -> Result<LoadReport, LoadError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(LoadError::Io)?;
    let (target, channels) = settings.channels()?;
    let player = Arc::new(Player {
        settings: settings.clone(),
        target,
        channels,
        next: Mutex::new(next),
        number: AtomicU64::new(0),
        tally: Tally::default(),
    });
    let cpu_before = report::own_cpu();
    let begin = Instant::now();
    let failed = runtime.block_on(async {
        let mut workers = JoinSet::new();
        for channel in 0..player.channels.len() {
            for _ in 0..settings.in_flight.max(1) {
                workers.spawn(player.clone().work(channel, begin));
            }
        }
        workers.join_all().await.into_iter().find_map(Result::err)
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(player.tally.report(begin.elapsed(), report::own_cpu().saturating_sub(cpu_before))),
    }
}

struct Player<F> {
    settings: Load,
    target: OtlpConfig,
    channels: Vec<Channel>,
    next: Mutex<F>,
    number: AtomicU64,
    tally: Tally,
}

impl<F: FnMut() -> Option<Shot>> Player<F> {
    async fn work(self: Arc<Self>, channel: usize, begin: Instant) -> Result<(), LoadError> {
        while begin.elapsed() < self.settings.duration {
            let number = self.number.fetch_add(1, Relaxed);
            if self.settings.requests.is_some_and(|requests| number >= requests) {
                break;
            }
            let shot = (self.next.lock().unwrap_or_else(PoisonError::into_inner))();
            let Some(shot) = shot else { break };
            let due = match (shot.due, self.settings.pace) {
                (Some(due), _) => begin + due,
                (None, Pace::Requests(rate)) => begin + Duration::from_secs_f64(number as f64 / rate),
                (None, Pace::Closed) => Instant::now(),
            };
            if due.saturating_duration_since(begin) >= self.settings.duration {
                break;
            }
            tokio::time::sleep_until(due.into()).await;
            let every = self.settings.stamp_every;
            let is_stamped = every > 0 && number.is_multiple_of(every);
            let stamp_at = if is_stamped { stamp::place(shot.signal, &shot.bytes) } else { None };
            let body = Body { bytes: shot.bytes, records: shot.records, stamp_at };
            let payload = Payload::new(&self.target, shot.signal, &body, is_stamped)?;
            let stamped = is_stamped.then(|| payload.stamped(&self.target, now_ns())).flatten();
            let codec = self.target.compression;
            let sent = stamped.unwrap_or(payload.sent);
            let reply = self.channels[channel].send(shot.signal, sent, codec).await;
            self.tally.note(&reply, shot.records, due.elapsed());
            self.settings.answered.fetch_add(1, Relaxed);
            if matches!(reply.outcome, Outcome::Retry { .. }) {
                // A far side that refuses at once must not turn this thread into a busy loop.
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}
