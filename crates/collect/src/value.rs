//! What stands behind a key in an event's metadata.

use crate::Name;

/// Key-values in the order in which they were given.
pub type Fields = Vec<(Name, Value)>;

/// A value of an event's metadata, owned.
///
/// ```
/// use aldis_collect::Value;
///
/// assert_eq!(Value::from(3), Value::Int(3));
/// assert_eq!(Value::from(vec![Value::Null]), Value::List(vec![Value::Null]));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Text.
    String(String),
    /// A list.
    List(Vec<Value>),
    /// Key-values.
    Map(Fields),
}

/// A value of an event's metadata, borrowed for the call that records it.
///
/// ```
/// use aldis_collect::{Value, ValueRef};
///
/// let list = Value::List(vec![Value::Int(1)]);
/// let metadata: &[(&str, ValueRef<'_>)] =
///     &[("user", "ada".into()), ("attempt", 2.into()), ("share", 0.5.into()), ("sizes", (&list).into())];
/// assert_eq!(metadata[1].1, ValueRef::Int(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Text.
    String(&'a str),
    /// A value that is owned elsewhere, lists and maps among them.
    Value(&'a Value),
}

macro_rules! from_numbers {
    ($($variant:ident as $wide:ty: $($narrow:ty)*;)*) => {$($(
        impl From<$narrow> for Value {
            fn from(number: $narrow) -> Self {
                Value::$variant(<$wide>::from(number))
            }
        }
        impl From<$narrow> for ValueRef<'_> {
            fn from(number: $narrow) -> Self {
                ValueRef::$variant(<$wide>::from(number))
            }
        }
    )*)*};
}

from_numbers! {
    Int as i64: i8 i16 i32 i64 u8 u16 u32;
    Double as f64: f32 f64;
    Bool as bool: bool;
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text)
    }
}

impl From<Vec<Value>> for Value {
    fn from(list: Vec<Value>) -> Self {
        Value::List(list)
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Value::Map(fields)
    }
}

impl<'a> From<&'a str> for ValueRef<'a> {
    fn from(text: &'a str) -> Self {
        ValueRef::String(text)
    }
}

impl<'a> From<&'a String> for ValueRef<'a> {
    fn from(text: &'a String) -> Self {
        ValueRef::String(text)
    }
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => ValueRef::Null,
            Value::Bool(bool) => ValueRef::Bool(*bool),
            Value::Int(int) => ValueRef::Int(*int),
            Value::Double(double) => ValueRef::Double(*double),
            Value::String(text) => ValueRef::String(text),
            Value::List(_) | Value::Map(_) => ValueRef::Value(value),
        }
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Value::Null,
            ValueRef::Bool(bool) => Value::Bool(bool),
            ValueRef::Int(int) => Value::Int(int),
            ValueRef::Double(double) => Value::Double(double),
            ValueRef::String(text) => Value::String(text.to_owned()),
            ValueRef::Value(value) => value.clone(),
        }
    }
}

impl Value {
    /// Bytes on the heap behind this value, about.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Double(_) => 0,
            Value::String(text) => text.len(),
            Value::List(list) => list.iter().map(|value| size_of::<Value>() + value.heap_bytes()).sum(),
            Value::Map(fields) => fields_bytes(fields),
        }
    }
}

/// Bytes on the heap behind key-values, about; names are shared and cost their pointers.
pub(crate) fn fields_bytes(fields: &Fields) -> usize {
    fields.iter().map(|(_, value)| size_of::<(Name, Value)>() + value.heap_bytes()).sum()
}
