//! What a receiver counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use otlp::Signal;

use super::{Code, Refusal};

const CODES: usize = Code::ALL.len();

/// A receiver's counters at one moment. For every signal, once nothing is in flight,
/// `offered = admitted + Σ refused`, in requests and in records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverCounts {
    /// By signal, in the order of [`Signal::ALL`].
    pub signals: [SignalCounts; 4],
    /// Requests to no signal: unknown paths, methods, content types.
    pub unrouted: u64,
    /// Connections taken since the start.
    pub connections_accepted: u64,
    /// Connections closed at once because too many were open, or because no memory was free for an HTTP/2 window.
    pub connections_refused: u64,
    /// Connections open now.
    pub connections_open: u64,
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
}

impl SignalCounts {
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
pub(super) struct ReceiverStats {
    signals: [SignalStats; 4],
    pub(super) unrouted: AtomicU64,
    pub(super) connections_accepted: AtomicU64,
    pub(super) connections_refused: AtomicU64,
    pub(super) connections_open: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct SignalStats {
    requests_offered: AtomicU64,
    requests_admitted: AtomicU64,
    requests_refused: [AtomicU64; CODES],
    records_offered: AtomicU64,
    records_admitted: AtomicU64,
    records_refused: [AtomicU64; CODES],
    pub(super) bytes_received: AtomicU64,
    pub(super) bytes_decompressed: AtomicU64,
}

impl ReceiverStats {
    pub(super) fn signal(&self, signal: Signal) -> &SignalStats {
        &self.signals[signal as usize]
    }

    pub(super) fn counts(&self) -> ReceiverCounts {
        ReceiverCounts {
            signals: Signal::ALL.map(|signal| self.signal(signal).counts()),
            unrouted: self.unrouted.load(Relaxed),
            connections_accepted: self.connections_accepted.load(Relaxed),
            connections_refused: self.connections_refused.load(Relaxed),
            connections_open: self.connections_open.load(Relaxed),
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
pub(super) struct Counted<'a> {
    stats: &'a SignalStats,
    records: u64,
    settled: bool,
}

impl<'a> Counted<'a> {
    pub(super) fn new(stats: &'a SignalStats) -> Self {
        stats.requests_offered.fetch_add(1, Relaxed);
        Self { stats, records: 0, settled: false }
    }

    /// Notes how many records it has.
    pub(super) fn offer(&mut self, records: u64) {
        self.records = records;
        self.stats.records_offered.fetch_add(records, Relaxed);
    }

    /// Notes how it ended.
    pub(super) fn settle<T>(mut self, end: &Result<T, Refusal>) {
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
        if !self.settled {
            self.refuse(Code::Cancelled);
        }
    }
}

fn slot(code: Code) -> usize {
    Code::ALL.iter().position(|c| *c == code).unwrap_or(CODES - 1)
}
