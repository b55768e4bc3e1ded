//! Storages: those of the library, and those that are written in Python.

use std::{path::PathBuf, sync::Arc};

use collect::{FileSettings, StorageError, SyncPolicy};
use pyo3::{
    exceptions::{PyNotImplementedError, PyTypeError, PyValueError},
    prelude::*,
    types::{PyDict, PyTuple},
};
use sqlite::DatabaseSettings;

use crate::{
    config::limit,
    data::TelemetryData,
    failure, gate,
    held::Held,
    moment::{bound_ns, duration},
    stats,
};

pub(crate) mod scan;

/// Keeps records and finds them again: the base of all storages.
#[pyclass(module = "aldis", frozen, subclass, weakref)]
pub(crate) struct TelemetryStorage {
    /// The storage of the library that it is.
    native: Option<Arc<dyn collect::TelemetryStorage>>,
}

#[pymethods]
impl TelemetryStorage {
    /// Takes whatever its subclasses take.
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn new(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self { native: None }
    }

    fn store(&self, py: Python<'_>, data: &Bound<'_, TelemetryData>) -> PyResult<()> {
        let native = self.native("store")?;
        let data = data.get().data.clone();
        py.detach(|| native.store(&data)).map_err(|error| failure::of_storage(py, &error))
    }

    #[pyo3(signature = (start_time = None, end_time = None, limit = None))]
    fn retrieve(
        &self,
        py: Python<'_>,
        start_time: Option<&Bound<'_, PyAny>>,
        end_time: Option<&Bound<'_, PyAny>>,
        limit: Option<i64>,
    ) -> PyResult<TelemetryData> {
        let native = self.native("retrieve")?;
        let (start, end) = (bound_ns(start_time)?, bound_ns(end_time)?);
        let limit = self::limit(limit)?;
        let found = py.detach(|| native.retrieve(start, end, limit));
        found.map(TelemetryData::of).map_err(|error| failure::of_storage(py, &error))
    }

    /// Makes what was stored survive a crash of the machine. Storages without anything to do for that need not say so.
    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        let Some(native) = &self.native else { return Ok(()) };
        py.detach(|| native.sync()).map_err(|error| failure::of_storage(py, &error))
    }

    /// Does what is due by now.
    fn tick(&self, py: Python<'_>) -> PyResult<()> {
        let Some(native) = &self.native else { return Ok(()) };
        py.detach(|| native.tick()).map_err(|error| failure::of_storage(py, &error))
    }

    fn __enter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    /// Syncs.
    #[pyo3(signature = (*_raised))]
    fn __exit__(this: &Bound<'_, Self>, _raised: &Bound<'_, PyTuple>) -> PyResult<()> {
        this.call_method0("sync").map(drop)
    }
}

impl TelemetryStorage {
    fn native(&self, method: &str) -> PyResult<&Arc<dyn collect::TelemetryStorage>> {
        let missing = || PyNotImplementedError::new_err(format!("a TelemetryStorage has a method {method}"));
        self.native.as_ref().ok_or_else(missing)
    }
}

impl Drop for TelemetryStorage {
    fn drop(&mut self) {
        gate::drop_outside(self.native.take());
    }
}

/// What a stream stores into: a storage of the library itself, if the object is nothing more, and otherwise the object's methods.
pub(crate) fn of_object(
    object: &Bound<'_, PyAny>,
    held: &Arc<Held>,
) -> PyResult<Arc<dyn collect::TelemetryStorage>> {
    let is_native = object.is_exact_instance_of::<MemoryStorage>()
        || object.is_exact_instance_of::<FileStorage>()
        || object.is_exact_instance_of::<DatabaseStorage>();
    if let Ok(storage) = object.cast::<TelemetryStorage>()
        && is_native
        && let Some(native) = &storage.get().native
    {
        return Ok(native.clone());
    }
    for method in ["store", "retrieve"] {
        if !object.hasattr(method)? {
            return Err(PyTypeError::new_err(format!("a storage has a method {method}")));
        }
    }
    Ok(Arc::new(Written { object: held.clone() }))
}

/// A storage that is written in Python.
struct Written {
    object: Arc<Held>,
}

impl Written {
    fn call<T>(&self, run: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> Result<T, StorageError> {
        let called = gate::enter(|py| {
            self.object.get(py).and_then(|object| run(&object)).map_err(|error| {
                let stored = error.value(py).getattr("stored").and_then(|stored| stored.extract());
                StorageError::new(error.to_string()).after(stored.unwrap_or(0))
            })
        });
        called.unwrap_or_else(|| Err(StorageError::new(gate::ENDED)))
    }

    /// Calls a method that a storage need not have.
    fn call_if_there(&self, method: &str) -> Result<(), StorageError> {
        self.call(|object| match object.hasattr(method)? {
            true => object.call_method0(method).map(drop),
            false => Ok(()),
        })
    }
}

impl collect::TelemetryStorage for Written {
    fn store(&self, data: &collect::TelemetryData) -> Result<(), StorageError> {
        self.call(|object| {
            let data = TelemetryData::of(data.clone()).into_pyobject(object.py())?;
            object.call_method1("store", (data,)).map(drop)
        })
    }

