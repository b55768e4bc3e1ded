//! Records in memory.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    OTHERS_STORED, Refused, StorageError, TelemetryStorage, line,
    oldest::{Oldest, Record, Span},
};
use crate::{
    TelemetryData,
    limits::{MEMORY_BYTES, MEMORY_ITEMS},
    process::PerProcess,
};

/// Keeps the records stored last, bounded in records and bytes. A forked child's is empty. It refuses what files do: a value of more than
/// [`MAX_LINE_DEPTH`](crate::limits::MAX_LINE_DEPTH) levels.
///
/// ```
/// use aldis_collect::{MemoryStorage, TelemetryData, TelemetryEvent, TelemetryStorage};
///
/// let storage = MemoryStorage::with_bounds(2, 1 << 20);
/// let event = |time_ns| TelemetryEvent { time_ns, ..TelemetryEvent::default() };
/// storage.store(&TelemetryData { events: vec![event(5), event(9), event(7)], metrics: vec![] })?;
/// assert_eq!(storage.retrieve(None, None, None)?.events, [event(7), event(9)]);
/// assert_eq!(storage.stats().evicted, 1);
/// # Ok::<(), aldis_collect::StorageError>(())
/// ```
pub struct MemoryStorage {
    kept: PerProcess<Mutex<Kept>>,
    max_items: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Kept {
    records: VecDeque<Record>,
    bytes: usize,
    evicted: u64,
}

/// What a [`MemoryStorage`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// Records kept.
    pub items: usize,
    /// Bytes that they take, about.
    pub bytes: usize,
    /// Records that made room for newer ones.
    pub evicted: u64,
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::with_bounds(MEMORY_ITEMS, MEMORY_BYTES)
    }
}

impl MemoryStorage {
    /// One that keeps a million records, or 256 MiB of them.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that keeps so many records, and bytes, at most.
    pub fn with_bounds(max_items: usize, max_bytes: usize) -> Self {
        Self { kept: PerProcess::new(Mutex::default()), max_items, max_bytes }
    }

    /// What it holds.
    pub fn stats(&self) -> MemoryStats {
        let kept = self.lock();
        MemoryStats { items: kept.records.len(), bytes: kept.bytes, evicted: kept.evicted }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.get(|_| Mutex::default()).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn push(&mut self, record: Record, max_items: usize, max_bytes: usize) {
        self.bytes += record.bytes();
        self.records.push_back(record);
        while self.records.len() > max_items || self.bytes > max_bytes {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= oldest.bytes();
            self.evicted += 1;
        }
    }
}

impl TelemetryStorage for MemoryStorage {
    fn store(&self, data: &TelemetryData) -> Result<(), StorageError> {
        let mut kept = self.lock();
        let mut refused = Refused::default();
        for (number, event) in data.events.iter().enumerate() {
            if line::is_shallow(&event.metadata) {
                kept.push(Record::Event(event.clone()), self.max_items, self.max_bytes);
            } else {
                refused.add(number, &line::too_deep());
            }
        }
        for metric in &data.metrics {
            kept.push(Record::Metric(metric.clone()), self.max_items, self.max_bytes);
        }
        let stored = data.len() - refused.records;
        let error = refused.error(data.len(), "memory", OTHERS_STORED);
        error.map_or(Ok(()), |error| Err(error.after(stored)))
    }

    fn retrieve(
        &self,
        start_ns: Option<u64>,
        end_ns: Option<u64>,
        limit: Option<usize>,
    ) -> Result<TelemetryData, StorageError> {
        let (span, mut oldest) = (Span::of(start_ns, end_ns), Oldest::new(limit));
        for record in &self.lock().records {
            if span.contains(record.time_ns()) && oldest.wants(record.time_ns()) {
                oldest.offer(record.clone());
            }
        }
        Ok(oldest.finish())
    }
}
