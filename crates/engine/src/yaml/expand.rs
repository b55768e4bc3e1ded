//! `${env:NAME}`: environment variables put into a configuration.
//!
//! The rules are those of the OpenTelemetry Collector
//! (<https://opentelemetry.io/docs/collector/configuration/#environment-variables>): `${env:NAME}` and `${NAME}` name a
//! variable, `${env:NAME:-text}` gives what to take where it is not set, `$$` is a dollar sign. A value that is nothing but
//! one reference is read again as YAML, so that it may be a number, a list or a map; inside other text the variable's text
//! is put in. Keys are left alone.

use crate::{
    diagnostic::Diagnostics,
    limits::{MAX_EXPANDED_BYTES, MAX_EXPANSION_ROUNDS, MAX_NODES},
    yaml::{Node, Value, parse, size_of_tree},
};

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Puts environment variables into every value of a tree. A variable that is not set and has no default is empty, with a
/// warning.
pub fn expand(root: &mut Node, environment: Environment<'_>, problems: &mut Diagnostics) {
    let mut expansion = Expansion { environment, problems, nodes: 0 };
    expansion.node(root);
}

struct Expansion<'a> {
    environment: Environment<'a>,
    problems: &'a mut Diagnostics,
    nodes: usize,
}

/// A reference that was found in a text.
struct Reference<'a> {
    start: usize,
    end: usize,
    inner: &'a str,
}

impl Expansion<'_> {
    fn node(&mut self, node: &mut Node) {
        match &mut node.value {
            Value::List(items) => items.iter_mut().for_each(|item| self.node(item)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| self.node(&mut entry.node)),
            Value::Plain(text) | Value::Quoted(text) if text.contains('$') => {
                let text = text.clone();
                self.scalar(node, text);
            }
            Value::Plain(_) | Value::Quoted(_) => {}
        }
    }

    fn scalar(&mut self, node: &mut Node, mut text: String) {
        let written = text.clone();
        let mut whole = false;
        let mut changed = false;
        for round in 0.. {
            let Some(reference) = find(&text) else { break };
            whole = reference.start == 0 && reference.end == text.len();
            changed = true;
            let Some(value) = self.look_up(node, reference.inner) else { return };
            // What a variable holds is said by its name.
            self.problems.conceal(&value, &text[reference.start..reference.end]);
            let grown = text.len() - (reference.end - reference.start) + value.len();
            if round == MAX_EXPANSION_ROUNDS || grown > MAX_EXPANDED_BYTES {
                let message = "the environment variables here refer to one another without end";
                self.problems.error(node.place, "", message, "");
                return;
            }
            text.replace_range(reference.start..reference.end, &value);
        }
        if let Some(start) = unclosed(&text) {
            let message = format!("`{}` is not closed", &text[start..]);
            self.problems.error(node.place, "", message, "write `${env:NAME}`, or `$$` for a dollar sign");
        }
        let text = text.replace("$$", "$");
        if changed {
            self.problems.conceal(&text, &written);
        }
        if !changed {
            match &mut node.value {
                Value::Plain(old) | Value::Quoted(old) => *old = text,
                Value::List(_) | Value::Map(_) => {}
            }
        } else if whole {
            node.value = self.reread(node, &text);
            node.original = Some(text);
        } else {
            node.value = Value::Quoted(text);
        }
    }

    /// What the whole text of a variable is as YAML; where it is not YAML, it is text.
    fn reread(&mut self, node: &Node, text: &str) -> Value {
        let mut unreadable = Diagnostics::default();
        let Some(mut read) = parse(text, &mut unreadable).filter(|_| !unreadable.has_errors()) else {
            return if text.is_empty() {
                Value::Plain(String::new())
            } else {
                Value::Quoted(text.to_owned())
            };
        };
        self.nodes += size_of_tree(&read);
        if self.nodes > MAX_NODES {
            self.problems.error(
                node.place,
                "",
                format!("environment variables bring more than {MAX_NODES} values"),
                "",
            );
            return Value::Plain(String::new());
        }
        self.conceal_all(&read);
        place_all(&mut read, node);
        read.value
    }

    /// Scalars of what a variable brought.
    fn conceal_all(&mut self, node: &Node) {
        match &node.value {
            Value::List(items) => items.iter().for_each(|item| self.conceal_all(item)),
            Value::Map(entries) => entries.iter().for_each(|entry| self.conceal_all(&entry.node)),
            Value::Plain(text) | Value::Quoted(text) => self.problems.conceal(text, "the variable's value"),
        }
    }

    /// The text for what stands between the braces. `None`: a problem was told.
    fn look_up(&mut self, node: &Node, inner: &str) -> Option<String> {
        let rest = match inner.split_once(':') {
            Some(("env", rest)) => rest,
            // `${NAME:-text}`: the colon belongs to the default.
            Some((_, rest)) if rest.starts_with('-') => inner,
            None => inner,
            Some((scheme, _)) => {
                let message = format!("values cannot be taken from `{scheme}:`");
                self.problems.error(
                    node.place,
                    "",
                    message,
                    "only `${env:NAME}` and `${env:NAME:-default}` are read",
                );
                return None;
            }
        };
        let (name, default) = match rest.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (rest, None),
        };
        let named = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !named {
            let message = format!("`{name}` is not a name of an environment variable");
            self.problems.error(
                node.place,
                "",
                message,
                "letters, digits and `_`; `$$` writes a dollar sign",
            );
            return None;
        }
        let value = (self.environment)(name);
        if value.is_none() && default.is_none() {
            let message = format!("the environment variable `{name}` is not set");
            self.problems.warning(
                node.place,
                "",
                message,
                format!("set it, or write `${{env:{name}:-default}}`"),
            );
        }
        Some(value.unwrap_or_else(|| default.unwrap_or_default().to_owned()))
    }
}

/// The innermost first reference whose dollar sign is not escaped.
fn find(text: &str) -> Option<Reference<'_>> {
    let mut from = 0;
    while let Some(close) = text[from..].find('}').map(|at| from + at) {
        if let Some(start) = text[..close].rfind("${").filter(|start| *start >= from) {
            let dollars = text[..start].bytes().rev().take_while(|byte| *byte == b'$').count();
            if dollars % 2 == 0 {
                return Some(Reference { start, end: close + 1, inner: &text[start + 2..close] });
            }
        }
        from = close + 1;
    }
    None
}

/// Where an unescaped `${` begins that nothing closes.
fn unclosed(text: &str) -> Option<usize> {
    let start = text.rfind("${").filter(|start| !text[*start..].contains('}'))?;
    let dollars = text[..start].bytes().rev().take_while(|byte| *byte == b'$').count();
    (dollars % 2 == 0).then_some(start)
}

/// Values out of a variable stand where the variable is named.
fn place_all(node: &mut Node, at: &Node) {
    node.place = at.place;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| place_all(item, at)),
        Value::Map(entries) => {
            for entry in entries {
                entry.place = at.place;
                place_all(&mut entry.node, at);
            }
        }
        Value::Plain(_) | Value::Quoted(_) => {}
    }
}
