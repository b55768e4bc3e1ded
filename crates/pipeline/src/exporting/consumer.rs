//! One of the tasks that send an exporter's items.

use std::{
    hash::{BuildHasher, Hasher},
    sync::Arc,
};

use super::state::Shared;
use crate::{
    Item, Outcome, Sender, clock,
    contain::{Contained, contain},
    health::Severity,
    ledger::{DropCause, signal_number},
    queue::{Lease, LeaseQueue},
    retry::{Attempt, GaveUp, Verdict},
    sync::{
        atomic::Ordering,
        time::{sleep_until, timeout},
    },
};

/// Leases, sends and settles until the exporter is drained.
pub(super) async fn run(shared: Arc<Shared>, number: usize) {
    let mut abort = shared.abort.subscribe();
    while let Some((lease, item)) = next(&shared, number).await {
        let maybe_duplicate = lease.attempt > 1 && item.context.maybe_delivered;
        if maybe_duplicate {
            shared.counters.row(item.batch.signal()).maybe_duplicate.add(lease.size.records);
        }
        let outcome = tokio::select! {
            biased;
            outcome = attempt(&shared, number, &item) => outcome,
            _ = abort.wait_for(|abort| *abort) => failed("the exporter was shut down while this was sent", true),
        };
        settle(&shared, number, lease, item, outcome);
    }
}

/// The next item to send; `None` once drained or told to stop.
async fn next(shared: &Shared, number: usize) -> Option<(Lease, Item)> {
    loop {
        let due_ns;
        let tell;
        {
            let mut state = shared.state();
            let now_ns = clock::now_ns();
            if let Some((lease, item)) = state.queue.lease(now_ns) {
                shared.set_idle(&mut state, number, false);
                let row = shared.counters.row(item.batch.signal());
                row.queued.sub(lease.size.records);
                row.in_flight.add(lease.size.records);
                return Some((lease, item));
            }
            let empty = state.queue.waiting().is_zero() && state.blocked.is_empty();
            // Somebody else's lease may still come back, so one consumer of many stays until all are settled.
            if !state.open && empty && (state.queue.leased().is_zero() || *shared.abort.borrow()) {
                drop(state);
                shared.wake_all();
                return None;
            }
            due_ns = state.queue.next_due_ns();
            tell = shared.set_idle(&mut state, number, true);
        }
        for lingering in tell {
            lingering.notify_one();
        }
        let woken = shared.wake[number].notified();
        match due_ns {
            None => woken.await,
            Some(due_ns) => tokio::select! {
                biased;
                () = woken => {}
                () = sleep_until(clock::instant(due_ns)) => {}
            },
        }
    }
}

/// One send, with everything that can go wrong turned into an outcome.
async fn attempt(shared: &Shared, number: usize, item: &Item) -> Outcome {
    shared.counters.sends.add(1);
    let opened = open(shared, number);
    let sent = match &opened {
        Ok(sender) => match contain(|| sender.send(item)) {
            Ok(future) => timeout(shared.settings.timeout, Contained(future)).await,
            Err(message) => Ok(Err(message)),
        },
        Err(message) => Ok(Err(message.clone())),
    };
    match sent {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(message)) => {
            shared.counters.panics.add(1);
            if let Ok(sender) = &opened {
                shared.close(number, sender);
            }
            failed(&format!("the sender panicked: {message}"), true)
        }
        Err(_) => {
            shared.counters.timeouts.add(1);
            failed(&format!("no answer within {:?}", shared.settings.timeout), true)
        }
    }
}

/// The sender of this consumer's shard, opened here if there is none.
fn open(shared: &Shared, number: usize) -> Result<Arc<dyn Sender>, String> {
    let mut slot = shared.sender(number);
    if let Some(sender) = &*slot {
        return Ok(sender.clone());
    }
    let sender: Arc<dyn Sender> = Arc::from(contain(|| shared.exporter.open())?);
    *slot = Some(sender.clone());
    Ok(sender)
}

