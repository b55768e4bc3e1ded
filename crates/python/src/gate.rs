//! Who may enter the interpreter, and until when.
//!
//! Threads of the library show records to listeners and storages that are written in Python. A thread that enters an interpreter that
//! is ending hangs or brings the process down, so all of them go through [`enter`], and what `atexit` calls ([`at_exit`]) stops running
//! streams, lets nobody in any more, and waits for those inside. The package ends those that do not come out.

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use collect::TelemetryStream;
use pyo3::prelude::*;

use crate::{collector::lock, python::Known};

static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Threads inside, or waiting to be.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// Streams that are to be stopped at exit. Locked by whoever holds the interpreter only, and for no call into it: a thread that forks
/// finds it unlocked.
static STREAMS: Mutex<Vec<Weak<TelemetryStream>>> = Mutex::new(Vec::new());

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// What a storage or listener is told after the end.
pub(crate) const ENDED: &str = "the interpreter has ended";

/// The interpreter's names of threads that run something. Locked as [`STREAMS`] is.
static RUNNING: Mutex<Vec<u64>> = Mutex::new(Vec::new());

pub(crate) static GET_IDENT: Known = Known::new("threading", "get_ident");

/// Runs something in the interpreter, on a thread of the library. `None`: it has ended.
pub(crate) fn enter<T>(run: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    struct Inside;
    impl Drop for Inside {
        fn drop(&mut self) {
            DEPTH.with(|depth| depth.set(depth.get().saturating_sub(1)));
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        }
    }
    // First it is counted, then it looks: whoever closes, closes first and counts then.
    INSIDE.fetch_add(1, Ordering::SeqCst);
    DEPTH.with(|depth| depth.set(depth.get() + 1));
    let _inside = Inside;
    if is_closed() { None } else { Python::try_attach(|py| named(py, run)) }
}

/// Notes which thread runs something, as long as it does.
fn named<T>(py: Python<'_>, run: impl FnOnce(Python<'_>) -> T) -> T {
    let ident = GET_IDENT.get(py).and_then(|ident| ident.call0()?.extract()).unwrap_or(0);
    lock(&RUNNING).push(ident);
    let done = run(py);
    let mut running = lock(&RUNNING);
    if let Some(at) = running.iter().rposition(|of| *of == ident) {
        running.swap_remove(at);
    }
    done
}

/// Whether nobody is let in any more.
pub(crate) fn is_closed() -> bool {
    IS_CLOSED.load(Ordering::SeqCst)
}

/// Has a stream stopped at exit if it still runs.
pub(crate) fn stop_at_exit(stream: &Arc<TelemetryStream>) {
    let mut streams = lock(&STREAMS);
    streams.retain(|stream| stream.strong_count() > 0);
    streams.push(Arc::downgrade(stream));
}

/// Drops what may wait for other threads, without holding up the interpreter.
pub(crate) fn drop_outside<T: Send>(value: T) {
    if Python::try_attach(|_| ()).is_none() {
        // The interpreter has ended, and nobody can be waited for.
        std::mem::forget(value);
        return;
    }
    Python::attach(|py| py.detach(move || drop(value)));
}

/// Stops running streams, then lets no thread of the library into the interpreter any more, and waits for those inside: `patience`
/// seconds for all of it. The names of those that did not come out.
#[pyfunction]
pub(crate) fn at_exit(py: Python<'_>, patience: f64) -> PyResult<Vec<u64>> {
    let patience = Duration::try_from_secs_f64(patience)?;
    let streams = std::mem::take(&mut *lock(&STREAMS));
    let is_empty = py.detach(|| {
        let deadline = Instant::now() + patience;
        for stream in streams.iter().filter_map(Weak::upgrade) {
            // Nobody is left to be told; the stream's statistics would say it.
            let _ = stream.stop_within(deadline.saturating_duration_since(Instant::now()));
            // Its owner drops it, in the interpreter.
        }
        IS_CLOSED.store(true, Ordering::SeqCst);
        while INSIDE.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        INSIDE.load(Ordering::SeqCst) == 0
    });
    Ok(if is_empty { Vec::new() } else { lock(&RUNNING).clone() })
}

/// Only the thread that forked is in a child.
#[pyfunction]
pub(crate) fn after_fork_in_child(py: Python<'_>) -> PyResult<()> {
    INSIDE.store(DEPTH.with(Cell::get).min(1), Ordering::SeqCst);
    let own: u64 = GET_IDENT.get(py)?.call0()?.extract()?;
    lock(&RUNNING).retain(|ident| *ident == own);
    Ok(())
}
