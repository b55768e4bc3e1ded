//! Where records come in: one request being filled for each thread, and a queue of filled ones.

use std::sync::PoisonError;

use operators::sample::{Decision, OtelState, Pressure, Threshold};
use otlp::{
    Depth,
    event::{LogRecord, Metric, PushError, RequestBuilder, Span},
};

use super::{BackpressureStrategy, RECORDED, RecordError};
use crate::{
    Histogram, clock,
    sync::{
        ArrayQueue, Mutex, MutexGuard, Notify,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

/// What is recorded, borrowed from its caller.
pub(super) enum Event<'a> {
    Span(&'a Span),
    Log(&'a LogRecord),
    Metric(&'a Metric),
}

/// What became of an attempt to record.
enum Offered {
    Done(Result<(), RecordError>),
    /// Try again when there is room.
    Wait,
}

pub(super) struct IntakeSettings {
    pub(super) records: usize,
    pub(super) bytes: usize,
    pub(super) batch_size: usize,
    pub(super) strategy: BackpressureStrategy,
    pub(super) depth: Depth,
    pub(super) workers: usize,
}

/// Below this many records there is one stripe, so that capacity and order are exact.
const SMALL_CAPACITY: usize = 1024;

/// Requests in the queue and being filled, at least, of a pipeline that is not small: records are dropped a request at a
/// time, so no more than 1/64 of the capacity at once.
const REQUESTS: usize = 64;

/// Requests being filled for each worker.
const STRIPES_PER_WORKER: usize = 4;

/// The way in. Its bound holds for the queue and all requests being filled together.
#[derive(Debug)]
pub(super) struct Intake {
    stripes: Box<[Stripe]>,
    filled: ArrayQueue<Request>,
    filled_bytes: AtomicUsize,
    filled_records: AtomicUsize,
    max_bytes: usize,
    request_records: usize,
    request_bytes: usize,
    strategy: BackpressureStrategy,
    depth: Depth,
    sleepers: Box<[Sleeper]>,
    /// Nothing is taken any more.
    closed: AtomicBool,
    /// Set once everything that was taken can be seen by the workers.
    sealed: AtomicBool,
    room: Notify,
    /// Callers in [`Intake::room`].
    waiting: AtomicUsize,
    pressure: Mutex<Pressure>,
    /// The threshold that the pressure asks for, as bits.
    threshold: AtomicU64,
    dropped_oldest: [AtomicU64; RECORDED.len()],
    given_up: [AtomicU64; RECORDED.len()],
    /// From being handed over to being in a request: of the first record in each request, and of all that waited for room.
    pub(super) latency: Histogram,
}

/// What the threads that share a stripe are filling. Alone on its cache lines.
#[derive(Debug)]
#[repr(align(128))]
struct Stripe {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    requests: [Option<Request>; RECORDED.len()],
    counts: [Counts; RECORDED.len()],
    /// Records that are judged by what they say are written here for it.
    scratch: Vec<u8>,
}

/// What has been recorded, in records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) received: u64,
    /// Not taken: full, or too large.
    pub(super) refused: u64,
    /// Removed by adaptive sampling.
    pub(super) sampled: u64,
    /// Dropped to make room.
    pub(super) oldest: u64,
    /// Not passed on when the pipeline shut down.
    pub(super) given_up: u64,
    /// In the queue or being filled.
    pub(super) pending: u64,
}

/// A request being filled, or filled.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) number: usize,
    pub(super) builder: RequestBuilder,
    /// When its first record came, Unix nanoseconds.
    pub(super) first_ns: u64,
    threshold: Threshold,
    /// What records kept by that threshold say of it: a trace state, or an attribute's value.
    note: String,
}

/// A worker that may be asleep. Alone on its cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Sleeper {
    asleep: AtomicBool,
    wake: Notify,
}

impl Event<'_> {
    fn number(&self) -> usize {
        match self {
            Event::Span(_) => 0,
            Event::Log(_) => 1,
            Event::Metric(_) => 2,
        }
    }

    /// What sampling makes of it.
    fn decide(&self, threshold: Threshold, scratch: &mut Vec<u8>) -> Decision {
        match self {
            Event::Span(span) => Decision::of_span(span, threshold, scratch),
            Event::Log(log) => Decision::of_log(log, threshold, scratch),
            Event::Metric(_) => Decision::Keep,
        }
    }
}

