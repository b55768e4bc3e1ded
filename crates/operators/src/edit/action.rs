//! One action of the Collector's `attributes` and `resource` processors: as written, and as rules of [`otlp::edit`].

use std::sync::Arc;

use otlp::AttributeValue;
use otlp::edit::{Action, Extractor, Keys, Source, ValueType};
use regex::Regex;

use crate::{SettingError, limits};

/// One action as it is written in a file. Which keys an action takes, and which it needs, is checked when a
/// plan is made of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ActionSettings {
    /// `insert`, `update`, `upsert`, `delete`, `hash`, `extract`, `convert`, or our own `rename`; in either case.
    pub action: String,
    /// The attribute acted upon.
    pub key: Option<String>,
    /// The value to put.
    pub value: Option<AttributeValue>,
    /// The attribute whose value is put.
    pub from_attribute: Option<String>,
    /// What the request says beside its records: `metadata.<header>` or `auth.tenant`.
    pub from_context: Option<String>,
    /// What is put where `from_attribute` or `from_context` finds nothing.
    pub default_value: Option<AttributeValue>,
    /// Delete and hash: a pattern that keys are searched for. Extract: a pattern whose named groups become attributes.
    pub pattern: Option<String>,
    /// Convert: `int`, `double` or `string`.
    pub converted_type: Option<String>,
    /// Rename: the new key.
    pub to: Option<String>,
}

/// What one action comes to: rules that are run one behind the other, each on what the one before left.
pub(super) type Rules = Vec<Action>;

/// Something that the request says beside its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RequestKey {
    /// A header, in lower case. Several values are joined by `;`.
    Header(String),
    /// The tenant that the receiver made out.
    Tenant,
}

const ACTIONS: &str = "insert, update, upsert, delete, hash, extract, convert or rename";

/// Checks one action, which stands at `path`, and says what it comes to. What it asks of the request is added to
/// `context` and named by its place there.
///
/// # Errors
/// Every key that is missing, wrong, or of no use to this action.
pub(super) fn rules(
    settings: &ActionSettings,
    path: &str,
    context: &mut Vec<RequestKey>,
) -> Result<Rules, Vec<SettingError>> {
    let mut check =
        Check { settings, path, name: settings.action.to_lowercase(), context, errors: Vec::new() };
    match check.rules() {
        Some(rules) if check.errors.is_empty() => Ok(rules),
        _ => Err(check.errors),
    }
}

/// The same action where the context of another plan stands before its own.
pub(super) fn with_context_from(action: Action, start: usize) -> Action {
    let moved = |source| match source {
        Source::Context(n) => Source::Context(n + start),
        other => other,
    };
    match action {
        Action::Insert(key, source) => Action::Insert(key, moved(source)),
        Action::Update(key, source) => Action::Update(key, moved(source)),
        Action::Upsert(key, source) => Action::Upsert(key, moved(source)),
        other => other,
    }
}

struct Check<'a> {
    settings: &'a ActionSettings,
    path: &'a str,
    name: String,
    context: &'a mut Vec<RequestKey>,
    errors: Vec<SettingError>,
}

