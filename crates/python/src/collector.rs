//! The collector, and handles to its metrics.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use collect::{EventType, Overflow, SubscriberId};
use pyo3::{
    Borrowed, PyTraverseError, PyVisit,
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBool, PyDict, PyTuple},
};

use crate::{
    config::TelemetryConfig,
    data::TelemetryData,
    failure, fields, gate,
    held::Held,
    moment::patience,
    pen::{self, Draft, Drawn, Metadata, Pen},
    stats,
};

/// Collects events and metrics from all threads of a program.
#[pyclass(module = "aldis", frozen, weakref)]
pub(crate) struct TelemetryCollector {
    /// Nothing while it is dropped.
    inner: Option<collect::TelemetryCollector>,
    /// Whether recording may wait for others.
    may_wait: bool,
    /// Never waited for.
    pen: Mutex<Pen>,
    listeners: Subscribers,
}

impl Drop for TelemetryCollector {
    fn drop(&mut self) {
        gate::drop_outside(self.inner.take());
    }
}

#[pymethods]
impl TelemetryCollector {
    #[new]
    #[pyo3(signature = (config = None))]
    fn new(py: Python<'_>, config: Option<&Bound<'_, TelemetryConfig>>) -> PyResult<Self> {
        let config = config.map_or_else(Default::default, |config| config.get().0.clone());
        let may_wait = matches!(config.overflow, Overflow::Block(_));
        let inner =
            collect::TelemetryCollector::new(config).map_err(|error| failure::of_config(py, &error))?;
        let (pen, listeners) = (Mutex::new(Pen::new()), Mutex::default());
        Ok(Self { inner: Some(inner), may_wait, pen, listeners })
    }

    #[getter]
    fn config(&self) -> PyResult<TelemetryConfig> {
        Ok(TelemetryConfig(self.inner()?.config().clone()))
    }

    #[pyo3(signature = (source, message, event_type = None, metadata = None))]
    fn collect_event(
        &self,
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        message: &Bound<'_, PyAny>,
        event_type: Option<&Bound<'_, PyAny>>,
        metadata: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let event_type = event_type.map(|event_type| event_type.as_borrowed());
        let metadata = metadata.map_or(Metadata::None, |metadata| Metadata::Mapping(metadata.as_borrowed()));
        self.event(py, source.as_borrowed(), message.as_borrowed(), event_type, metadata)
    }

    /// As `collect_event`, with metadata as keywords.
    #[pyo3(signature = (*arguments, **metadata))]
    fn emit(&self, arguments: &Bound<'_, PyTuple>, metadata: Option<&Bound<'_, PyDict>>) -> PyResult<bool> {
        // Nothing but these two are its parameters, so that they are handed on as they come, and no copy of them.
        let py = arguments.py();
        let many = arguments.len();
        if !(2..=3).contains(&many) {
            let takes =
                "emit() takes source, message and maybe event_type by position, and metadata by keyword";
            return Err(PyTypeError::new_err(takes));
        }
        let (source, message) = (arguments.get_borrowed_item(0)?, arguments.get_borrowed_item(1)?);
        let event_type = if many == 3 { Some(arguments.get_borrowed_item(2)?) } else { None };
        let metadata = metadata.map(|metadata| metadata.as_any().as_borrowed());
        self.event(py, source, message, event_type, metadata.map_or(Metadata::None, Metadata::Mapping))
    }

    #[pyo3(signature = (name, value, unit = None, tags = None))]
    fn collect_metric(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        value: f64,
        unit: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let inner = self.inner()?;
        let written = self.with_pen(|pen| {
            pen.begin();
            pen.head((name, "name"), unit.map(|unit| (unit, "unit")))?;
            if let Some(tags) = tags {
                pen.tags(tags)?;
            }
            Ok::<_, PyErr>(self.send(pen, |draft| draft.metric(inner, value)))
        })?;
        Ok(match written {
            Sent::Done(is_taken) => is_taken,
            Sent::MayWait(draft) => py.detach(|| draft.drawn().metric(inner, value)),
        })
    }

    #[pyo3(signature = (name, unit = "", tags = None))]
    fn counter(&self, name: &str, unit: &str, tags: Option<&Bound<'_, PyAny>>) -> PyResult<Counter> {
        let tags = tags.map(fields::tags).transpose()?.unwrap_or_default();
        let tags: Vec<_> = tags.iter().map(|(key, tag)| (key.as_str(), tag.as_str())).collect();
        Ok(Counter(self.inner()?.counter(name, unit, &tags)))
    }

    #[pyo3(signature = (name, unit = "", tags = None))]
    fn gauge(&self, name: &str, unit: &str, tags: Option<&Bound<'_, PyAny>>) -> PyResult<Gauge> {
        let tags = tags.map(fields::tags).transpose()?.unwrap_or_default();
        let tags: Vec<_> = tags.iter().map(|(key, tag)| (key.as_str(), tag.as_str())).collect();
        Ok(Gauge(self.inner()?.gauge(name, unit, &tags)))
    }

