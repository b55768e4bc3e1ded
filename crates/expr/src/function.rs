//! The functions of the language. One row says how each is called; `apply` says what it does.

use std::borrow::Cow;

use crate::Value;
use crate::types::Type;

/// A function of values. `has`, `matches` and `duration`, which need more than values, are compiled apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    StartsWith,
    EndsWith,
    Contains,
    Size,
    Lower,
    Upper,
    LowerAscii,
    UpperAscii,
    Int,
    Double,
    String,
    Bool,
    Bytes,
}

/// How a function is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    pub(crate) function: Function,
    /// May be called as `target.name(…)`.
    pub(crate) method: bool,
    /// May be called as `name(…)`.
    pub(crate) global: bool,
    /// What each parameter takes; a method's target is the first.
    pub(crate) parameters: &'static [&'static [Type]],
    pub(crate) result: Type,
}

const TEXT: &[Type] = &[Type::String];
const SIZED: &[Type] = &[Type::String, Type::Bytes, Type::List, Type::Map];
const NUMERIC: &[Type] = &[Type::Int, Type::Double, Type::String];
const PRINTABLE: &[Type] = &[Type::Bool, Type::Int, Type::Double, Type::String, Type::Bytes];

/// Every function of values.
pub(crate) const SIGNATURES: &[Signature] = &[
    method("startsWith", Function::StartsWith, &[TEXT, TEXT], Type::Bool),
    method("endsWith", Function::EndsWith, &[TEXT, TEXT], Type::Bool),
    method("contains", Function::Contains, &[TEXT, TEXT], Type::Bool),
    either("size", Function::Size, &[SIZED], Type::Int),
    either("lower", Function::Lower, &[TEXT], Type::String),
    either("upper", Function::Upper, &[TEXT], Type::String),
    method("lowerAscii", Function::LowerAscii, &[TEXT], Type::String),
    method("upperAscii", Function::UpperAscii, &[TEXT], Type::String),
    global("int", Function::Int, &[NUMERIC], Type::Int),
    global("double", Function::Double, &[NUMERIC], Type::Double),
    global("string", Function::String, &[PRINTABLE], Type::String),
    global("bool", Function::Bool, &[&[Type::Bool, Type::String]], Type::Bool),
    global("bytes", Function::Bytes, &[&[Type::String, Type::Bytes]], Type::Bytes),
];

/// The functions that are compiled apart.
pub(crate) const SPECIAL: [&str; 3] = ["has", "matches", "duration"];

pub(crate) fn signature(name: &str) -> Option<&'static Signature> {
    SIGNATURES.iter().find(|signature| signature.name == name)
}

impl Signature {
    /// How it is written, for messages.
    pub(crate) fn usage(&self) -> String {
        match (self.method, self.parameters.len()) {
            (true, 1) => format!("x.{}()", self.name),
            (true, _) => format!("x.{}(y)", self.name),
            (false, _) => format!("{}(x)", self.name),
        }
    }
}

/// Calls the function. A predicate about anything but its types is false; every other result is null then.
pub(crate) fn apply<'a>(function: Function, arguments: [Value<'a>; 2]) -> Value<'a> {
    let [first, second] = arguments;
    match function {
        Function::StartsWith => predicate(&first, &second, |text, part| text.starts_with(part)),
        Function::EndsWith => predicate(&first, &second, |text, part| text.ends_with(part)),
        Function::Contains => predicate(&first, &second, |text, part| text.contains(part)),
        Function::Size => size(&first),
        Function::Lower => map_text(first, |c| c.is_ascii() && !c.is_ascii_uppercase(), str::to_lowercase),
        Function::Upper => map_text(first, |c| c.is_ascii() && !c.is_ascii_lowercase(), str::to_uppercase),
        Function::LowerAscii => map_text(first, |c| !c.is_ascii_uppercase(), str::to_ascii_lowercase),
        Function::UpperAscii => map_text(first, |c| !c.is_ascii_lowercase(), str::to_ascii_uppercase),
        Function::Int => int(&first),
        Function::Double => double(&first),
        Function::String => string(first),
        Function::Bool => truth(&first),
        Function::Bytes => match first {
            Value::String(Cow::Borrowed(text)) => Value::Bytes(Cow::Borrowed(text.as_bytes())),
            Value::String(Cow::Owned(text)) => Value::Bytes(Cow::Owned(text.into_bytes())),
            Value::Bytes(bytes) => Value::Bytes(bytes),
            _ => Value::Null,
        },
    }
}

