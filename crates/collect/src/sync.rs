//! What the threads of a collector meet at: locks, atomics, wake-ups, threads, and the time until which they wait.
//!
//! Ordinarily these are the ones of std. With `--cfg aldis_models` the unit tests get stand-ins on
//! [loom](https://docs.rs/loom), which tries every order in which the threads of a test could go on: the module named `models` then tests
//! collectors and streams as they are.
//!
//! What is taken over by forked children ([`crate::process`]) stays std's: its locks are never held where threads meet here.

#[cfg(not(all(test, aldis_models)))]
mod ordinary {
    pub(crate) use std::{
        sync::{Condvar, Mutex, MutexGuard},
        thread,
        time::Instant,
    };

    pub(crate) mod atomic {
        pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    }
}

#[cfg(not(all(test, aldis_models)))]
pub(crate) use ordinary::*;

#[cfg(all(test, aldis_models))]
pub(crate) mod model;

#[cfg(all(test, aldis_models))]
pub(crate) use model::*;
