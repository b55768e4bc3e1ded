//! Source text into tokens.

use crate::error::{Fault, Position};
use crate::literal;

/// One word of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Name(String),
    /// The magnitude; a sign is an operator. At most 2^63, which only a minus before it makes valid.
    Int(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
    /// An operator or bracket.
    Symbol(&'static str),
    /// Behind the last word.
    End,
}

/// Operators and brackets, the longer before those they begin with.
const SYMBOLS: [&str; 25] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "+",
    "-", "*", "/", "%", ";",
];

/// All tokens with their places, [`Token::End`] last.
pub(crate) fn tokens(source: &str) -> Result<Vec<(Token, Position)>, Fault> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at = skip_blank(source, at);
        let rest = &source[at..];
        let Some(first) = rest.chars().next() else {
            tokens.push((Token::End, Position { start: at, end: at }));
            return Ok(tokens);
        };
        let (token, length) = if let Some(opening) = literal::opening(rest) {
            let (token, length) = literal::quoted(rest, opening, at)?;
            (token, length)
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            (Token::Name(rest[..length].to_owned()), length)
        } else if first.is_ascii_digit()
            || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        {
            literal::number(rest, at)?
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            (Token::Symbol(symbol), symbol.len())
        } else {
            return Err(unexpected(first, at));
        };
        tokens.push((token, Position { start: at, end: at + length }));
        at += length;
    }
}

/// The first byte that is neither white space nor in a comment (`//` to the end of the line).
fn skip_blank(source: &str, mut at: usize) -> usize {
    loop {
        let rest = &source[at..];
        let blank = rest.len() - rest.trim_start().len();
        at += blank;
        if !source[at..].starts_with("//") {
            return at;
        }
        at += source[at..].find('\n').unwrap_or(source.len() - at);
    }
}

fn unexpected(c: char, at: usize) -> Fault {
    let place = Position { start: at, end: at + c.len_utf8() };
    let (message, suggestion) = match c {
        '=' => ("`=` assigns nothing here; equality is `==`", Some("==")),
        '&' => ("bits are not combined here; `and` is `&&`", Some("&&")),
        '|' => ("bits are not combined here; `or` is `||`", Some("||")),
        '“' | '”' | '‘' | '’' => ("a typographic quote; texts stand in \"…\" or '…'", Some("\"")),
        _ => return Fault::new(place, format!("`{}` has no meaning in an expression", c.escape_debug())),
    };
    Fault::new(place, message).suggest(suggestion.map(str::to_owned))
}
