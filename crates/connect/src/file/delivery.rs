//! Requests of files on their way into pipelines: so many at once, each until it is settled.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use otlp::{Batch, Check, Checker, Signal};
use pipeline::{Charge, Context, Inlet, Item, Outcome, Receipt, Shards, clock::now_ns};

use super::{Request, progress::Progress};
use crate::{
    limits::{FILE_REQUESTS_IN_FLIGHT, FILE_RETRY_AFTER},
    otlp::{
        Inlets, ReceiverMeter, Refusal, Transport,
        stats::{Counted, ReceiverStats},
    },
};

/// How often is looked whether there is room again.
const ROOM_POLL: Duration = Duration::from_millis(2);

/// What the thread that reads and the shards share.
#[derive(Debug)]
pub(super) struct Delivery {
    source: Arc<str>,
    shards: Shards,
    inlets: Vec<Inlets>,
    stats: Arc<ReceiverStats>,
    in_flight: AtomicUsize,
    stop: Arc<AtomicBool>,
    next_shard: AtomicUsize,
}

/// One request on its way.
struct Parcel {
    batch: Batch,
    charge: Option<Charge>,
    inlet: Arc<dyn Inlet>,
    progress: Progress,
    number: u64,
}

impl Delivery {
    pub(super) fn new(
        name: &str,
        shards: &Shards,
        inlets: Vec<Inlets>,
        books: ReceiverMeter,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            source: name.into(),
            shards: shards.clone(),
            inlets,
            stats: books.0,
            in_flight: AtomicUsize::new(0),
            stop,
            next_shard: AtomicUsize::new(0),
        }
    }

    /// Whether everything has been settled, or will not be.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.load(Relaxed) == 0
    }

    /// Counts something that is no request.
    pub(super) fn refuse(&self, signal: Option<Signal>, reason: String) {
        // What has no signal is counted where its form says nothing else.
        let stats = self.stats.of(Transport::File, signal.unwrap_or(Signal::Logs));
        Counted::new(stats).settle::<()>(&Err(Refusal::Malformed(reason)));
    }

    /// Sends a request that ends at `end` on its way, once there is room for it. An error says why it is no request. `Ok(false)`: the
    /// receiver stops, nothing was sent.
    pub(super) fn send(
        self: &Arc<Self>,
        request: &Request,
        progress: &Progress,
        end: u64,
    ) -> Result<bool, String> {
        let shard = self.next_shard.fetch_add(1, Relaxed) % self.inlets.len().max(1);
        let inlets = self.inlets.get(shard);
        let Some(inlet) = inlets.and_then(|inlets| inlets.get(request.signal)) else {
            // No pipeline wants it: it is passed over, as OTLP's other signals are refused.
            let reason = format!("no pipeline takes {}", request.signal);
            Counted::new(self.stats.of(Transport::File, request.signal))
                .settle::<()>(&Err(Refusal::NoSuchPath(reason)));
            progress.settle(progress.begin(end));
            return Ok(true);
        };
        if !self.wait(|| self.in_flight.load(Relaxed) < FILE_REQUESTS_IN_FLIGHT) {
            return Ok(false);
        }
        let stats = self.stats.of(Transport::File, request.signal);
        stats.bytes_received.fetch_add(request.wire.len() as u64, Relaxed);
        let mut checker = Checker::new(request.signal, Check::Full, inlet.depth());
        let needed = match checker.needed_bytes(&request.wire) {
            Ok(needed) => needed + request.wire.len(),
            Err(error) => return self.malformed(request.signal, error.to_string()),
        };
        let mut charge = None;
        let is_free = || {
            charge = inlet.budget().try_charge(needed);
            charge.is_some()
        };
        if !self.wait(is_free) {
            return Ok(false);
        }
        let batch = match checker.check(compact(&request.wire)) {
            Ok(batch) => batch,
            Err(error) => return self.malformed(request.signal, error.to_string()),
        };
        charge.iter_mut().for_each(|charge| charge.settle(batch.memory_bytes()));
        stats.bytes_decompressed.fetch_add(batch.raw().len() as u64, Relaxed);
        let number = progress.begin(end);
        let parcel = Parcel { batch, charge, inlet, progress: progress.clone(), number };
        self.in_flight.fetch_add(1, Relaxed);
        let guard = InFlight(self.clone());
        self.shards.spawn(shard, async move { guard.0.deliver(&parcel).await });
        Ok(true)
    }

    fn malformed(&self, signal: Signal, reason: String) -> Result<bool, String> {
        self.refuse(Some(signal), reason.clone());
        Err(reason)
    }

    /// Waits until something is so; `false` if the receiver stops before.
    fn wait(&self, mut is_so: impl FnMut() -> bool) -> bool {
        while !is_so() {
            if self.stop.load(Relaxed) {
                return false;
            }
            thread::sleep(ROOM_POLL);
        }
        !self.stop.load(Relaxed)
    }

    /// Offers a request until it is settled. What is refused for now is offered again.
    async fn deliver(&self, parcel: &Parcel) {
        let records = parcel.batch.len() as u64;
        let stats = self.stats.of(Transport::File, parcel.batch.signal());
        if records == 0 {
            Counted::new(stats).settle(&Ok(()));
            return parcel.progress.settle(parcel.number);
        }
        let mut maybe_delivered = false;
        loop {
            let mut counted = Counted::new(stats);
            counted.offer(records);
            let (receipt, share) = Receipt::new(records);
            let received_ns = now_ns();
            let context = Context {
                source: Some(self.source.clone()),
                received_ns,
                maybe_delivered,
                shares: vec![share],
                charges: parcel.charge.iter().cloned().collect(),
                ..Context::default()
            };
            parcel.inlet.offer(Item { batch: parcel.batch.clone(), context }, received_ns);
            match receipt.await {
                Outcome::Delivered { .. } | Outcome::Removed => {
                    counted.settle(&Ok(()));
                    return parcel.progress.settle(parcel.number);
                }
                Outcome::Permanent { reason, .. } => {
                    counted.settle::<()>(&Err(Refusal::Permanent(reason)));
                    return parcel.progress.settle(parcel.number);
                }
                Outcome::Retry { after, reason, maybe_delivered: maybe, .. } => {
                    maybe_delivered |= maybe;
                    counted.settle::<()>(&Err(Refusal::Unavailable { after, reason }));
                    if self.stop.load(Relaxed) {
                        // It is read again after the next start.
                        return;
                    }
                    tokio::time::sleep(after.unwrap_or(FILE_RETRY_AFTER).min(FILE_RETRY_AFTER)).await;
                }
            }
        }
    }
}

/// Bytes that keep nothing else in memory: what was read of a file at once is larger.
fn compact(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// Counts a request as long as it is on its way, whatever becomes of its task.
struct InFlight(Arc<Delivery>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}
