//! From a body to an answer: what gRPC and HTTP share.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use otlp::{Batch, Check, Checker, Codec, Depth, Signal, json};
use pipeline::{Budget, Charge, Context, Inlet, Inlets, Item, Outcome, Receipt, Shards, Tracer};

use super::{
    Refusal,
    message::PartialSuccess,
    stats::{Counted, ReceiverStats, Transport},
    tracing::RequestSpan,
};
use crate::{
    auth::{Guard, Identity},
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
    tracer: Option<Tracer>,
    check: Check,
    inlets: Inlets,
    /// By signal, with the depth each is for. Used by one thread only, so never contended.
    checkers: [Mutex<Option<(Depth, Checker)>>; Signal::ALL.len()],
}

/// One signal's way into the pipeline, as it led when a request began: it is charged to the budget there. Its batch goes where
/// the way leads when it is whole.
pub(super) struct Port {
    signal: Signal,
    inlet: Arc<dyn Inlet>,
}

/// A request whose body is whole, and what is known about it.
pub(super) struct Arrived {
    pub(super) body: Bytes,
    pub(super) codec: Option<Codec>,
    /// Whether the body is OTLP/JSON.
    pub(super) is_json: bool,
    pub(super) max: usize,
    pub(super) headers: Option<Arc<[(String, String)]>>,
    /// Who sent it, where the listener asks.
    pub(super) tenant: Option<Identity>,
    pub(super) timeout: Option<Duration>,
}

impl Desk {
    pub(super) fn new(
        (source, check, body_timeout): (Arc<str>, Check, Duration),
        (shards, shard): (&Shards, usize),
        inlets: Inlets,
        stats: Arc<ReceiverStats>,
    ) -> Self {
        let checkers = Default::default();
        let shards = shards.clone();
        Self { source, shard, shards, stats, body_timeout, tracer: None, check, inlets, checkers }
    }

    /// The same, with spans of the requests that this tracer chooses.
    pub(super) fn traced_by(self, tracer: Option<Tracer>) -> Self {
        Self { tracer, ..self }
    }

    /// Counts a request that begins, and traces it where it is chosen.
    pub(super) fn count(&self, transport: Transport, signal: Signal, headers: &HeaderMap) -> Counted<'_> {
        let counted = Counted::new(self.stats.of(transport, signal));
        match &self.tracer {
            None => counted,
            Some(tracer) => {
                let span = RequestSpan::begin(tracer, &self.source, (transport, signal), headers);
                counted.traced_as(span)
            }
        }
    }

    pub(super) fn port(&self, signal: Signal) -> Option<Port> {
        Some(Port { signal, inlet: self.inlets.get(signal)? })
    }

    /// What belongs to no signal alone is charged to the budgets of all.
    pub(super) fn budget(&self) -> Budget {
        let inlets = Signal::ALL.into_iter().filter_map(|signal| self.inlets.get(signal));
        // Without a way in nothing is ever held.
        Budget::of_all(inlets.map(|inlet| inlet.budget().clone())).unwrap_or_else(|| Budget::new(usize::MAX))
    }

    /// Who sent a request with these headers; `None` where nobody asks. What is refused is counted.
    pub(super) async fn identify(
        &self,
        guard: Option<&Guard>,
        headers: &HeaderMap,
    ) -> Result<Option<Identity>, Refusal> {
        match guard {
            None => Ok(None),
            Some(guard) => guard.admit(headers).await.map(Some).map_err(|denied| self.stats.deny(denied)),
        }
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
        // From here on it is the way in that decides how deep the batch is indexed, and it stays the same one.
        self.inlets.through(port.signal, |inlet| match inlet {
            Some(inlet) => self.offer_to(inlet, port.signal, arrived, held, counted),
            None => Err(Refusal::Unavailable {
                after: None,
                reason: format!("no pipeline takes {} any more", port.signal),
            }),
        })
    }

    fn offer_to(
        &self,
        inlet: &dyn Inlet,
        signal: Signal,
        arrived: &mut Arrived,
        held: &mut Held<'_>,
        counted: &mut Counted<'_>,
    ) -> Result<Option<Receipt>, Refusal> {
        counted.receive(arrived.body.len());
        let batch = self.check(signal, inlet.depth(), arrived, held)?;
        counted.decompress(batch.raw().len());
        let records = batch.len() as u64;
        if records == 0 {
            return Ok(None);
        }
        counted.offer(records);
        let received_ns = now_ns();
        let (receipt, share) = Receipt::new(records);
        let context = Context {
            source: Some(self.source.clone()),
            tenant: arrived.tenant.take(),
            headers: arrived.headers.take(),
            received_ns,
            deadline_ns: arrived.timeout.map(|timeout| {
                received_ns.saturating_add(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX))
            }),
            shares: vec![share],
            charges: held.charge.take().into_iter().collect(),
            traced: counted.traced(&batch),
            ..Context::default()
        };
        inlet.offer(Item { batch, context }, received_ns);
        Ok(Some(receipt))
    }

    fn check(
        &self,
        signal: Signal,
        depth: Depth,
        arrived: &mut Arrived,
        held: &mut Held<'_>,
    ) -> Result<Batch, Refusal> {
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
            held.must_take(json::most_wire_bytes(&raw).min(raw.len().saturating_mul(MAX_JSON_GROWTH)))?;
            let wire = json::to_wire(signal, &raw);
            let mut wire = wire.map_err(|error| Refusal::Malformed(error.to_string()))?;
            wire.shrink_to_fit();
            raw = wire.into();
            if raw.len() > arrived.max {
                return Err(Refusal::TooLarge { max: arrived.max });
            }
            held.settle(raw.len() + headers_bytes)?;
        }
        let malformed = |error: otlp::WireError| Refusal::Malformed(error.to_string());
        let mut slot = self.checkers[signal as usize].lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_none_or(|(of, _)| *of != depth) {
            *slot = None;
        }
        let (_, checker) = slot.get_or_insert_with(|| (depth, Checker::new(signal, self.check, depth)));
        // The most that a request of this length can take is nearly never taken, so it is asked for only where it is little;
        // else the frames are counted first.
        let most = checker.most_bytes(raw.len());
        if most > held.budget.limit() / COUNTED_DIVISOR || !held.take(most) {
            held.must_take(checker.needed_bytes(&raw).map_err(malformed)?)?;
        }
        let mut batch = checker.check(raw).map_err(malformed)?;
        drop(slot);
        if let Some((codec, received)) = received {
            batch.set_compressed(codec, received);
        }
        held.settle(batch.memory_bytes() + headers_bytes)?;
        Ok(batch)
    }
}

impl Port {
    pub(super) fn signal(&self) -> Signal {
        self.signal
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

/// Request headers as metadata, without those that belong to the transport, and without the credential.
pub(super) fn metadata(headers: &HeaderMap, credential: Option<&HeaderName>) -> Arc<[(String, String)]> {
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
        .filter(|(name, _)| Some(*name) != credential)
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
