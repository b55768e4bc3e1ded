//! Waiting so that Ctrl-C is heard.

use std::{
    sync::{
        Mutex,
        mpsc::{RecvTimeoutError, sync_channel},
    },
    thread,
    time::Duration,
};

use pyo3::{exceptions::PyRuntimeError, prelude::*};

use crate::collector::lock;

/// How long a signal may go unheard.
const SLICE: Duration = Duration::from_millis(50);

/// Does something that may take long on a thread of its own, and waits for it without holding up the interpreter.
///
/// # Errors
/// What a signal handler raised; the work goes on.
pub(crate) fn for_work<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let (tell, told) = sync_channel(1);
    thread::Builder::new().name("aldis-wait".to_owned()).spawn(move || {
        // Nobody may be waiting any more.
        let _ = tell.send(work());
    })?;
    let told = Mutex::new(told);
    loop {
        let answer = py.detach(|| lock(&told).recv_timeout(SLICE));
        match answer {
            Ok(done) => return Ok(done),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(PyRuntimeError::new_err("the work ended in a panic"));
            }
        }
    }
}
