//! Typed reads of a configuration that tell every problem, never only the first.
//!
//! What can be configured is data: rows of [`Setting`]. The same rows refuse unknown keys, supply defaults, and are the
//! documentation, so the three cannot differ. A component reads its rows through a [`Section`]; a value that cannot be
//! read is told as a problem and its default is returned, so that reading goes on.

pub mod address;
pub mod duration;
pub mod link;
pub mod row;

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use connect::Secret;
use operators::SettingError;

use crate::{
    diagnostic::{Diagnostics, Place, suggestion},
    yaml::{Node, Scalar, Value},
};

pub use address::Address;
pub use link::{Link, links};
pub use row::{Kind, Role, Setting, paths, refused};

/// A map of the configuration, read by rows.
#[derive(Debug)]
pub struct Section<'a> {
    node: Option<&'a Node>,
    rows: &'static [Setting],
    path: String,
    place: Place,
    problems: &'a RefCell<Diagnostics>,
    /// Something else than a map stood here, and that was told.
    misshapen: bool,
}

impl<'a> Section<'a> {
    /// Opens a map for reading by these rows. Unknown keys, and keys that cannot be honoured, are told now. `place` is that of
    /// the key over it. A value of `null` is an empty map.
    pub fn open(
        node: Option<&'a Node>,
        rows: &'static [Setting],
        path: impl Into<String>,
        place: Place,
        problems: &'a RefCell<Diagnostics>,
    ) -> Self {
        let path = path.into();
        let mut section = Self { node, rows, path, place, problems, misshapen: false };
        let Some(given) = node.filter(|node| !node.is_null()) else { return section };
        if !matches!(given.value, Value::Map(_)) {
            let message = format!("a map of settings was expected here, not {}", given.describe());
            problems.borrow_mut().error(given.place, &section.path, message, "");
            section.node = None;
            section.misshapen = true;
            return section;
        }
        for entry in given.entries() {
            match rows.iter().find(|row| row.key == entry.key) {
                Some(Setting { kind: Kind::Later, text, .. }) => {
                    let message = format!("`{}` cannot be used yet", entry.key);
                    problems.borrow_mut().error(entry.place, &section.path, message, *text);
                }
                Some(_) => {}
                None => {
                    let known = rows.iter().filter(|row| !matches!(row.kind, Kind::Later)).map(|row| row.key);
                    let message = format!("unknown key `{}`", entry.key);
                    problems.borrow_mut().error(
                        entry.place,
                        &section.path,
                        message,
                        suggestion(&entry.key, known),
                    );
                }
            }
        }
        section
    }

    /// Whether something else than a map stood here, which was told already.
    pub fn is_misshapen(&self) -> bool {
        self.misshapen
    }

    /// Whether the key is there, with a value other than `null`.
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Tells an error at a key, or at the section where the key is absent.
    pub fn error(&self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.problems.borrow_mut().error(self.place_of(key), &self.path, message, help);
    }

    /// Tells what an operator found wrong with the settings that were read here.
    pub fn tell(&self, faults: &[SettingError]) {
        for fault in faults {
            let (place, path) = self.find(fault);
            self.problems.borrow_mut().error(place, &path, in_one_line(&fault.message), "");
        }
    }

    /// Where a fault stands, and the key path to it.
    fn find(&self, fault: &SettingError) -> (Place, String) {
        let mut node = self.node;
        let mut place = self.place;
        for step in fault.path.split(['.', '[']).filter(|step| !step.is_empty()) {
            let index = step.strip_suffix(']').and_then(|digits| digits.parse::<usize>().ok());
            let next = match (node.map(|node| &node.value), index) {
                (Some(Value::List(items)), Some(index)) => items.get(index).map(|item| (item, item.place)),
                (Some(Value::Map(entries)), None) => {
                    entries.iter().find(|entry| entry.key == step).map(|entry| (&entry.node, entry.place))
                }
                _ => None,
            };
            let Some((inner, at)) = next else { break };
            (node, place) = (Some(inner), at);
        }
        if let Some(node) = node
            && let Value::Plain(text) | Value::Quoted(text) = &node.value
        {
            place = fault.at.as_ref().map_or(node.place, |range| within(node, text, range));
        }
        (place, self.inner_path(&fault.path))
    }