fn predicate<'a>(text: &Value<'_>, part: &Value<'_>, holds: impl Fn(&str, &str) -> bool) -> Value<'a> {
    match (text, part) {
        (Value::String(text), Value::String(part)) => Value::Bool(holds(text, part)),
        _ => Value::Bool(false),
    }
}

/// Code points of a text, bytes of bytes, elements of a list, entries of a map.
fn size(value: &Value<'_>) -> Value<'static> {
    let size = match value {
        Value::String(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.iter().count(),
        Value::Map(map) => map.count(),
        _ => return Value::Null,
    };
    i64::try_from(size).map_or(Value::Null, Value::Int)
}

/// Maps a text, and allocates only where a character is not yet `done`.
fn map_text<'a>(value: Value<'a>, done: impl Fn(char) -> bool, map: impl Fn(&str) -> String) -> Value<'a> {
    match value {
        Value::String(text) if text.chars().all(done) => Value::String(text),
        Value::String(text) => Value::String(Cow::Owned(map(&text))),
        _ => Value::Null,
    }
}

fn int(value: &Value<'_>) -> Value<'static> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    match value {
        Value::Int(value) => Value::Int(*value),
        // Towards zero; the open bounds also refuse NaN.
        Value::Double(value) if *value > -TWO_TO_63 && *value < TWO_TO_63 => Value::Int(*value as i64),
        Value::String(text) => text.parse().map_or(Value::Null, Value::Int),
        _ => Value::Null,
    }
}

fn double(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::Int(value) => Value::Double(*value as f64),
        Value::Double(value) => Value::Double(*value),
        Value::String(text) => text.parse().map_or(Value::Null, Value::Double),
        _ => Value::Null,
    }
}

fn string(value: Value<'_>) -> Value<'_> {
    match value {
        Value::String(text) => Value::String(text),
        Value::Bool(value) => Value::from(if value { "true" } else { "false" }),
        Value::Int(value) => Value::String(Cow::Owned(value.to_string())),
        Value::Double(value) => Value::String(Cow::Owned(value.to_string())),
        Value::Bytes(Cow::Borrowed(bytes)) => std::str::from_utf8(bytes).map_or(Value::Null, Value::from),
        Value::Bytes(Cow::Owned(bytes)) => {
            String::from_utf8(bytes).map_or(Value::Null, |text| Value::String(Cow::Owned(text)))
        }
        _ => Value::Null,
    }
}

/// The spellings that CEL takes.
fn truth(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::Bool(value) => Value::Bool(*value),
        Value::String(text) => match text.as_ref() {
            "1" | "t" | "true" | "TRUE" | "True" => Value::Bool(true),
            "0" | "f" | "false" | "FALSE" | "False" => Value::Bool(false),
            _ => Value::Null,
        },
        _ => Value::Null,
    }
}

const fn method(
    name: &'static str,
    function: Function,
    parameters: &'static [&'static [Type]],
    result: Type,
) -> Signature {
    Signature { name, function, method: true, global: false, parameters, result }
}

const fn global(
    name: &'static str,
    function: Function,
    parameters: &'static [&'static [Type]],
    result: Type,
) -> Signature {
    Signature { name, function, method: false, global: true, parameters, result }
}

const fn either(
    name: &'static str,
    function: Function,
    parameters: &'static [&'static [Type]],
    result: Type,
) -> Signature {
    Signature { name, function, method: true, global: true, parameters, result }
}
