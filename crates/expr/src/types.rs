//! What is known of a value before any record is seen.

use std::fmt;

use crate::Value;

/// The type of an expression.
///
/// A type other than `Dynamic` and `Null` says what the value is *if there is one*: `size(attributes["k"])` is an `Int`
/// and yet null where the attribute is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Known only when a record is seen.
    Dynamic,
    /// The literal `null`.
    Null,
    /// True or false.
    Bool,
    /// A signed integer of 64 bits.
    Int,
    /// A floating-point number of 64 bits.
    Double,
    /// Text.
    String,
    /// Opaque bytes.
    Bytes,
    /// A list of values of any type.
    List,
    /// Values under keys that are texts.
    Map,
}

impl Type {
    /// The type of a value.
    pub fn of(value: &Value<'_>) -> Type {
        match value {
            Value::Null => Type::Null,
            Value::Bool(_) => Type::Bool,
            Value::Int(_) => Type::Int,
            Value::Double(_) => Type::Double,
            Value::String(_) => Type::String,
            Value::Bytes(_) => Type::Bytes,
            Value::List(_) => Type::List,
            Value::Map(_) => Type::Map,
        }
    }

    /// Whether a value of this type may be one of that type.
    pub(crate) fn may_be(self, other: Type) -> bool {
        self == Type::Dynamic || other == Type::Dynamic || self == other
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Type::Int | Type::Double)
    }

    /// Whether two values of these types can ever be equal.
    pub(crate) fn may_equal(self, other: Type) -> bool {
        self.may_be(other)
            || self == Type::Null
            || other == Type::Null
            || (self.is_number() && other.is_number())
    }

    /// Whether two values of these types can ever be ordered.
    pub(crate) fn may_order(self, other: Type) -> bool {
        let ordered = |t: Type| !matches!(t, Type::Null | Type::List | Type::Map);
        ordered(self) && ordered(other) && (self.may_be(other) || (self.is_number() && other.is_number()))
    }
}

/// With its article, as messages say it: `an int`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Dynamic => "a dynamic value",
            Type::Null => "null",
            Type::Bool => "a bool",
            Type::Int => "an int",
            Type::Double => "a double",
            Type::String => "a string",
            Type::Bytes => "bytes",
            Type::List => "a list",
            Type::Map => "a map",
        })
    }
}
