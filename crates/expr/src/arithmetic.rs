//! Sums, products, and joining. What has no result is null: an absent operand, operands of unlike types, an integer
//! beyond 64 bits, an integer divided by zero.

use std::borrow::Cow;

use crate::Value;
use crate::ast::Arithmetic;
use crate::value::List;

/// Applies the operator.
pub(crate) fn apply<'a>(operator: Arithmetic, left: Value<'a>, right: Value<'a>) -> Value<'a> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => {
            let result = match operator {
                Arithmetic::Add => left.checked_add(right),
                Arithmetic::Subtract => left.checked_sub(right),
                Arithmetic::Multiply => left.checked_mul(right),
                Arithmetic::Divide => left.checked_div(right),
                Arithmetic::Remainder => left.checked_rem(right),
            };
            result.map_or(Value::Null, Value::Int)
        }
        (Value::Double(left), Value::Double(right)) => match operator {
            Arithmetic::Add => Value::Double(left + right),
            Arithmetic::Subtract => Value::Double(left - right),
            Arithmetic::Multiply => Value::Double(left * right),
            Arithmetic::Divide => Value::Double(left / right),
            Arithmetic::Remainder => Value::Null,
        },
        (left, right) if operator == Arithmetic::Add => join(left, right),
        _ => Value::Null,
    }
}

fn join<'a>(left: Value<'a>, right: Value<'a>) -> Value<'a> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Value::String(left + right),
        (Value::Bytes(left), Value::Bytes(right)) => {
            let mut bytes = left.into_owned();
            bytes.extend_from_slice(&right);
            Value::Bytes(Cow::Owned(bytes))
        }
        (Value::List(left), Value::List(right)) => {
            let mut values = elements(left);
            values.extend(elements(right));
            Value::List(List::Owned(values))
        }
        _ => Value::Null,
    }
}

fn elements(list: List<'_>) -> Vec<Value<'_>> {
    match list {
        List::Wire(array) => array.map(Value::from).collect(),
        List::Borrowed(values) => values.iter().map(Value::borrowed).collect(),
        List::Owned(values) => values,
    }
}

/// The number with its sign turned.
pub(crate) fn negate(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::Int(value) => value.checked_neg().map_or(Value::Null, Value::Int),
        Value::Double(value) => Value::Double(-value),
        _ => Value::Null,
    }
}
