//! JSON text to wire bytes, driven by the schema, in one pass.

use super::{
    JsonError, base64,
    schema::{Field, Kind, Message},
    token::Tokens,
};
use crate::{
    put,
    wire::{self, key},
};

/// Transcodes one request.
pub(super) fn request(message: &'static Message, text: &[u8]) -> Result<Vec<u8>, JsonError> {
    let mut tokens = Tokens::new(text, message.name);
    // Wire bytes are rarely larger than the text that says the same.
    let mut out = Vec::with_capacity(text.len() / 2);
    fields(&mut tokens, message, &mut out)?;
    tokens.end()?;
    Ok(out)
}

/// The fields of an object as the fields of a message body.
pub(super) fn fields(
    tokens: &mut Tokens<'_>,
    message: &'static Message,
    out: &mut Vec<u8>,
) -> Result<(), JsonError> {
    let around = std::mem::replace(&mut tokens.within, message.name);
    tokens.open(b'{', "an object")?;
    let mut first = true;
    while tokens.more(first, b'}')? {
        first = false;
        let key = tokens.key()?;
        match message.field(&key) {
            _ if tokens.word("null") => {}
            None => tokens.skip()?,
            Some(field) if field.repeated => list(tokens, field, out)?,
            Some(field) => {
                put_key(field, out);
                value(tokens, field.kind, out)?;
            }
        }
    }
    tokens.within = around;
    Ok(())
}

/// The elements of an array: numbers packed into one field, all else a field each.
fn list(tokens: &mut Tokens<'_>, field: &Field, out: &mut Vec<u8>) -> Result<(), JsonError> {
    let packed = !matches!(field.kind, Kind::String | Kind::Bytes | Kind::Id(_) | Kind::Message(_));
    let elements = |tokens: &mut Tokens<'_>, out: &mut Vec<u8>| {
        tokens.open(b'[', "an array")?;
        let mut first = true;
        while tokens.more(first, b']')? {
            first = false;
            if !packed {
                put_key(field, out);
            }
            value(tokens, field.kind, out)?;
        }
        Ok(())
    };
    if packed {
        put::varint(u64::from(key(field.number, wire::LEN)), out);
        delimited(out, |out| elements(tokens, out))
    } else {
        elements(tokens, out)
    }
}

fn put_key(field: &Field, out: &mut Vec<u8>) {
    let wire_type = match field.kind {
        Kind::String | Kind::Bytes | Kind::Id(_) | Kind::Message(_) => wire::LEN,
        Kind::Fixed32 => wire::FIXED32,
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => wire::FIXED64,
        Kind::Bool
        | Kind::Uint32
        | Kind::Sint32
        | Kind::Int32
        | Kind::Int64
        | Kind::Uint64
        | Kind::Enum(_) => wire::VARINT,
    };
    put::varint(u64::from(key(field.number, wire_type)), out);
}

/// Writes a length and what `body` appends behind it. One byte is set aside for the length; longer ones move the body.
fn delimited(
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    let start = out.len();
    out.push(0);
    body(out)?;
    let len = out.len() - start - 1;
    let mut prefix = Vec::with_capacity(put::MAX_VARINT);
    put::varint(len as u64, &mut prefix);
    if let [byte] = prefix[..] {
        out[start] = byte;
    } else {
        out.splice(start..=start, prefix);
    }
    debug_assert_eq!(out.len(), start + put::varint_len(len as u64) + len);
    Ok(())
}