impl Intake {
    pub(super) fn new(settings: &IntakeSettings) -> Self {
        let small = settings.records < SMALL_CAPACITY;
        let stripes = if small { 1 } else { settings.workers * STRIPES_PER_WORKER };
        let request_records = (settings.records / REQUESTS.max(stripes * 2)).clamp(1, settings.batch_size);
        let filling = stripes * request_records;
        let requests = (settings.records.saturating_sub(filling) / request_records).max(1);
        Self {
            stripes: (0..stripes).map(|_| Stripe { open: Mutex::default() }).collect(),
            filled: ArrayQueue::new(requests),
            filled_bytes: AtomicUsize::new(0),
            filled_records: AtomicUsize::new(0),
            max_bytes: settings.bytes,
            request_records,
            request_bytes: (settings.bytes / REQUESTS.max(stripes * 2)).max(1),
            strategy: settings.strategy,
            depth: settings.depth,
            sleepers: (0..settings.workers).map(|_| Sleeper::default()).collect(),
            closed: AtomicBool::new(false),
            sealed: AtomicBool::new(false),
            room: Notify::new(),
            waiting: AtomicUsize::new(0),
            pressure: Mutex::default(),
            threshold: AtomicU64::new(0),
            dropped_oldest: Default::default(),
            given_up: Default::default(),
            latency: Histogram::default(),
        }
    }

    /// Writes a record into the request that this thread's stripe is filling.
    fn record(&self, event: &Event<'_>) -> Offered {
        let stripe = thread_number() % self.stripes.len();
        let number = event.number();
        let mut open = lock(&self.stripes[stripe].open);
        // Read under the lock: whoever closes takes all locks afterwards, so nothing is written behind its back.
        if self.closed.load(Ordering::Relaxed) {
            return Offered::Done(Err(RecordError::Closed));
        }
        let Open { requests, counts, scratch } = &mut *open;
        let fits = requests[number].as_ref().filter(|request| !self.is_full(request));
        // All records of a request are judged alike, so what it began with counts until it leaves: a request that has room
        // takes a record, whatever has become of the queue.
        let threshold = fits.map_or_else(|| self.threshold_for(event), |request| request.threshold);
        let decision = event.decide(threshold, scratch);
        if decision == Decision::Drop {
            counts[number].received += 1;
            counts[number].sampled += 1;
            return Offered::Done(Ok(()));
        }
        if fits.is_none() && !self.hand_over(&mut requests[number]) {
            return self.no_room(&mut counts[number]);
        }
        counts[number].received += 1;
        let result = match self.push(&mut requests[number], event, threshold, decision) {
            Ok(()) => Ok(()),
            Err(_) => {
                counts[number].refused += 1;
                Err(RecordError::TooLarge)
            }
        };
        if requests[number].as_ref().is_some_and(|request| self.is_full(request)) {
            // If there is no room it stays where it is, full, and the next record finds it so.
            self.hand_over(&mut requests[number]);
        }
        // Read under the lock: a worker says it sleeps before it looks into the stripes for the last time.
        let sleeper = &self.sleepers[stripe % self.sleepers.len()];
        let asleep = sleeper.asleep.load(Ordering::Relaxed) && sleeper.asleep.swap(false, Ordering::Relaxed);
        drop(open);
        if asleep {
            sleeper.wake.notify_one();
        }
        Offered::Done(result)
    }

    fn no_room(&self, counts: &mut Counts) -> Offered {
        if self.strategy == BackpressureStrategy::Block {
            return Offered::Wait;
        }
        counts.received += 1;
        counts.refused += 1;
        Offered::Done(Err(RecordError::QueueFull))
    }

    fn push(
        &self,
        slot: &mut Option<Request>,
        event: &Event<'_>,
        threshold: Threshold,
        decision: Decision,
    ) -> Result<(), PushError> {
        if let Some(request) = slot {
            return request.push(event, decision);
        }
        let number = event.number();
        let first_ns = clock::now_ns();
        let note = match (threshold, event) {
            (Threshold::ALWAYS, _) | (_, Event::Metric(_)) => String::new(),
            (threshold, Event::Log(_)) => threshold.to_string(),
            (threshold, Event::Span(_)) => {
                let mut text = String::new();
                OtelState::default().write("", Some(threshold), &mut text);
                text
            }
        };
        let builder = RequestBuilder::new(RECORDED[number], self.depth);
        let request = slot.insert(Request { number, builder, first_ns, threshold, note });
        let result = request.push(event, decision);
        self.latency.observe(clock::now_ns().saturating_sub(first_ns));
        result
    }