    fn add_listener(&self, py: Python<'_>, listener: Bound<'_, PyAny>) -> PyResult<u64> {
        let listener = listening(listener)?;
        let (inner, shown) = (self.inner()?, caller(listener.clone()));
        let id = py.detach(|| inner.add_listener(shown)).map_err(|error| failure::of_stream(py, &error))?;
        lock(&self.listeners).push((id, listener));
        Ok(id.number())
    }

    /// Of a number that `add_listener` returned, or of the listener itself.
    fn remove_listener(&self, py: Python<'_>, listener: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Some(id) = take(&self.listeners, listener)? else { return Ok(false) };
        let inner = self.inner()?;
        Ok(py.detach(|| inner.remove_listener(id)))
    }

    fn listener_stats<'py>(
        &self,
        py: Python<'py>,
        listener: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(id) = numbered(&self.listeners, listener)? else { return Ok(None) };
        self.inner()?.listener_stats(id).map(|of| stats::of_subscriber(py, &of)).transpose()
    }

    fn listener_error(&self, listener: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        let id = numbered(&self.listeners, listener)?;
        Ok(id.map(|id| self.inner().map(|inner| inner.listener_error(id))).transpose()?.flatten())
    }

    #[pyo3(signature = (timeout = None))]
    fn flush(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<TelemetryData> {
        let timeout = match timeout {
            Some(timeout) => patience(timeout)?,
            None => collect::limits::FLUSH_TIMEOUT,
        };
        let inner = self.inner()?;
        let mut heard = Ok(());
        let is_wanted = || {
            // At the end of the interpreter nobody is there to hear.
            heard = Python::try_attach(|py| py.check_signals()).unwrap_or(Ok(()));
            heard.is_ok()
        };
        let flushed = py.detach(|| inner.flush_while(timeout, is_wanted));
        heard?;
        flushed.map(TelemetryData::of).map_err(|error| failure::of_flush(py, error))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let inner = self.inner()?;
        py.detach(|| inner.close());
        Ok(())
    }

    #[getter]
    fn is_streaming(&self, py: Python<'_>) -> PyResult<bool> {
        let inner = self.inner()?;
        Ok(py.detach(|| inner.is_streaming()))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let inner = self.inner()?;
        stats::of_collector(py, &py.detach(|| inner.stats()))
    }

    fn __enter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    /// Flushes if a stream runs, and closes.
    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, py: Python<'_>, _raised: &Bound<'_, PyTuple>) -> PyResult<()> {
        let inner = self.inner()?;
        py.detach(|| inner.close());
        if self.is_streaming(py)? {
            self.flush(py, None)?;
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        traverse(&self.listeners, &visit)
    }

    fn __clear__(&self) {
        clear(&self.listeners);
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let inner = self.inner()?;
        Ok(format!("<TelemetryCollector: {}>", py.detach(|| inner.stats())))
    }
}

impl TelemetryCollector {
    pub(crate) fn inner(&self) -> PyResult<&collect::TelemetryCollector> {
        self.inner.as_ref().ok_or_else(|| PyTypeError::new_err("the collector is gone"))
    }

    /// With the collector's pen, or with another one where that is in use: by a thread that converts a value with Python code and let
    /// go of the interpreter, or by this one, in such code.
    #[inline]
    fn with_pen<T>(&self, write: impl FnOnce(&mut Pen) -> T) -> T {
        let (mut shared, mut own);
        let pen: &mut Pen = match self.pen.try_lock() {
            Ok(pen) => {
                shared = pen;
                &mut shared
            }
            Err(TryLockError::Poisoned(pen)) => {
                shared = pen.into_inner();
                &mut shared
            }
            Err(TryLockError::WouldBlock) => {
                own = Pen::new();
                &mut own
            }
        };
        write(pen)
    }