    /// Tells a warning at a key, or at the section where the key is absent.
    pub fn warning(&self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.problems.borrow_mut().warning(self.place_of(key), &self.path, message, help);
    }

    /// A truth value.
    pub fn bool(&self, key: &str) -> bool {
        let default = self.row(key).default == "true";
        match self.scalar(key) {
            Some(Scalar::Bool(value)) => value,
            Some(other) => {
                self.wrong(key, "`true` or `false`", &other.describe(), "");
                default
            }
            None => default,
        }
    }

    /// A whole number within the row's bounds.
    pub fn int(&self, key: &str) -> i64 {
        let row = self.row(key);
        let Kind::Int(least, most) = row.kind else { return misread(row) };
        let default = row.default.parse().unwrap_or_default();
        match self.scalar(key) {
            Some(Scalar::Int(value)) if (least..=most).contains(&value) => value,
            Some(Scalar::Int(value)) => {
                self.error(key, format!("`{key}` is {value}"), bounds(least, most));
                default
            }
            Some(other) => {
                let suffixed =
                    matches!(other, Scalar::Text(text) if text.starts_with(|c: char| c.is_ascii_digit()));
                let help =
                    if suffixed { "write the bare number; the unit is in the key's description" } else { "" };
                self.wrong(key, "a whole number", &other.describe(), help);
                default
            }
            None => default,
        }
    }

    /// A whole number within the row's bounds, as a size or count. Negative bounds make no sense with it.
    pub fn count(&self, key: &str) -> usize {
        usize::try_from(self.int(key)).unwrap_or_default()
    }

    /// A number within the row's bounds.
    pub fn float(&self, key: &str) -> f64 {
        let row = self.row(key);
        let Kind::Float(least, most) = row.kind else { return misread(row) };
        let default = row.default.parse().unwrap_or_default();
        let value = match self.scalar(key) {
            Some(Scalar::Float(value)) => value,
            Some(Scalar::Int(value)) => value as f64,
            Some(other) => {
                self.wrong(key, "a number", &other.describe(), "");
                return default;
            }
            None => return default,
        };
        if (least..=most).contains(&value) {
            return value;
        }
        self.error(key, format!("`{key}` is {value}"), format!("it must be between {least} and {most}"));
        default
    }

    /// A length of time.
    pub fn duration(&self, key: &str) -> Duration {
        let default = duration::parse(self.row(key).default).unwrap_or_default();
        let (message, help) = match self.scalar(key) {
            None => return default,
            Some(Scalar::Int(0)) => return Duration::ZERO,
            Some(Scalar::Int(value)) if value > 0 => {
                let message = format!("`{key}: {value}` without a unit is {value} nanoseconds");
                self.warning(key, message, format!("write `{value}s`, `{value}ms` or `{value}ns`"));
                return Duration::from_nanos(value as u64);
            }
            Some(Scalar::Text(text)) => match duration::parse(text) {
                Ok(value) => return value,
                Err(reason) => {
                    (format!("`{text}` is not a length of time: {reason}"), "such as `200ms`, `1m30s`")
                }
            },
            Some(other) => {
                let message = format!("`{key}` takes a length of time, not {}", other.describe());
                (message, "such as `200ms`, `1m30s`")
            }
        };
        self.error(key, message, help);
        default
    }

    /// Text; the row's default where it is absent.
    pub fn text(&self, key: &str) -> String {
        self.optional_text(key).unwrap_or_else(|| self.row(key).default.to_owned())
    }

    /// Text, if it is there.
    pub fn optional_text(&self, key: &str) -> Option<String> {
        self.value(key).and_then(|node| self.text_of(key, node))
    }

    /// A secret, if it is there.
    pub fn secret(&self, key: &str) -> Option<Secret> {
        let text = self.value(key).and_then(|node| self.text_in(key, node, true))?;
        Some(text).filter(|text| !text.is_empty()).map(Secret::from)
    }

    /// A list of secrets.
    pub fn secrets(&self, key: &str) -> Vec<Secret> {
        let items = self.items(key, "a list of texts").iter();
        items.filter_map(|item| self.text_in(key, item, true)).map(Secret::from).collect()
    }

