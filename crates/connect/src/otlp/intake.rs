//! From a body to an answer: what gRPC and HTTP share.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::HeaderMap;
use otlp::{Batch, Check, Checker, Codec, Signal, json};
use pipeline::{Budget, Charge, Context, Inlet, Item, Outcome, Receipt, Shards};

use super::{
    Refusal,
    message::PartialSuccess,
    stats::{Counted, ReceiverStats},
};
use crate::{
    body::ReadError,
    codec::{self, CodecError},
    limits::{COUNTED_DIVISOR, MAX_JSON_GROWTH, OVERLOAD_RETRY_AFTER},
};

/// One shard's share of a receiver.
pub(super) struct Desk {
    pub(super) source: Arc<str>,
    pub(super) shard: usize,
    pub(super) shards: Shards,
    pub(super) stats: Arc<ReceiverStats>,
    pub(super) body_timeout: Duration,
    /// What belongs to no signal alone is charged to the budgets of all.
    pub(super) budget: Budget,
    ports: [Option<Port>; 4],
}

/// One signal's way into the pipeline.
pub(super) struct Port {
    signal: Signal,
    inlet: Arc<dyn Inlet>,
    /// Used by one thread only, so never contended.
    checker: Mutex<Checker>,
}

/// A request whose body is whole, and what is known about it.
pub(super) struct Arrived {
    pub(super) body: Bytes,
    pub(super) codec: Option<Codec>,
    /// Whether the body is OTLP/JSON.
    pub(super) is_json: bool,
    pub(super) max: usize,
    pub(super) headers: Option<Arc<[(String, String)]>>,
    pub(super) timeout: Option<Duration>,
}

impl Desk {
    pub(super) fn new(
        (source, check, body_timeout): (Arc<str>, Check, Duration),
        (shards, shard): (&Shards, usize),
        inlets: [Option<Arc<dyn Inlet>>; 4],
        stats: Arc<ReceiverStats>,
    ) -> Self {
        let budgets = inlets.iter().flatten().map(|inlet| inlet.budget().clone());
        // Without a way in nothing is ever held.
        let budget = Budget::of_all(budgets).unwrap_or_else(|| Budget::new(usize::MAX));
        let mut signals = Signal::ALL.into_iter();
        let ports = inlets.map(|inlet| {
            let signal = signals.next()?;
            let inlet = inlet?;
            let checker = Mutex::new(Checker::new(signal, check, inlet.depth()));
            Some(Port { signal, inlet, checker })
        });
        Self { source, shard, shards: shards.clone(), stats, body_timeout, budget, ports }
    }

    pub(super) fn port(&self, signal: Signal) -> Option<&Port> {
        self.ports[signal as usize].as_ref()
    }

    /// Memory for the body of one request.
    pub(super) fn hold<'a>(&'a self, port: &'a Port) -> Held<'a> {
        Held { desk: self, budget: port.inlet.budget(), charge: None, weight: 0, is_over: false }
    }

    /// Decompresses, checks, offers, and waits for what becomes of it.
    pub(super) async fn admit(
        &self,
        port: &Port,
        mut arrived: Arrived,
        mut held: Held<'_>,
        counted: &mut Counted<'_>,
    ) -> Result<PartialSuccess, Refusal> {
        let timeout = arrived.timeout;
        let receipt = self.offer(port, &mut arrived, &mut held, counted)?;
        let outcome = match (receipt, timeout) {
            (None, _) => Outcome::DELIVERED,
            (Some(receipt), None) => receipt.await,
            (Some(receipt), Some(timeout)) => {
                tokio::time::timeout(timeout, receipt).await.map_err(|_| Refusal::DeadlineExceeded)?
            }
        };
        match outcome {
            Outcome::Removed | Outcome::Delivered { rejected: 0 } => Ok(PartialSuccess::default()),
            Outcome::Delivered { rejected } => {
                let message = format!("{rejected} records were rejected by a destination");
                Ok(PartialSuccess { rejected, message })
            }
            Outcome::Retry { after, overloaded: true, reason, .. } => Err(Refusal::Overloaded {
                after: after.unwrap_or(OVERLOAD_RETRY_AFTER),
                reason: reason.into(),
            }),
            Outcome::Retry { after, reason, .. } => Err(Refusal::Unavailable { after, reason }),
            Outcome::Permanent { reason, .. } => Err(Refusal::Permanent(reason)),
        }
    }

    /// `None` if there is nothing to offer: an empty request succeeds.
    fn offer(
        &self,
        port: &Port,
        arrived: &mut Arrived,
        held: &mut Held<'_>,
        counted: &mut Counted<'_>,
    ) -> Result<Option<Receipt>, Refusal> {
        let stats = self.stats.signal(port.signal);
        stats.bytes_received.fetch_add(arrived.body.len() as u64, Relaxed);
        let batch = port.check(arrived, held)?;
        stats.bytes_decompressed.fetch_add(batch.raw().len() as u64, Relaxed);
        let records = batch.len() as u64;
        if records == 0 {
            return Ok(None);
        }
        counted.offer(records);
        let received_ns = now_ns();
        let (receipt, share) = Receipt::new(records);
        let context = Context {
            source: Some(self.source.clone()),
            tenant: None,
            headers: arrived.headers.take(),
            received_ns,
            deadline_ns: arrived.timeout.map(|timeout| {
                received_ns.saturating_add(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX))
            }),
            shares: vec![share],
            maybe_delivered: false,
            charges: held.charge.take().into_iter().collect(),
        };
        port.inlet.offer(Item { batch, context }, received_ns);
        Ok(Some(receipt))
    }
}

impl Port {
    pub(super) fn signal(&self) -> Signal {
        self.signal
    }

