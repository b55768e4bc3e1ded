//! A YAML file as a tree of nodes that know their place.
//!
//! Scalars stay text until somebody asks for a type ([`Node::scalar`]), because a value that came out of an environment
//! variable is a number to a number's reader and its exact text to a text's reader. Aliases and merge keys (`<<`) are put
//! in; duplicate keys, tags other than `!!str`, keys that are not text and second documents are errors.

pub mod expand;
pub mod scalar;

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, StrInput};

use crate::{
    diagnostic::{Diagnostics, Place},
    limits::{MAX_DEPTH, MAX_FILE_BYTES, MAX_NODES},
};

pub use scalar::Scalar;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it stands; for lists and maps, where they begin.
    pub place: Place,
    /// What it is.
    pub value: Value,
    /// The text of the environment variable that this whole value came from. Readers of text take it as it is.
    pub original: Option<String>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text that was written without quotes: its type is found when it is read.
    Plain(String),
    /// Text in quotes or a block: always text.
    Quoted(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub node: Node,
}

impl Node {
    /// The value under a key, of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The entries of a map; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Whether it says nothing: `key:`, `key: null`, `key: ~`.
    pub fn is_null(&self) -> bool {
        self.scalar() == Some(Scalar::Null)
    }

    /// A scalar with its type; `None` for lists and maps.
    pub fn scalar(&self) -> Option<Scalar<'_>> {
        match &self.value {
            Value::Plain(text) => Some(scalar::resolve(text)),
            Value::Quoted(text) => Some(Scalar::Text(text)),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// What it is, for messages: `a list`, `the number 5`.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
            Value::Plain(_) | Value::Quoted(_) => {
                self.scalar().map_or_else(String::new, |scalar| scalar.describe())
            }
        }
    }
}

/// Reads a file's text. What is wrong with its syntax is told in `problems`; there is no tree then.
pub fn parse(text: &str, problems: &mut Diagnostics) -> Option<Node> {
    if text.len() > MAX_FILE_BYTES {
        let message = format!("the file is longer than what is read: at most {MAX_FILE_BYTES} bytes");
        problems.error(Place::default(), "", message, "");
        return None;
    }
    let mut reader =
        Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0, problems };
    reader.document().ok().flatten()
}

/// The reason is in the diagnostics already.
struct Told;

struct Reader<'a, 'p> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    problems: &'p mut Diagnostics,
}

impl<'a> Reader<'a, '_> {
    fn next(&mut self) -> Result<(Event<'a>, Place), Told> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, place_of(&span))),
            Some(Err(error)) => {
                let place = Place {
                    line: error.marker().line() as u32,
                    column: error.marker().col() as u32 + 1,
                    width: 1,
                };
                let help = if error.info().contains("tab") { "indent with spaces" } else { "" };
                self.fail(place, format!("this is not YAML: {}", error.info()), help)
            }
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }

    fn fail<T>(&mut self, place: Place, message: impl Into<String>, help: &str) -> Result<T, Told> {
        self.problems.error(place, "", message, help);
        Err(Told)
    }

    fn document(&mut self) -> Result<Option<Node>, Told> {
        let mut root = None;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    return self.fail(
                        place,
                        "the file has a second document",
                        "only one is read; remove this `---`",
                    );
                }
                Event::DocumentStart(..) => {
                    let (event, place) = self.next()?;
                    root = Some(self.node(event, place, 0)?);
                }
                _ => return self.fail(place, "this is not YAML: a value stands outside the document", ""),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Result<Node, Told> {
        self.count(1, place)?;
        if depth > MAX_DEPTH {
            return self.fail(place, format!("lists and maps are nested deeper than {MAX_DEPTH} levels"), "");
        }
        let (value, anchor, tag) = match event {
            Event::Alias(id) => return self.alias(id, place),
            Event::Scalar(text, style, anchor, tag) => {
                let text = text.into_owned();
                let forced = tag.as_ref().is_some_and(|tag| tag.core_suffix() == Some("str"));
                let plain = style == ScalarStyle::Plain && !forced;
                (if plain { Value::Plain(text) } else { Value::Quoted(text) }, anchor, tag)
            }
            Event::SequenceStart(_, anchor, tag) => (self.list(depth)?, anchor, tag),
            Event::MappingStart(_, anchor, tag) => (self.map(depth)?, anchor, tag),
            _ => return self.fail(place, "this is not YAML: a value was expected", ""),
        };
        if let Some(tag) = tag
            && !matches!(tag.core_suffix(), Some("str" | "seq" | "map" | "int" | "bool" | "float" | "null"))
        {
            return self.fail(place, format!("the tag `{}` means nothing here", tag.original()), "remove it");
        }
        let node = Node { place, value, original: None };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize, place: Place) -> Result<(), Told> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return self.fail(
                place,
                format!("the file has more than {MAX_NODES} values, aliases put in"),
                "",
            );
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, place: Place) -> Result<Node, Told> {
        let Some(target) = self.anchors.get(&id).cloned() else {
            return self.fail(place, "this alias stands inside what it refers to", "");
        };
        self.count(size_of_tree(&target), place)?;
        Ok(target)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Told> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, place) => items.push(self.node(event, place, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Told> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        let mut lines: HashMap<String, u32> = HashMap::new();
        loop {
            let (key, place) = match self.next()? {
                (Event::MappingEnd, _) => break,
                (Event::Scalar(key, ..), place) => (key.into_owned(), place),
                (_, place) => return self.fail(place, "a key must be text", ""),
            };
            let (event, value_place) = self.next()?;
            let node = self.node(event, value_place, depth + 1)?;
            if key == "<<" {
                self.merge(node, &mut merged)?;
            } else if let Some(first) = lines.get(&key) {
                // Later problems are found too: the first value stays.
                self.problems.error(
                    place,
                    "",
                    format!("the key `{key}` stands here twice"),
                    format!("the first is on line {first}; remove one"),
                );
            } else {
                lines.insert(key.clone(), place.line);
                entries.push(Entry { key, place, node });
            }
        }
        // <https://yaml.org/type/merge.html>: keys of the map itself win, then earlier merged maps.
        for entry in merged {
            if lines.insert(entry.key.clone(), entry.place.line).is_none() {
                entries.push(entry);
            }
        }
        Ok(Value::Map(entries))
    }

    fn merge(&mut self, node: Node, merged: &mut Vec<Entry>) -> Result<(), Told> {
        match node.value {
            Value::Map(entries) => merged.extend(entries),
            Value::List(items) if items.iter().all(|item| matches!(item.value, Value::Map(_))) => {
                for item in items {
                    self.merge(item, merged)?;
                }
            }
            _ => return self.fail(node.place, "`<<` takes a map or a list of maps", ""),
        }
        Ok(())
    }
}

fn size_of_tree(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(size_of_tree).sum(),
        Value::Map(entries) => entries.iter().map(|entry| size_of_tree(&entry.node)).sum(),
        Value::Plain(_) | Value::Quoted(_) => 0,
    }
}

fn place_of(span: &granit_parser::Span) -> Place {
    let (start, end) = (span.start, span.end);
    let width = if start.line() == end.line() { end.col().saturating_sub(start.col()) } else { 1 };
    Place { line: start.line() as u32, column: start.col() as u32 + 1, width: width.max(1) as u32 }
}

#[cfg(test)]
mod tests;
