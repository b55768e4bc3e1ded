//! The shortest way of an event: all its texts are known, its metadata are few and plain, and nobody is waited for. Nothing is copied but
//! into the collector's buffer. Whatever is different is found out before anything is done.

use collect::{EventType, ValueRef};
use pyo3::{
    Borrowed,
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple},
};

use super::{Pen, Texts, slot_of};

/// Metadata as they come.
#[derive(Clone, Copy)]
pub(crate) enum Metadata<'a, 'py> {
    None,
    Mapping(Borrowed<'a, 'py, PyAny>),
    /// Names and as many values.
    Named(Borrowed<'a, 'py, PyTuple>, &'a [Borrowed<'a, 'py, PyAny>]),
}

/// As many fields as nearly all events have.
const MOST: usize = 8;

/// Fields of an event that goes straight.
struct Few<'a> {
    fields: [(&'a str, ValueRef<'a>); MOST],
    many: usize,
}

impl<'a, 'py> Metadata<'a, 'py> {
    /// An argument that may be none.
    #[inline]
    pub(crate) fn of(argument: Borrowed<'a, 'py, PyAny>) -> Self {
        if argument.is_none() { Self::None } else { Self::Mapping(argument) }
    }

    /// Names and values as a `dict`.
    pub(crate) fn keywords(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Self::Named(names, values) = self else { return Ok(None) };
        let dict = PyDict::new(py);
        names.iter_borrowed().zip(*values).try_for_each(|(name, value)| dict.set_item(name, value))?;
        Ok(Some(dict))
    }
}

impl<'a> Few<'a> {
    #[inline]
    fn new() -> Self {
        Self { fields: [("", ValueRef::Null); MOST], many: 0 }
    }

    #[inline]
    fn push(&mut self, (key, value): (&'a str, ValueRef<'a>)) -> Option<()> {
        let field = self.fields.get_mut(self.many)?;
        (field.0, field.1) = (key, value);
        self.many += 1;
        Some(())
    }
}

impl Texts {
    /// The text of an object that is known: a `str`, and of no subclass.
    #[inline]
    fn known(&self, object: &Bound<'_, PyAny>) -> Option<&str> {
        match &self.slots[slot_of(object.as_ptr())] {
            Some((known, text)) if known.as_ptr() == object.as_ptr() => Some(text),
            _ => None,
        }
    }

    /// A value that is known, or that holds no text. Runs no Python code.
    #[inline]
    fn plain(&self, value: &Bound<'_, PyAny>) -> Option<ValueRef<'_>> {
        if value.is_exact_instance_of::<PyString>() {
            self.known(value).map(ValueRef::String)
        } else if value.is_exact_instance_of::<PyInt>() {
            value.extract().ok().map(ValueRef::Int)
        } else if let Ok(double) = value.cast_exact::<PyFloat>() {
            Some(ValueRef::Double(double.value()))
        } else if let Ok(bool) = value.cast_exact::<PyBool>() {
            Some(ValueRef::Bool(bool.is_true()))
        } else {
            value.is_none().then_some(ValueRef::Null)
        }
    }
}

impl Pen {
    /// `None`: it cannot go straight, and nothing was recorded.
    #[inline]
    pub(crate) fn straight(
        &self,
        into: &collect::TelemetryCollector,
        (source, message): (Borrowed<'_, '_, PyAny>, Borrowed<'_, '_, PyAny>),
        event_type: EventType,
        metadata: Metadata<'_, '_>,
    ) -> Option<bool> {
        let texts = &self.texts;
        let (source, message) = (texts.known(&source)?, texts.known(&message)?);
        let mut few = Few::new();
        match metadata {
            Metadata::None => {}
            Metadata::Mapping(mapping) => {
                for (key, value) in mapping.cast_exact::<PyDict>().ok()?.iter() {
                    few.push((texts.known(&key)?, texts.plain(&value)?))?;
                }
            }
            Metadata::Named(names, values) => {
                for (at, value) in values.iter().enumerate() {
                    let name = names.get_borrowed_item(at).ok()?;
                    few.push((texts.known(&name)?, texts.plain(value)?))?;
                }
            }
        }
        Some(into.collect_event(source, message, event_type, &few.fields[..few.many]))
    }
}
