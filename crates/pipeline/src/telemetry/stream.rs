//! What was recorded, to be read by this process itself.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use futures_core::Stream;
use otlp::{
    Batch, Signal, TelemetryEvent,
    event::{LogRecord, Metric, Span},
};

use super::Core;
use crate::sync::{Mutex, MutexGuard};

/// How long the first event may take to be handed over by workers that are busy with exporters. Where this crate is
/// tested, by workers that do not get their turn, too.
const BARRIER_DEADLINE: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 1 });

/// The most recent batches, bounded in bytes, and who reads them.
#[derive(Debug)]
pub(super) struct Tap {
    max_bytes: usize,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    /// Each with the number of its first record.
    batches: VecDeque<(u64, Batch)>,
    bytes: usize,
    /// The number of the next record.
    next: u64,
    /// Where the next stream begins.
    claimed: u64,
    wakers: Vec<Waker>,
    closed: bool,
}

impl Tap {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, ring: Mutex::default() }
    }

    /// Keeps a batch for as long as there is room.
    pub(super) fn push(&self, batch: &Batch) {
        if self.max_bytes == 0 {
            return;
        }
        let mut ring = self.ring();
        let first = ring.next;
        ring.next += batch.len() as u64;
        ring.bytes += batch.memory_bytes();
        ring.batches.push_back((first, batch.clone()));
        while ring.bytes > self.max_bytes && ring.batches.len() > 1 {
            if let Some((_, oldest)) = ring.batches.pop_front() {
                ring.bytes -= oldest.memory_bytes();
            }
        }
        ring.wakers.drain(..).for_each(Waker::wake);
    }

    /// Ends all live streams once they have read what is there.
    pub(super) fn close(&self) {
        let mut ring = self.ring();
        ring.closed = true;
        ring.wakers.drain(..).for_each(Waker::wake);
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// The batch that holds record `number`, or else the oldest behind it.
    fn find(&self, number: u64) -> Option<(u64, Batch)> {
        let at = self.batches.partition_point(|(first, batch)| first + batch.len() as u64 <= number);
        self.batches.get(at).cloned()
    }
}

/// Spans, log records and data points that a pipeline has accepted, as plain values.
///
/// As an [`Iterator`] it hands out what had been accepted when it was first asked, and ends; it may block for a moment
/// then. As a [`Stream`] it goes on until the pipeline is shut down. What one stream has handed out, a later one does not.
#[derive(Debug)]
pub struct EventStream {
    core: Arc<Core>,
    /// The number of the record to be handed out next.
    cursor: u64,
    /// Where the iterator ends.
    end: Option<u64>,
    /// The batch that is being read, and the number of its first record.
    reading: Option<(u64, Batch)>,
    missed: u64,
}

impl EventStream {
    pub(super) fn new(core: Arc<Core>) -> Self {
        let cursor = core.tap.ring().claimed;
        Self { core, cursor, end: None, reading: None, missed: 0 }
    }

    /// Records it could not hand out because it lagged too far behind.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The next record that is there, if it is before `end`.
    fn read(&mut self, end: u64) -> Option<TelemetryEvent> {
        if self.cursor >= end {
            return None;
        }
        let inside =
            |(first, batch): &(u64, Batch)| (*first..first + batch.len() as u64).contains(&self.cursor);
        if !self.reading.as_ref().is_some_and(inside) {
            let (first, batch) = self.core.tap.ring().find(self.cursor)?;
            // Older batches had to go in the meantime.
            let skipped = first.saturating_sub(self.cursor);
            self.missed += skipped;
            self.cursor += skipped;
            self.reading = Some((first, batch));
            if self.cursor >= end {
                return None;
            }
        }
        let (first, batch) = self.reading.as_ref()?;
        let i = (self.cursor - first) as usize;
        self.cursor += 1;
        // Batches here were just built: nothing has been filtered out of them.
        let resource = batch.resource_of(i);
        Some(match batch.signal() {
            Signal::Logs => LogRecord::from_view(batch.log(i), resource).into(),
            Signal::Metrics => Metric::from_view(batch.point(i), batch.metric_of(i), resource).into(),
            _ => Span::from_view(batch.span(i), resource).into(),
        })
    }

    fn claim(&self) {
        let mut ring = self.core.tap.ring();
        ring.claimed = ring.claimed.max(self.cursor);
    }
}

impl Iterator for EventStream {
    type Item = TelemetryEvent;

    fn next(&mut self) -> Option<TelemetryEvent> {
        let end = match self.end {
            Some(end) => end,
            None => {
                let core = &self.core;
                core.barrier.pass(|| core.intake.wake(), Instant::now() + BARRIER_DEADLINE);
                let end = core.tap.ring().next;
                self.end = Some(end);
                end
            }
        };
        let event = self.read(end);
        if event.is_none() {
            self.claim();
        }
        event
    }
}

impl Stream for EventStream {
    type Item = TelemetryEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TelemetryEvent>> {
        if let Some(event) = self.read(u64::MAX) {
            return Poll::Ready(Some(event));
        }
        let core = self.core.clone();
        let mut ring = core.tap.ring();
        if ring.next > self.cursor {
            // Something came in between.
            drop(ring);
            return Poll::Ready(self.read(u64::MAX));
        }
        if ring.closed {
            return Poll::Ready(None);
        }
        ring.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.claim();
    }
}

#[cfg(test)]
mod tests;
