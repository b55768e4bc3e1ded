//! What the actions mean, done the slow way to the oracle's types.

use aldis_operators::edit::ActionSettings;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value,
};
use otlp::AttributeValue;
use regex::Regex;
use sha2::{Digest, Sha256};

/// Applies one action to a map of attributes.
pub(crate) fn apply(action: &ActionSettings, attributes: &mut Vec<KeyValue>, headers: &[(String, String)]) {
    let key = action.key.clone();
    let pattern = action.pattern.as_deref().map(|pattern| Regex::new(pattern).unwrap());
    let named = |name: &str| {
        key.as_deref() == Some(name) || pattern.as_ref().is_some_and(|pattern| pattern.is_match(name))
    };
    match action.action.as_str() {
        "insert" | "update" | "upsert" => {
            let key = key.unwrap();
            let found = match (&action.value, &action.from_attribute, &action.from_context) {
                (Some(value), None, None) => Some(of_setting(value)),
                (None, Some(from), None) => get(attributes, from).cloned(),
                (None, None, Some(from)) => header(headers, from).map(Value::StringValue),
                _ => None,
            };
            let Some(value) = found.or(action.default_value.as_ref().map(of_setting)) else { return };
            let present = attributes.iter().any(|entry| entry.key == key);
            match action.action.as_str() {
                "insert" if present => {}
                "update" if !present => {}
                _ => set(attributes, &key, value),
            }
        }
        "delete" => attributes.retain(|entry| !named(&entry.key)),
        "hash" => attributes.iter_mut().filter(|entry| named(&entry.key)).for_each(|entry| {
            let hashed =
                entry.value.take().and_then(|any| any.value).map_or(String::new(), |value| hash(&value));
            entry.value = Some(AnyValue { value: Some(Value::StringValue(hashed)) });
        }),
        "extract" => {
            let pattern = pattern.unwrap();
            let Some(Value::StringValue(text)) = get(attributes, &key.unwrap()).cloned() else { return };
            let Some(captures) = pattern.captures(&text) else { return };
            for name in pattern.capture_names().flatten() {
                let group = captures.name(name).map_or("", |group| group.as_str());
                set(attributes, name, Value::StringValue(group.into()));
            }
        }
        "convert" => {
            let key = key.unwrap();
            let Some(value) = get(attributes, &key) else { return };
            if let Some(converted) = convert(value, action.converted_type.as_deref().unwrap()) {
                set(attributes, &key, converted);
            }
        }
        "rename" => {
            let (key, to) = (key.unwrap(), action.to.clone().unwrap());
            if key == to || !attributes.iter().any(|entry| entry.key == key) {
                return;
            }
            attributes.retain(|entry| entry.key != to);
            attributes
                .iter_mut()
                .filter(|entry| entry.key == key)
                .for_each(|entry| entry.key.clone_from(&to));
        }
        other => panic!("{other}"),
    }
}

fn header(headers: &[(String, String)], from: &str) -> Option<String> {
    let name = from.trim_start_matches("metadata.").to_lowercase();
    let values: Vec<_> =
        headers.iter().filter(|(key, _)| *key == name).map(|(_, value)| value.clone()).collect();
    (!values.is_empty()).then(|| values.join(";"))
}

fn get<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|entry| entry.key == key)?.value.as_ref()?.value.as_ref()
}

fn set(attributes: &mut Vec<KeyValue>, key: &str, value: Value) {
    let value = Some(AnyValue { value: Some(value) });
    match attributes.iter_mut().find(|entry| entry.key == key) {
        Some(entry) => entry.value = value,
        None => attributes.push(KeyValue { key: key.into(), value, ..KeyValue::default() }),
    }
}

pub(crate) fn of_setting(value: &AttributeValue) -> Value {
    let any = |value: &AttributeValue| AnyValue { value: Some(of_setting(value)) };
    match value {
        AttributeValue::String(text) => Value::StringValue(text.clone()),
        AttributeValue::Int(int) => Value::IntValue(*int),
        AttributeValue::Double(double) => Value::DoubleValue(*double),
        AttributeValue::Bool(truth) => Value::BoolValue(*truth),
        AttributeValue::Bytes(bytes) => Value::BytesValue(bytes.clone()),
        AttributeValue::Array(values) => {
            Value::ArrayValue(ArrayValue { values: values.iter().map(any).collect() })
        }
        AttributeValue::Map(entries) => Value::KvlistValue(KeyValueList {
            values: entries
                .iter()
                .map(|(key, value)| KeyValue {
                    key: key.clone(),
                    value: Some(any(value)),
                    ..KeyValue::default()
                })
                .collect(),
        }),
    }
}

fn hash(value: &Value) -> String {
    let digest = match value {
        Value::StringValue(text) => Sha256::digest(text),
        Value::BoolValue(truth) => Sha256::digest([u8::from(*truth)]),
        Value::IntValue(int) => Sha256::digest(int.to_le_bytes()),
        Value::DoubleValue(double) => Sha256::digest(double.to_bits().to_le_bytes()),
        _ => return String::new(),
    };
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn convert(value: &Value, to: &str) -> Option<Value> {
    Some(match (to, value) {
        ("int", Value::DoubleValue(double)) => Value::IntValue(*double as i64),
        ("int", Value::BoolValue(truth)) => Value::IntValue(i64::from(*truth)),
        ("int", Value::StringValue(text)) => Value::IntValue(text.parse().ok()?),
        ("double", Value::IntValue(int)) => Value::DoubleValue(*int as f64),
        ("double", Value::BoolValue(truth)) => Value::DoubleValue(f64::from(u8::from(*truth))),
        ("double", Value::StringValue(text)) => Value::DoubleValue(text.parse().ok()?),
        ("string", Value::IntValue(int)) => Value::StringValue(int.to_string()),
        ("string", Value::BoolValue(truth)) => Value::StringValue(truth.to_string()),
        _ => return None,
    })
}
