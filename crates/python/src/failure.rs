//! Errors as exceptions.

use archive::Error;
use collect::{ConfigError, FlushError, StopError, StorageError, StreamError};
use pyo3::{exceptions::PyOSError, prelude::*, types::PyDict};

use crate::python::Known;

/// The function that makes an exception of a code, a message and what else is known.
pub(crate) static MAKE: Known = Known::new("aldis._raising", "make");

/// An exception of the package.
pub(crate) fn exception(
    py: Python<'_>,
    code: &str,
    message: &str,
    more: impl FnOnce(&Bound<'_, PyDict>) -> PyResult<()>,
) -> PyErr {
    let made = || {
        let known = PyDict::new(py);
        more(&known)?;
        MAKE.get(py)?.call((code, message), Some(&known))
    };
    made().map_or_else(|error| error, PyErr::from_value)
}

pub(crate) fn of_config(py: Python<'_>, error: &ConfigError) -> PyErr {
    exception(py, "config", &error.to_string(), |known| known.set_item("setting", error.setting))
}

pub(crate) fn of_flush(py: Python<'_>, error: FlushError) -> PyErr {
    exception(py, error.code(), &error.to_string(), |known| match error {
        FlushError::Timeout { remaining } | FlushError::Stopped { remaining } => {
            known.set_item("remaining", remaining)
        }
        _ => Ok(()),
    })
}

pub(crate) fn of_stream(py: Python<'_>, error: &StreamError) -> PyErr {
    exception(py, error.code(), &error.to_string(), |_| Ok(()))
}

pub(crate) fn of_stop(py: Python<'_>, error: &StopError) -> PyErr {
    exception(py, error.code(), &error.to_string(), |known| {
        let StopError::Incomplete { unstored, is_synced, unseen } = error else { return Ok(()) };
        let by_number = PyDict::new(py);
        for (id, pending) in unseen {
            by_number.set_item(id.number(), pending)?;
        }
        known.set_item("unstored", unstored)?;
        known.set_item("is_synced", is_synced)?;
        known.set_item("unseen", by_number)
    })
}

pub(crate) fn of_storage(py: Python<'_>, error: &StorageError) -> PyErr {
    exception(py, "storage", &error.to_string(), |known| known.set_item("stored", error.stored))
}

pub(crate) fn of_archive(py: Python<'_>, error: Error) -> PyErr {
    let (code, message) = (error.code(), error.to_string());
    match error {
        // What an object written in Python raised comes out as it was raised.
        Error::Io(error) => match error.get_ref().is_some_and(|inner| inner.is::<PyErr>()) {
            true => error.into(),
            false => match error.raw_os_error() {
                Some(_) => error.into(),
                None => PyOSError::new_err(message),
            },
        },
        Error::Truncated { offset } | Error::TrailingData { offset } => {
            exception(py, code, &message, |known| known.set_item("offset", offset))
        }
        Error::Corrupt { frame, offset, .. } => exception(py, code, &message, |known| {
            known.set_item("frame", frame)?;
            known.set_item("offset", offset)
        }),
        _ => exception(py, code, &message, |_| Ok(())),
    }
}
