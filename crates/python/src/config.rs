//! How a collector is set up.

use std::{ffi::OsString, path::PathBuf};

use collect::{Overflow, StorageBackend};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyDict, PyTuple},
};

use crate::{failure, moment::duration};

/// Settings of a `TelemetryCollector`.
#[pyclass(module = "aldis", frozen, eq)]
#[derive(Clone, PartialEq)]
pub(crate) struct TelemetryConfig(pub(crate) collect::TelemetryConfig);

/// What one setting is given as.
type Given<'py> = Option<Bound<'py, PyAny>>;

#[pymethods]
impl TelemetryConfig {
    #[new]
    #[pyo3(signature = (enabled = true, buffer_size = None, flush_interval = None, realtime_mode = false, storage_backend = None,
        storage_path = None, *, overflow = None, block_timeout = None, max_items = None, max_bytes = None))]
    #[allow(clippy::too_many_arguments, reason = "they are keywords")]
    fn new(
        py: Python<'_>,
        enabled: bool,
        buffer_size: Option<usize>,
        flush_interval: Given<'_>,
        realtime_mode: bool,
        storage_backend: Option<&str>,
        storage_path: Option<PathBuf>,
        overflow: Option<&str>,
        block_timeout: Given<'_>,
        max_items: Option<usize>,
        max_bytes: Option<usize>,
    ) -> PyResult<Self> {
        let mut config =
            collect::TelemetryConfig { enabled, realtime_mode, storage_path, ..Default::default() };
        config.buffer_size = buffer_size.unwrap_or(config.buffer_size);
        config.max_items = max_items.unwrap_or(config.max_items);
        config.max_bytes = max_bytes.unwrap_or(config.max_bytes);
        if let Some(interval) = flush_interval {
            config.flush_interval = duration(&interval, "flush_interval")?;
        }
        if let Some(backend) = storage_backend {
            let read: Result<StorageBackend, _> = backend.parse();
            config.storage_backend = read.map_err(|error| failure::of_config(py, &error))?;
        }
        let wait = block_timeout.map(|wait| duration(&wait, "block_timeout")).transpose()?;
        config.overflow = match (overflow.unwrap_or("drop_oldest"), wait) {
            ("drop_oldest", None) => Overflow::DropOldest,
            ("drop_newest", None) => Overflow::DropNewest,
            ("block", Some(wait)) => Overflow::Block(wait),
            ("block", None) => return Err(refused(py, "block_timeout", "seconds where overflow is block")),
            ("drop_oldest" | "drop_newest", Some(_)) => {
                return Err(refused(py, "block_timeout", "nothing unless overflow is block"));
            }
            _ => return Err(refused(py, "overflow", "drop_oldest, drop_newest or block")),
        };
        config.validate().map_err(|error| failure::of_config(py, &error))?;
        Ok(Self(config))
    }

    #[getter]
    fn enabled(&self) -> bool {
        self.0.enabled
    }

    #[getter]
    fn buffer_size(&self) -> usize {
        self.0.buffer_size
    }

    /// Seconds.
    #[getter]
    fn flush_interval(&self) -> f64 {
        self.0.flush_interval.as_secs_f64()
    }

    #[getter]
    fn realtime_mode(&self) -> bool {
        self.0.realtime_mode
    }

    #[getter]
    fn storage_backend(&self) -> &'static str {
        self.0.storage_backend.as_str()
    }

    /// As `os.fsdecode` has it: so that it names the same file again, whatever its bytes are.
    #[getter]
    fn storage_path(&self) -> Option<OsString> {
        self.0.storage_path.as_ref().map(|path| path.as_os_str().to_owned())
    }

    #[getter]
    fn overflow(&self) -> &'static str {
        match self.0.overflow {
            Overflow::DropOldest => "drop_oldest",
            Overflow::DropNewest => "drop_newest",
            Overflow::Block(_) => "block",
        }
    }

    /// Seconds.
    #[getter]
    fn block_timeout(&self) -> Option<f64> {
        match self.0.overflow {
            Overflow::Block(wait) => Some(wait.as_secs_f64()),
            _ => None,
        }
    }

    #[getter]
    fn max_items(&self) -> usize {
        self.0.max_items
    }

    #[getter]
    fn max_bytes(&self) -> usize {
        self.0.max_bytes
    }

    /// Another one with these settings changed.
    #[pyo3(signature = (**changes))]
    fn replace<'py>(
        &self,
        py: Python<'py>,
        changes: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let settings = self.settings(py)?;
        if let Some(changes) = changes {
            let leaves_block =
                changes.get_item("overflow")?.is_some_and(|overflow| !overflow.eq("block").unwrap_or(false));
            if leaves_block {
                settings.set_item("block_timeout", py.None())?;
            }
            settings.update(changes.as_mapping())?;
        }
        py.get_type::<Self>().call((), Some(&settings))
    }

    #[pyo3(signature = (**changes))]
    fn __replace__<'py>(
        &self,
        py: Python<'py>,
        changes: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.replace(py, changes)
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        Ok((PyTuple::empty(py), self.settings(py)?))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut said = Vec::new();
        for (name, value) in self.settings(py)? {
            said.push(format!("{name}={}", value.repr()?));
        }
        Ok(format!("TelemetryConfig({})", said.join(", ")))
    }
}

impl TelemetryConfig {
    /// Every setting by its name.
    fn settings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let settings = PyDict::new(py);
        settings.set_item("enabled", self.0.enabled)?;
        settings.set_item("buffer_size", self.0.buffer_size)?;
        settings.set_item("flush_interval", self.flush_interval())?;
        settings.set_item("realtime_mode", self.0.realtime_mode)?;
        settings.set_item("storage_backend", self.storage_backend())?;
        settings.set_item("storage_path", self.storage_path())?;
        settings.set_item("overflow", self.overflow())?;
        settings.set_item("block_timeout", self.block_timeout())?;
        settings.set_item("max_items", self.0.max_items)?;
        settings.set_item("max_bytes", self.0.max_bytes)?;
        Ok(settings)
    }
}

fn refused(py: Python<'_>, setting: &'static str, expected: &'static str) -> PyErr {
    failure::of_config(py, &collect::ConfigError { setting, expected })
}

/// `number`, unless it is negative.
pub(crate) fn limit(number: Option<i64>) -> PyResult<Option<usize>> {
    let read =
        |number| usize::try_from(number).map_err(|_| PyValueError::new_err("limit takes a number from 0"));
    number.map(read).transpose()
}