/// One value behind its key.
fn value(tokens: &mut Tokens<'_>, kind: Kind, out: &mut Vec<u8>) -> Result<(), JsonError> {
    match kind {
        Kind::String => {
            let text = tokens.string("a string")?;
            put::varint(text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        Kind::Bytes => {
            let text = tokens.string("a string of base64")?;
            delimited(out, |out| {
                base64::decode(&text, out).ok_or_else(|| tokens.error("base64 before this place"))
            })?;
        }
        Kind::Id(bytes) => id(tokens, bytes, out)?,
        Kind::Bool => match (tokens.word("true"), tokens.word("false")) {
            (false, false) => return Err(tokens.error("true or false")),
            (yes, _) => out.push(u8::from(yes)),
        },
        Kind::Uint32 => put::varint(integer(tokens, 0, u32::MAX.into())? as u64, out),
        Kind::Sint32 => {
            let number = integer(tokens, i32::MIN.into(), i32::MAX.into())? as i32;
            put::varint(u64::from((number << 1 ^ number >> 31) as u32), out);
        }
        Kind::Fixed32 => {
            out.extend_from_slice(&(integer(tokens, 0, u32::MAX.into())? as u32).to_le_bytes());
        }
        // Negative ones are sign-extended to 64 bits.
        Kind::Int32 => put::varint(integer(tokens, i32::MIN.into(), i32::MAX.into())? as u64, out),
        Kind::Int64 => put::varint(integer(tokens, i64::MIN.into(), i64::MAX.into())? as u64, out),
        Kind::Uint64 => put::varint(integer(tokens, 0, u64::MAX.into())? as u64, out),
        Kind::Fixed64 => {
            out.extend_from_slice(&(integer(tokens, 0, u64::MAX.into())? as u64).to_le_bytes());
        }
        Kind::Sfixed64 => {
            let number = integer(tokens, i64::MIN.into(), i64::MAX.into())?;
            out.extend_from_slice(&(number as i64).to_le_bytes());
        }
        Kind::Double => out.extend_from_slice(&double(tokens)?.to_le_bytes()),
        Kind::Enum(names) => put::varint(enumerator(tokens, names)? as u64, out),
        Kind::Message(message) => delimited(out, |out| fields(tokens, message, out))?,
    }
    Ok(())
}

/// Hexadecimal digits of either case; none or exactly as many as the id has.
fn id(tokens: &mut Tokens<'_>, bytes: usize, out: &mut Vec<u8>) -> Result<(), JsonError> {
    let expected = if bytes == 16 { "32 hexadecimal digits" } else { "16 hexadecimal digits" };
    let text = tokens.string(expected)?;
    if !text.is_empty() && text.len() != bytes * 2 {
        return Err(tokens.error(expected));
    }
    out.push((text.len() / 2) as u8);
    for pair in text.as_bytes().chunks_exact(2) {
        match ((pair[0] as char).to_digit(16), (pair[1] as char).to_digit(16)) {
            (Some(high), Some(low)) => out.push((high << 4 | low) as u8),
            _ => return Err(tokens.error(expected)),
        }
    }
    Ok(())
}

/// A whole number within bounds, as a number or as a string; `1.0` and `1e3` are whole.
fn integer(tokens: &mut Tokens<'_>, min: i128, max: i128) -> Result<i128, JsonError> {
    const EXPECTED: &str = "a whole number within the field's range";
    let quoted = tokens.peek() == b'"';
    let text = if quoted { tokens.string(EXPECTED)? } else { tokens.number(EXPECTED)?.into() };
    let number = text.parse::<i128>().ok().or_else(|| {
        let number = text.parse::<f64>().ok().filter(|_| text.ends_with(|c: char| c.is_ascii_digit()))?;
        // Beyond 2^64 the bounds refuse it whatever it rounds to.
        (number.fract() == 0.0 && number.abs() < 2e19).then_some(number as i128)
    });
    number.filter(|number| (min..=max).contains(number)).ok_or_else(|| tokens.error(EXPECTED))
}

/// A number, or one of the strings that proto3 JSON has for what numbers cannot say.
fn double(tokens: &mut Tokens<'_>) -> Result<f64, JsonError> {
    const EXPECTED: &str = "a number, \"NaN\", \"Infinity\" or \"-Infinity\"";
    let text = match tokens.peek() {
        b'"' => tokens.string(EXPECTED)?,
        _ => tokens.number(EXPECTED)?.into(),
    };
    match &*text {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        // Rust reads words such as "inf" too; JSON does not.
        _ if text.ends_with(|c: char| c.is_ascii_digit() || c == '.') => {
            text.parse().map_err(|_| tokens.error(EXPECTED))
        }
        _ => Err(tokens.error(EXPECTED)),
    }
}

/// An enum value by number or by name.
fn enumerator(tokens: &mut Tokens<'_>, names: &[&str]) -> Result<i128, JsonError> {
    if tokens.peek() != b'"' {
        return integer(tokens, i32::MIN.into(), i32::MAX.into());
    }
    const EXPECTED: &str = "the number or the name of an enum value";
    let name = tokens.string(EXPECTED)?;
    let number = names.iter().position(|known| *known == name).map(|number| number as i128);
    number.ok_or_else(|| tokens.error(EXPECTED))
}