impl Check<'_> {
    fn rules(&mut self) -> Option<Rules> {
        match self.name.clone().as_str() {
            "insert" => self.put(Action::Insert),
            "update" => self.put(Action::Update),
            "upsert" => self.put(Action::Upsert),
            "delete" => Some(vec![Action::Delete(self.keys()?)]),
            "hash" => Some(vec![Action::Hash(self.keys()?)]),
            "extract" => {
                self.takes(&["pattern"]);
                let (key, pattern) = (self.key(), self.groups());
                Some(vec![Action::Extract(key?, Arc::new(Groups(pattern?)))])
            }
            "convert" => {
                self.takes(&["converted_type"]);
                let (key, to) = (self.key(), self.converted());
                Some(vec![Action::Convert(key?, to?)])
            }
            "rename" => {
                self.takes(&["to"]);
                let key = self.key();
                let to = self.settings.to.clone().filter(|to| !to.is_empty());
                if to.is_none() {
                    self.fault("to", "`rename` needs the new key");
                }
                Some(vec![Action::Rename(key?, to?)])
            }
            other => {
                self.fault("action", format!("`{other}` is no action: use {ACTIONS}"));
                None
            }
        }
    }

    /// `insert`, `update` and `upsert`. A default takes a second rule: behind the first where only a missing key is set,
    /// before it where the first overwrites.
    fn put(&mut self, action: fn(String, Source) -> Action) -> Option<Rules> {
        self.takes(&["value", "from_attribute", "from_context", "default_value"]);
        let (key, source) = (self.key(), self.source());
        let (key, source) = (key?, source?);
        let default = match (&source, &self.settings.default_value) {
            (Source::Value(_), _) | (_, None) => return Some(vec![action(key, source)]),
            (_, Some(default)) => Source::Value(default.clone()),
        };
        let only_itself = matches!(&source, Source::Attribute(from) if *from == key);
        Some(match self.name.as_str() {
            "update" if only_itself => Vec::new(),
            _ if only_itself => vec![Action::Insert(key, default)],
            "insert" => vec![action(key.clone(), source), action(key, default)],
            _ => vec![action(key.clone(), default), action(key, source)],
        })
    }

    /// The attributes under a key, those whose key a pattern is found in, or both.
    fn keys(&mut self) -> Option<Keys> {
        self.takes(&["pattern"]);
        let key = self.settings.key.clone();
        if self.settings.pattern.is_some() {
            let pattern = self.pattern()?;
            return Some(Keys::Matching(Arc::new(move |name| {
                key.as_deref() == Some(name) || pattern.is_match(name)
            })));
        }
        if key.is_none() {
            self.fault("", format!("`{}` needs a `key`, a `pattern`, or both", self.name));
        }
        Some(Keys::One(key?))
    }

    fn groups(&mut self) -> Option<Regex> {
        const NAMED: &str = "every group needs a name, and there must be one: `(?P<name>…)`";
        if self.settings.pattern.is_none() {
            self.fault("pattern", format!("`extract` needs a pattern: {NAMED}"));
        }
        let pattern = self.pattern()?;
        if pattern.captures_len() < 2 || pattern.capture_names().skip(1).any(|name| name.is_none()) {
            self.fault("pattern", NAMED);
        }
        Some(pattern)
    }

    /// Complains about every key given that is neither `key` nor one of these.
    fn takes(&mut self, known: &[&str]) {
        let settings = self.settings;
        let given = [
            ("value", settings.value.is_some()),
            ("from_attribute", settings.from_attribute.is_some()),
            ("from_context", settings.from_context.is_some()),
            ("default_value", settings.default_value.is_some()),
            ("pattern", settings.pattern.is_some()),
            ("converted_type", settings.converted_type.is_some()),
            ("to", settings.to.is_some()),
        ];
        for (key, _) in given.iter().filter(|(key, is_given)| *is_given && !known.contains(key)) {
            self.fault(key, format!("`{}` does not take this", self.name));
        }
    }

    fn key(&mut self) -> Option<String> {
        let key = self.settings.key.clone().filter(|key| !key.is_empty());
        if key.is_none() {
            self.fault("key", format!("`{}` needs the attribute's key", self.name));
        }
        key
    }

    fn source(&mut self) -> Option<Source> {
        let settings = self.settings;
        match (&settings.value, &settings.from_attribute, &settings.from_context, &settings.default_value) {
            (Some(_), None, None, Some(_)) => {
                self.fault("default_value", "of no use beside `value`, which is always there");
                None
            }
            (Some(value), None, None, None) | (None, None, None, Some(value)) => {
                Some(Source::Value(value.clone()))
            }
            (None, Some(key), None, _) => Some(Source::Attribute(key.clone())),
            (None, None, Some(key), _) => {
                let key = self.request_key(key)?;
                self.context.push(key);
                Some(Source::Context(self.context.len() - 1))
            }
            (None, None, None, None) => {
                let one_of = "one of `value`, `from_attribute`, `from_context` and `default_value`";
                self.fault("", format!("`{}` needs {one_of}", self.name));
                None
            }
            _ => {
                self.fault("", "only one of `value`, `from_attribute` and `from_context` may be given");
                None
            }
        }
    }

    /// A name without prefix is a header's, as it was before there were prefixes.
    fn request_key(&mut self, key: &str) -> Option<RequestKey> {
        if key == "auth.tenant" {
            return Some(RequestKey::Tenant);
        }
        if key == "client.address" || key.starts_with("auth.") {
            let known = "use `metadata.<header>` or `auth.tenant`";
            self.fault("from_context", format!("nothing sets `{key}`: {known}"));
            return None;
        }
        Some(RequestKey::Header(key.strip_prefix("metadata.").unwrap_or(key).to_lowercase()))
    }

    fn pattern(&mut self) -> Option<Regex> {
        let pattern = self.settings.pattern.as_deref()?;
        match regex::RegexBuilder::new(pattern).size_limit(limits::MAX_PATTERN_BYTES).build() {
            Ok(regex) => Some(regex),
            Err(error) => {
                self.fault("pattern", format!("not a regular expression: {error}"));
                None
            }
        }
    }

    fn converted(&mut self) -> Option<ValueType> {
        match self.settings.converted_type.as_deref() {
            Some("int") => Some(ValueType::Int),
            Some("double") => Some(ValueType::Double),
            Some("string") => Some(ValueType::String),
            Some(other) => {
                self.fault("converted_type", format!("`{other}` is none of int, double and string"));
                None
            }
            None => {
                self.fault("converted_type", "`convert` needs one of int, double and string");
                None
            }
        }
    }

    fn fault(&mut self, key: &str, message: impl Into<String>) {
        let dot = if key.is_empty() { "" } else { "." };
        self.errors.push(SettingError::new(format!("{}{dot}{key}", self.path), message));
    }
}

/// The named groups of a pattern.
struct Groups(Regex);

impl Extractor for Groups {
    fn extract(&self, text: &str, put: &mut dyn FnMut(&str, &str)) {
        let Some(found) = self.0.captures(text) else { return };
        for name in self.0.capture_names().flatten() {
            put(name, found.name(name).map_or("", |group| group.as_str()));
        }
    }
}