    fn is_full(&self, request: &Request) -> bool {
        request.builder.len() >= self.request_records || request.builder.byte_len() >= self.request_bytes
    }

    /// Puts a request into the queue. `false`: there is no room and the strategy makes none.
    fn hand_over(&self, slot: &mut Option<Request>) -> bool {
        let Some(request) = slot.take() else { return true };
        let drops = self.strategy == BackpressureStrategy::DropOldest;
        let (bytes, records) = (request.builder.byte_len(), request.builder.len());
        while self.filled_bytes.load(Ordering::Relaxed) + bytes > self.max_bytes && !self.filled.is_empty() {
            if !drops {
                *slot = Some(request);
                return false;
            }
            if let Some(oldest) = self.pop_filled() {
                self.drop_oldest(&oldest);
            }
        }
        self.filled_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.filled_records.fetch_add(records, Ordering::Relaxed);
        if drops {
            if let Some(oldest) = self.filled.force_push(request) {
                self.took_out(&oldest);
                self.drop_oldest(&oldest);
            }
        } else if let Err(request) = self.filled.push(request) {
            self.took_out(&request);
            *slot = Some(request);
            return false;
        }
        self.note_fullness();
        // A worker that takes a nap is woken when half of the queue is full.
        if self.filled.len() * 2 >= self.filled.capacity() {
            self.sleepers.iter().for_each(|sleeper| sleeper.wake.notify_one());
        }
        true
    }

    fn drop_oldest(&self, request: &Request) {
        self.dropped_oldest[request.number].fetch_add(request.builder.len() as u64, Ordering::Relaxed);
    }

    fn pop_filled(&self) -> Option<Request> {
        let request = self.filled.pop()?;
        self.took_out(&request);
        Some(request)
    }

    fn took_out(&self, request: &Request) {
        self.filled_bytes.fetch_sub(request.builder.byte_len(), Ordering::Relaxed);
        self.filled_records.fetch_sub(request.builder.len(), Ordering::Relaxed);
    }

