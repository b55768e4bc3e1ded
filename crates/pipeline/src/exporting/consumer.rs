//! One of the tasks that send an exporter's items.

use std::{
    hash::{BuildHasher, Hasher},
    sync::Arc,
};

use super::{drive::Drive, state::Shared};
use crate::{
    Item, Outcome, Progress, Sender, clock,
    contain::{Contained, contain},
    item::Context,
    ledger::{DropCause, ExporterRow, signal_number},
    outcome::UNSENDABLE,
    queue::{Lease, LeaseQueue},
    retry::{Attempt, GaveUp, Verdict},
    sync::time::{sleep_until, timeout},
    tracer::Export,
};

/// Leases, sends and settles until the exporter is drained, or another has taken its place.
pub(super) async fn run(shared: Arc<Shared>, drive: Arc<Drive>, number: usize) {
    let mut abort = shared.abort.subscribe();
    while let Some((lease, mut item)) = next(&shared, &drive, number).await {
        let maybe_duplicate = lease.attempt > 1 && item.context.maybe_delivered;
        if maybe_duplicate {
            let settled = item.context.progress.as_deref().map_or(0, Progress::records);
            let again = lease.size.records.saturating_sub(settled);
            shared.counters.row(item.batch.signal()).maybe_duplicate.add(again);
        }
        let mut progress = item.context.progress.take().map_or_else(Progress::default, |known| *known);
        let outcome = tokio::select! {
            biased;
            outcome = attempt(&shared, &drive, number, &item, &mut progress) => outcome,
            _ = abort.wait_for(|abort| *abort) => failed("the exporter was shut down while this was sent", true),
        };
        item.context.progress = (!progress.is_empty()).then(|| Box::new(progress));
        settle(&shared, &drive, number, lease, item, outcome);
    }
}

