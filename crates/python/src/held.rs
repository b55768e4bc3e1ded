//! Python objects that threads of the library use: each is kept in one place, which the object that it belongs to shows to Python's
//! collector of garbage. So a storage that knows its stream, or a listener that knows its collector, goes when nothing else knows them.
//!
//! The collector counts references: a second one, of which it is not told, would keep all of them alive. Whoever uses the object takes a
//! reference for as long, and is what keeps it meanwhile.

use std::sync::{Arc, Mutex};

use pyo3::{PyTraverseError, PyVisit, exceptions::PyReferenceError, prelude::*};

use crate::collector::lock;

/// A Python object, until it is garbage. Locked by whoever holds the interpreter only, and for no call into it.
pub(crate) struct Held(Mutex<Option<Py<PyAny>>>);

impl Held {
    pub(crate) fn new(object: Py<PyAny>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(object))))
    }

    /// # Errors
    /// It was garbage, and is gone.
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let object = lock(&self.0).as_ref().map(|object| object.bind(py).clone());
        object.ok_or_else(|| PyReferenceError::new_err("it was collected as garbage"))
    }

    /// Whether it is that very object.
    pub(crate) fn is(&self, other: &Bound<'_, PyAny>) -> bool {
        lock(&self.0).as_ref().is_some_and(|object| object.is(other))
    }

    /// Shows it to Python's collector of garbage. To be done by its one owner.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Nobody is at it; if somebody were, it would be none.
        self.0.try_lock().map_or(Ok(()), |object| visit.call(object.as_ref()))
    }

    /// Lets go of it.
    pub(crate) fn clear(&self) {
        // What it does at its end is done under no lock.
        let object = lock(&self.0).take();
        drop(object);
    }
}
