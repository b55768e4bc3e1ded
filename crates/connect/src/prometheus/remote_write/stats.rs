//! What an exporter has done.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::prometheus::rejection::Rejection;

/// What an exporter has done. Data points are counted by the pipeline; here are the protocol's own numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteWriteStats {
    /// Requests that were answered.
    pub requests: u64,
    /// Bytes of their bodies, compressed.
    pub bytes: u64,
    /// Samples in requests that were taken: a histogram's point is several.
    pub samples: u64,
    /// Native histograms in them.
    pub histograms: u64,
    /// Exemplars in them.
    pub exemplars: u64,
    /// Times that 2.0 was given up for a while because the far side did not understand it.
    pub fallbacks: u64,
    /// Data points that were not sent, by reason.
    pub unsent: Vec<(&'static str, u64)>,
    /// Data points that the far side refused for good, be it only a part of what it was sent.
    pub refused: u64,
    /// What the far side said when it refused points for good the last time; empty if it never did.
    pub last_refusal: String,
}

/// The same while it is counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) samples: AtomicU64,
    pub(super) histograms: AtomicU64,
    pub(super) exemplars: AtomicU64,
    pub(super) fallbacks: AtomicU64,
    pub(super) unsent: [AtomicU64; Rejection::ALL.len()],
    pub(super) refused: AtomicU64,
}

impl Counters {
    pub(super) fn stats(&self) -> RemoteWriteStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let unsent = Rejection::ALL.iter().zip(&self.unsent).map(|(why, count)| (why.name(), get(count)));
        RemoteWriteStats {
            requests: get(&self.requests),
            bytes: get(&self.bytes),
            samples: get(&self.samples),
            histograms: get(&self.histograms),
            exemplars: get(&self.exemplars),
            fallbacks: get(&self.fallbacks),
            unsent: unsent.filter(|(_, count)| *count > 0).collect(),
            refused: get(&self.refused),
            last_refusal: String::new(),
        }
    }
}