    /// Names and secrets, in the order of the names.
    pub fn secret_map(&self, key: &str) -> BTreeMap<String, Secret> {
        let Some(node) = self.value(key) else { return BTreeMap::new() };
        if !matches!(node.value, Value::Map(_)) {
            self.error(key, format!("`{key}` takes a map of names to texts"), "");
        }
        let entry = |entry: &crate::yaml::Entry| {
            Some((entry.key.clone(), self.text_in(&entry.key, &entry.node, true)?.into()))
        };
        node.entries().iter().filter_map(entry).collect()
    }

    /// One of the row's words; the default (or the first) where it is absent or wrong.
    pub fn choice(&self, key: &str) -> &'static str {
        let row = self.row(key);
        let Kind::Choice(words) = row.kind else { return misread(row) };
        let default =
            words.iter().find(|word| **word == row.default).or(words.first()).copied().unwrap_or_default();
        let Some(text) = self.optional_text(key) else { return default };
        words.iter().find(|word| **word == text).copied().unwrap_or_else(|| {
            self.error(
                key,
                format!("`{key}` cannot be `{text}`"),
                suggestion(&text, words.iter().copied().filter(|word| !word.is_empty())),
            );
            default
        })
    }

    /// Host and port; the row's default where it is absent or wrong.
    pub fn address(&self, key: &str) -> Address {
        let default = Address::parse(self.row(key).default).unwrap_or_default();
        let Some(text) = self.optional_text(key) else { return default };
        Address::parse(&text).unwrap_or_else(|reason| {
            self.error(key, format!("`{text}` is not a host and port: {reason}"), "such as `127.0.0.1:4317`");
            default
        })
    }

    /// Names and texts, in the order of the names.
    pub fn text_map(&self, key: &str) -> BTreeMap<String, String> {
        let Some(node) = self.value(key) else { return BTreeMap::new() };
        if !matches!(node.value, Value::Map(_)) {
            self.wrong(key, "a map of names to texts", &node.describe(), "");
        }
        let entries = node.entries().iter();
        entries
            .filter_map(|entry| Some((entry.key.clone(), self.text_of(&entry.key, &entry.node)?)))
            .collect()
    }

    /// A list of texts.
    pub fn text_list(&self, key: &str) -> Vec<String> {
        self.text_items(key).into_iter().map(|(text, _)| text).collect()
    }

    /// A list of texts, and where each stands.
    pub fn text_items(&self, key: &str) -> Vec<(String, Place)> {
        let items = self.items(key, "a list of texts").iter();
        items.filter_map(|item| Some((self.text_of(key, item)?, item.place))).collect()
    }

    /// The map under a key, if the key is there, even when it says nothing (`grpc:`).
    pub fn table(&self, key: &str) -> Option<Section<'a>> {
        let entry = self.node?.entries().iter().find(|entry| entry.key == key)?;
        Some(self.inner(key, Some(&entry.node), entry.place))
    }

    /// The map under a key; where it is absent, one with nothing in it.
    pub fn table_or_empty(&self, key: &str) -> Section<'a> {
        self.table(key).unwrap_or_else(|| self.inner(key, None, self.place))
    }

    /// The maps of the list under a key.
    pub fn tables(&self, key: &str) -> Vec<Section<'a>> {
        let items = self.items(key, "a list of maps").iter().enumerate();
        let row = self.row(key);
        let Kind::Tables(rows) = row.kind else { return misread(row) };
        items
            .map(|(i, item)| {
                let path = format!("{}[{i}]", self.inner_path(key));
                Section::open(Some(item), rows, path, item.place, self.problems)
            })
            .collect()
    }

    /// The row's default, as it is written.
    pub fn default_of(&self, key: &str) -> &'static str {
        self.row(key).default
    }

    /// The node under a key, for settings with a shape of their own.
    pub fn value(&self, key: &str) -> Option<&'a Node> {
        debug_assert!(self.rows.iter().any(|row| row.key == key), "no row for `{key}` in `{}`", self.path);
        self.node.and_then(|node| node.get(key)).filter(|node| !node.is_null())
    }

    /// Where a key stands; the section, where it is absent.
    pub fn place_of(&self, key: &str) -> Place {
        let entries = self.node.map(Node::entries).unwrap_or_default();
        let Some(entry) = entries.iter().find(|entry| entry.key == key) else { return self.place };
        match entry.node.scalar() {
            Some(Scalar::Null) | None => entry.place,
            Some(_) => entry.node.place,
        }
    }

    /// The key path of the section.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn inner(&self, key: &str, node: Option<&'a Node>, place: Place) -> Section<'a> {
        let row = self.row(key);
        let Kind::Table(rows) = row.kind else { return misread(row) };
        Section::open(node, rows, self.inner_path(key), place, self.problems)
    }

    fn inner_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn row(&self, key: &str) -> &'static Setting {
        match self.rows.iter().find(|row| row.key == key) {
            Some(row) => row,
            None => {
                unreachable!("a component reads `{key}` of `{}`, which none of its rows describes", self.path)
            }
        }
    }

    fn scalar(&self, key: &str) -> Option<Scalar<'a>> {
        let node = self.value(key)?;
        if node.scalar().is_none() {
            self.wrong(key, "a single value", &node.describe(), "");
        }
        node.scalar()
    }

    /// The text of a node under a key, or in what stands under it.
    fn text_of(&self, key: &str, node: &Node) -> Option<String> {
        self.text_in(key, node, false)
    }

    fn text_in(&self, key: &str, node: &Node, is_secret: bool) -> Option<String> {
        if let Some(original) = &node.original {
            return Some(original.clone());
        }
        let problem = match node.scalar() {
            Some(Scalar::Text(text)) => return Some(text.to_owned()),
            Some(Scalar::Null) => return Some(String::new()),
            // A number may be a secret too.
            Some(_) if is_secret => (format!("`{key}` takes text, and this is none"), "put it in quotes"),
            Some(other) => (format!("`{key}` takes text, not {}", other.describe()), "put it in quotes"),
            None => (format!("`{key}` takes text, not {}", node.describe()), ""),
        };
        self.problems.borrow_mut().error(node.place, &self.path, problem.0, problem.1);
        None
    }

    fn items(&self, key: &str, wanted: &str) -> &'a [Node] {
        match self.value(key) {
            Some(Node { value: Value::List(items), .. }) => items,
            Some(other) => {
                self.wrong(key, wanted, &other.describe(), "begin each entry with `- `");
                &[]
            }
            None => &[],
        }
    }

    fn wrong(&self, key: &str, wanted: &str, got: &str, help: &str) {
        self.error(key, format!("`{key}` takes {wanted}, not {got}"), help);
    }
}

