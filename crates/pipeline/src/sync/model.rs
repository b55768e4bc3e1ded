//! Stand-ins on loom, and how a model is run.
//!
//! Locks, condition variables and atomics are loom's. The rest behaves as tokio's and crossbeam's documentation says, on
//! loom's locks. Two things to know when reading a green result: loom takes `SeqCst` loads and stores for `AcqRel` (only a
//! fence is sequentially consistent), which finds more than there is; and its locks order more than real ones, which may
//! hide a missing ordering beside them.

mod array_queue;
pub(crate) mod atomic;
mod notify;
pub(crate) mod time;
pub(crate) mod watch;

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

pub(crate) use array_queue::ArrayQueue;
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, RwLock};
pub(crate) use notify::Notify;

/// Steps of one execution, over all its threads; a model that needs more goes round in circles.
const STEPS_MAX: usize = 5_000;

/// Runs a model in every order in which each thread is interrupted where it could go on at most so often in all, and
/// says how many orders that were. All of it happens on this thread: loom's threads take turns.
pub(crate) fn check(interruptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(interruptions));
    builder.max_branches = STEPS_MAX;
    let (orders, start) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let counted = orders.clone();
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{} orders in {:.1} s", orders.load(Ordering::Relaxed), start.elapsed().as_secs_f64());
}

/// Starts a thread that runs a future to its end.
pub(crate) fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> loom::thread::JoinHandle<T> {
    loom::thread::spawn(move || block_on(future))
}

/// Runs a future to its end. If nobody wakes it while everybody else waits, too, loom says `deadlock`.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(parker.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        parker.park();
    }
}

/// A thread that waits to be woken; being woken beforehand counts.
#[derive(Debug, Default)]
struct Parker {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Parker {
    fn park(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.changed.wait(woken).unwrap();
        }
        *woken = false;
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_one();
    }
}