    /// Records what was drafted, unless that may wait for other threads: they may need the interpreter.
    #[inline]
    fn send(&self, pen: &mut Pen, record: impl FnOnce(Drawn<'_>) -> bool) -> Sent {
        if self.may_wait { Sent::MayWait(pen.take()) } else { Sent::Done(pen.record(record)) }
    }

    #[inline]
    pub(crate) fn event(
        &self,
        py: Python<'_>,
        source: Borrowed<'_, '_, PyAny>,
        message: Borrowed<'_, '_, PyAny>,
        event_type: Option<Borrowed<'_, '_, PyAny>>,
        metadata: Metadata<'_, '_>,
    ) -> PyResult<bool> {
        let event_type: EventType = pen::event_type(event_type.as_deref())?;
        let inner = self.inner()?;
        let written = self.with_pen(|pen| {
            if !self.may_wait
                && let Some(is_taken) = pen.straight(inner, (source, message), event_type, metadata)
            {
                return Ok(Sent::Done(is_taken));
            }
            pen.begin();
            pen.head((&source, "source"), Some((&message, "message")))?;
            pen.fields(py, metadata)?;
            Ok::<_, PyErr>(self.send(pen, |draft| draft.event(inner, event_type)))
        })?;
        Ok(match written {
            Sent::Done(is_taken) => is_taken,
            Sent::MayWait(draft) => py.detach(|| draft.drawn().event(inner, event_type)),
        })
    }
}

/// What became of a draft.
enum Sent {
    /// It was recorded, or dropped and counted.
    Done(bool),
    /// It is to be recorded without the interpreter.
    MayWait(Box<Draft>),
}

/// A listener or consumer that is written in Python.
pub(crate) fn listening(listener: Bound<'_, PyAny>) -> PyResult<Arc<Held>> {
    if !listener.is_callable() {
        return Err(PyTypeError::new_err("a listener is called with a TelemetryData: it takes a callable"));
    }
    Ok(Held::new(listener.unbind()))
}

/// What calls a listener or consumer. What it raises goes to `sys.unraisablehook`, and is counted.
pub(crate) fn caller(
    listener: Arc<Held>,
) -> impl Fn(&collect::TelemetryData) -> Result<(), String> + Send + Sync + 'static {
    move |data: &collect::TelemetryData| {
        let called = gate::enter(|py| {
            let listener = listener.get(py).map_err(|error| error.to_string())?;
            let shown = TelemetryData::of(data.clone()).into_pyobject(py);
            let called = shown.and_then(|data| listener.call1((data,)));
            called.map(drop).map_err(|error| {
                let said = error.to_string();
                // At the end those that do not return are ended by an exception that nobody need hear of.
                if !gate::is_closed() {
                    error.write_unraisable(py, Some(&listener));
                }
                said
            })
        });
        called.unwrap_or_else(|| Err(gate::ENDED.to_owned()))
    }
}

/// Subscribers of a collector or a stream, with what is called. Locked by whoever holds the interpreter only.
pub(crate) type Subscribers = Mutex<Vec<(SubscriberId, Arc<Held>)>>;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The subscriber of a number.
pub(crate) fn numbered(
    subscribers: &Subscribers,
    number: &Bound<'_, PyAny>,
) -> PyResult<Option<SubscriberId>> {
    if number.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err("a subscriber has a number, and no bool"));
    }
    let number: u64 = number.extract()?;
    Ok(lock(subscribers).iter().map(|(id, _)| *id).find(|id| id.number() == number))
}

/// Shows subscribers to Python's collector of garbage.
pub(crate) fn traverse(subscribers: &Subscribers, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
    // Nobody is at it; if somebody were, they would be none.
    let Ok(subscribers) = subscribers.try_lock() else { return Ok(()) };
    subscribers.iter().try_for_each(|(_, held)| held.traverse(visit))
}

/// Lets go of subscribers.
pub(crate) fn clear(subscribers: &Subscribers) {
    let all = std::mem::take(&mut *lock(subscribers));
    all.iter().for_each(|(_, held)| held.clear());
}

/// Takes out the subscriber of that number, with that object, or else with an equal one: a bound method is another object each time.
pub(crate) fn take(subscribers: &Subscribers, which: &Bound<'_, PyAny>) -> PyResult<Option<SubscriberId>> {
    if which.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err("a number or what was added is removed, and no bool"));
    }
    let py = which.py();
    let number: Option<u64> = which.extract().ok();
    // Python code says what is equal, so nothing is locked meanwhile.
    let all = lock(subscribers).clone();
    let mut found = all.iter().find(|(id, held)| Some(id.number()) == number || held.is(which));
    if number.is_none() && found.is_none() {
        for subscriber in &all {
            if subscriber.1.get(py)?.eq(which)? {
                found = Some(subscriber);
                break;
            }
        }
    }
    let Some((id, _)) = found else { return Ok(None) };
    let mut left = lock(subscribers);
    let taken = left.iter().position(|(of, _)| of.number() == id.number()).map(|at| left.remove(at));
    drop(left);
    Ok(taken.map(|(id, _)| id))
}

/// A metric that counts.
#[pyclass(module = "aldis", frozen)]
pub(crate) struct Counter(collect::Counter);

#[pymethods]
impl Counter {
    #[pyo3(signature = (count = 1))]
    fn add(&self, count: u64) {
        self.0.add(count);
    }

    #[getter]
    fn pending(&self) -> u64 {
        self.0.pending()
    }
}

/// A metric that has a value.
#[pyclass(module = "aldis", frozen)]
pub(crate) struct Gauge(collect::Gauge);

#[pymethods]
impl Gauge {
    fn set(&self, value: f64) {
        self.0.set(value);
    }
}
