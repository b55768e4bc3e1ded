//! Literals: numbers, and texts and bytes with their escapes, as the CEL specification's lexis has them.

use crate::error::{Fault, Position};
use crate::lexer::Token;

/// How a quoted literal begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    /// Letters before the quote.
    prefix: usize,
    raw: bool,
    bytes: bool,
    quote: &'static str,
}

/// The opening of a quoted literal, if `rest` begins with one: `"`, `'`, tripled or not, after `r`, `b`, both or neither.
pub(crate) fn opening(rest: &str) -> Option<Opening> {
    let prefix = rest.bytes().take(2).take_while(|b| b"rRbB".contains(b)).count();
    let letters = rest[..prefix].to_ascii_lowercase();
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| rest[prefix..].starts_with(quote))?;
    match letters.as_str() {
        "" | "r" | "b" | "rb" | "br" => {
            Some(Opening { prefix, raw: letters.contains('r'), bytes: letters.contains('b'), quote })
        }
        _ => None,
    }
}

/// Reads a quoted literal; `at` is its place in the source. Returns its length in bytes too.
pub(crate) fn quoted(rest: &str, opening: Opening, at: usize) -> Result<(Token, usize), Fault> {
    let Opening { prefix, raw, bytes, quote } = opening;
    let start = prefix + quote.len();
    let mut content = Vec::new();
    let mut i = start;
    loop {
        let tail = &rest[i..];
        if tail.starts_with(quote) {
            i += quote.len();
            break;
        }
        match tail.chars().next() {
            None | Some('\n' | '\r') if tail.is_empty() || quote.len() == 1 => {
                let place = Position { start: at, end: at + i };
                return Err(Fault::new(place, format!("this text does not end; close it with `{quote}`")));
            }
            Some('\\') if !raw => i += escape(tail, bytes, at + i, &mut content)?,
            Some(c) => {
                content.extend_from_slice(&tail.as_bytes()[..c.len_utf8()]);
                i += c.len_utf8();
            }
            None => i += 1,
        }
    }
    if bytes {
        return Ok((Token::Bytes(content), i));
    }
    let place = Position { start: at, end: at + i };
    let text = String::from_utf8(content)
        .map_err(|_| Fault::new(place, "the escapes of this text are not UTF-8"))?;
    Ok((Token::String(text), i))
}

/// Reads one escape, which begins with a backslash; returns its length in bytes.
fn escape(tail: &str, bytes: bool, at: usize, content: &mut Vec<u8>) -> Result<usize, Fault> {
    let letter = tail[1..].chars().next().unwrap_or(' ');
    let simple = match letter {
        'a' => Some(0x07),
        'b' => Some(0x08),
        'f' => Some(0x0c),
        'n' => Some(b'\n'),
        'r' => Some(b'\r'),
        't' => Some(b'\t'),
        'v' => Some(0x0b),
        '\\' | '\'' | '"' | '`' | '?' => Some(letter as u8),
        _ => None,
    };
    if let Some(byte) = simple {
        content.push(byte);
        return Ok(2);
    }
    let (skip, digits, radix) = match letter {
        'x' | 'X' => (2, 2, 16),
        'u' if !bytes => (2, 4, 16),
        'U' if !bytes => (2, 8, 16),
        '0'..='3' => (1, 3, 8),
        _ => {
            let place = Position { start: at, end: at + 1 + letter.len_utf8().min(tail.len() - 1) };
            return Err(Fault::new(
                place,
                "no such escape; in a regular expression double the backslash or write a raw text: r\"\\d+\"",
            ));
        }
    };
    let end = skip + digits;
    let place = Position { start: at, end: at + 1 + letter.len_utf8() };
    let code = tail
        .get(skip..end)
        .filter(|digits| digits.chars().all(|c| c.is_digit(radix)))
        .and_then(|digits| u32::from_str_radix(digits, radix).ok())
        .ok_or_else(|| Fault::new(place, format!("this escape needs {digits} digits of base {radix}")))?;
    match (bytes, char::from_u32(code)) {
        // At most two hexadecimal or three octal digits from 000 to 377, checked above.
        (true, _) => content.push(code as u8),
        (false, Some(c)) => content.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        (false, None) => return Err(Fault::new(place, "this escape is no Unicode scalar value")),
    }
    Ok(end)
}

/// Reads a number that begins with a digit or a point; returns its length in bytes too.
pub(crate) fn number(rest: &str, at: usize) -> Result<(Token, usize), Fault> {
    let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    let hexadecimal = rest.starts_with("0x") || rest.starts_with("0X");
    let mut length =
        if hexadecimal { 2 + rest[2..].bytes().take_while(u8::is_ascii_hexdigit).count() } else { digits(0) };
    let mut double = false;
    if !hexadecimal {
        let bytes = rest.as_bytes();
        if bytes.get(length) == Some(&b'.') && digits(length + 1) > 0 {
            double = true;
            length += 1 + digits(length + 1);
        }
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            let exponent = rest.get(length + 1 + sign..).map_or(0, |_| digits(length + 1 + sign));
            if exponent > 0 {
                double = true;
                length += 1 + sign + exponent;
            }
        }
    }
    let text = &rest[..length];
    let place = |length| Position { start: at, end: at + length };
    if let Some(letter) = rest[length..].chars().next().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
        let tail = &rest[length..];
        let unit = &tail[..tail.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tail.len())];
        let message = match unit {
            "u" | "U" => "there are no unsigned integers; leave the `u` out".to_owned(),
            "ns" | "us" | "ms" | "s" | "m" | "h" => format!("a time is written duration(\"{text}{unit}\")"),
            _ => format!("`{letter}` cannot follow a number"),
        };
        return Err(Fault::new(place(length + 1), message));
    }
    if double {
        return match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok((Token::Double(value), length)),
            _ => Err(Fault::new(place(length), "this number is too large for a double")),
        };
    }
    let value = if hexadecimal { u64::from_str_radix(&text[2..], 16) } else { text.parse() };
    match value {
        Ok(value) if value <= 1 << 63 => Ok((Token::Int(value), length)),
        _ => Err(Fault::new(place(length), "this is no integer of 64 bits with sign")),
    }
}
