//! What a receiver counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use otlp::{Batch, Signal};
use pipeline::Traced;

use super::{
    Code, Refusal,
    tracing::{RequestSpan, has_own_spans},
};
use crate::{
    auth::Denied,
    limits::OVERLOAD_RETRY_AFTER,
    tls::{HandshakeFailure, ReloadCounts},
};

const CODES: usize = Code::ALL.len();
const FAILURES: usize = HandshakeFailure::ALL.len();

/// A receiver's counters at one moment. For every signal, once nothing is in flight,
/// `offered = admitted + Σ refused`, in requests and in records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverCounts {
    /// By signal, in the order of [`Signal::ALL`].
    pub signals: [SignalCounts; 4],
    /// The same by protocol, in the order of [`Transport::ALL`]; `signals` is their sum.
    pub transports: [[SignalCounts; 4]; 3],
    /// Requests to no signal: unknown paths, methods, content types.
    pub unrouted: u64,
    /// Requests without the credentials that the listener wants; refused with `UNAUTHENTICATED`.
    pub auth_missing: u64,
    /// Requests with wrong ones; refused with `UNAUTHENTICATED` too.
    pub auth_wrong: u64,
    /// Requests whose password was not checked, for want of time; refused with `RESOURCE_EXHAUSTED`.
    pub auth_busy: u64,
    /// Connections taken since the start.
    pub connections_accepted: u64,
    /// Connections closed at once because too many were open, or because no memory was free for an HTTP/2 window.
    pub connections_refused: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// Connections that ended in the handshake of TLS, by reason, in the order of [`HandshakeFailure::ALL`].
    pub handshakes_failed: [u64; FAILURES],
    /// Connections of clients that began with TLS where there is none.
    pub tls_to_plain: u64,
    /// What came of reading certificates again, over all listeners.
    pub certificates: ReloadCounts,
}

/// The protocol of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP.
    Http,
    /// Files.
    File,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 3] = [Self::Grpc, Self::Http, Self::File];

    /// `grpc`, `http` or `file`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
            Self::File => "file",
        }
    }
}

/// Reads a receiver's counters, also when the receiver is elsewhere. Clones read the same, so that a receiver that takes the place
/// of another can count on.
#[derive(Clone, Debug, Default)]
pub struct ReceiverMeter(pub(crate) Arc<ReceiverStats>);

impl ReceiverMeter {
    /// What they say now.
    pub fn counts(&self) -> ReceiverCounts {
        self.0.counts()
    }
}

/// One signal's counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignalCounts {
    /// Requests whose headers arrived.
    pub requests_offered: u64,
    /// Requests answered with success; partial success and empty requests are among them.
    pub requests_admitted: u64,
    /// Requests refused, by code.
    pub requests_refused: [u64; CODES],
    /// Records of requests that passed the check.
    pub records_offered: u64,
    /// Records of requests answered with success.
    pub records_admitted: u64,
    /// Records of requests refused after they passed the check, by code. `CANCELLED` are those whose sender left before
    /// the answer: the pipeline has them all the same.
    pub records_refused: [u64; CODES],
    /// Bytes of bodies as they came over the wire.
    pub bytes_received: u64,
    /// Bytes of bodies after decompression.
    pub bytes_decompressed: u64,
}

impl ReceiverCounts {
    /// The counters of one signal.
    pub fn signal(&self, signal: Signal) -> &SignalCounts {
        &self.signals[signal as usize]
    }

    /// Connections that ended in the handshake for this reason.
    pub fn handshakes_failed(&self, failure: HandshakeFailure) -> u64 {
        self.handshakes_failed[failure as usize]
    }
}

impl SignalCounts {
    fn plus(&self, other: &Self) -> Self {
        let sum = |a: &[u64; CODES], b: &[u64; CODES]| std::array::from_fn(|i| a[i] + b[i]);
        Self {
            requests_offered: self.requests_offered + other.requests_offered,
            requests_admitted: self.requests_admitted + other.requests_admitted,
            requests_refused: sum(&self.requests_refused, &other.requests_refused),
            records_offered: self.records_offered + other.records_offered,
            records_admitted: self.records_admitted + other.records_admitted,
            records_refused: sum(&self.records_refused, &other.records_refused),
            bytes_received: self.bytes_received + other.bytes_received,
            bytes_decompressed: self.bytes_decompressed + other.bytes_decompressed,
        }
    }

    /// Requests refused with this code.
    pub fn requests_refused(&self, code: Code) -> u64 {
        self.requests_refused[slot(code)]
    }

    /// Records refused with this code.
    pub fn records_refused(&self, code: Code) -> u64 {
        self.records_refused[slot(code)]
    }
}

/// The counters while they move.
#[derive(Debug, Default)]
pub(crate) struct ReceiverStats {
    transports: [[SignalStats; 4]; 3],
    pub(super) unrouted: AtomicU64,
    auth_missing: AtomicU64,
    auth_wrong: AtomicU64,
    auth_busy: AtomicU64,
    pub(super) connections_accepted: AtomicU64,
    pub(super) connections_refused: AtomicU64,
    pub(super) connections_open: AtomicU64,
    handshakes_failed: [AtomicU64; FAILURES],
    pub(super) tls_to_plain: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct SignalStats {
    requests_offered: AtomicU64,
    requests_admitted: AtomicU64,
    requests_refused: [AtomicU64; CODES],
    records_offered: AtomicU64,
    records_admitted: AtomicU64,
    records_refused: [AtomicU64; CODES],
    pub(crate) bytes_received: AtomicU64,
    pub(crate) bytes_decompressed: AtomicU64,
}

impl ReceiverStats {
    pub(crate) fn of(&self, transport: Transport, signal: Signal) -> &SignalStats {
        &self.transports[transport as usize][signal as usize]
    }

