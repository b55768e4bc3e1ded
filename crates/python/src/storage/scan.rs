//! The records of a file, one after the other.

use std::{
    collections::VecDeque,
    mem, process,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
    vec::IntoIter,
};

use collect::{FileStorage, Record, StorageError};
use pyo3::prelude::*;

use crate::{collector::lock, data::TelemetryData, failure, gate};

/// Records that are read ahead as one.
const BATCH: usize = 256;

/// Batches that are read ahead.
const AHEAD: usize = 4;

/// How long a signal may go unheard.
const SLICE: Duration = Duration::from_millis(50);

/// An iterator over the records of a file, which a thread reads a bounded way ahead.
#[pyclass(module = "aldis", frozen)]
pub(crate) struct Records {
    /// Nothing while it is dropped.
    ahead: Option<Arc<Ahead>>,
    /// The process that has the thread: a forked child has none, and locks in it may be those of threads that are not there.
    process: u32,
}

/// What is read ahead.
#[derive(Default)]
struct Ahead {
    /// Locked for a moment.
    state: Mutex<State>,
    /// There is more, or will be none.
    more: Condvar,
    /// There is room, or nobody wants more.
    room: Condvar,
}

#[derive(Default)]
struct State {
    batch: IntoIter<Record>,
    batches: VecDeque<Vec<Record>>,
    error: Option<StorageError>,
    is_read: bool,
    is_unwanted: bool,
}

impl State {
    /// The next record that is there.
    fn next(&mut self) -> Option<Record> {
        self.batch.next().or_else(|| {
            self.batch = self.batches.pop_front()?.into_iter();
            self.batch.next()
        })
    }
}

impl Ahead {
    /// Takes a batch when there is room; `false`: nobody wants it.
    fn put(&self, batch: Vec<Record>) -> bool {
        let mut state = lock(&self.state);
        while state.batches.len() >= AHEAD && !state.is_unwanted {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.batches.push_back(batch);
        self.more.notify_all();
        !state.is_unwanted
    }

    /// The next record once it is read, or nothing at the end. `Err(None)`: it takes longer.
    fn next(&self, at_most: Duration) -> Result<Option<Record>, Option<StorageError>> {
        let mut state = lock(&self.state);
        if state.batches.is_empty() && state.batch.len() == 0 && !state.is_read {
            let waited = self.more.wait_timeout(state, at_most);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let next = state.next();
        self.room.notify_one();
        match next {
            Some(record) => Ok(Some(record)),
            None if state.is_read => state.error.take().map_or(Ok(None), |error| Err(Some(error))),
            None => Err(None),
        }
    }
}

impl Records {
    pub(crate) fn of(
        storage: Arc<FileStorage>,
        start_ns: Option<u64>,
        end_ns: Option<u64>,
    ) -> PyResult<Self> {
        let ahead = Arc::new(Ahead::default());
        let reading = ahead.clone();
        thread::Builder::new().name("aldis-scan".to_owned()).spawn(move || {
            read(&storage, start_ns, end_ns, &reading);
        })?;
        Ok(Self { ahead: Some(ahead), process: process::id() })
    }

    fn is_forked(&self) -> bool {
        self.process != process::id()
    }
}

/// Says at its end, be it that of a panic, that nothing comes any more.
struct Reader<'a>(&'a Ahead);

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).is_read = true;
        self.0.more.notify_all();
    }
}

/// Reads until all is read or nobody wants more.
fn read(storage: &FileStorage, start_ns: Option<u64>, end_ns: Option<u64>, ahead: &Ahead) {
    let _reader = Reader(ahead);
    let mut batch = Vec::new();
    let scanned = storage.scan_while(start_ns, end_ns, |record| {
        batch.push(record);
        batch.len() < BATCH || ahead.put(mem::take(&mut batch))
    });
    if !batch.is_empty() {
        ahead.put(batch);
    }
    lock(&ahead.state).error = scanned.err();
}

impl Drop for Records {
    fn drop(&mut self) {
        let Some(ahead) = self.ahead.take() else { return };
        if self.is_forked() {
            // As it was in the middle of whatever another thread did.
            mem::forget(ahead);
            return;
        }
        lock(&ahead.state).is_unwanted = true;
        ahead.room.notify_one();
        gate::drop_outside(ahead);
    }
}

#[pymethods]
impl Records {
    fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.is_forked() {
            let error = StorageError::new("these records are read by the process that forked: scan anew");
            return Err(failure::of_storage(py, &error));
        }
        let Some(ahead) = &self.ahead else { return Ok(None) };
        let there = lock(&ahead.state).batch.next();
        if let Some(record) = there {
            return TelemetryData::record(py, record).map(Some);
        }
        loop {
            match py.detach(|| ahead.next(SLICE)) {
                Ok(record) => return record.map(|record| TelemetryData::record(py, record)).transpose(),
                Err(Some(error)) => return Err(failure::of_storage(py, &error)),
                Err(None) => py.check_signals()?,
            }
        }
    }
}
