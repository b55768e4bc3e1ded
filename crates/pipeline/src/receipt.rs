//! Who waits for an item, and what they are told.

use std::{
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{
    Outcome,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

/// Shares that were dropped without an outcome since the process began. Anything but zero is a bug of this program.
static UNRESOLVED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// How many shares were dropped without an outcome since the process began: each was told to its waiter as a retryable
/// failure, and each is a bug.
pub fn dropped_unresolved() -> u64 {
    UNRESOLVED.load(Ordering::Relaxed)
}

/// Set in [`State::told`] once anything was delivered; the bits below count rejected records: no more than the weight of
/// the whole, which is that of records in memory, so they never reach this one.
const SOME_DELIVERED: u64 = 1 << 63;

/// Waits for what becomes of an item. Await it: it resolves once every share of it is resolved, to the worst outcome
/// (rejected records add up).
///
/// A whole of which one part was delivered and another must be retried is a retry whose `maybe_delivered` is set.
///
/// ```
/// use aldis_pipeline::{Outcome, Receipt};
///
/// let (receipt, mut share) = Receipt::new(1000);
/// let rest = share.split_off(400);
/// share.resolve(Outcome::Delivered { rejected: 3 });
/// rest.resolve(Outcome::DELIVERED);
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// assert_eq!(runtime.block_on(receipt), Outcome::Delivered { rejected: 3 });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Receipt {
    state: Arc<State>,
}

/// The right and duty to resolve part of a receipt. Dropped unresolved it counts as a retryable failure and as a bug
/// ([`dropped_unresolved`]).
#[derive(Debug)]
pub struct Share {
    /// `None` once resolved.
    state: Option<Arc<State>>,
    weight: u64,
}

/// One allocation for a receipt and all its shares. Deliveries touch the two atomics only.
#[derive(Debug)]
struct State {
    /// Shares not resolved yet.
    live: AtomicUsize,
    /// [`SOME_DELIVERED`] and the count of rejected records.
    told: AtomicU64,
    slow: Mutex<Slow>,
    /// Where the outcome goes if nobody awaits it.
    then: Option<Then>,
}

/// Is told an outcome instead of a [`Receipt`].
pub type Listener = dyn Fn(Outcome) + Send + Sync;

enum Then {
    /// One branch of a fan-out.
    Fan(Arc<Fan>),
    Call(Arc<Listener>),
}

impl std::fmt::Debug for Then {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Then::Fan(_) => "Fan",
            Then::Call(_) => "Call",
        })
    }
}

#[derive(Debug, Default)]
struct Slow {
    failure: Option<Outcome>,
    waker: Option<Waker>,
    done: bool,
}

/// The whole behind the branches of a fan-out.
#[derive(Debug)]
struct Fan {
    left: AtomicUsize,
    told: Mutex<(Vec<Share>, Option<Outcome>)>,
}

impl Receipt {
    /// A receipt and the one share that stands for all of it. `weight` is the item's number of records.
    pub fn new(weight: u64) -> (Receipt, Share) {
        let state = State::new(None);
        (Receipt { state: state.clone() }, Share { state: Some(state), weight })
    }
}

impl Future for Receipt {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut slow = self.state.slow();
        if slow.done {
            return Poll::Ready(self.state.outcome(&slow));
        }
        match &slow.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => slow.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Share {
    /// A share whose outcome is told to a function, on the thread that settles the last part of it.
    pub fn listened(weight: u64, listener: Arc<Listener>) -> Share {
        Share { state: Some(State::new(Some(Then::Call(listener)))), weight }
    }

    /// Settles this share. No more records of it are rejected than it stands for, whatever a far side says.
    pub fn resolve(mut self, mut outcome: Outcome) {
        if let Outcome::Delivered { rejected } = &mut outcome {
            *rejected = self.weight.min(*rejected);
        }
        if let Some(state) = self.state.take() {
            state.tell(outcome);
        }
    }

    /// Cuts off a share of `weight`, leaving the rest. More than there is cuts off all there is.
    pub fn split_off(&mut self, weight: u64) -> Share {
        let weight = weight.min(self.weight);
        self.weight -= weight;
        if let Some(state) = &self.state {
            // Relaxed: whoever splits holds a share, so the count cannot reach zero meanwhile.
            state.live.fetch_add(1, Ordering::Relaxed);
        }
        Share { state: self.state.clone(), weight }
    }

    /// Whether it is one of several branches, so that what is told to it may not be what its sender is told.
    pub(crate) fn is_branch(&self) -> bool {
        self.state.as_ref().is_some_and(|state| matches!(state.then, Some(Then::Fan(_))))
    }

    /// How much of the receipt it stands for.
    pub fn weight(&self) -> u64 {
        self.weight
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            UNRESOLVED.fetch_add(1, Ordering::Relaxed);
            let reason = "an item was dropped without an outcome: this is a bug, please report it".to_owned();
            state.tell(Outcome::Retry { after: None, maybe_delivered: true, overloaded: false, reason });
        }
    }
}

/// Settles the shares of one item with the outcome of the whole. Rejected records are dealt out in proportion to weight,
/// so that their sum is exact and none is dealt more than it has.
pub fn resolve_all(shares: Vec<Share>, outcome: Outcome) {
    let mut weight_left: u64 = shares.iter().map(Share::weight).sum();
    let mut shares = shares.into_iter();
    let Some(last) = shares.next_back() else { return };
    let Outcome::Delivered { rejected } = outcome else {
        shares.for_each(|share| share.resolve(outcome.clone()));
        last.resolve(outcome);
        return;
    };
    let mut rejected_left = rejected;
    for share in shares {
        let exact = u128::from(rejected_left) * u128::from(share.weight) / u128::from(weight_left.max(1));
        let part = exact as u64;
        weight_left -= share.weight;
        rejected_left -= part;
        share.resolve(Outcome::Delivered { rejected: part });
    }
    last.resolve(Outcome::Delivered { rejected: rejected_left });
}

