//! The extension module of the Python package `aldis`: what `aldis-collect`, `aldis-sqlite` and `aldis-archive` do, in Python's ways.
//!
//! It decides nothing. What is Python's alone is here: values from and to Python (`fields`, `moment`), exceptions (`failure`), who
//! may enter the interpreter and until when (`gate`), what belongs to Python's collector of garbage (`held`), and the way of an event from a call to the collector's buffer (`pen`).
//! Enumerations, exceptions and statistics are written in Python, in the package beside.
#![deny(missing_docs)]
#![deny(unsafe_code)]

mod archive;
mod calls;
mod collector;
mod config;
mod data;
mod failure;
mod fields;
mod gate;
mod held;
mod moment;
mod pen;
mod python;
mod stats;
mod storage;
mod stream;
mod wait;

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use crate::archive::counters::{StageTimes, TelemetryCounters, TelemetryTimer};
    #[pymodule_export]
    use crate::archive::range::Archive;
    #[pymodule_export]
    use crate::archive::snapshot::TelemetrySnapshot;
    #[pymodule_export]
    use crate::archive::{open, seal, verify};
    #[pymodule_export]
    use crate::collector::{Counter, Gauge, TelemetryCollector};
    #[pymodule_export]
    use crate::config::TelemetryConfig;
    #[pymodule_export]
    use crate::data::{TelemetryData, TelemetryEvent, TelemetryMetric};
    #[pymodule_export]
    use crate::gate::{after_fork_in_child, at_exit};
    #[pymodule_export]
    use crate::python::get_ready;
    #[pymodule_export]
    use crate::storage::scan::Records;
    #[pymodule_export]
    use crate::storage::{DatabaseStorage, FileStorage, MemoryStorage, TelemetryStorage};
    #[pymodule_export]
    use crate::stream::TelemetryStream;

    #[pymodule_init]
    fn init(module: &super::Bound<'_, super::PyModule>) -> super::PyResult<()> {
        crate::stream::has_finalizer(module.py())?;
        crate::calls::install(module.py())?;
        super::PyModuleMethods::add(module, "__version__", env!("CARGO_PKG_VERSION"))
    }
}