fn failed(reason: &str, maybe_delivered: bool) -> Outcome {
    Outcome::Retry { after: None, maybe_delivered, overloaded: false, reason: reason.to_owned() }
}

/// Counts the answer that consumer `number` got and does what follows from it.
fn settle(shared: &Shared, number: usize, lease: Lease, mut item: Item, outcome: Outcome) {
    let now_ns = clock::now_ns();
    tell_health(shared, &outcome, now_ns);
    let aborted = *shared.abort.borrow();
    let about = Attempt {
        number: lease.attempt,
        first_ns: lease.first_leased_ns,
        deadline_ns: item.context.deadline_ns,
    };
    let verdict = shared.settings.retry.decide(&outcome, about, now_ns, random());
    let (signal, records) = (item.batch.signal(), lease.size.records);
    let row = shared.counters.row(signal);
    if let Outcome::Retry { maybe_delivered, .. } = outcome {
        item.context.maybe_delivered |= maybe_delivered;
    }
    let cause = match verdict {
        _ if aborted && matches!(outcome, Outcome::Retry { .. }) => Some(DropCause::Shutdown),
        Verdict::Again(at_ns) => {
            let mut state = shared.state();
            if state.given_up {
                // The queue was emptied since the first look: nobody would lease it any more.
                Some(DropCause::Shutdown)
            } else {
                row.in_flight.sub(records);
                row.queued.add(records);
                state.queue.nack(lease, item, at_ns);
                drop(state);
                // Sleepers must learn when it is due; while draining, whoever waits for the end looks again.
                shared.wake_all();
                return;
            }
        }
        Verdict::Settled => None,
        Verdict::GiveUp(GaveUp::Disabled) => Some(DropCause::NoRetry),
        Verdict::GiveUp(GaveUp::Elapsed) => Some(DropCause::Elapsed),
        Verdict::GiveUp(GaveUp::Deadline) => Some(DropCause::Deadline),
    };
    shared.counters.latency.observe(now_ns.saturating_sub(lease.offered_ns));
    let mut state = shared.state();
    row.in_flight.sub(records);
    match (&outcome, cause) {
        (_, Some(cause)) => row.dropped[cause as usize].add(records),
        (Outcome::Delivered { rejected }, None) => {
            let rejected = (*rejected).min(records);
            row.delivered.add(records - rejected);
            row.partial_success.add(rejected);
        }
        (Outcome::Permanent { code, .. }, None) => row.rejected.add(code, records),
        (Outcome::Removed, None) => row.delivered.add(records),
        // `decide` never settles one of these: it gives it up, with a cause.
        (Outcome::Retry { .. }, None) => row.dropped[DropCause::NoRetry as usize].add(records),
    }
    if cause == Some(DropCause::Shutdown) {
        state.undelivered[signal_number(signal)] += records;
    }
    state.queue.ack(lease);
    let mut told = shared.unblock(&mut state, number, now_ns);
    let draining = !state.open;
    let crowded_out = std::mem::take(&mut state.crowded_out);
    drop(state);
    crowded_out.iter().for_each(|lingering| lingering.notify_one());
    if draining {
        shared.wake_all();
    }
    shared.room.notify_waiters();
    told.tell(shared);
    item.resolve(outcome);
}

/// Health is told when sends begin to fail, and when one succeeds again.
fn tell_health(shared: &Shared, outcome: &Outcome, now_ns: u64) {
    match outcome {
        Outcome::Delivered { .. } | Outcome::Removed => {
            if shared.failing.load(Ordering::Relaxed) && shared.failing.swap(false, Ordering::Relaxed) {
                shared.health.resolve(shared.exporter.name());
            }
        }
        Outcome::Retry { reason, .. } | Outcome::Permanent { reason, .. } => {
            shared.counters.failures.add(1);
            shared.failing.store(true, Ordering::Relaxed);
            shared.health.report(shared.exporter.name(), Severity::Degraded, reason.clone(), now_ns);
        }
    }
}

/// Uniform in [0, 1). Only failures draw it.
fn random() -> f64 {
    let bits = std::collections::hash_map::RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1u64 << 53) as f64
}
