//! Metrics that are recorded through a handle: name, unit and tags are said once.

use std::sync::Arc;

use crate::{
    MetricKind, Name,
    process::PerProcess,
    record::MetricBody,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

/// One series that adds up, or remembers the last value, until the next flush records it.
pub(crate) struct Cell {
    name: Name,
    unit: Name,
    tags: Vec<(Name, Name)>,
    kind: MetricKind,
    /// What a parent added is the parent's to record.
    held: PerProcess<Held>,
}

#[derive(Default)]
struct Held {
    /// A sum, or the bits of a value.
    bits: AtomicU64,
    is_set: AtomicBool,
}

impl Cell {
    pub(crate) fn new(name: &str, unit: &str, tags: &[(&str, &str)], kind: MetricKind) -> Arc<Self> {
        let tags = tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Arc::new(Self {
            name: name.into(),
            unit: unit.into(),
            tags,
            kind,
            held: PerProcess::new(Held::default()),
        })
    }

    #[inline]
    fn held(&self) -> &Held {
        self.held.get(|_| Held::default())
    }

    pub(crate) fn is_pending(&self) -> bool {
        match self.kind {
            MetricKind::Delta => self.held().bits.load(Ordering::Relaxed) != 0,
            MetricKind::Gauge => self.held().is_set.load(Ordering::Relaxed),
        }
    }

    /// The same, once nobody has a handle any more: what the last one added is seen, which the count of handles alone does not order.
    pub(crate) fn is_left_pending(&self) -> bool {
        std::sync::atomic::fence(Ordering::Acquire);
        match self.kind {
            MetricKind::Delta => self.held().bits.fetch_add(0, Ordering::Acquire) != 0,
            MetricKind::Gauge => self.held().is_set.fetch_or(false, Ordering::Acquire),
        }
    }

    /// Offers what it holds, if anything, and lets go of it if it was taken.
    pub(crate) fn read(&self, take: impl FnOnce(&MetricBody<'_>) -> bool) {
        if !self.is_pending() {
            return;
        }
        // Acquire: the bits are at least as new as the flag.
        self.held().is_set.swap(false, Ordering::Acquire);
        let bits = self.held().bits.load(Ordering::Relaxed);
        let value = match self.kind {
            MetricKind::Delta => bits as f64,
            MetricKind::Gauge => f64::from_bits(bits),
        };
        let tags: Vec<(&str, &str)> = self.tags.iter().map(|(key, value)| (&**key, &**value)).collect();
        let body = MetricBody { name: &self.name, value, unit: &self.unit, tags: &tags, kind: self.kind };
        match (take(&body), self.kind) {
            // Only this thread, under the hub's lock, takes anything away.
            (true, MetricKind::Delta) => drop(self.held().bits.fetch_sub(bits, Ordering::Relaxed)),
            (false, MetricKind::Gauge) => self.held().is_set.store(true, Ordering::Relaxed),
            _ => {}
        }
    }

    #[inline]
    pub(crate) fn add(&self, count: u64) {
        self.held().bits.fetch_add(count, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn set(&self, value: f64) {
        self.held().bits.store(value.to_bits(), Ordering::Relaxed);
        self.held().is_set.store(true, Ordering::Release);
    }
}

/// A metric that counts. What was added since the last flush becomes one metric of kind [`MetricKind::Delta`] at the next, which is
/// a record as any other: one that the buffer drops is counted, and what was added to it is gone. Adding takes one atomic addition. Clones count together.
#[derive(Clone)]
pub struct Counter(pub(crate) Arc<Cell>);

impl Counter {
    /// Adds.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.add(count);
    }

    /// What was added and not recorded yet.
    pub fn pending(&self) -> u64 {
        self.0.held().bits.load(Ordering::Relaxed)
    }
}

/// A metric that has a value: the last one set before a flush is recorded by it, none if nothing was set. Clones are the same gauge.
#[derive(Clone)]
pub struct Gauge(pub(crate) Arc<Cell>);

impl Gauge {
    /// Sets the value.
    #[inline]
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }
}