/// A message without the drawing that regular expressions' errors have in their middle.
fn in_one_line(message: &str) -> String {
    match message.split_once("regex parse error:\n") {
        Some((head, drawing)) => {
            let last = drawing.lines().last().unwrap_or_default();
            format!("{head}{}", last.strip_prefix("error: ").unwrap_or(last))
        }
        None => message.to_owned(),
    }
}

/// The place of these bytes of a text, where it stands in the file as it is read: on one line, and not out of a variable.
fn within(node: &Node, text: &str, range: &std::ops::Range<usize>) -> Place {
    let length = text.chars().count() as u32;
    let quotes = match &node.value {
        Value::Plain(_) => 0,
        _ => 1,
    };
    if node.original.is_some() || node.place.width != length + 2 * quotes {
        return node.place;
    }
    let characters = |bytes: &str| bytes.chars().count() as u32;
    let (Some(before), Some(meant)) = (text.get(..range.start), text.get(range.clone())) else {
        return node.place;
    };
    Place {
        line: node.place.line,
        column: node.place.column + quotes + characters(before),
        width: characters(meant).max(1),
    }
}

fn bounds(least: i64, most: i64) -> String {
    match most {
        i64::MAX => format!("it must be at least {least}"),
        _ => format!("it must be between {least} and {most}"),
    }
}

/// A component asked a row for a type that is not the row's: a bug that the test over all components finds.
fn misread<T>(row: &Setting) -> T {
    unreachable!("the row of `{}` is a {}, which is not how it is read", row.key, row.kind.name())
}

#[cfg(test)]
mod tests;
