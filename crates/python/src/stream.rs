//! The stream.

use std::sync::{Arc, Mutex};

use collect::{Aggregation, EventType, Function, Sampling, StopError, StorageBackend, limits};
use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyDict, PyTuple},
};

use crate::{
    collector::{Subscribers, TelemetryCollector, caller, clear, listening, lock, numbered, take, traverse},
    failure, gate,
    held::Held,
    moment::{duration, patience},
    pen::event_type,
    python::Known,
    stats, storage, wait,
};

/// Takes what a collector buffers, shows it to consumers, and stores it.
#[pyclass(module = "aldis", frozen, weakref)]
pub(crate) struct TelemetryStream {
    /// Nothing while it is dropped.
    inner: Option<Arc<collect::TelemetryStream>>,
    collector: Py<TelemetryCollector>,
    storage: Arc<Held>,
    consumers: Subscribers,
}

impl Drop for TelemetryStream {
    fn drop(&mut self) {
        gate::drop_outside(self.inner.take());
    }
}

/// Classes of storages, by backend.
static MEMORY: Known = Known::new("aldis", "MemoryStorage");
static FILE: Known = Known::new("aldis", "FileStorage");
static DATABASE: Known = Known::new("aldis", "DatabaseStorage");

/// The storage that a configuration names.
fn configured<'py>(py: Python<'py>, config: &collect::TelemetryConfig) -> PyResult<Bound<'py, PyAny>> {
    let path = config.storage_path.clone();
    match config.storage_backend {
        StorageBackend::Memory => MEMORY.get(py)?.call0(),
        StorageBackend::File => FILE.get(py)?.call1((path,)),
        StorageBackend::Sqlite => DATABASE.get(py)?.call1((path,)),
    }
}

#[pymethods]
impl TelemetryStream {
    #[new]
    #[pyo3(signature = (collector, storage = None, *, sampling = None, aggregation = None))]
    fn new(
        py: Python<'_>,
        collector: Bound<'_, TelemetryCollector>,
        storage: Option<Bound<'_, PyAny>>,
        sampling: Option<&Bound<'_, PyAny>>,
        aggregation: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let inner = collector.get().inner()?;
        let storage = match storage {
            Some(storage) => storage,
            None => configured(py, inner.config())?,
        };
        let held = Held::new(storage.clone().unbind());
        let mut stream = collect::TelemetryStream::new(inner, storage::of_object(&storage, &held)?);
        if let Some(sampling) = sampling {
            stream = stream.with_sampling(read_sampling(sampling)?);
        }
        if let Some(aggregation) = aggregation {
            stream = stream.with_aggregation(read_aggregation(aggregation)?);
        }
        let inner = Some(Arc::new(stream));
        let consumers = Mutex::default();
        Ok(Self { inner, collector: collector.unbind(), storage: held, consumers })
    }

