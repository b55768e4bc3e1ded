//! Where bytes come from and go to: files, bytes in memory, and objects that read or write.

use std::{
    fs::File,
    io::{self, Cursor, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use archive::{Error, NewFile, TelemetrySnapshot};
use pyo3::{
    exceptions::{PyBlockingIOError, PyTypeError},
    prelude::*,
    types::{PyByteArray, PyBytes},
};

use crate::{held::Held, python::Known};

/// Raw files, of which `write` says nothing when it took nothing.
static RAW: Known = Known::new("io", "RawIOBase");

/// Bytes between two looks at signals.
const LISTEN_EVERY: usize = 8 << 20;

/// Something to read.
pub(crate) struct Input {
    from: From,
    unheard: usize,
}

enum From {
    File(File),
    Memory(Cursor<Vec<u8>>),
    /// An object with a method `read`, and one `seek` where that is needed.
    Object(Arc<Held>),
}

impl Input {
    /// The object that it reads from, if it is one and as long as it is read from.
    pub(crate) fn object(&self) -> Weak<Held> {
        match &self.from {
            From::Object(object) => Arc::downgrade(object),
            From::File(_) | From::Memory(_) => Weak::new(),
        }
    }

    /// Bytes, a path, or an object that reads.
    pub(crate) fn of(source: &Bound<'_, PyAny>) -> PyResult<Self> {
        let from = if let Ok(bytes) = source.cast::<PyBytes>() {
            From::Memory(Cursor::new(bytes.as_bytes().to_vec()))
        } else if let Ok(bytes) = source.cast::<PyByteArray>() {
            From::Memory(Cursor::new(bytes.to_vec()))
        } else if source.hasattr("read")? {
            From::Object(Held::new(source.clone().unbind()))
        } else {
            let path: PathBuf = source
                .extract()
                .map_err(|_| PyTypeError::new_err("a source is a path, bytes, or an object that reads"))?;
            let py = source.py();
            From::File(py.detach(|| File::open(&path)).map_err(|error| at(py, error, &path))?)
        };
        Ok(Self { from, unheard: 0 })
    }
}

/// The error of a file with its name, as Python's own `open` raises it.
fn at(py: Python<'_>, error: io::Error, path: &Path) -> PyErr {
    let (number, said) = (error.raw_os_error(), error.to_string());
    let raised = PyErr::from(error);
    let Some(number) = number else { return raised };
    let kind = raised.get_type(py);
    let said = said.split(" (os error").next().unwrap_or_default();
    kind.call1((number, said, path.as_os_str())).map_or_else(|error| error, PyErr::from_value)
}

/// Looks at signals now and then.
fn listen(unheard: &mut usize, bytes: usize) -> io::Result<()> {
    *unheard += bytes;
    if *unheard < LISTEN_EVERY {
        return Ok(());
    }
    *unheard = 0;
    Ok(Python::attach(|py| py.check_signals())?)
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.from {
            From::File(file) => file.read(buffer)?,
            From::Memory(bytes) => bytes.read(buffer)?,
            From::Object(object) => Python::attach(|py| {
                let given = object.get(py)?.call_method1("read", (buffer.len(),))?;
                let given = given
                    .cast::<PyBytes>()
                    .map_err(|_| {
                        PyTypeError::new_err("read() is to return bytes: open files in binary mode")
                    })?
                    .as_bytes();
                let Some(into) = buffer.get_mut(..given.len()) else {
                    return Err(PyTypeError::new_err("read() returned more bytes than it was asked for"));
                };
                into.copy_from_slice(given);
                Ok(given.len())
            })?,
        };
        listen(&mut self.unheard, read)?;
        Ok(read)
    }
}

impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.from {
            From::File(file) => file.seek(to),
            From::Memory(bytes) => bytes.seek(to),
            From::Object(object) => {
                let (offset, whence) = match to {
                    SeekFrom::Start(at) => (i128::from(at), 0),
                    SeekFrom::Current(by) => (i128::from(by), 1),
                    SeekFrom::End(by) => (i128::from(by), 2),
                };
                let seek =
                    |py: Python<'_>| object.get(py)?.call_method1("seek", (offset, whence))?.extract::<u64>();
                Ok(Python::attach(seek)?)
            }
        }
    }
}

/// Somewhere to write.
pub(crate) enum Output {
    /// A file that has its name when it is whole.
    File(NewFile, PathBuf),
    /// An object with a method `write`.
    Object(Py<PyAny>),
}

impl Output {
    /// A path, or an object that writes.
    pub(crate) fn of(target: &Bound<'_, PyAny>) -> PyResult<Self> {
        if target.hasattr("write")? {
            return Ok(Self::Object(target.clone().unbind()));
        }
        let path: PathBuf = target
            .extract()
            .map_err(|_| PyTypeError::new_err("a target is a path, or an object that writes"))?;
        let py = target.py();
        let file = py.detach(|| NewFile::create(&path)).map_err(|error| at(py, error, &path))?;
        Ok(Self::File(file, path))
    }

    /// Gives the file its name.
    pub(crate) fn finish(self, snapshot: TelemetrySnapshot) -> Result<TelemetrySnapshot, Error> {
        match self {
            Self::File(file, path) => {
                let bytes = file.commit()?;
                Ok(snapshot.attach_output(path, bytes))
            }
            Self::Object(_) => Ok(snapshot),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file, _) => file.write(bytes),
            Self::Object(object) => Ok(Python::attach(|py| {
                let object = object.bind(py);
                let written = object.call_method1("write", (PyBytes::new(py, bytes),))?;
                if written.is_none() {
                    // Raw files say how much they took; whatever else says nothing took all.
                    return match object.is_instance(RAW.get(py)?)? {
                        true => Err(PyBlockingIOError::new_err("the target takes nothing without blocking")),
                        false => Ok(bytes.len()),
                    };
                }
                match written.extract::<usize>()? {
                    written if written <= bytes.len() => Ok(written),
                    _ => Err(PyTypeError::new_err("write() returned more bytes than it was given")),
                }
            })?),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file, _) => file.flush(),
            Self::Object(object) => Ok(Python::attach(|py| {
                let object = object.bind(py);
                if object.hasattr("flush")? { object.call_method0("flush").map(drop) } else { Ok(()) }
            })?),
        }
    }
}
