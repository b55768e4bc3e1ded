//! Counts as the dataclasses of the package.

use collect::{CollectorStats, FileStats, MemoryStats, SubscriberStats};
use pyo3::{prelude::*, types::PyDict};

use crate::python::Known;

pub(crate) static COLLECTOR: Known = Known::new("aldis._stats", "CollectorStats");
pub(crate) static SUBSCRIBER: Known = Known::new("aldis._stats", "SubscriberStats");
pub(crate) static MEMORY: Known = Known::new("aldis._stats", "MemoryStats");
pub(crate) static FILE: Known = Known::new("aldis._stats", "FileStats");

fn numbers<'py>(py: Python<'py>, of: &[(&str, u64)]) -> PyResult<Bound<'py, PyDict>> {
    let numbers = PyDict::new(py);
    of.iter().try_for_each(|(name, number)| numbers.set_item(name, number))?;
    Ok(numbers)
}

pub(crate) fn of_collector<'py>(py: Python<'py>, stats: &CollectorStats) -> PyResult<Bound<'py, PyAny>> {
    let known = numbers(
        py,
        &[
            ("emitted", stats.emitted),
            ("delivered", stats.delivered),
            ("sampled_out", stats.sampled_out),
            ("aggregated", stats.aggregated),
            ("buffered", stats.buffered),
            ("unseen", stats.unseen),
        ],
    )?;
    known.set_item("dropped", numbers(py, &stats.dropped.by_reason())?)?;
    known.set_item("listeners_active", stats.listeners_active)?;
    COLLECTOR.make(py, &known)
}

pub(crate) fn of_subscriber<'py>(py: Python<'py>, stats: &SubscriberStats) -> PyResult<Bound<'py, PyAny>> {
    let known = numbers(
        py,
        &[
            ("offered", stats.offered),
            ("delivered", stats.delivered),
            ("failed", stats.failed + stats.panicked),
            ("lagged", stats.lagged),
            ("pending", stats.pending),
        ],
    )?;
    SUBSCRIBER.make(py, &known)
}

pub(crate) fn of_memory<'py>(py: Python<'py>, stats: &MemoryStats) -> PyResult<Bound<'py, PyAny>> {
    let (items, bytes) = (stats.items as u64, stats.bytes as u64);
    MEMORY.make(py, &numbers(py, &[("items", items), ("bytes", bytes), ("evicted", stats.evicted)])?)
}

pub(crate) fn of_file<'py>(py: Python<'py>, stats: &FileStats) -> PyResult<Bound<'py, PyAny>> {
    let known = numbers(
        py,
        &[
            ("written_records", stats.written_records),
            ("written_bytes", stats.written_bytes),
            ("healed", stats.healed),
            ("rotations", stats.rotations),
            ("removed_files", stats.removed_files),
            ("syncs", stats.syncs),
            ("bad_lines", stats.bad_lines),
        ],
    )?;
    FILE.make(py, &known)
}
