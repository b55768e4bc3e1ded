//! Counters, stage times and the timer.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use archive::Stage;
use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

use super::snapshot::TelemetrySnapshot;
use crate::{collector::lock, moment::duration};

fn read_stage(stage: &Bound<'_, PyAny>) -> PyResult<Stage> {
    // Members of the enumeration are texts.
    let text = stage.cast::<PyString>()?.to_string_lossy().into_owned();
    let stage = Stage::ALL.into_iter().find(|stage| stage.name() == text);
    stage.ok_or_else(|| {
        PyValueError::new_err("stages are read, compress, encrypt, decrypt, decompress, write")
    })
}

/// Busy seconds by stage.
#[pyclass(module = "aldis.archive", frozen)]
pub(crate) struct StageTimes(pub(crate) archive::StageTimes);

#[pymethods]
impl StageTimes {
    #[new]
    #[pyo3(signature = (**seconds))]
    fn new(seconds: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut times = archive::StageTimes::default();
        for (stage, busy) in seconds.into_iter().flatten() {
            times.add(read_stage(&stage)?, duration(&busy, "a stage")?);
        }
        Ok(Self(times))
    }

    #[getter]
    fn read(&self) -> f64 {
        self.0.read.as_secs_f64()
    }

    #[getter]
    fn compress(&self) -> f64 {
        self.0.compress.as_secs_f64()
    }

    #[getter]
    fn encrypt(&self) -> f64 {
        self.0.encrypt.as_secs_f64()
    }

    #[getter]
    fn decrypt(&self) -> f64 {
        self.0.decrypt.as_secs_f64()
    }

    #[getter]
    fn decompress(&self) -> f64 {
        self.0.decompress.as_secs_f64()
    }

    #[getter]
    fn write(&self) -> f64 {
        self.0.write.as_secs_f64()
    }

    fn get(&self, stage: &Bound<'_, PyAny>) -> PyResult<f64> {
        Ok(self.0.get(read_stage(stage)?).as_secs_f64())
    }

    fn total(&self) -> f64 {
        self.0.total().as_secs_f64()
    }

    /// Pairs of a stage's name and its seconds.
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let pairs: Vec<_> = self.0.iter().map(|(stage, busy)| (stage.name(), busy.as_secs_f64())).collect();
        PyTuple::new(py, pairs)?.try_iter().map(Bound::into_any)
    }

    fn __add__(&self, other: &Bound<'_, Self>) -> Self {
        let mut sum = self.0;
        sum += other.get().0;
        Self(sum)
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let seconds = PyDict::new(py);
        for (stage, busy) in self.0.iter() {
            seconds.set_item(stage.name(), busy.as_secs_f64())?;
        }
        Ok((PyTuple::empty(py), seconds))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| self.0 == other.get().0)
    }

    fn __hash__(&self) -> u64 {
        self.0.total().as_nanos() as u64
    }

    fn __repr__(&self) -> String {
        let said: Vec<_> =
            self.0.iter().map(|(stage, busy)| format!("{}={:?}", stage.name(), busy.as_secs_f64())).collect();
        format!("StageTimes({})", said.join(", "))
    }
}

/// Counts of a pipeline while it runs.
#[pyclass(module = "aldis.archive", frozen)]
pub(crate) struct TelemetryCounters(Mutex<archive::TelemetryCounters>);

