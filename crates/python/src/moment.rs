//! Times and durations of Python.

use std::time::Duration;

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBool, PyFloat, PyInt},
};

use crate::python::Known;

/// The function that turns a `datetime` or a text into Unix nanoseconds.
pub(crate) static TO_NS: Known = Known::new("aldis._time", "to_ns");

/// The function that turns Unix nanoseconds into a `datetime`.
pub(crate) static FROM_NS: Known = Known::new("aldis._time", "from_ns");

const NANOS: f64 = 1e9;

/// Seconds that anything is waited for at most: a hundred years, which clocks can count.
const LONGEST_WAIT: f64 = 100.0 * 365.0 * 86_400.0;

/// Unix nanoseconds of seconds, a `datetime` or a text, however far from 1970.
fn any_ns(time: &Bound<'_, PyAny>) -> PyResult<i128> {
    if let Ok(seconds) = time.cast::<PyFloat>() {
        let seconds = seconds.extract::<f64>()?;
        if !seconds.is_finite() {
            return Err(PyValueError::new_err("a time is a finite number of seconds"));
        }
        // A number outside of what the type holds is the nearest inside, and no time either way.
        return Ok((seconds * NANOS).round() as i128);
    }
    if time.is_instance_of::<PyInt>() && !time.is_instance_of::<PyBool>() {
        // An integer that fits nothing is a time of no year.
        let seconds = match time.extract::<i128>() {
            Ok(seconds) => seconds,
            Err(_) if time.lt(0)? => i128::MIN,
            Err(_) => i128::MAX,
        };
        return Ok(seconds.saturating_mul(1_000_000_000));
    }
    TO_NS.get(time.py())?.call1((time,))?.extract()
}

/// Unix nanoseconds of the time of a record.
pub(crate) fn unix_ns(time: &Bound<'_, PyAny>) -> PyResult<u64> {
    u64::try_from(any_ns(time)?)
        .map_err(|_| PyValueError::new_err("a time of a record is from 1970-01-01 to 2554-07-21 (UTC)"))
}

/// Unix nanoseconds of a bound of a range, if there is one. What lies outside of the times that records have is the nearest of them, as
/// whoever asks for more than there is gets all there is.
pub(crate) fn bound_ns(time: Option<&Bound<'_, PyAny>>) -> PyResult<Option<u64>> {
    let nearest = |ns: i128| u64::try_from(ns.max(0)).unwrap_or(u64::MAX);
    time.map(|time| any_ns(time).map(nearest)).transpose()
}

/// An aware `datetime` in UTC, to the microsecond.
pub(crate) fn datetime(py: Python<'_>, ns: u64) -> PyResult<Bound<'_, PyAny>> {
    FROM_NS.get(py)?.call1((ns,))
}

/// A duration of seconds or a `timedelta`.
pub(crate) fn duration(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Duration> {
    if let Ok(seconds) = value.extract::<f64>() {
        return Duration::try_from_secs_f64(seconds)
            .map_err(|_| PyValueError::new_err(format!("{name} takes seconds from 0")));
    }
    value
        .extract::<Duration>()
        .map_err(|_| PyTypeError::new_err(format!("{name} takes seconds or a timedelta")))
}

/// How long to wait, in seconds or as a `timedelta`. What is longer than [`LONGEST_WAIT`] is that long.
pub(crate) fn patience(timeout: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let seconds = timeout.extract::<f64>().ok().filter(|seconds| seconds.is_finite());
    match seconds.is_some_and(|seconds| seconds > LONGEST_WAIT) {
        true => Ok(Duration::from_secs_f64(LONGEST_WAIT)),
        false => Ok(duration(timeout, "timeout")?.min(Duration::from_secs_f64(LONGEST_WAIT))),
    }
}