    fn retrieve(
        &self,
        start_ns: Option<u64>,
        end_ns: Option<u64>,
        limit: Option<usize>,
    ) -> Result<collect::TelemetryData, StorageError> {
        self.call(|object| {
            let py = object.py();
            let time = |ns: Option<u64>| ns.map(|ns| crate::moment::datetime(py, ns)).transpose();
            let found = object.call_method1("retrieve", (time(start_ns)?, time(end_ns)?, limit))?;
            Ok(collect::TelemetryData::clone(&found.cast::<TelemetryData>()?.get().data))
        })
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.call_if_there("sync")
    }

    fn tick(&self) -> Result<(), StorageError> {
        self.call_if_there("tick")
    }
}

/// Keeps the records stored last, in memory.
#[pyclass(module = "aldis", frozen, subclass, extends = TelemetryStorage)]
pub(crate) struct MemoryStorage(Arc<collect::MemoryStorage>);

#[pymethods]
impl MemoryStorage {
    #[new]
    #[pyo3(signature = (max_items = None, max_bytes = None))]
    fn new(max_items: Option<usize>, max_bytes: Option<usize>) -> PyClassInitializer<Self> {
        use collect::limits::{MEMORY_BYTES, MEMORY_ITEMS};
        let (items, bytes) = (max_items.unwrap_or(MEMORY_ITEMS), max_bytes.unwrap_or(MEMORY_BYTES));
        let storage = Arc::new(collect::MemoryStorage::with_bounds(items, bytes));
        PyClassInitializer::from(TelemetryStorage { native: Some(storage.clone()) })
            .add_subclass(Self(storage))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        stats::of_memory(py, &py.detach(|| self.0.stats()))
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.0.stats().items)
    }
}

/// Stores each record as a line of JSON.
#[pyclass(module = "aldis", frozen, subclass, extends = TelemetryStorage)]
pub(crate) struct FileStorage(Arc<collect::FileStorage>);

#[pymethods]
impl FileStorage {
    #[new]
    #[pyo3(signature = (path, *, sync = None, compression = None, rotate_bytes = None, keep_files = None))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        sync: Option<&Bound<'_, PyAny>>,
        compression: Option<i32>,
        rotate_bytes: Option<u64>,
        keep_files: Option<usize>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let sync = match sync {
            None => SyncPolicy::Never,
            Some(policy) => match policy.extract::<String>() {
                Ok(name) if name == "never" => SyncPolicy::Never,
                Ok(name) if name == "every_batch" => SyncPolicy::EveryBatch,
                Ok(_) => return Err(PyValueError::new_err("sync takes never, every_batch or seconds")),
                Err(_) => SyncPolicy::Interval(duration(policy, "sync")?),
            },
        };
        let settings = FileSettings { sync, compression, rotate_bytes, keep_files };
        let opened = py.detach(|| collect::FileStorage::with_settings(path, settings));
        let storage = Arc::new(opened.map_err(|error| failure::of_storage(py, &error))?);
        let base = TelemetryStorage { native: Some(storage.clone()) };
        Ok(PyClassInitializer::from(base).add_subclass(Self(storage)))
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    /// Iterates over records in the order in which they were stored, in constant memory.
    #[pyo3(signature = (start_time = None, end_time = None))]
    fn scan(
        &self,
        start_time: Option<&Bound<'_, PyAny>>,
        end_time: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<scan::Records> {
        scan::Records::of(self.0.clone(), bound_ns(start_time)?, bound_ns(end_time)?)
    }

    fn __iter__(&self) -> PyResult<scan::Records> {
        self.scan(None, None)
    }

    fn rebuild_index(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.rebuild_index()).map_err(|error| failure::of_storage(py, &error))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        stats::of_file(py, &py.detach(|| self.0.stats()))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("FileStorage({})", self.0.path().as_os_str().into_pyobject(py)?.repr()?))
    }
}

/// Stores each batch as a transaction in a SQLite database.
#[pyclass(module = "aldis", frozen, subclass, extends = TelemetryStorage)]
pub(crate) struct DatabaseStorage {
    path: PathBuf,
}

#[pymethods]
impl DatabaseStorage {
    #[new]
    #[pyo3(signature = (path, *, sync_every_batch = false, max_records = None))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        sync_every_batch: bool,
        max_records: Option<u64>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let settings = DatabaseSettings { sync_every_batch, max_records };
        let opened = py.detach(|| sqlite::DatabaseStorage::with_settings(&path, settings));
        let storage = Arc::new(opened.map_err(|error| failure::of_storage(py, &error))?);
        let base = TelemetryStorage { native: Some(storage) };
        Ok(PyClassInitializer::from(base).add_subclass(Self { path }))
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("DatabaseStorage({})", self.path.as_os_str().into_pyobject(py)?.repr()?))
    }
}
