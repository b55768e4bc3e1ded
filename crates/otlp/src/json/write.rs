//! Checked wire bytes to JSON text, driven by the schema, in one pass into one buffer.

use std::io::Write as _;

use super::{
    base64,
    schema::{Field, Kind, Message},
};
use crate::wire::{self, Payload};

/// Appends one request. Its singular fields occur once, as the full check leaves them.
pub(super) fn request(message: &'static Message, body: &[u8], out: &mut Vec<u8>) {
    // Names and digits make the text of real spans 2.2 times as long as the bytes.
    out.reserve(body.len().saturating_mul(5) / 2);
    object(message, body, out);
}

/// A message body as an object. Fields come in the order of their numbers, whatever it is on the wire, so that the elements
/// of a repeated field come together.
fn object(message: &'static Message, body: &[u8], out: &mut Vec<u8>) {
    let (mut present, mut before, mut in_order) = (0u32, 0, true);
    for field in wire::fields(body) {
        present |= 1u32.checked_shl(field.number).unwrap_or(0);
        in_order &= before <= field.number;
        before = field.number;
    }
    out.push(b'{');
    let mut members = Members { message, out, open: None };
    if in_order {
        members.write(body, |_| true);
    } else {
        // No message has a field above 31: see the test of the schema.
        for number in (0..u32::BITS).filter(|number| present >> number & 1 == 1) {
            members.write(body, |of| of == number);
        }
    }
    members.end();
    out.push(b'}');
}

/// The members of an object while they are written.
struct Members<'o> {
    message: &'static Message,
    out: &'o mut Vec<u8>,
    /// The member written last.
    open: Option<&'static Field>,
}

impl Members<'_> {
    fn write(&mut self, body: &[u8], chosen: impl Fn(u32) -> bool) {
        for on_wire in wire::fields(body).filter(|field| chosen(field.number)) {
            let Some(field) = self.message.numbered(on_wire.number) else { continue };
            if !self.open.is_some_and(|open| std::ptr::eq(open, field)) {
                self.key(field);
            }
            if field.repeated {
                elements(field.kind, on_wire.payload, self.out);
            } else {
                value(field.kind, on_wire.payload, self.out);
            }
        }
    }

    /// Ends the member before and begins another.
    fn key(&mut self, field: &'static Field) {
        self.end();
        if self.open.is_some() {
            self.out.push(b',');
        }
        self.open = Some(field);
        self.out.push(b'"');
        self.out.extend_from_slice(field.name.as_bytes());
        self.out.extend_from_slice(if field.repeated { b"\":[" } else { b"\":" });
    }

    /// Closes the list that is open, whose last element has a comma behind it.
    fn end(&mut self) {
        if self.open.is_some_and(|open| open.repeated) {
            if self.out.last() == Some(&b',') {
                self.out.pop();
            }
            self.out.push(b']');
        }
    }
}

/// The elements of a repeated field, packed or one, each with a comma behind it.
fn elements(kind: Kind, payload: Payload<'_>, out: &mut Vec<u8>) {
    let mut element = |payload| {
        value(kind, payload, out);
        out.push(b',');
    };
    match (kind, payload) {
        (Kind::String | Kind::Bytes | Kind::Id(_) | Kind::Message(_), payload) => element(payload),
        (Kind::Fixed64 | Kind::Sfixed64 | Kind::Double, Payload::Bytes(mut packed)) => {
            while let Some((bits, behind)) = wire::fixed64(packed) {
                element(Payload::Fixed64(bits));
                packed = behind;
            }
        }
        (_, Payload::Bytes(mut packed)) => {
            while let Some((bits, behind)) = wire::varint(packed) {
                element(Payload::Varint(bits));
                packed = behind;
            }
        }
        (_, one) => element(one),
    }
}

fn value(kind: Kind, payload: Payload<'_>, out: &mut Vec<u8>) {
    match (kind, payload) {
        (Kind::String, Payload::Bytes(text)) => string(text, out),
        (Kind::Bytes, Payload::Bytes(bytes)) => {
            out.push(b'"');
            base64::encode(bytes, out);
            out.push(b'"');
        }
        (Kind::Id(_), Payload::Bytes(bytes)) => {
            out.push(b'"');
            out.extend(
                bytes.iter().flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
            );
            out.push(b'"');
        }
        (Kind::Message(message), Payload::Bytes(body)) => object(message, body, out),
        (Kind::Double, Payload::Fixed64(bits)) => double(f64::from_bits(bits), out),
        (_, number) => integer(kind, number, out),
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// 64-bit integers are strings in JSON, smaller ones and enum values are numbers.
fn integer(kind: Kind, payload: Payload<'_>, out: &mut Vec<u8>) {
    let bits = match payload {
        Payload::Varint(bits) | Payload::Fixed64(bits) => bits,
        Payload::Fixed32(bits) => u64::from(bits),
        Payload::Bytes(_) | Payload::Group(_) => 0,
    };
    let (is_negative, magnitude, is_quoted) = match kind {
        Kind::Bool => return out.extend_from_slice(if bits != 0 { b"true" } else { b"false" }),
        Kind::Enum(_) | Kind::Int32 => signed((bits as i32).into(), false),
        Kind::Sint32 => signed(((bits as u32 >> 1) as i32 ^ -(bits as i32 & 1)).into(), false),
        Kind::Uint32 | Kind::Fixed32 => (false, u64::from(bits as u32), false),
        Kind::Int64 | Kind::Sfixed64 => signed(bits as i64, true),
        _ => (false, bits, true),
    };
    let quote: &[u8] = if is_quoted { b"\"" } else { b"" };
    out.extend_from_slice(quote);
    if is_negative {
        out.push(b'-');
    }
    decimal(magnitude, out);
    out.extend_from_slice(quote);
}

fn signed(number: i64, is_quoted: bool) -> (bool, u64, bool) {
    (number < 0, number.unsigned_abs(), is_quoted)
}

/// Decimal digits; `std::fmt` would take several times as long.
fn decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

fn double(number: f64, out: &mut Vec<u8>) {
    match number {
        _ if number.is_nan() => out.extend_from_slice(b"\"NaN\""),
        f64::INFINITY => out.extend_from_slice(b"\"Infinity\""),
        f64::NEG_INFINITY => out.extend_from_slice(b"\"-Infinity\""),
        _ => {
            // `Debug` gives the shortest text that reads back to the same number, with an exponent where it is large.
            let written = write!(out, "{number:?}");
            debug_assert!(written.is_ok(), "writing to a Vec cannot fail");
        }
    }
}

/// A string, which is UTF-8, with what JSON cannot hold escaped (RFC 8259, section 7).
fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(plain) = plain_length(rest) {
        out.extend_from_slice(&rest[..plain]);
        escape(rest[plain], out);
        rest = &rest[plain + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// How many bytes are before the first that must be escaped; `None` if none must.
fn plain_length(text: &[u8]) -> Option<usize> {
    const BLOCK: usize = 16;
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    let mut at = 0;
    // Without a way out inside a block, it becomes vector instructions.
    while let Some(block) = text.get(at..at + BLOCK) {
        if block.iter().fold(false, |any, &byte| any | special(byte)) {
            break;
        }
        at += BLOCK;
    }
    text[at..].iter().position(|&byte| special(byte)).map(|plain| at + plain)
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let letter = match byte {
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        b'"' | b'\\' => byte,
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}