/// Cuts shares standing for `weight` records off the front of a list, splitting one where it must.
pub fn take_weight(shares: &mut Vec<Share>, weight: u64) -> Vec<Share> {
    let mut taken = Vec::new();
    let mut left = weight;
    while left > 0 && !shares.is_empty() {
        if shares[0].weight() <= left {
            left -= shares[0].weight();
            taken.push(shares.remove(0));
        } else {
            taken.push(shares[0].split_off(left));
            left = 0;
        }
    }
    taken
}

/// Shares for `branches` copies of one item, each for all of it. The originals are told a success as soon as all
/// branches are settled and at least one was delivered (its rejected records: the most of any branch); otherwise a retry
/// if any branch may be retried, else the failure.
pub fn fan_out(shares: Vec<Share>, branches: usize) -> Vec<Vec<Share>> {
    if shares.is_empty() {
        return (0..branches).map(|_| Vec::new()).collect();
    }
    if branches == 1 {
        return vec![shares];
    }
    let weight = shares.iter().map(Share::weight).sum();
    let fan = Arc::new(Fan { left: AtomicUsize::new(branches), told: Mutex::new((shares, None)) });
    let branch = || vec![Share { state: Some(State::new(Some(Then::Fan(fan.clone())))), weight }];
    (0..branches).map(|_| branch()).collect()
}

impl State {
    fn new(then: Option<Then>) -> Arc<Self> {
        let slow = Mutex::new(Slow::default());
        Arc::new(Self { live: AtomicUsize::new(1), told: AtomicU64::new(0), slow, then })
    }

    fn slow(&self) -> MutexGuard<'_, Slow> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, outcome: Outcome) {
        match outcome {
            Outcome::Delivered { rejected } => {
                self.told.fetch_or(SOME_DELIVERED, Ordering::Relaxed);
                if rejected > 0 {
                    self.told.fetch_add(rejected, Ordering::Relaxed);
                }
            }
            Outcome::Removed => {}
            failure => {
                let mut slow = self.slow();
                slow.failure = Some(match slow.failure.take() {
                    None => failure,
                    Some(before) => worst(before, failure),
                });
            }
        }
        // AcqRel: the last one sees what all the others told.
        if self.live.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finish();
        }
    }

    fn finish(&self) {
        let mut slow = self.slow();
        slow.done = true;
        let waker = slow.waker.take();
        let then = self.then.as_ref().map(|then| (then, self.outcome(&slow)));
        drop(slow);
        if let Some(waker) = waker {
            waker.wake();
        }
        match then {
            Some((Then::Fan(fan), outcome)) => fan.tell(outcome),
            Some((Then::Call(listener), outcome)) => listener(outcome),
            None => {}
        }
    }

    fn outcome(&self, slow: &Slow) -> Outcome {
        let told = self.told.load(Ordering::Acquire);
        let delivered = told & SOME_DELIVERED != 0;
        match slow.failure.clone() {
            Some(Outcome::Retry { after, maybe_delivered, overloaded, reason }) => {
                Outcome::Retry { after, maybe_delivered: maybe_delivered || delivered, overloaded, reason }
            }
            Some(failure) => failure,
            None if delivered => Outcome::Delivered { rejected: told & !SOME_DELIVERED },
            None => Outcome::Removed,
        }
    }
}

impl Fan {
    fn tell(&self, outcome: Outcome) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.1 = Some(match told.1.take() {
            None => outcome,
            Some(before) => best(before, outcome),
        });
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let shares = std::mem::take(&mut told.0);
            let outcome = told.1.take().unwrap_or(Outcome::Removed);
            drop(told);
            resolve_all(shares, outcome);
        }
    }
}

/// Of two failures of parts of one whole, the one to report.
fn worst(one: Outcome, two: Outcome) -> Outcome {
    match (one, two) {
        (
            Outcome::Retry { after: a, maybe_delivered: x, overloaded: full, reason },
            Outcome::Retry { after: b, maybe_delivered: y, overloaded: too, reason: other },
        ) => {
            // What is broken outlives what is full: that is what to report.
            let reason = if full && !too { other } else { reason };
            Outcome::Retry { after: a.max(b), maybe_delivered: x || y, overloaded: full && too, reason }
        }
        (permanent @ Outcome::Permanent { .. }, _) | (_, permanent) => permanent,
    }
}

/// Of two outcomes of copies of one whole, the one to report.
fn best(one: Outcome, two: Outcome) -> Outcome {
    match (one, two) {
        (Outcome::Delivered { rejected: a }, Outcome::Delivered { rejected: b }) => {
            Outcome::Delivered { rejected: a.max(b) }
        }
        (delivered @ Outcome::Delivered { .. }, _) | (_, delivered @ Outcome::Delivered { .. }) => delivered,
        (Outcome::Removed, other) | (other, Outcome::Removed) => other,
        (one @ Outcome::Retry { .. }, two @ Outcome::Retry { .. }) => worst(one, two),
        (retry @ Outcome::Retry { .. }, _) | (_, retry @ Outcome::Retry { .. }) => retry,
        (permanent, _) => permanent,
    }
}

#[cfg(test)]
mod tests;

#[cfg(all(test, aldis_models))]
mod models;
