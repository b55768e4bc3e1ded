//! Membership in a long list of literals.

use std::collections::HashSet;

use crate::Value;
use crate::value;

/// A list of literals, hashed; membership is equality with one of them, as in the list.
#[derive(Clone, Debug, Default)]
pub(crate) struct LiteralSet {
    texts: HashSet<Box<str>>,
    /// Integers, and doubles that are equal to one.
    integers: HashSet<i64>,
    /// The few that are neither.
    others: Vec<Value<'static>>,
}

impl LiteralSet {
    pub(crate) fn new(elements: impl Iterator<Item = Value<'static>>) -> Self {
        let mut set = Self::default();
        for element in elements {
            match (integer(&element), element) {
                (Some(integer), _) => {
                    set.integers.insert(integer);
                }
                (None, Value::String(text)) => {
                    set.texts.insert(text.into());
                }
                (None, other) => set.others.push(other),
            }
        }
        set
    }

    pub(crate) fn contains(&self, needle: &Value<'_>) -> bool {
        match (integer(needle), needle) {
            (Some(integer), _) => self.integers.contains(&integer),
            (None, Value::String(text)) => self.texts.contains(text.as_ref()),
            (None, needle) => self.others.iter().any(|element| value::equal(element, needle)),
        }
    }
}

/// The integer that a value is equal to.
fn integer(value: &Value<'_>) -> Option<i64> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    match value {
        Value::Int(value) => Some(*value),
        // In range by the second test.
        Value::Double(value) if value.trunc() == *value && *value >= -TWO_TO_63 && *value < TWO_TO_63 => {
            Some(*value as i64)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_its_list_holds() {
        let elements = || {
            vec![
                Value::Int(1),
                Value::Double(2.0),
                Value::Double(2.5),
                Value::from("a"),
                Value::Null,
                Value::Bool(true),
                Value::Double(f64::NAN),
            ]
        };
        let set = LiteralSet::new(elements().into_iter());
        let needles = [
            Value::Int(1),
            Value::Double(1.0),
            Value::Int(2),
            Value::Int(3),
            Value::Double(2.5),
            Value::Double(-0.0),
            Value::Double(f64::NAN),
            Value::Double(f64::INFINITY),
            Value::from("a"),
            Value::from("b"),
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
        ];
        for needle in needles {
            let expected = elements().iter().any(|element| element == &needle);
            assert_eq!(set.contains(&needle), expected, "{needle}");
        }
    }
}