/// The next item to send; `None` once drained, told to stop, or replaced.
async fn next(shared: &Shared, drive: &Arc<Drive>, number: usize) -> Option<(Lease, Item)> {
    loop {
        let due_ns;
        let tell;
        {
            let mut state = shared.state();
            if !Arc::ptr_eq(&state.drive, drive) {
                drop(state);
                // What was sent here may have been what those after it wait for.
                shared.wake_all();
                return None;
            }
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
        let woken = drive.wake[number].notified();
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
async fn attempt(
    shared: &Shared,
    drive: &Drive,
    number: usize,
    item: &Item,
    progress: &mut Progress,
) -> Outcome {
    shared.counters.sends.add(1);
    let opened = open(drive, number);
    let sent = match &opened {
        Ok(sender) => match contain(|| sender.send_rest(item, progress)) {
            Ok(future) => timeout(drive.settings.timeout, Contained(future)).await,
            Err(message) => Ok(Err(message)),
        },
        Err(message) => Ok(Err(message.clone())),
    };
    match sent {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(message)) => {
            shared.counters.panics.add(1);
            if let Ok(sender) = &opened {
                drive.close(number, sender);
            }
            failed(&format!("the sender panicked: {message}"), true)
        }
        Err(_) => {
            shared.counters.timeouts.add(1);
            failed(&format!("no answer within {:?}", drive.settings.timeout), true)
        }
    }
}

/// The sender of this consumer's shard, opened here if there is none.
fn open(drive: &Drive, number: usize) -> Result<Arc<dyn Sender>, String> {
    let mut slot = drive.sender(number);
    if let Some(sender) = &*slot {
        return Ok(sender.clone());
    }
    let sender: Arc<dyn Sender> = Arc::from(contain(|| drive.exporter.open())?);
    *slot = Some(sender.clone());
    Ok(sender)
}

fn failed(reason: &str, maybe_delivered: bool) -> Outcome {
    Outcome::Retry { after: None, maybe_delivered, overloaded: false, reason: reason.to_owned() }
}

/// Counts the answer that consumer `number` got and does what follows from it.
fn settle(shared: &Shared, drive: &Drive, number: usize, mut lease: Lease, mut item: Item, outcome: Outcome) {
    let now_ns = clock::now_ns();
    let answered = is_answered(&outcome, lease.size.records, item.context.progress.as_deref());
    shared.tell_health(&outcome, answered, now_ns);
    let aborted = *shared.abort.borrow();
    let about = Attempt {
        number: lease.attempt,
        first_ns: lease.first_leased_ns,
        deadline_ns: item.context.deadline_ns,
    };
    let verdict = drive.settings.retry.decide(&outcome, about, now_ns, random());
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
                let is_replaced = !std::ptr::eq(&*state.drive, drive);
                if is_replaced {
                    item.begin_again();
                    lease.start_over();
                }
                state.queue.nack(lease, item, if is_replaced { now_ns } else { at_ns });
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
    if answered {
        shared.counters.latency.observe(now_ns.saturating_sub(lease.offered_ns));
    }
    tell_tracer(shared.name(), &lease, &item, &outcome, now_ns);
    let mut state = shared.state();
    row.in_flight.sub(records);
    let records = count(row, records, &outcome, cause, &item.context);
    if cause == Some(DropCause::Shutdown) {
        state.undelivered[signal_number(signal)] += records;
    }
    state.queue.ack(lease);
    let mut told = shared.unblock(&mut state, number, now_ns);
    let draining = !state.open;
    // What a shutdown loses is the last word of it.
    let is_idle = !draining && state.is_settled();
    let crowded_out = std::mem::take(&mut state.crowded_out);
    drop(state);
    crowded_out.iter().for_each(|lingering| lingering.notify_one());
    if draining {
        shared.wake_all();
    }
    if is_idle {
        // What was lost is told as such; whether it is well again the next item shows.
        shared.rests(now_ns);
    }
    shared.room.notify_waiters();
    told.tell();
    item.resolve(outcome);
}

/// Tells whoever traces requests in it how an item's delivery ended.
fn tell_tracer(exporter: &str, lease: &Lease, item: &Item, outcome: &Outcome, ended_ns: u64) {
    let Some(traced) = &item.context.traced else { return };
    let (signal, records, attempts) = (item.batch.signal(), lease.size.records, lease.attempt);
    let started_ns = lease.first_leased_ns;
    traced.exported(&Export { exporter, signal, records, attempts, started_ns, ended_ns, outcome });
}

/// Whether an outcome is the far side's final answer: to something that it was sent.
fn is_answered(outcome: &Outcome, records: u64, progress: Option<&Progress>) -> bool {
    match outcome {
        Outcome::Retry { .. } => false,
        Outcome::Permanent { code, .. } => code != UNSENDABLE,
        Outcome::Delivered { .. } | Outcome::Removed => {
            progress.is_none_or(|progress| progress.unsent() < records)
        }
    }
}

/// Counts what became of the `records` of an item; returns how many no attempt before the last had settled.
fn count(
    row: &ExporterRow,
    records: u64,
    outcome: &Outcome,
    cause: Option<DropCause>,
    context: &Context,
) -> u64 {
    let progress = context.progress.as_deref();
    if matches!(outcome, Outcome::Permanent { .. }) && progress.is_none_or(|some| some.delivered() == 0) {
        row.refused_whole.add(records);
    }
    let records = row.settle(records, progress);
    match (outcome, cause) {
        (_, Some(cause)) => row.drop_records(cause, records, context),
        (Outcome::Delivered { rejected }, None) => {
            let rejected = rejected.saturating_sub(progress.map_or(0, Progress::rejected)).min(records);
            row.delivered.add(records - rejected);
            row.partial_success.add(rejected);
        }
        (Outcome::Permanent { code, .. }, None) => row.rejected.add(code, records),
        (Outcome::Removed, None) => row.delivered.add(records),
        // `decide` never settles one of these: it gives it up, with a cause.
        (Outcome::Retry { .. }, None) => row.drop_records(DropCause::NoRetry, records, context),
    }
    records
}

/// Uniform in [0, 1). Only failures draw it.
fn random() -> f64 {
    let bits = std::collections::hash_map::RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1u64 << 53) as f64
}
