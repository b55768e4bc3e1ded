//! Parts of an archive.

use std::{
    io::{self, Write},
    sync::{Mutex, TryLockError, Weak},
};

use archive::{LineTimes, TimeSpan};
use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyTuple},
};

use super::{
    key, open_options,
    pipe::{Input, Output},
    snapshot::TelemetrySnapshot,
};
use crate::{
    failure,
    held::Held,
    moment::{bound_ns, datetime},
};

/// An archive whose end and index were verified, of which parts are opened as they are asked for.
#[pyclass(module = "aldis.archive", frozen)]
pub(crate) struct Archive {
    /// Nothing once it is closed. Locked while it reads and writes, which may be done by objects that are written in Python: nobody
    /// waits for it.
    archive: Mutex<Option<archive::Archive<Input>>>,
    /// The object that it reads from, until it is closed.
    source: Weak<Held>,
    plaintext_bytes: u64,
    times: Option<TimeSpan>,
}

#[pymethods]
impl Archive {
    #[new]
    #[pyo3(signature = (source, *, key = None, password = None, context = None))]
    fn new(
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        key: Option<&Bound<'_, PyAny>>,
        password: Option<&Bound<'_, PyAny>>,
        context: Option<Vec<u8>>,
    ) -> PyResult<Self> {
        let key = self::key(py, key, password)?;
        let (input, options) = (Input::of(source)?, open_options(1, context, None));
        let source = input.object();
        let read = py.detach(|| archive::Archive::read(input, &key, &options));
        let archive = read.map_err(|error| failure::of_archive(py, error))?;
        let (plaintext_bytes, times) = (archive.plaintext_bytes(), archive.times());
        Ok(Self { archive: Mutex::new(Some(archive)), source, plaintext_bytes, times })
    }

    #[getter]
    fn plaintext_bytes(&self) -> u64 {
        self.plaintext_bytes
    }

    /// The first and the last time that was stamped on anything.
    #[getter]
    fn times<'py>(&self, py: Python<'py>) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        self.times.map(|times| Ok((datetime(py, times.first)?, datetime(py, times.last)?))).transpose()
    }

    /// The bytes of the stream from `start` to before `stop`.
    #[pyo3(signature = (start = 0, stop = None))]
    fn read<'py>(&self, py: Python<'py>, start: u64, stop: Option<u64>) -> PyResult<Bound<'py, PyBytes>> {
        let mut bytes = Vec::new();
        let range = start..stop.unwrap_or(u64::MAX);
        let copied = self.with(py, |archive| archive.copy(range, &mut bytes))?;
        copied.map_err(|error| failure::of_archive(py, error))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Writes the bytes of a range.
    #[pyo3(signature = (target, start = 0, stop = None))]
    fn copy(&self, py: Python<'_>, target: &Bound<'_, PyAny>, start: u64, stop: Option<u64>) -> PyResult<()> {
        let output = Output::of(target)?;
        self.write_to(py, output, |archive, output| archive.copy(start..stop.unwrap_or(u64::MAX), output))
    }

    /// Writes the lines with a time from `start_time` to before `end_time`, and returns how many; `times` are the ends of the keys in which
    /// they stand, as the archive was sealed.
    #[pyo3(signature = (target, start_time = None, end_time = None, *, times))]
    fn copy_lines(
        &self,
        py: Python<'_>,
        target: &Bound<'_, PyAny>,
        start_time: Option<&Bound<'_, PyAny>>,
        end_time: Option<&Bound<'_, PyAny>>,
        times: Vec<String>,
    ) -> PyResult<u64> {
        let (start, end) = (bound_ns(start_time)?, bound_ns(end_time)?);
        let times = LineTimes::new(times).map_err(|error| failure::of_archive(py, error))?;
        let (first, end) = (start.unwrap_or(0), end.unwrap_or(u64::MAX));
        let output = Output::of(target)?;
        let span = (first < end).then(|| TimeSpan { first, last: end - 1 });
        // Without a span no line has a time in it.
        let mut written = 0;
        self.write_to(py, output, |archive, output| {
            written = span.map_or(Ok(0), |span| {
                archive::copy_lines(archive, span, &times, output).map(|copied| copied.written)
            })?;
            Ok(())
        })?;
        Ok(written)
    }

    /// What was read so far.
    fn snapshot(&self, py: Python<'_>) -> PyResult<TelemetrySnapshot> {
        self.with(py, |archive| archive.snapshot()).map(TelemetrySnapshot)
    }

    fn close(&self) -> PyResult<()> {
        let archive = self.unused(Option::take)?;
        drop(archive);
        Ok(())
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(usize::try_from(self.plaintext_bytes)?)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.source.upgrade().map_or(Ok(()), |source| source.traverse(&visit))
    }

    fn __clear__(&self) {
        if let Some(source) = self.source.upgrade() {
            source.clear();
        }
    }

    fn __enter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, _raised: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close()
    }
}

impl Archive {
    /// What is done with it, unless something else is done with it meanwhile: by another thread, or by this one, in what that calls.
    fn unused<T>(&self, run: impl FnOnce(&mut Option<archive::Archive<Input>>) -> T) -> PyResult<T> {
        match self.archive.try_lock() {
            Ok(mut archive) => Ok(run(&mut archive)),
            Err(TryLockError::Poisoned(archive)) => Ok(run(&mut archive.into_inner())),
            Err(TryLockError::WouldBlock) => Err(PyValueError::new_err("the archive is in use")),
        }
    }

    /// What is done with an open archive, without the interpreter.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        run: impl FnOnce(&mut archive::Archive<Input>) -> T + Send,
    ) -> PyResult<T> {
        let done = py.detach(|| self.unused(|archive| archive.as_mut().map(run)))?;
        done.ok_or_else(|| PyValueError::new_err("the archive is closed"))
    }

    fn write_to(
        &self,
        py: Python<'_>,
        mut output: Output,
        copy: impl FnOnce(&mut archive::Archive<Input>, &mut Output) -> Result<(), archive::Error> + Send,
    ) -> PyResult<()> {
        let copied = self.with(py, |archive| {
            copy(archive, &mut output).and_then(|()| {
                output.flush()?;
                match output {
                    Output::File(file, _) => file.commit().map(drop).map_err(|error: io::Error| error.into()),
                    Output::Object(_) => Ok(()),
                }
            })
        })?;
        copied.map_err(|error| failure::of_archive(py, error))
    }
}
