//! A pull parser over JSON text (RFC 8259). It allocates only for strings with escapes.

use std::borrow::Cow;

use super::JsonError;

/// Nesting of objects and arrays. An `AnyValue` level costs up to three messages, two of them with an array.
const MAX_DEPTH: usize = 256;

/// Reads one text from front to back.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    /// The protobuf name of the message being read, for errors.
    pub(super) within: &'static str,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a [u8], within: &'static str) -> Self {
        Self { text, at: 0, depth: 0, within }
    }

    /// Reads on from a byte of the text.
    pub(super) fn from(text: &'a [u8], at: usize) -> Self {
        Self { at, ..Self::new(text, "a text of requests") }
    }

    /// The byte that is read next.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Whether nothing but white space is left.
    pub(super) fn at_end(&mut self) -> bool {
        self.peek() == 0 && self.at >= self.text.len()
    }

    /// An error at the current place.
    pub(super) fn error(&self, expected: &'static str) -> JsonError {
        JsonError { offset: self.at, within: self.within, expected }
    }

    /// The first byte of the next token; zero at the end.
    pub(super) fn peek(&mut self) -> u8 {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied().unwrap_or(0)
    }

    /// Consumes the opening of an object or array.
    pub(super) fn open(&mut self, bracket: u8, expected: &'static str) -> Result<(), JsonError> {
        if self.peek() != bracket {
            return Err(self.error(expected));
        }
        if self.depth == MAX_DEPTH {
            return Err(self.error("less nesting"));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Whether another member follows in the object or array that `close` ends; consumes the comma or the end.
    pub(super) fn more(&mut self, first: bool, close: u8) -> Result<bool, JsonError> {
        match self.peek() {
            b if b == close => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            b',' if !first => {
                self.at += 1;
                if self.peek() == close {
                    return Err(self.error("a value behind the comma"));
                }
                Ok(true)
            }
            _ if first => Ok(true),
            _ => Err(self.error("a comma or the end of the object or array")),
        }
    }

    /// The key of a member and its colon.
    pub(super) fn key(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let key = self.string("a key in double quotes")?;
        if self.peek() != b':' {
            return Err(self.error("a colon"));
        }
        self.at += 1;
        Ok(key)
    }

    /// A string.
    pub(super) fn string(&mut self, expected: &'static str) -> Result<Cow<'a, str>, JsonError> {
        if self.peek() != b'"' {
            return Err(self.error(expected));
        }
        let start = self.at + 1;
        let mut end = start;
        loop {
            match self.text.get(end) {
                Some(b'"') => break,
                Some(b'\\') => return self.escaped(start, end),
                Some(0x20..) => end += 1,
                _ => return Err(JsonError { offset: end, ..self.error("the closing quote of a string") }),
            }
        }
        self.at = end + 1;
        self.utf8(start, end).map(Cow::Borrowed)
    }

    /// A string from its first escape on.
    fn escaped(&mut self, start: usize, first_escape: usize) -> Result<Cow<'a, str>, JsonError> {
        let mut text = self.utf8(start, first_escape)?.to_owned();
        self.at = first_escape;
        loop {
            let run = self.at;
            while matches!(self.text.get(self.at), Some(&b) if b != b'"' && b != b'\\' && b >= 0x20) {
                self.at += 1;
            }
            text.push_str(self.utf8(run, self.at)?);
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => text.push(self.escape()?),
                _ => return Err(self.error("the closing quote of a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let letter = self.text.get(self.at + 1).copied().unwrap_or(0);
        let char = match letter {
            b'"' | b'\\' | b'/' => letter as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(self.error("a known escape behind the backslash")),
        };
        self.at += 2;
        Ok(char)
    }

    /// `\uXXXX`, or two of them for a surrogate pair.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let high = self.code_unit()?;
        let code = match high {
            0xd800..=0xdbff => {
                let low = self.code_unit()?;
                if !(0xdc00..=0xdfff).contains(&low) {
                    return Err(self.error("the second half of a surrogate pair"));
                }
                0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
            }
            _ => high,
        };
        char::from_u32(code).ok_or_else(|| self.error("a Unicode scalar value"))
    }

    fn code_unit(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at..self.at + 6).and_then(|escape| escape.strip_prefix(b"\\u"));
        let digits = digits.ok_or_else(|| self.error("\\u and four hexadecimal digits"))?;
        let mut code = 0;
        for &digit in digits {
            let value = (digit as char).to_digit(16);
            code = code << 4 | value.ok_or_else(|| self.error("four hexadecimal digits"))?;
        }
        self.at += 6;
        Ok(code)
    }

    fn utf8(&self, start: usize, end: usize) -> Result<&'a str, JsonError> {
        let text = self.text;
        std::str::from_utf8(&text[start..end])
            .map_err(|fault| JsonError { offset: start + fault.valid_up_to(), ..self.error("UTF-8") })
    }

    /// A number's text, by the grammar of JSON.
    pub(super) fn number(&mut self, expected: &'static str) -> Result<&'a str, JsonError> {
        self.peek();
        let start = self.at;
        let digits = |at: &mut usize| {
            let from = *at;
            while self.text.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            *at > from
        };
        let mut at = start + usize::from(self.text.get(start) == Some(&b'-'));
        let whole = at;
        let mut good = digits(&mut at) && (self.text[whole] != b'0' || at == whole + 1);
        if self.text.get(at) == Some(&b'.') {
            at += 1;
            good &= digits(&mut at);
        }
        if let Some(b'e' | b'E') = self.text.get(at) {
            at += 1 + usize::from(matches!(self.text.get(at + 1), Some(b'+' | b'-')));
            good &= digits(&mut at);
        }
        if !good {
            return Err(self.error(expected));
        }
        self.at = at;
        self.utf8(start, at)
    }

    /// Consumes a word such as `null` if it is next.
    pub(super) fn word(&mut self, word: &str) -> bool {
        self.peek();
        let found = self.text[self.at.min(self.text.len())..].starts_with(word.as_bytes());
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// Passes over a value of any kind.
    pub(super) fn skip(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            b'{' => {
                self.open(b'{', "an object")?;
                let mut first = true;
                while self.more(first, b'}')? {
                    first = false;
                    self.key()?;
                    self.skip()?;
                }
                Ok(())
            }
            b'[' => {
                self.open(b'[', "an array")?;
                let mut first = true;
                while self.more(first, b']')? {
                    first = false;
                    self.skip()?;
                }
                Ok(())
            }
            b'"' => self.string("a string").map(drop),
            b't' | b'f' | b'n' if self.word("true") || self.word("false") || self.word("null") => Ok(()),
            _ => self.number("a value").map(drop),
        }
    }

    /// Nothing but white space is left.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        if self.at_end() { Ok(()) } else { Err(self.error("the end of the text")) }
    }
}