    #[getter]
    fn collector<'py>(&self, py: Python<'py>) -> Bound<'py, TelemetryCollector> {
        self.collector.bind(py).clone()
    }

    #[getter]
    fn storage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.storage.get(py)
    }

    fn add_consumer(&self, py: Python<'_>, consumer: Bound<'_, PyAny>) -> PyResult<u64> {
        let consumer = listening(consumer)?;
        let (inner, shown) = (self.inner()?, caller(consumer.clone()));
        let id = py.detach(|| inner.add_consumer(shown)).map_err(|error| failure::of_stream(py, &error))?;
        lock(&self.consumers).push((id, consumer));
        Ok(id.number())
    }

    /// Of a number that `add_consumer` returned, or of the consumer itself.
    fn remove_consumer(&self, py: Python<'_>, consumer: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Some(id) = take(&self.consumers, consumer)? else { return Ok(false) };
        let inner = self.inner()?;
        Ok(py.detach(|| inner.remove_consumer(id)))
    }

    fn consumer_stats<'py>(
        &self,
        py: Python<'py>,
        consumer: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(id) = numbered(&self.consumers, consumer)? else { return Ok(None) };
        self.inner()?.consumer_stats(id).map(|of| stats::of_subscriber(py, &of)).transpose()
    }

    fn consumer_error(&self, consumer: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        let id = numbered(&self.consumers, consumer)?;
        Ok(id.map(|id| self.inner().map(|inner| inner.consumer_error(id))).transpose()?.flatten())
    }

    #[getter]
    fn storage_error(&self) -> PyResult<Option<String>> {
        Ok(self.inner()?.storage_error())
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let inner = self.inner()?;
        py.detach(|| inner.start()).map_err(|error| failure::of_stream(py, &error))?;
        gate::stop_at_exit(inner);
        Ok(())
    }

    #[pyo3(signature = (timeout = None))]
    fn stop(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let timeout = match timeout {
            Some(timeout) => patience(timeout)?,
            None => limits::FLUSH_TIMEOUT,
        };
        let inner = self.inner()?.clone();
        // The thread that does the work would not know.
        if py.detach(|| inner.is_within()) {
            return Err(failure::of_stop(py, &StopError::FromWithin));
        }
        let stopped = wait::for_work(py, move || inner.stop_within(timeout))?;
        stopped.map_err(|error| failure::of_stop(py, &error))
    }

    fn __enter__(this: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        this.get().start(this.py())?;
        Ok(this)
    }

    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, py: Python<'_>, _raised: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.stop(py, None)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.collector)?;
        self.storage.traverse(&visit)?;
        traverse(&self.consumers, &visit)
    }

    /// The collector need not be let go of: whatever leads back from it are its listeners.
    fn __clear__(&self) {
        clear(&self.consumers);
        self.storage.clear();
    }

    /// Before garbage is taken apart, a stream in it is stopped, as one is that is dropped: its storage can still store.
    fn __del__(this: &Bound<'_, Self>) -> PyResult<()> {
        let py = this.py();
        let inner = this.get().inner()?.clone();
        if !py.detach(|| inner.is_within()) {
            // Nobody is left to be told.
            let _ = py.detach(|| inner.stop_within(limits::DROP_TIMEOUT));
            return Ok(());
        }
        // Garbage was looked for while its own storage or consumer ran. It lives until another thread has stopped it.
        let alive = this.clone().unbind();
        std::thread::Builder::new().name("aldis-stop".to_owned()).spawn(move || {
            let _ = inner.stop_within(limits::DROP_TIMEOUT);
            gate::enter(|_| drop(alive));
        })?;
        Ok(())
    }
}

/// Has Python call [`TelemetryStream::__del__`], which it learns when the attribute is set.
pub(crate) fn has_finalizer(py: Python<'_>) -> PyResult<()> {
    let class = py.get_type::<TelemetryStream>();
    class.setattr("__del__", class.getattr("__del__")?)
}

impl TelemetryStream {
    fn inner(&self) -> PyResult<&Arc<collect::TelemetryStream>> {
        self.inner.as_ref().ok_or_else(|| PyTypeError::new_err("the stream is gone"))
    }
}

/// Shares by event type.
fn read_sampling(shares: &Bound<'_, PyAny>) -> PyResult<Sampling> {
    let shares = shares.cast::<PyDict>()?;
    let mut sampling = Sampling::default();
    for (of, share) in shares {
        let share: f64 = share.extract()?;
        if !(0.0..=1.0).contains(&share) {
            return Err(PyValueError::new_err("sampling takes shares from 0 to 1"));
        }
        let event_type: EventType = event_type(Some(&of))?;
        sampling = sampling.keep(event_type, share);
    }
    Ok(sampling)
}

/// An object with a window and the names of functions.
fn read_aggregation(aggregation: &Bound<'_, PyAny>) -> PyResult<Aggregation> {
    use Function::{Count, Last, Max, Mean, Min, Sum};
    let window = duration(&aggregation.getattr("window")?, "window")?;
    let names: Vec<String> = aggregation.getattr("functions")?.extract()?;
    let function = |name: &String| {
        let known = [Count, Sum, Min, Max, Mean, Last].into_iter().find(|function| function.as_str() == name);
        known.ok_or_else(|| PyValueError::new_err("functions are count, sum, min, max, mean, last"))
    };
    let functions = names.iter().map(function).collect::<PyResult<Vec<_>>>()?;
    Aggregation::every(window).of(functions).map_err(|error| failure::of_config(aggregation.py(), &error))
}
