//! The snapshot of a pipeline.

use std::path::PathBuf;

use archive::Direction;
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyDict, PyString, PyType},
};

use super::counters::StageTimes;

/// What a pipeline did, at its end.
#[pyclass(module = "aldis.archive", frozen)]
pub(crate) struct TelemetrySnapshot(pub(crate) archive::TelemetrySnapshot);

#[pymethods]
impl TelemetrySnapshot {
    #[classmethod]
    fn from_json(_class: &Bound<'_, PyType>, text: &str) -> PyResult<Self> {
        let read = serde_json::from_str(text);
        read.map(Self).map_err(|error| PyValueError::new_err(format!("this is no snapshot: {error}")))
    }

    fn to_json(&self) -> PyResult<String> {
        serde_json::to_string(&self.0).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("json")?.call_method1("loads", (self.to_json()?,))
    }

    #[getter]
    fn frames_data(&self) -> u64 {
        self.0.frames_data
    }

    #[getter]
    fn frames_terminator(&self) -> u64 {
        self.0.frames_terminator
    }

    #[getter]
    fn frames_digest(&self) -> u64 {
        self.0.frames_digest
    }

    #[getter]
    fn bytes_plaintext(&self) -> u64 {
        self.0.bytes_plaintext
    }

    #[getter]
    fn bytes_compressed(&self) -> u64 {
        self.0.bytes_compressed
    }

    #[getter]
    fn bytes_ciphertext(&self) -> u64 {
        self.0.bytes_ciphertext
    }

    #[getter]
    fn bytes_overhead(&self) -> u64 {
        self.0.bytes_overhead
    }

    #[getter]
    fn compression_ratio(&self) -> f64 {
        self.0.compression_ratio
    }

    #[getter]
    fn throughput_bytes_per_sec(&self) -> f64 {
        self.0.throughput_bytes_per_sec
    }

    #[getter]
    fn stage_times(&self) -> StageTimes {
        StageTimes(self.0.stage_times)
    }

    /// Seconds.
    #[getter]
    fn elapsed(&self) -> f64 {
        self.0.elapsed.as_secs_f64()
    }

    /// Path and length of the file, if there is one.
    #[getter]
    fn output(&self) -> Option<(PathBuf, u64)> {
        self.0.output.as_ref().map(|output| (output.path.clone(), output.bytes))
    }

    /// Every identity that does not hold, in words.
    fn sanity_check(&self) -> Vec<String> {
        self.0.sanity_check().iter().map(ToString::to_string).collect()
    }

    /// `seal` or `open`, as text or member of `Direction`.
    fn has_all_stages(&self, direction: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.0.has_all_stages(read_direction(direction)?))
    }

    /// The same with where the result went.
    fn attach_output(&self, path: PathBuf, bytes: u64) -> Self {
        Self(self.0.clone().attach_output(path, bytes))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((py.get_type::<Self>().getattr("from_json")?, (self.to_json()?,)))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| self.0 == other.get().0)
    }

    fn __hash__(&self) -> u64 {
        self.0.bytes_ciphertext ^ self.0.bytes_plaintext.rotate_left(32)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut said = Vec::new();
        for (name, value) in self.to_dict(py)?.cast::<PyDict>()? {
            said.push(format!("{name}={}", value.repr()?));
        }
        Ok(format!("TelemetrySnapshot({})", said.join(", ")))
    }
}

fn read_direction(direction: &Bound<'_, PyAny>) -> PyResult<Direction> {
    // Members of the enumeration are texts.
    let text = direction.cast::<PyString>()?;
    match text.to_string_lossy().as_ref() {
        "seal" => Ok(Direction::Seal),
        "open" => Ok(Direction::Open),
        _ => Err(PyValueError::new_err("direction takes seal or open")),
    }
}
