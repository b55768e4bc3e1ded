//! Values made from values: hashed, converted, written as text.

use sha2::{Digest, Sha256};

use super::ValueType;
use crate::put::{self, fixed64_tag, len_tag, varint_tag};
use crate::view::ValueView;

/// Appends the `AnyValue` body of a text.
pub(super) fn put_text(text: &str, out: &mut Vec<u8>) {
    put::bytes(len_tag(1), text.as_bytes(), out);
}

/// Appends the `AnyValue` body of the value's hash: see [`super::Action::Hash`].
pub(super) fn put_hash(value: ValueView<'_>, out: &mut Vec<u8>) {
    let digest = match value {
        ValueView::String(text) => Sha256::digest(text.as_bytes()),
        ValueView::Bool(yes) => Sha256::digest([u8::from(yes)]),
        ValueView::Int(number) => Sha256::digest(number.to_le_bytes()),
        ValueView::Double(number) => Sha256::digest(number.to_bits().to_le_bytes()),
        ValueView::Empty | ValueView::Bytes(_) | ValueView::Array(_) | ValueView::Map(_) => {
            return put_text("", out);
        }
    };
    put::open(len_tag(1), digest.len() * 2, out);
    for byte in digest {
        out.extend_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 0xf)]);
    }
}

fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

/// Appends the `AnyValue` body of the value as this type. Appends nothing if it is of that type, or cannot become it.
pub(super) fn put_converted(value: ValueView<'_>, to: ValueType, out: &mut Vec<u8>) {
    match to {
        ValueType::Int => {
            let number = match value {
                // `as` cuts towards zero and bounds; not a number is 0.
                ValueView::Double(number) => number as i64,
                ValueView::Bool(yes) => i64::from(yes),
                ValueView::String(text) => match text.parse() {
                    Ok(number) => number,
                    Err(_) => return,
                },
                _ => return,
            };
            out.push(varint_tag(3));
            put::varint(number as u64, out);
        }
        ValueType::Double => {
            let number: f64 = match value {
                ValueView::Int(number) => number as f64,
                ValueView::Bool(yes) => f64::from(u8::from(yes)),
                ValueView::String(text) => match parse_double(text) {
                    Some(number) => number,
                    None => return,
                },
                _ => return,
            };
            put::fixed64(fixed64_tag(4), number.to_bits(), out);
        }
        ValueType::String => {
            if let ValueView::String(_) = value {
                return;
            }
            let mut text = String::new();
            write_plain(value, &mut text);
            put_text(&text, out);
        }
    }
}

/// A decimal; `None` also where digits say more than a double can hold.
fn parse_double(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let overflowed = number.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit());
    (!overflowed).then_some(number)
}

/// The value as the Collector writes it where text is asked for.
fn write_plain(value: ValueView<'_>, out: &mut String) {
    match value {
        ValueView::Empty => {}
        ValueView::String(text) => out.push_str(text),
        ValueView::Bool(yes) => out.push_str(if yes { "true" } else { "false" }),
        ValueView::Int(number) => out.push_str(&number.to_string()),
        ValueView::Double(number) if !number.is_finite() => {
            let name = if number.is_nan() {
                "NaN"
            } else if number > 0.0 {
                "+Inf"
            } else {
                "-Inf"
            };
            out.push_str("json: unsupported value: ");
            out.push_str(name);
        }
        ValueView::Double(number) => write_double(number, out),
        ValueView::Bytes(bytes) => write_base64(bytes, out),
        ValueView::Array(_) | ValueView::Map(_) => write_json(value, out),
    }
}

/// Shortest digits that say the number; with an exponent below 1e-6 and from 1e21 on, as JSON has it.
fn write_double(number: f64, out: &mut String) {
    let size = number.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        out.push_str(&number.to_string());
        return;
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    out.push_str(digits);
    out.push('e');
    if !exponent.starts_with('-') {
        out.push('+');
    }
    out.push_str(exponent);
}

fn write_json(value: ValueView<'_>, out: &mut String) {
    match value {
        ValueView::Empty => out.push_str("null"),
        ValueView::String(text) => write_quoted(text, out),
        ValueView::Bytes(bytes) => {
            out.push('"');
            write_base64(bytes, out);
            out.push('"');
        }
        // JSON has no such numbers.
        ValueView::Double(number) if !number.is_finite() => out.push_str("null"),
        ValueView::Bool(_) | ValueView::Int(_) | ValueView::Double(_) => write_plain(value, out),
        ValueView::Array(items) => {
            out.push('[');
            for (i, item) in items.enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        ValueView::Map(entries) => {
            let mut entries: Vec<_> = entries.collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (i, (key, value)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_quoted(key, out);
                out.push(':');
                write_json(value, out);
            }
            out.push('}');
        }
    }
}

fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn write_base64(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AttributeValue;
    use crate::event::encode_value;

    fn converted(value: &AttributeValue, to: ValueType) -> Option<AttributeValue> {
        let mut body = Vec::new();
        encode_value(value, &mut body);
        let mut out = Vec::new();
        put_converted(ValueView::of(&body), to, &mut out);
        (!out.is_empty()).then(|| ValueView::of(&out).into())
    }

    fn text(text: &str) -> AttributeValue {
        AttributeValue::String(text.to_owned())
    }

    #[test]
    fn converts_as_the_collector_does() {
        use AttributeValue::{Array, Bool, Bytes, Double, Int, Map};
        let table = [
            (text("12"), ValueType::Int, Some(Int(12))),
            (text("+12"), ValueType::Int, Some(Int(12))),
            (text("12.5"), ValueType::Int, None),
            (text(" 12"), ValueType::Int, None),
            (Double(-2.9), ValueType::Int, Some(Int(-2))),
            (Bool(true), ValueType::Int, Some(Int(1))),
            (Int(7), ValueType::Int, None),
            (Bytes(vec![1]), ValueType::Int, None),
            (text("1e3"), ValueType::Double, Some(Double(1000.0))),
            (text("1e999"), ValueType::Double, None),
            (Int(3), ValueType::Double, Some(Double(3.0))),
            (Bool(false), ValueType::Double, Some(Double(0.0))),
            (text("x"), ValueType::String, None),
            (Int(-5), ValueType::String, Some(text("-5"))),
            (Double(1.0), ValueType::String, Some(text("1"))),
            (Double(1e21), ValueType::String, Some(text("1e+21"))),
            (Double(1.5e-7), ValueType::String, Some(text("1.5e-7"))),
            (Bool(true), ValueType::String, Some(text("true"))),
            (Bytes(b"hello".to_vec()), ValueType::String, Some(text("aGVsbG8="))),
            (
                Map(vec![("b".into(), Array(vec![Int(1), text("q\"")])), ("a".into(), Double(0.5))]),
                ValueType::String,
                Some(text(r#"{"a":0.5,"b":[1,"q\""]}"#)),
            ),
        ];
        for (value, to, expected) in table {
            assert_eq!(converted(&value, to), expected, "{value:?} to {to:?}");
        }
    }

    #[test]
    fn hashes_as_the_collector_does() {
        let mut out = Vec::new();
        put_hash(ValueView::String("abc"), &mut out);
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(AttributeValue::from(ValueView::of(&out)), text(hex));
        out.clear();
        put_hash(ValueView::Bytes(b"abc"), &mut out);
        assert_eq!(AttributeValue::from(ValueView::of(&out)), text(""));
    }
}
