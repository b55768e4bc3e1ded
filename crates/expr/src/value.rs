//! What an expression yields.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use otlp::view::{Array, Attributes, ValueView};

/// A value, borrowed from the batch or the expression wherever possible.
///
/// `==` is the language's: integers and doubles compare by their numeric value, maps without regard to order, values of
/// unlike types are unequal.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// Absent, or a computation that has no result.
    Null,
    /// True or false.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Text.
    String(Cow<'a, str>),
    /// Opaque bytes.
    Bytes(Cow<'a, [u8]>),
    /// A list of values.
    List(List<'a>),
    /// A list of key-values, read in place.
    Map(Attributes<'a>),
}

/// A list: read in place, part of the expression, or computed.
#[derive(Clone, Debug)]
pub enum List<'a> {
    /// An array in the batch.
    Wire(Array<'a>),
    /// A list that the expression states.
    Borrowed(&'a [Value<'a>]),
    /// A list computed from a record.
    Owned(Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    /// The value if it is `true` or `false`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The same value, borrowed from this one.
    pub(crate) fn borrowed(&self) -> Value<'_> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(*value),
            Value::Int(value) => Value::Int(*value),
            Value::Double(value) => Value::Double(*value),
            Value::String(text) => Value::String(Cow::Borrowed(text)),
            Value::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
            Value::List(List::Wire(array)) => Value::List(List::Wire(*array)),
            Value::List(List::Borrowed(values)) => Value::List(List::Borrowed(values)),
            Value::List(List::Owned(values)) => Value::List(List::Borrowed(values)),
            Value::Map(map) => Value::Map(*map),
        }
    }

    /// The value apart from any batch, which values computed from literals alone always are; others become null.
    pub(crate) fn into_constant(self) -> Value<'static> {
        match self {
            Value::Null | Value::Map(_) | Value::List(List::Wire(_)) => Value::Null,
            Value::Bool(value) => Value::Bool(value),
            Value::Int(value) => Value::Int(value),
            Value::Double(value) => Value::Double(value),
            Value::String(text) => Value::String(Cow::Owned(text.into_owned())),
            Value::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Value::List(list) => Value::List(List::Owned(list.iter().map(Value::into_constant).collect())),
        }
    }

    /// How two values are ordered: numbers by value, `false` before `true`, texts and bytes by their bytes. Values of
    /// unlike types, nulls, lists, maps and NaN have no order.
    pub(crate) fn order(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
            (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
            (Value::Int(left), Value::Double(right)) => order_int_double(*left, *right),
            (Value::Double(left), Value::Int(right)) => {
                order_int_double(*right, *left).map(Ordering::reverse)
            }
            (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
            (Value::Bytes(left), Value::Bytes(right)) => Some(left.cmp(right)),
            (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }
}

/// Compares on the number line, without rounding the integer to a double.
fn order_int_double(int: i64, double: f64) -> Option<Ordering> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() {
        None
    } else if double >= TWO_TO_63 {
        Some(Ordering::Less)
    } else if double < -TWO_TO_63 {
        Some(Ordering::Greater)
    } else {
        let whole = double.trunc();
        // In range by the two tests above.
        Some(int.cmp(&(whole as i64)).then(0.0.partial_cmp(&(double - whole)).unwrap_or(Ordering::Equal)))
    }
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        equal(self, other)
    }
}

/// Equality whatever the two lifetimes are.
pub(crate) fn equal(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::String(left), Value::String(right)) => left == right,
        (Value::List(left), Value::List(right)) => {
            let (mut left, mut right) = (left.iter(), right.iter());
            loop {
                match (left.next(), right.next()) {
                    (None, None) => return true,
                    (Some(l), Some(r)) if equal(&l, &r) => {}
                    _ => return false,
                }
            }
        }
        (Value::Map(left), Value::Map(right)) => {
            left.count() == right.count()
                && left.clone().all(|(key, value)| {
                    right.get(key).is_some_and(|other| equal(&Value::from(value), &Value::from(other)))
                })
        }
        _ => left.order(right) == Some(Ordering::Equal),
    }
}

impl<'a> List<'a> {
    /// Its elements in order.
    pub fn iter(&self) -> Elements<'_> {
        match self {
            List::Wire(array) => Elements::Wire(*array),
            List::Borrowed(values) => Elements::Values(values.iter()),
            List::Owned(values) => Elements::Values(values.iter()),
        }
    }
}

impl<'a> IntoIterator for &'a List<'_> {
    type Item = Value<'a>;
    type IntoIter = Elements<'a>;
    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

/// Iterates over the elements of a [`List`].
#[derive(Clone, Debug)]
pub enum Elements<'a> {
    /// Of an array in the batch.
    Wire(Array<'a>),
    /// Of values.
    Values(std::slice::Iter<'a, Value<'a>>),
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;
    fn next(&mut self) -> Option<Value<'a>> {
        match self {
            Elements::Wire(array) => array.next().map(Value::from),
            Elements::Values(values) => values.next().map(Value::borrowed),
        }
    }
}

impl<'a> From<ValueView<'a>> for Value<'a> {
    #[inline]
    fn from(view: ValueView<'a>) -> Self {
        match view {
            ValueView::Empty => Value::Null,
            ValueView::String(text) => Value::String(Cow::Borrowed(text)),
            ValueView::Bool(value) => Value::Bool(value),
            ValueView::Int(value) => Value::Int(value),
            ValueView::Double(value) => Value::Double(value),
            ValueView::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
            ValueView::Array(array) => Value::List(List::Wire(array)),
            ValueView::Map(map) => Value::Map(map),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::String(Cow::Borrowed(text))
    }
}

impl From<Option<bool>> for Value<'_> {
    fn from(truth: Option<bool>) -> Self {
        truth.map_or(Value::Null, Value::Bool)
    }
}

/// As a literal of the language (maps and bytes beyond ASCII as CEL writes them).
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Double(value) => write!(f, "{value:?}"),
            Value::String(text) => write!(f, "{text:?}"),
            Value::Bytes(bytes) => write!(f, "b\"{}\"", bytes.escape_ascii()),
            Value::List(list) => {
                f.write_str("[")?;
                for (i, value) in list.iter().enumerate() {
                    write!(f, "{}{value}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Value::Map(map) => {
                f.write_str("{")?;
                for (i, (key, value)) in map.enumerate() {
                    write!(f, "{}{key:?}: {}", if i == 0 { "" } else { ", " }, Value::from(value))?;
                }
                f.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_doubles_compare_on_the_number_line() {
        let cases = [
            (i64::MAX, 9_223_372_036_854_775_807.0, Some(Ordering::Less)),
            ((1 << 53) + 1, 9_007_199_254_740_992.0, Some(Ordering::Greater)),
            (i64::MIN, -9_223_372_036_854_775_808.0, Some(Ordering::Equal)),
            (i64::MIN, f64::NEG_INFINITY, Some(Ordering::Greater)),
            (2, 2.5, Some(Ordering::Less)),
            (-2, -2.5, Some(Ordering::Greater)),
            (0, -0.0, Some(Ordering::Equal)),
            (0, f64::NAN, None),
        ];
        for (int, double, expected) in cases {
            assert_eq!(Value::Int(int).order(&Value::Double(double)), expected, "{int} and {double}");
            let back = expected.map(Ordering::reverse);
            assert_eq!(Value::Double(double).order(&Value::Int(int)), back, "{double} and {int}");
        }
    }
}