    /// Counts somebody who was not let in, and says how that is answered.
    pub(crate) fn deny(&self, denied: Denied) -> Refusal {
        let counter = match denied {
            Denied::Missing => &self.auth_missing,
            Denied::Wrong => &self.auth_wrong,
            Denied::Busy => &self.auth_busy,
        };
        counter.fetch_add(1, Relaxed);
        match denied {
            Denied::Missing | Denied::Wrong => Refusal::Unauthenticated,
            Denied::Busy => Refusal::Overloaded {
                after: OVERLOAD_RETRY_AFTER,
                reason: "too many passwords are being checked; try again later".into(),
            },
        }
    }

    pub(crate) fn handshake_failed(&self, failure: HandshakeFailure) {
        self.handshakes_failed[failure as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn counts(&self) -> ReceiverCounts {
        let transports =
            Transport::ALL.map(|transport| Signal::ALL.map(|signal| self.of(transport, signal).counts()));
        let [grpc, http, file] = &transports;
        ReceiverCounts {
            signals: std::array::from_fn(|i| grpc[i].plus(&http[i]).plus(&file[i])),
            transports,
            unrouted: self.unrouted.load(Relaxed),
            auth_missing: self.auth_missing.load(Relaxed),
            auth_wrong: self.auth_wrong.load(Relaxed),
            auth_busy: self.auth_busy.load(Relaxed),
            connections_accepted: self.connections_accepted.load(Relaxed),
            connections_refused: self.connections_refused.load(Relaxed),
            connections_open: self.connections_open.load(Relaxed),
            handshakes_failed: std::array::from_fn(|i| self.handshakes_failed[i].load(Relaxed)),
            tls_to_plain: self.tls_to_plain.load(Relaxed),
            certificates: ReloadCounts::default(),
        }
    }
}

impl SignalStats {
    fn counts(&self) -> SignalCounts {
        let load = |codes: &[AtomicU64; CODES]| std::array::from_fn(|i| codes[i].load(Relaxed));
        SignalCounts {
            requests_offered: self.requests_offered.load(Relaxed),
            requests_admitted: self.requests_admitted.load(Relaxed),
            requests_refused: load(&self.requests_refused),
            records_offered: self.records_offered.load(Relaxed),
            records_admitted: self.records_admitted.load(Relaxed),
            records_refused: load(&self.records_refused),
            bytes_received: self.bytes_received.load(Relaxed),
            bytes_decompressed: self.bytes_decompressed.load(Relaxed),
        }
    }
}

/// Counts one request: exactly once in, and, whatever happens to the future that handles it, exactly once out.
pub(crate) struct Counted<'a> {
    stats: &'a SignalStats,
    records: u64,
    settled: bool,
    span: Option<Box<RequestSpan>>,
}

impl<'a> Counted<'a> {
    pub(crate) fn new(stats: &'a SignalStats) -> Self {
        stats.requests_offered.fetch_add(1, Relaxed);
        Self { stats, records: 0, settled: false, span: None }
    }

    /// The same with a span, which ends as the request does.
    pub(super) fn traced_as(mut self, span: Option<RequestSpan>) -> Self {
        self.span = span.map(Box::new);
        self
    }

    /// What is told of its span to whoever delivers its batch. A request that carries an engine's own spans has none.
    pub(super) fn traced(&mut self, batch: &Batch) -> Option<Box<Traced>> {
        self.span.take_if(|_| has_own_spans(batch));
        self.span.as_deref().map(|span| Box::new(span.traced()))
    }

    /// Notes the bytes of its body, as it came over the wire.
    pub(crate) fn receive(&self, bytes: usize) {
        self.stats.bytes_received.fetch_add(bytes as u64, Relaxed);
    }

    /// Notes the bytes of its body once it is decompressed.
    pub(crate) fn decompress(&self, bytes: usize) {
        self.stats.bytes_decompressed.fetch_add(bytes as u64, Relaxed);
    }

    /// Notes how many records it has.
    pub(crate) fn offer(&mut self, records: u64) {
        self.records = records;
        self.stats.records_offered.fetch_add(records, Relaxed);
    }

    /// Notes how it ended.
    pub(crate) fn settle<T>(mut self, end: &Result<T, Refusal>) {
        if let Some(span) = self.span.take() {
            span.end(self.records, end.as_ref().err());
        }
        match end {
            Ok(_) => {
                self.stats.requests_admitted.fetch_add(1, Relaxed);
                self.stats.records_admitted.fetch_add(self.records, Relaxed);
                self.settled = true;
            }
            Err(refusal) => self.refuse(refusal.code()),
        }
    }

    fn refuse(&mut self, code: Code) {
        self.stats.requests_refused[slot(code)].fetch_add(1, Relaxed);
        self.stats.records_refused[slot(code)].fetch_add(self.records, Relaxed);
        self.settled = true;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            span.cancel(self.records);
        }
        if !self.settled {
            self.refuse(Code::Cancelled);
        }
    }
}

fn slot(code: Code) -> usize {
    Code::ALL.iter().position(|c| *c == code).unwrap_or(CODES - 1)
}