    fn check(&self, arrived: &mut Arrived, held: &mut Held<'_>) -> Result<Batch, Refusal> {
        let headers_bytes = arrived.headers.as_deref().map_or(0, metadata_bytes);
        let received = std::mem::take(&mut arrived.body);
        let mut raw = match arrived.codec {
            None => received.clone(),
            Some(codec) => codec::decompress(codec, &received, arrived.max, &mut |bytes| held.take(bytes))
                .map_err(|error| held.refusal_of_codec(&error))?,
        };
        // Only what may be sent on as it came is kept beside what it became.
        let received = arrived.codec.filter(|_| !arrived.is_json).map(|codec| (codec, received));
        if arrived.is_json {
            held.must_take(raw.len().saturating_mul(MAX_JSON_GROWTH))?;
            let wire = json::to_wire(self.signal, &raw);
            let mut wire = wire.map_err(|error| Refusal::Malformed(error.to_string()))?;
            wire.shrink_to_fit();
            raw = wire.into();
            if raw.len() > arrived.max {
                return Err(Refusal::TooLarge { max: arrived.max });
            }
            held.settle(raw.len() + headers_bytes)?;
        }
        let malformed = |error: otlp::WireError| Refusal::Malformed(error.to_string());
        let mut checker = self.checker.lock().unwrap_or_else(PoisonError::into_inner);
        // The most that a request of this length can take is nearly never taken, so it is asked for only where it is little;
        // else the frames are counted first.
        let most = checker.most_bytes(raw.len());
        if most > held.budget.limit() / COUNTED_DIVISOR || !held.take(most) {
            held.must_take(checker.needed_bytes(&raw).map_err(malformed)?)?;
        }
        let mut batch = checker.check(raw).map_err(malformed)?;
        drop(checker);
        if let Some((codec, received)) = received {
            batch.set_compressed(codec, received);
        }
        held.settle(batch.memory_bytes() + headers_bytes)?;
        Ok(batch)
    }
}

/// Memory charged for one request, and its weight in the choice of the idlest shard.
pub(super) struct Held<'a> {
    desk: &'a Desk,
    budget: &'a Budget,
    /// One, so that nothing of it is another's in the eyes of the budget.
    charge: Option<Charge>,
    weight: usize,
    /// Whether what was refused last would be refused in an empty budget too.
    is_over: bool,
}

impl Held<'_> {
    /// Takes more, or refuses the request.
    pub(super) fn must_take(&mut self, bytes: usize) -> Result<(), Refusal> {
        if self.take(bytes) { Ok(()) } else { Err(self.refusal()) }
    }

    /// All that was estimated until now becomes one charge for these bytes.
    fn settle(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.must_take(bytes.saturating_sub(self.bytes()))?;
        self.charge.iter_mut().for_each(|charge| charge.settle(bytes));
        self.weigh(bytes);
        Ok(())
    }

    /// Takes more; `false` if the budget has no more. The first bytes may pass alone however many they are, as the listener's own
    /// limit bounds them; what a request grows to may not exceed the budget.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let after = self.bytes().saturating_add(bytes);
        self.is_over = false;
        let is_taken = match &mut self.charge {
            _ if bytes == 0 => return true,
            None => {
                self.charge = self.budget.try_charge(bytes);
                self.charge.is_some()
            }
            Some(_) if after > self.budget.limit() => {
                self.is_over = true;
                false
            }
            Some(charge) => charge.try_grow(bytes),
        };
        if is_taken {
            self.weigh(after);
        }
        is_taken
    }

    /// Why it was not taken.
    fn refusal(&self) -> Refusal {
        if self.is_over {
            return Refusal::TooMuchMemory { limit: self.budget.limit() };
        }
        let reason = Cow::Borrowed("no memory is free for this request; try again later");
        Refusal::Overloaded { after: OVERLOAD_RETRY_AFTER, reason }
    }

    pub(super) fn refusal_of_codec(&self, error: &CodecError) -> Refusal {
        match error {
            CodecError::Malformed(_) => Refusal::Undecodable(error.to_string()),
            CodecError::TooLarge { max } => Refusal::TooLarge { max: *max },
            CodecError::Refused => self.refusal(),
        }
    }

    pub(super) fn refusal_of_body(&self, error: &ReadError, max: usize) -> Refusal {
        match error {
            ReadError::TooLarge => Refusal::TooLarge { max },
            ReadError::Refused => self.refusal(),
            ReadError::CutOff => Refusal::Undecodable("the body ends before its announced length".to_owned()),
            ReadError::Surplus => Refusal::ManyMessages,
            ReadError::Broken(_) => Refusal::Cancelled,
        }
    }

    fn bytes(&self) -> usize {
        self.charge.as_ref().map_or(0, Charge::bytes)
    }

    fn weigh(&mut self, bytes: usize) {
        self.desk.shards.add_open_bytes(self.desk.shard, bytes as i64 - self.weight as i64);
        self.weight = bytes;
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.weigh(0);
    }
}

/// What keeping metadata takes up.
pub(super) fn metadata_bytes(headers: &[(String, String)]) -> usize {
    let texts: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    size_of_val(headers) + texts
}

/// Request headers as metadata, without those that belong to the transport.
pub(super) fn metadata(headers: &HeaderMap) -> Arc<[(String, String)]> {
    const TRANSPORT: [&str; 9] = [
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "te",
        "transfer-encoding",
    ];
    let mut pairs: Vec<(String, String)> = headers
        .iter()
        .filter(|(name, _)| !TRANSPORT.contains(&name.as_str()) && !name.as_str().starts_with("grpc-"))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    pairs.sort_unstable();
    pairs.into()
}

pub(super) fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

#[cfg(test)]
mod tests;
