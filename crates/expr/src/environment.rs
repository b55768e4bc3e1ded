//! The names an expression may use, and how each is read.
//!
//! A kind of record is one table of rows; a new field is one more row.

use otlp::view::{Attributes, ValueView};
use otlp::{Batch, Signal};

use crate::types::Type;
use crate::{Level, Value};

mod log;
mod point;
mod span;

/// What expressions over one kind of record may name.
///
/// ```
/// let spans = aldis_expr::Environment::of(otlp::Signal::Traces);
/// assert!(spans.fields().any(|field| field.name == "duration_ns"));
/// assert!(spans.constants().any(|(name, value)| name == "KIND_SERVER" && value == 2));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Environment {
    signal: Signal,
    fields: &'static [Row],
    constants: &'static [(&'static str, i64)],
}

impl Environment {
    /// The environment of a signal's records. Profiles are passed through unread, so theirs has no field at all.
    pub const fn of(signal: Signal) -> Environment {
        let (fields, constants) = match signal {
            Signal::Traces => (span::FIELDS, span::CONSTANTS),
            Signal::Logs => (log::FIELDS, log::CONSTANTS),
            Signal::Metrics => (point::FIELDS, point::CONSTANTS),
            Signal::Profiles => (&[] as &[Row], &[] as &[(&str, i64)]),
        };
        Environment { signal, fields, constants }
    }

    /// The signal whose records are described.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// Every field, in the order of its documentation. Besides these there are the maps `attributes`, `resource` (or
    /// `resource.attributes`) and `scope.attributes`.
    pub fn fields(&self) -> impl Iterator<Item = Field> {
        let scope = if self.has_maps() { SCOPE } else { &[] };
        self.fields.iter().chain(scope).map(|row| Field {
            name: row.name,
            r#type: row.r#type,
            level: row.level,
        })
    }

    /// Every named integer.
    pub fn constants(&self) -> impl Iterator<Item = (&'static str, i64)> {
        self.constants.iter().copied()
    }

    pub(crate) fn row(&self, name: &str) -> Option<&'static Row> {
        let scope = if self.has_maps() { SCOPE } else { &[] };
        self.fields.iter().chain(scope).find(|row| row.name == name)
    }

    pub(crate) fn constant(&self, name: &str) -> Option<i64> {
        self.constants.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// Whether records of this kind have attributes, a resource and a scope that can be read.
    pub(crate) fn has_maps(&self) -> bool {
        self.signal != Signal::Profiles
    }
}

/// A field, as its documentation shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it is called in an expression.
    pub name: &'static str,
    /// Its type.
    pub r#type: Type,
    /// What it belongs to.
    pub level: Level,
}

/// One field and how it is read.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) r#type: Type,
    pub(crate) level: Level,
    pub(crate) read: Read,
}

/// How a field of record `i` is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Read {
    /// As a value.
    Value(for<'a> fn(&'a Batch, usize) -> Value<'a>),
    /// As an id, which is only written out where it is not compared with a literal.
    Id(fn(&Batch, usize) -> Id),
}

/// A trace id (16 bytes) or span id (8 bytes); of no bytes where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) bytes: [u8; 16],
    pub(crate) length: usize,
}

impl Id {
    pub(crate) fn new<const N: usize>(id: [u8; N]) -> Self {
        let mut bytes = [0; 16];
        bytes[..N].copy_from_slice(&id);
        Self { bytes, length: if bytes == [0; 16] { 0 } else { N } }
    }

    /// Lower-case hexadecimal digits; empty where there is none.
    pub(crate) fn text(self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = |byte: u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        self.bytes[..self.length].iter().flat_map(|byte| digits(*byte)).map(char::from).collect()
    }
}

const SCOPE: &[Row] = &[
    text("scope.name", Level::Scope, |batch, i| batch.scope_of(i).name().into()),
    text("scope.version", Level::Scope, |batch, i| batch.scope_of(i).version().into()),
];

/// Whose attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Resource,
    Scope,
    Record,
}

impl Owner {
    pub(crate) fn level(self) -> Level {
        match self {
            Owner::Resource => Level::Resource,
            Owner::Scope => Level::Scope,
            Owner::Record => Level::Record,
        }
    }

    /// How the map is called in an expression.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Owner::Resource => "resource",
            Owner::Scope => "scope.attributes",
            Owner::Record => "attributes",
        }
    }

    pub(crate) fn attributes(self, batch: &Batch, record: usize) -> Attributes<'_> {
        match self {
            Owner::Resource => batch.resource_of(record).attributes(),
            Owner::Scope => batch.scope_of(record).attributes(),
            Owner::Record => batch.attributes_of(record),
        }
    }

    /// The first value under the key. Those of records are found through the index instead of walking the record.
    #[inline]
    pub(crate) fn attribute<'a>(self, batch: &'a Batch, record: usize, key: &str) -> Option<ValueView<'a>> {
        if self != Owner::Record {
            return self.attributes(batch, record).get(key);
        }
        let columns = &batch.index().attributes;
        let raw = batch.raw();
        columns.at[columns.first[record] as usize..columns.first[record + 1] as usize]
            .iter()
            .find(|at| at.key.len() == key.len() && raw[at.key.range()] == *key.as_bytes())
            .map(|at| ValueView::of(&raw[at.value.range()]))
    }
}

const fn row(name: &'static str, r#type: Type, read: for<'a> fn(&'a Batch, usize) -> Value<'a>) -> Row {
    Row { name, r#type, level: Level::Record, read: Read::Value(read) }
}

const fn text(name: &'static str, level: Level, read: for<'a> fn(&'a Batch, usize) -> Value<'a>) -> Row {
    Row { name, r#type: Type::String, level, read: Read::Value(read) }
}

const fn id(name: &'static str, read: fn(&Batch, usize) -> Id) -> Row {
    Row { name, r#type: Type::String, level: Level::Record, read: Read::Id(read) }
}

/// Times beyond the year 2262 are read as that year's.
fn time(nanoseconds: u64) -> Value<'static> {
    Value::Int(i64::try_from(nanoseconds).unwrap_or(i64::MAX))
}

/// An enum's number from its column, which keeps 255 for numbers that it cannot hold.
fn number(column: u8, exact: impl FnOnce() -> i32) -> Value<'static> {
    Value::Int(if column == u8::MAX { i64::from(exact()) } else { i64::from(column) })
}

/// A count of elements.
fn count(elements: usize) -> Value<'static> {
    Value::Int(i64::try_from(elements).unwrap_or(i64::MAX))
}
