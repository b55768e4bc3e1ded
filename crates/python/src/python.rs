//! What is written in Python and known here.

use pyo3::{prelude::*, sync::PyOnceLock, types::PyDict};

use crate::{failure, gate, moment, pen, stats};

/// A name in a module of the package, looked up once.
pub(crate) struct Known {
    module: &'static str,
    name: &'static str,
    object: PyOnceLock<Py<PyAny>>,
}

impl Known {
    pub(crate) const fn new(module: &'static str, name: &'static str) -> Self {
        Self { module, name, object: PyOnceLock::new() }
    }

    pub(crate) fn get<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        let find = || Ok::<_, PyErr>(py.import(self.module)?.getattr(self.name)?.unbind());
        Ok(self.object.get_or_try_init(py, find)?.bind(py))
    }

    /// Calls it with keywords.
    pub(crate) fn make<'py>(
        &self,
        py: Python<'py>,
        keywords: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.get(py)?.call((), Some(keywords))
    }
}

/// Looks up what may be needed when modules are gone: objects live on until the very end of the interpreter.
#[pyfunction]
pub(crate) fn get_ready(py: Python<'_>) -> PyResult<()> {
    let of_stats = [&stats::COLLECTOR, &stats::SUBSCRIBER, &stats::MEMORY, &stats::FILE];
    let others = [&failure::MAKE, &moment::TO_NS, &moment::FROM_NS, &gate::GET_IDENT];
    of_stats.iter().chain(&others).try_for_each(|known| known.get(py).map(drop))?;
    pen::event_types(py).map(drop)
}
