//! Values of metadata and tags, from and to Python.

use collect::{Fields, Name, Value, limits::MAX_VALUE_DEPTH};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple},
};

/// Text of a `str`; what is no Unicode in it is replaced.
pub(crate) fn text(text: &Bound<'_, PyString>) -> String {
    text.to_string_lossy().into_owned()
}

/// Text of anything: of a `str` itself, of others what `str()` says.
fn text_of(object: &Bound<'_, PyAny>) -> PyResult<String> {
    match object.cast::<PyString>() {
        Ok(string) => Ok(text(string)),
        Err(_) => Ok(text(&object.str()?)),
    }
}

/// What nothing else is said of is kept as what `str()` says of it: so are integers beyond 64 bits. Lists and mappings are copied as
/// deep as a record may be, and one level deeper, so that the record counts as too large.
pub(crate) fn value(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    value_within(object, MAX_VALUE_DEPTH + 1)
}

fn value_within(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    if object.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(string) = object.cast::<PyString>() {
        return Ok(Value::String(text(string)));
    }
    if let Ok(bool) = object.cast::<PyBool>() {
        return Ok(Value::Bool(bool.is_true()));
    }
    if object.is_instance_of::<PyInt>() {
        return match object.extract() {
            Ok(int) => Ok(Value::Int(int)),
            Err(_) => Ok(Value::String(text_of(object)?)),
        };
    }
    if object.is_instance_of::<PyFloat>() {
        return Ok(Value::Double(object.extract()?));
    }
    let is_list = object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>();
    if is_list || object.is_instance_of::<PyDict>() || object.cast::<PyMapping>().is_ok() {
        let Some(inner) = depth.checked_sub(1) else { return Ok(Value::Null) };
        if !is_list {
            return Ok(Value::Map(fields_within(object, inner)?));
        }
        let items = object.try_iter()?.map(|item| value_within(&item?, inner));
        return Ok(Value::List(items.collect::<PyResult<_>>()?));
    }
    // Numbers of other libraries know their index.
    match object.extract() {
        Ok(int) => Ok(Value::Int(int)),
        Err(_) => Ok(Value::String(text_of(object)?)),
    }
}

/// A mapping as key-values.
pub(crate) fn fields(object: &Bound<'_, PyAny>) -> PyResult<Fields> {
    fields_within(object, MAX_VALUE_DEPTH + 1)
}

fn fields_within(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Fields> {
    let item = |(key, item): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        Ok((Name::from(text_of(&key)?), value_within(&item, depth)?))
    };
    items(object)?.into_iter().map(item).collect()
}

/// A mapping whose values are taken as text.
pub(crate) fn tags(object: &Bound<'_, PyAny>) -> PyResult<Vec<(Name, Name)>> {
    let tag = |(key, tag): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        Ok((Name::from(text_of(&key)?), Name::from(text_of(&tag)?)))
    };
    items(object)?.into_iter().map(tag).collect()
}

/// What a mapping holds, copied, so that whatever is called may change the mapping.
fn items<'py>(object: &Bound<'py, PyAny>) -> PyResult<Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
    if let Ok(dict) = object.cast_exact::<PyDict>() {
        return Ok(dict.iter().collect());
    }
    let mapping = object
        .cast::<PyMapping>()
        .map_err(|_| PyTypeError::new_err("metadata and tags take a mapping, or None"))?;
    mapping.items()?.iter().map(|item| item.extract()).collect()
}

/// Key-values as a `dict`; of a key that occurs twice the first counts.
pub(crate) fn to_dict<'py>(py: Python<'py>, fields: &Fields) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (key, value) in fields {
        if !dict.contains(key.as_str())? {
            dict.set_item(key.as_str(), object(py, value)?)?;
        }
    }
    Ok(dict)
}

/// Tags as a `dict`.
pub(crate) fn tags_to_dict<'py>(py: Python<'py>, tags: &[(Name, Name)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    tags.iter().try_for_each(|(key, tag)| dict.set_item(key.as_str(), tag.as_str()))?;
    Ok(dict)
}

/// A value as Python has it.
fn object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(bool) => PyBool::new(py, *bool).to_owned().into_any(),
        Value::Int(int) => int.into_pyobject(py)?.into_any(),
        Value::Double(double) => PyFloat::new(py, *double).into_any(),
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::List(list) => {
            let items: Vec<_> = list.iter().map(|item| object(py, item)).collect::<PyResult<_>>()?;
            PyList::new(py, items)?.into_any()
        }
        Value::Map(fields) => to_dict(py, fields)?.into_any(),
    })
}