    /// The oldest filled request.
    pub(super) fn pop(&self) -> Option<Request> {
        let request = self.pop_filled()?;
        self.note_fullness();
        // Whoever waits looks at the queue again after announcing itself.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.room.notify_waiters();
        }
        Some(request)
    }

    /// Takes what is being filled in the stripes of this worker. Called after the queue was emptied.
    pub(super) fn sweep(&self, worker: usize, taken: &mut Vec<Request>) {
        // Whoever is about to store how full the queue was before is waited for, or that would count until it fills again.
        if self.strategy == BackpressureStrategy::AdaptiveSampling {
            self.adapt(&mut lock(&self.pressure));
        }
        for stripe in self.stripes.iter().skip(worker).step_by(self.sleepers.len()) {
            let mut open = lock(&stripe.open);
            taken.extend(open.requests.iter_mut().filter_map(Option::take));
        }
        if !taken.is_empty() && self.waiting.load(Ordering::SeqCst) > 0 {
            self.room.notify_waiters();
        }
    }

    /// Says that this worker sleeps: the next record in one of its stripes wakes it. Look for work once more before
    /// waiting.
    pub(super) fn fall_asleep(&self, worker: usize) {
        self.sleepers[worker].asleep.store(true, Ordering::Relaxed);
    }

    /// Waits until woken by a record (asleep), a queue that fills up, or [`Intake::wake`].
    pub(super) async fn woken(&self, worker: usize) {
        self.sleepers[worker].wake.notified().await;
        self.sleepers[worker].asleep.store(false, Ordering::Relaxed);
    }

    /// Wakes all workers.
    pub(super) fn wake(&self) {
        self.sleepers.iter().for_each(|sleeper| sleeper.wake.notify_one());
    }

    /// Records, waiting for room where the strategy is to wait.
    pub(super) async fn record_waiting(&self, event: &Event<'_>) -> Result<(), RecordError> {
        if let Offered::Done(result) = self.record(event) {
            return result;
        }
        let since_ns = clock::now_ns();
        let result = self.wait_and_record(event).await;
        self.latency.observe(clock::now_ns().saturating_sub(since_ns));
        result
    }

    async fn wait_and_record(&self, event: &Event<'_>) -> Result<(), RecordError> {
        loop {
            let _waiting = Waiting::new(&self.waiting);
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            // Whatever made room before it was announced that somebody waits is seen now.
            if let Offered::Done(result) = self.record(event) {
                return result;
            }
            room.await;
            if let Offered::Done(result) = self.record(event) {
                return result;
            }
        }
    }

    /// Takes no more records.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // Whoever writes a record now read `closed` before; wait for it.
        self.stripes.iter().for_each(|stripe| drop(lock(&stripe.open)));
        self.sealed.store(true, Ordering::Release);
        self.room.notify_waiters();
        self.wake();
    }

    /// Whether it is closed and nothing is being written any more: what a worker does not find afterwards is not there.
    pub(super) fn is_closed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// Drops what no worker has taken. Call it when closed.
    pub(super) fn give_up(&self) {
        let mut left = Vec::new();
        (0..self.sleepers.len()).for_each(|worker| self.sweep(worker, &mut left));
        left.extend(std::iter::from_fn(|| self.pop_filled()));
        for request in left {
            self.given_up[request.number].fetch_add(request.builder.len() as u64, Ordering::Relaxed);
        }
    }

    /// Records dropped by [`Intake::give_up`].
    pub(super) fn given_up(&self) -> u64 {
        self.given_up.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Counts of all signals together, and the records that are in the queue or being filled.
    pub(super) fn counts(&self) -> Counts {
        let mut total = Counts::default();
        for stripe in &self.stripes {
            let open = lock(&stripe.open);
            total.pending +=
                open.requests.iter().flatten().map(|request| request.builder.len() as u64).sum::<u64>();
            for counts in open.counts {
                total.received += counts.received;
                total.refused += counts.refused;
                total.sampled += counts.sampled;
            }
        }
        total.oldest = self.dropped_oldest.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        total.given_up = self.given_up();
        total.pending += self.filled_records.load(Ordering::Relaxed) as u64;
        total
    }

    /// Adapts the threshold, unless somebody else is at it.
    fn note_fullness(&self) {
        if self.strategy == BackpressureStrategy::AdaptiveSampling
            && let Ok(mut pressure) = self.pressure.try_lock()
        {
            self.adapt(&mut pressure);
        }
    }

    fn adapt(&self, pressure: &mut Pressure) {
        let items = self.filled.len() as f64 / self.filled.capacity() as f64;
        let bytes = self.filled_bytes.load(Ordering::Relaxed) as f64 / self.max_bytes as f64;
        self.threshold.store(pressure.step(items.max(bytes)).bits(), Ordering::Relaxed);
    }

    /// The threshold for a request that begins with this.
    pub(super) fn threshold_for(&self, event: &Event<'_>) -> Threshold {
        match event {
            Event::Span(_) | Event::Log(_) => {
                Threshold::from_bits(self.threshold.load(Ordering::Relaxed)).unwrap_or_default()
            }
            // A point that is missing is a gap, not a smaller count.
            Event::Metric(_) => Threshold::ALWAYS,
        }
    }
}

impl Request {
    fn push(&mut self, event: &Event<'_>, decision: Decision) -> Result<(), PushError> {
        match (event, decision) {
            (Event::Span(span), Decision::KeepAt(_)) => self.builder.push_sampled_span(span, &self.note),
            (Event::Span(span), _) => self.builder.push_span(span),
            (Event::Log(log), Decision::KeepAt(_)) => self.builder.push_sampled_log(log, &self.note),
            (Event::Log(log), Decision::KeepUnknown) => self.builder.push_sampled_log(log, ""),
            (Event::Log(log), _) => self.builder.push_log(log),
            (Event::Metric(metric), _) => self.builder.push_metric(metric),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Spreads threads over stripes, in the order in which they first record.
fn thread_number() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

/// Counts a waiting caller as long as it waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
