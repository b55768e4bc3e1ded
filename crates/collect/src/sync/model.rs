//! Stand-ins on loom, and how a model is run.
//!
//! Time stands still: nobody who waits until some time is woken by it, so that a wake-up that is missing is a deadlock, which loom tells.

use std::{
    ops::Add,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

pub(crate) use loom::{
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};

#[path = "../../../pipeline/src/sync/model/atomic.rs"]
pub(crate) mod atomic;

/// Steps of one execution, over all its threads; a model that needs more goes round in circles.
const STEPS_MAX: usize = 5_000;

/// Runs a model in every order in which each thread is interrupted where it could go on at most so often in all, and says how many
/// orders that were. All of it happens on this thread: loom's threads take turns.
pub(crate) fn check(interruptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(interruptions));
    builder.max_branches = STEPS_MAX;
    let (orders, start) = (Arc::new(AtomicUsize::new(0)), std::time::Instant::now());
    let counted = orders.clone();
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{} orders in {:.1} s", orders.load(Ordering::Relaxed), start.elapsed().as_secs_f64());
}

/// A time, of which it is always the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        Self(Duration::ZERO)
    }

    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0 + later)
    }
}
