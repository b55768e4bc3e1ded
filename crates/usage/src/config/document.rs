//! One table of a TOML file, read and changed where it stands: every other byte of the file is its owner's.
//!
//! The parser is that of the usual libraries; a tree of the whole file, which they make of what it says, would be half of this crate.

use std::fmt;

use toml_parser::{
    ParseError, Raw, Source, Span,
    decoder::ScalarKind,
    parser::{Event, EventKind, RecursionGuard, parse_document},
};

use crate::json::Escaped;

/// How deep arrays and tables in a file may stand in one another.
const DEPTH_MAX: u32 = 64;

/// What stands behind a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Boolean(bool),
    Text(String),
    /// Something else, or more than one.
    Other,
}

/// As it is written.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Boolean(value) => write!(f, "{value}"),
            // TOML 1.0, § String: the escapes of JSON are among those of TOML.
            Value::Text(text) => write!(f, "\"{}\"", Escaped(text)),
            Value::Other => Ok(()),
        }
    }
}

/// Where a further key of the table goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The table is not there, or only tables in it are: behind everything.
    Nowhere,
    /// The end of its header, or of the last value below that.
    Header(usize),
    /// Behind the opening brace of a table in one line, which may have keys already.
    Braces { at: usize, empty: bool },
    /// The end of the last value with a key of its own, `table.key = value`.
    Dotted(usize),
}

/// Something that the table holds.
#[derive(Debug)]
struct Entry {
    key: String,
    value: Value,
    span: Span,
}

/// One table of a file.
#[derive(Debug)]
pub(super) struct Document<'a> {
    text: &'a str,
    table: &'a str,
    /// More than one with the same key where the value is a table, or a wrong file has two.
    entries: Vec<Entry>,
    place: Place,
}

impl<'a> Document<'a> {
    /// Reads the whole file for the sake of one table.
    ///
    /// # Errors
    /// The file is not TOML, or what is called so is no table, or is there twice.
    pub(super) fn parse(text: &'a str, table: &'a str) -> Result<Self, String> {
        let source = Source::new(text);
        let mut events: Vec<Event> = Vec::new();
        let mut error: Option<ParseError> = None;
        let mut guard = RecursionGuard::new(&mut events, DEPTH_MAX);
        parse_document(&source.lex().into_vec(), &mut guard, &mut error);
        let document = Self { text, table, entries: Vec::new(), place: Place::Nowhere };
        let mut reader =
            Reader { document, header: Path::default(), keys: Vec::new(), outer: Vec::new(), arrays: 0 };
        for event in events {
            let raw = source.get(event).ok_or("it is not TOML")?;
            reader.take(&event, raw, &mut error)?;
        }
        match error {
            Some(error) => Err(told(text, &error)),
            None => Ok(reader.document),
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let mut all = self.entries.iter().filter(|entry| entry.key == key);
        let entry = all.next()?;
        Some(if all.next().is_some() { &Value::Other } else { &entry.value })
    }

    /// The text of the file with this value instead of what is there, or beside what is.
    pub(super) fn with(&self, key: &str, value: &Value) -> String {
        let (text, table) = (self.text, self.table);
        let place = |at: usize, new: &str| format!("{}{new}{}", &text[..at], &text[at..]);
        if let Some(Entry { span, .. }) = self.entries.iter().find(|entry| entry.key == key) {
            return format!("{}{value}{}", &text[..span.start()], &text[span.end()..]);
        }
        match self.place {
            Place::Nowhere => {
                let between = if text.is_empty() {
                    ""
                } else if text.ends_with('\n') {
                    "\n"
                } else {
                    "\n\n"
                };
                format!("{text}{between}[{table}]\n{key} = {value}\n")
            }
            Place::Header(end) => {
                let (at, before) = line_behind(text, end);
                place(at, &format!("{before}{key} = {value}\n"))
            }
            Place::Dotted(end) => {
                let (at, before) = line_behind(text, end);
                place(at, &format!("{before}{table}.{key} = {value}\n"))
            }
            Place::Braces { at, empty } => {
                place(at, &format!(" {key} = {value}{}", if empty { "" } else { "," }))
            }
        }
    }
}

/// Where the next line begins, and what must stand before it.
fn line_behind(text: &str, at: usize) -> (usize, &'static str) {
    text[at..].find('\n').map_or((text.len(), "\n"), |end| (at + end + 1, ""))
}

/// The line and what is wrong with it.
fn told(text: &str, error: &ParseError) -> String {
    let at = error.unexpected().or(error.context()).map_or(0, |span| span.start());
    let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    format!("line {line}: {}", error.description())
}

/// The table that a file is in at some place.
#[derive(Debug, Default)]
struct Path {
    keys: Vec<String>,
    /// It is being read.
    open: bool,
}

/// Follows a file from its beginning.
#[derive(Debug)]
struct Reader<'a> {
    document: Document<'a>,
    header: Path,
    /// Of the value that comes next, within the tables around it.
    keys: Vec<String>,
    /// The keys of tables in one line that are open.
    outer: Vec<Vec<String>>,
    /// Arrays that are open: what is in them is no table of ours.
    arrays: u32,
}

