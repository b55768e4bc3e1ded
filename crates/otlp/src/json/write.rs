//! Checked wire bytes to JSON text, driven by the schema.

use std::fmt::Write as _;

use super::{
    base64,
    schema::{Field, Kind, Message},
};
use crate::wire::{self, Payload};

/// Appends one request.
pub(super) fn request(message: &'static Message, body: &[u8], out: &mut String) {
    object(message, body, out);
}

/// A message body as an object. Fields come in the order of the schema; a repeated field's elements may lie apart on the
/// wire and are gathered.
fn object(message: &'static Message, body: &[u8], out: &mut String) {
    let mut present: Vec<(&'static Field, Payload<'_>)> = Vec::new();
    for on_wire in wire::fields(body) {
        if let Some(field) = message.fields.iter().find(|field| field.number == on_wire.number) {
            present.push((field, on_wire.payload));
        }
    }
    // Stable: elements of a repeated field keep their order.
    present.sort_by_key(|(field, _)| field.number);
    out.push('{');
    let mut separator = "";
    for group in present.chunk_by(|(a, _), (b, _)| a.number == b.number) {
        let Some(&(field, last)) = group.last() else { continue };
        let _ = write!(out, "{separator}\"{}\":", field.name);
        separator = ",";
        if field.repeated {
            list(field, group.iter().map(|(_, payload)| *payload), out);
        } else {
            value(field.kind, last, out);
        }
    }
    out.push('}');
}

/// All elements of a repeated field, packed or one by one.
fn list<'a>(field: &Field, payloads: impl Iterator<Item = Payload<'a>>, out: &mut String) {
    out.push('[');
    let mut separator = "";
    let mut element = |payload, out: &mut String| {
        out.push_str(separator);
        separator = ",";
        value(field.kind, payload, out);
    };
    for payload in payloads {
        match (field.kind, payload) {
            (Kind::Fixed64 | Kind::Double, Payload::Bytes(mut rest)) => {
                while let Some((bits, behind)) = wire::fixed64(rest) {
                    element(Payload::Fixed64(bits), out);
                    rest = behind;
                }
            }
            (Kind::Uint64, Payload::Bytes(mut rest)) => {
                while let Some((bits, behind)) = wire::varint(rest) {
                    element(Payload::Varint(bits), out);
                    rest = behind;
                }
            }
            _ => element(payload, out),
        }
    }
    out.push(']');
}

fn value(kind: Kind, payload: Payload<'_>, out: &mut String) {
    match (kind, payload) {
        (Kind::String, Payload::Bytes(text)) => string(&String::from_utf8_lossy(text), out),
        (Kind::Bytes, Payload::Bytes(bytes)) => {
            out.push('"');
            base64::encode(bytes, out);
            out.push('"');
        }
        (Kind::Id(_), Payload::Bytes(bytes)) => {
            out.push('"');
            for byte in bytes {
                let _ = write!(out, "{byte:02x}");
            }
            out.push('"');
        }
        (Kind::Message(message), Payload::Bytes(body)) => object(message, body, out),
        (Kind::Double, Payload::Fixed64(bits)) => double(f64::from_bits(bits), out),
        (_, number) => integer(kind, number, out),
    }
}

/// 64-bit integers are strings in JSON, smaller ones and enum values are numbers.
fn integer(kind: Kind, payload: Payload<'_>, out: &mut String) {
    let bits = match payload {
        Payload::Varint(bits) | Payload::Fixed64(bits) => bits,
        Payload::Fixed32(bits) => u64::from(bits),
        Payload::Bytes(_) | Payload::Group(_) => 0,
    };
    let written = match kind {
        Kind::Bool => write!(out, "{}", bits != 0),
        Kind::Enum(_) => write!(out, "{}", bits as i32),
        Kind::Uint32 | Kind::Fixed32 => write!(out, "{}", bits as u32),
        Kind::Sint32 => write!(out, "{}", (bits as u32 >> 1) as i32 ^ -(bits as i32 & 1)),
        Kind::Int64 | Kind::Sfixed64 => write!(out, "\"{}\"", bits as i64),
        _ => write!(out, "\"{bits}\""),
    };
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

fn double(number: f64, out: &mut String) {
    let written = match number {
        _ if number.is_nan() => write!(out, "\"NaN\""),
        f64::INFINITY => write!(out, "\"Infinity\""),
        f64::NEG_INFINITY => write!(out, "\"-Infinity\""),
        // Rust's `Debug` gives the shortest text that reads back to the same number, with an exponent where it is large.
        _ => write!(out, "{number:?}"),
    };
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

/// A string with what JSON cannot hold escaped (RFC 8259, section 7).
fn string(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        plain = at + 1;
        if escape.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}