#[pymethods]
impl TelemetryCounters {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(archive::TelemetryCounters::new()))
    }

    #[getter]
    fn frames_data(&self) -> u64 {
        lock(&self.0).frames_data
    }

    #[getter]
    fn frames_terminator(&self) -> u64 {
        lock(&self.0).frames_terminator
    }

    #[getter]
    fn frames_digest(&self) -> u64 {
        lock(&self.0).frames_digest
    }

    #[getter]
    fn bytes_plaintext(&self) -> u64 {
        lock(&self.0).bytes_plaintext
    }

    #[getter]
    fn bytes_compressed(&self) -> u64 {
        lock(&self.0).bytes_compressed
    }

    #[getter]
    fn bytes_ciphertext(&self) -> u64 {
        lock(&self.0).bytes_ciphertext
    }

    #[getter]
    fn bytes_overhead(&self) -> u64 {
        lock(&self.0).bytes_overhead
    }

    #[getter]
    fn stage_times(&self) -> StageTimes {
        StageTimes(lock(&self.0).stage_times)
    }

    fn add_header(&self, bytes: u64) {
        lock(&self.0).add_header(bytes);
    }

    fn add_encrypt_data(&self, plaintext: u64, compressed: u64, overhead: u64) {
        lock(&self.0).add_encrypt_data(plaintext, compressed, overhead);
    }

    fn add_decrypt_data(&self, plaintext: u64, compressed: u64, overhead: u64) {
        lock(&self.0).add_decrypt_data(plaintext, compressed, overhead);
    }

    fn add_terminator(&self, bytes: u64) {
        lock(&self.0).add_terminator(bytes);
    }

    fn add_digest(&self, bytes: u64) {
        lock(&self.0).add_digest(bytes);
    }

    fn add_index(&self, bytes: u64) {
        lock(&self.0).add_index(bytes);
    }

    fn add_timer(&self, timer: &Bound<'_, TelemetryTimer>) {
        let timer = *lock(&timer.get().timer);
        lock(&self.0).add_timer(&timer);
    }

    /// The clock stops now.
    fn end(&self) {
        lock(&self.0).end();
    }

    fn merge(&self, other: &Bound<'_, Self>) {
        let other = lock(&other.get().0).clone();
        lock(&self.0).merge(&other);
    }

    fn __iadd__(&self, other: &Bound<'_, Self>) {
        self.merge(other);
    }

    fn snapshot(&self) -> TelemetrySnapshot {
        TelemetrySnapshot(archive::TelemetrySnapshot::from(&*lock(&self.0)))
    }

    /// Equal counts.
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| {
            let other = lock(&other.get().0).clone();
            *lock(&self.0) == other
        })
    }

    fn __repr__(&self) -> String {
        let counters = lock(&self.0);
        format!(
            "TelemetryCounters(frames_data={}, frames_terminator={}, frames_digest={}, bytes_plaintext={}, bytes_compressed={}, bytes_ciphertext={}, bytes_overhead={})",
            counters.frames_data,
            counters.frames_terminator,
            counters.frames_digest,
            counters.bytes_plaintext,
            counters.bytes_compressed,
            counters.bytes_ciphertext,
            counters.bytes_overhead
        )
    }
}

/// A monotonic clock, and the busy times that were measured since it was started.
#[pyclass(module = "aldis.archive", frozen)]
pub(crate) struct TelemetryTimer {
    timer: Mutex<archive::TelemetryTimer>,
}

#[pymethods]
impl TelemetryTimer {
    #[new]
    fn new() -> Self {
        Self { timer: Mutex::new(archive::TelemetryTimer::new()) }
    }

    /// A context manager that adds the time it was open.
    fn measure(this: Bound<'_, Self>, stage: &Bound<'_, PyAny>) -> PyResult<Measure> {
        Ok(Measure { stage: read_stage(stage)?, timer: this.unbind(), begun: Mutex::new(None) })
    }

    fn add(&self, stage: &Bound<'_, PyAny>, busy: &Bound<'_, PyAny>) -> PyResult<()> {
        let (stage, busy): (Stage, Duration) = (read_stage(stage)?, duration(busy, "busy")?);
        lock(&self.timer).add(stage, busy);
        Ok(())
    }

    /// Seconds since it was started.
    #[getter]
    fn elapsed(&self) -> f64 {
        lock(&self.timer).elapsed().as_secs_f64()
    }

    #[getter]
    fn stage_times(&self) -> StageTimes {
        StageTimes(lock(&self.timer).stage_times())
    }
}

/// A part of a stage's time.
#[pyclass(module = "aldis.archive", frozen)]
pub(crate) struct Measure {
    stage: Stage,
    timer: Py<TelemetryTimer>,
    begun: Mutex<Option<Instant>>,
}

#[pymethods]
impl Measure {
    fn __enter__(&self) {
        *lock(&self.begun) = Some(Instant::now());
    }

    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, _raised: &Bound<'_, PyTuple>) -> PyResult<()> {
        let begun = lock(&self.begun).take();
        let begun = begun.ok_or_else(|| PyRuntimeError::new_err("it was not entered"))?;
        lock(&self.timer.get().timer).add(self.stage, begun.elapsed());
        Ok(())
    }
}