impl Reader<'_> {
    fn take(&mut self, event: &Event, raw: Raw<'_>, error: &mut Option<ParseError>) -> Result<(), String> {
        let span = event.span();
        match event.kind() {
            EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                self.header = Path { keys: Vec::new(), open: true };
            }
            EventKind::StdTableClose => {
                self.header.open = false;
                if self.is_ours(&self.header.keys) {
                    self.begin(Place::Header(span.end()))?;
                } else {
                    self.note(&self.header.keys.clone(), Value::Other, span);
                }
            }
            EventKind::ArrayTableClose => {
                self.header.open = false;
                if self.is_ours(&self.header.keys) {
                    return Err(self.no_table());
                }
                self.note(&self.header.keys.clone(), Value::Other, span);
            }
            EventKind::SimpleKey => {
                let mut key = String::new();
                raw.decode_key(&mut key, error);
                if self.arrays == 0 {
                    let keys = if self.header.open { &mut self.header.keys } else { &mut self.keys };
                    keys.push(key);
                }
            }
            EventKind::Scalar => {
                let mut text = String::new();
                let value = match raw.decode_scalar(&mut text, error) {
                    ScalarKind::String => Value::Text(text),
                    ScalarKind::Boolean(value) => Value::Boolean(value),
                    ScalarKind::DateTime | ScalarKind::Float | ScalarKind::Integer(_) => Value::Other,
                };
                if self.arrays == 0 {
                    self.found(value, span)?;
                }
            }
            EventKind::ArrayOpen => self.arrays += 1,
            EventKind::ArrayClose => {
                self.arrays = self.arrays.saturating_sub(1);
                if self.arrays == 0 {
                    self.found(Value::Other, span)?;
                }
            }
            EventKind::InlineTableOpen if self.arrays == 0 => {
                let keys = std::mem::take(&mut self.keys);
                self.outer.push(keys);
                if self.is_ours(&self.path()) {
                    self.begin(Place::Braces { at: span.end(), empty: true })?;
                }
            }
            EventKind::InlineTableClose if self.arrays == 0 => {
                self.keys = self.outer.pop().unwrap_or_default();
                if self.is_ours(&self.path()) {
                    self.keys.clear();
                } else {
                    self.found(Value::Other, span)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The table begins.
    fn begin(&mut self, place: Place) -> Result<(), String> {
        if self.document.place != Place::Nowhere {
            return Err(format!("`{}` is there twice", self.document.table));
        }
        self.document.place = place;
        Ok(())
    }

    /// A value has ended.
    fn found(&mut self, value: Value, span: Span) -> Result<(), String> {
        let path = self.path();
        self.keys.clear();
        if self.is_ours(&path) {
            return Err(self.no_table());
        }
        if self.note(&path, value, span) {
            let in_header = self.is_ours(&self.header.keys);
            match &mut self.document.place {
                Place::Header(end) if in_header => *end = span.end(),
                Place::Dotted(end) if self.header.keys.is_empty() => *end = span.end(),
                Place::Braces { empty, .. } if !self.outer.is_empty() => *empty = false,
                place @ Place::Nowhere if self.header.keys.is_empty() => *place = Place::Dotted(span.end()),
                // In a table of its own within ours.
                _ if self.header.keys.len() > 1 => {}
                _ => return Err(format!("`{}` is there twice", self.document.table)),
            }
        }
        Ok(())
    }

    /// Keeps what is at this path, if it is in the table; whether it is.
    fn note(&mut self, path: &[String], value: Value, span: Span) -> bool {
        let [table, key, below @ ..] = path else { return false };
        let ours = table == self.document.table;
        if ours {
            let value = if below.is_empty() { value } else { Value::Other };
            self.document.entries.push(Entry { key: key.clone(), value, span });
        }
        ours
    }

    fn path(&self) -> Vec<String> {
        let outer = self.outer.iter().flatten();
        self.header.keys.iter().chain(outer).chain(&self.keys).cloned().collect()
    }

    fn is_ours(&self, path: &[String]) -> bool {
        matches!(path, [one] if one == self.document.table)
    }

    fn no_table(&self) -> String {
        format!("`{}` is not a table", self.document.table)
    }
}

#[cfg(test)]
mod tests;
