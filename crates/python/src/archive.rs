//! Sealing and opening.

pub(crate) mod counters;
pub(crate) mod pipe;
pub(crate) mod range;
pub(crate) mod snapshot;

use archive::{Error, Key, LineTimes, OpenOptions, PasswordCost, SealOptions};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::PyString,
};

use crate::failure;
use pipe::{Input, Output};
use snapshot::TelemetrySnapshot;

/// The key or the password that is given: exactly one of them.
pub(crate) fn key(
    py: Python<'_>,
    key: Option<&Bound<'_, PyAny>>,
    password: Option<&Bound<'_, PyAny>>,
) -> PyResult<Key> {
    let bytes = |of: &Bound<'_, PyAny>, name: &str| -> PyResult<Vec<u8>> {
        match of.cast::<PyString>() {
            Ok(text) => Ok(text.encode_utf8()?.as_bytes().to_vec()),
            Err(_) => of.extract().map_err(|_| PyTypeError::new_err(format!("{name} takes bytes or a str"))),
        }
    };
    let read = match (key, password) {
        (Some(key), None) => Key::from_file(&bytes(key, "key")?),
        (None, Some(password)) => Key::password(bytes(password, "password")?),
        _ => return Err(PyTypeError::new_err("either key or password is needed")),
    };
    read.map_err(|error| failure::of_archive(py, error))
}

/// What an archive is bound to, or the salt.
fn options(
    level: i32,
    workers: usize,
    frame_bytes: usize,
    context: Vec<u8>,
    cost: Option<(u32, u32, u32)>,
    salt: Option<Vec<u8>>,
) -> PyResult<SealOptions> {
    let default = SealOptions::default();
    let cost = match cost {
        Some((memory_kib, passes, lanes)) => PasswordCost { memory_kib, passes, lanes },
        None => default.cost,
    };
    let salt = salt.map(<[u8; archive::SALT_BYTES]>::try_from).transpose();
    let salt =
        salt.map_err(|_| PyValueError::new_err(format!("a salt has {} bytes", archive::SALT_BYTES)))?;
    Ok(SealOptions { level, workers, frame_bytes, context, cost, salt })
}

/// Seals a stream.
#[pyfunction]
#[pyo3(signature = (source, target, *, key = None, password = None, level = 3, workers = 0, frame_bytes = 1 << 20,
    context = None, cost = None, salt = None, times = None))]
#[allow(clippy::too_many_arguments, reason = "they are keywords")]
pub(crate) fn seal(
    py: Python<'_>,
    source: &Bound<'_, PyAny>,
    target: &Bound<'_, PyAny>,
    key: Option<&Bound<'_, PyAny>>,
    password: Option<&Bound<'_, PyAny>>,
    level: i32,
    workers: usize,
    frame_bytes: usize,
    context: Option<Vec<u8>>,
    cost: Option<(u32, u32, u32)>,
    salt: Option<Vec<u8>>,
    times: Option<Vec<String>>,
) -> PyResult<TelemetrySnapshot> {
    let key = self::key(py, key, password)?;
    let options = options(level, workers, frame_bytes, context.unwrap_or_default(), cost, salt)?;
    let failed = |error| failure::of_archive(py, error);
    let times = times.map(LineTimes::new).transpose().map_err(failed)?;
    let (input, mut output) = (Input::of(source)?, Output::of(target)?);
    let sealed = py.detach(|| {
        let snapshot = match &times {
            Some(times) => archive::seal_lines(input, &mut output, &key, &options, times)?,
            None => archive::seal(input, &mut output, &key, &options)?,
        };
        output.finish(snapshot)
    });
    sealed.map(TelemetrySnapshot).map_err(failed)
}

/// Opens an archive.
#[pyfunction]
#[pyo3(signature = (source, target, *, key = None, password = None, workers = 0, context = None, max_plaintext_bytes = None))]
#[allow(clippy::too_many_arguments, reason = "they are keywords")]
pub(crate) fn open(
    py: Python<'_>,
    source: &Bound<'_, PyAny>,
    target: &Bound<'_, PyAny>,
    key: Option<&Bound<'_, PyAny>>,
    password: Option<&Bound<'_, PyAny>>,
    workers: usize,
    context: Option<Vec<u8>>,
    max_plaintext_bytes: Option<u64>,
) -> PyResult<TelemetrySnapshot> {
    let key = self::key(py, key, password)?;
    let options = open_options(workers, context, max_plaintext_bytes);
    let (input, mut output) = (Input::of(source)?, Output::of(target)?);
    let opened = py.detach(|| {
        let snapshot = archive::open(input, &mut output, &key, &options)?;
        output.finish(snapshot)
    });
    opened.map(TelemetrySnapshot).map_err(|error| failure::of_archive(py, error))
}

/// Reads an archive to its end and forgets what it holds.
#[pyfunction]
#[pyo3(signature = (source, *, key = None, password = None, workers = 0, context = None, max_plaintext_bytes = None))]
pub(crate) fn verify(
    py: Python<'_>,
    source: &Bound<'_, PyAny>,
    key: Option<&Bound<'_, PyAny>>,
    password: Option<&Bound<'_, PyAny>>,
    workers: usize,
    context: Option<Vec<u8>>,
    max_plaintext_bytes: Option<u64>,
) -> PyResult<TelemetrySnapshot> {
    let key = self::key(py, key, password)?;
    let options = open_options(workers, context, max_plaintext_bytes);
    let input = Input::of(source)?;
    let verified: Result<_, Error> = py.detach(|| archive::verify(input, &key, &options));
    verified.map(TelemetrySnapshot).map_err(|error| failure::of_archive(py, error))
}

pub(crate) fn open_options(
    workers: usize,
    context: Option<Vec<u8>>,
    max_plaintext_bytes: Option<u64>,
) -> OpenOptions {
    OpenOptions {
        workers,
        context: context.unwrap_or_default(),
        max_plaintext_bytes: max_plaintext_bytes.unwrap_or(u64::MAX),
    }
}
