//! The tasks that take requests from the intake to the exporters' queues, one on each shard.

use std::{
    future::poll_fn,
    sync::{Arc, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};

use super::{Core, intake::Request};
use crate::{
    ExporterQueue, Inlet, Item, Share, clock,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
        time::timeout,
    },
};

/// How long a worker that had something to do waits for more before it looks again. Records that come meanwhile wake
/// nobody.
const NAP: Duration = Duration::from_millis(1);

/// Takes requests out of the intake, full ones and those being filled, until it is closed and empty.
pub(super) async fn run(core: Arc<Core>, worker: usize) {
    let _ended = Ended(core.clone(), worker);
    let mut taken = Vec::new();
    let mut falling_asleep = false;
    loop {
        let asked = core.barrier.asked();
        let closed = core.intake.is_closed();
        let mut worked = false;
        core.room().await;
        while let Some(request) = core.intake.pop() {
            core.fates.begin(request.builder.len() as u64);
            core.pass_on(worker, request);
            worked = true;
            core.room().await;
        }
        core.intake.sweep(worker, &mut taken);
        // All of them before the first wait for room: what is in hand is pending, too.
        taken.iter().for_each(|request| core.fates.begin(request.builder.len() as u64));
        for request in taken.drain(..) {
            core.pass_on(worker, request);
            worked = true;
            core.room().await;
        }
        core.barrier.reached(worker, asked);
        if worked {
            falling_asleep = false;
            let nap = NAP.min(core.flush_interval);
            // Woken early or not: there is something to look for.
            let _ = timeout(nap, core.intake.woken(worker)).await;
        } else if closed {
            return;
        } else if falling_asleep {
            core.intake.woken(worker).await;
            falling_asleep = false;
        } else {
            // One more look after saying so, lest a record in between goes unseen.
            core.intake.fall_asleep(worker);
            falling_asleep = true;
        }
    }
}

impl Core {
    /// Hands a request, counted as begun, to this shard's chain.
    fn pass_on(&self, worker: usize, request: Request) {
        let Request { number, mut builder, first_ns, .. } = request;
        let batch = builder.finish();
        let records = batch.len() as u64;
        self.tap.push(&batch);
        let fates = self.fates.clone();
        let share = Share::listened(
            records,
            Arc::new(move |outcome| {
                let took_ns = clock::now_ns().saturating_sub(first_ns);
                fates.end(records, &outcome, took_ns);
            }),
        );
        let mut item = Item::new(batch);
        item.context.received_ns = first_ns;
        item.context.shares.push(share);
        self.chains[worker][number].offer(item, clock::now_ns());
    }

    /// Waits until an exporter's queue has room: one of them, or all where records must not be lost. (A queue without
    /// room loses what the strategy says.)
    async fn room(&self) {
        let size = self.ask;
        let free = |queue: &ExporterQueue| queue.has_room(size);
        let enough = if self.blocks { self.queues.iter().all(free) } else { self.queues.iter().any(free) };
        if enough {
            return;
        }
        let mut waits: Vec<_> = self.queues.iter().map(|queue| Box::pin(queue.room(size))).collect();
        poll_fn(|cx| {
            let before = waits.len();
            waits.retain_mut(|wait| wait.as_mut().poll(cx).is_pending());
            let some = waits.len() < before;
            if waits.is_empty() || (some && !self.blocks) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Tells that a worker is gone, however it ended.
struct Ended(Arc<Core>, usize);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.working.send_modify(|left| *left -= 1);
        // A worker that is gone holds nobody up.
        self.0.barrier.reached(self.1, u64::MAX);
    }
}

/// Waits until all workers have been once through everything that was there when it was asked.
#[derive(Debug)]
pub(super) struct Barrier {
    asked: AtomicU64,
    /// For each worker the last question it has answered.
    reached: Mutex<Vec<u64>>,
    changed: Condvar,
}

impl Barrier {
    pub(super) fn new(workers: usize) -> Self {
        Self { asked: AtomicU64::new(0), reached: Mutex::new(vec![0; workers]), changed: Condvar::new() }
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    fn reached(&self, worker: usize, asked: u64) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if reached[worker] < asked {
            reached[worker] = asked;
            self.changed.notify_all();
        }
    }

    /// Blocks until all have, or `end`.
    pub(super) fn pass(&self, wake: impl Fn(), end: Instant) {
        let question = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        wake();
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        while reached.iter().any(|answered| *answered < question) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            reached = self.changed.wait_timeout(reached, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
