//! What threads of this crate meet at: locks, atomics, wake-ups, timers.
//!
//! Ordinarily these are the ones of std, tokio and crossbeam. With `--cfg aldis_models` the unit tests get stand-ins that
//! run on [loom](https://docs.rs/loom), which tries every order in which the threads of a test could go on and every
//! value that a weakly ordered load could see: the modules named `models` then test the types of this crate as they
//! are.
//!
//! Counters that only grow stay std's: nobody decides anything by them.

#[cfg(not(all(test, aldis_models)))]
mod ordinary {
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, RwLock};

    pub(crate) use crossbeam_queue::ArrayQueue;
    pub(crate) use tokio::sync::{Notify, watch};

    pub(crate) mod atomic {
        pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
    }

    pub(crate) mod time {
        pub(crate) use tokio::time::{Instant, sleep_until, timeout, timeout_at};

        /// The time by the clock that the timers go by.
        pub(crate) fn now() -> Instant {
            Instant::now()
        }
    }
}

#[cfg(not(all(test, aldis_models)))]
pub(crate) use ordinary::*;

#[cfg(all(test, aldis_models))]
pub(crate) mod model;

#[cfg(all(test, aldis_models))]
pub(crate) use model::*;
