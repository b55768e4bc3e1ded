//! Which records a plan applies to: `include`, `exclude` and `condition`, as one expression.
//!
//! The properties that the Collector's `attributes` processor matches on are written out in the language of [`expr`], so
//! that what depends on the resource alone is judged once per resource, patterns are compiled once, and there is one
//! evaluator to trust. What they mean is what the Collector does:
//!
//! - All properties that are given must match; of a list of names, kinds or bodies one must match.
//! - *All* attributes and *all* resource attributes that are listed must match. Of `libraries`, one must match.
//! - `strict` compares whole values, `regexp` searches (it is not anchored). A pattern is also searched for in numbers and
//!   booleans as they are written; strict values are compared as values, where 1 equals 1.0.
//! - Something absent matches nothing: neither a pattern nor a name. Bodies that are maps or lists match nothing.

use std::fmt::Write;

use expr::{Environment, Expression, Selection};
use otlp::{AttributeValue, Batch, Depth, Signal};

use crate::SettingError;
use crate::filter::{self, Context};

/// How names and values are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatchType {
    /// They must be equal.
    #[default]
    Strict,
    /// They are regular expressions.
    Regexp,
}

/// An attribute to match.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeMatch {
    /// Its key.
    pub key: String,
    /// Its value; `None` matches any.
    pub value: Option<AttributeValue>,
}

/// An instrumentation scope to match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LibraryMatch {
    /// Its name.
    pub name: String,
    /// Its version; `None` matches any, the empty text only the empty version.
    pub version: Option<String>,
}

/// Which log severities match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeverityMatch {
    /// The lowest number that matches, 1 to 24.
    pub min: i64,
    /// Whether records without a severity match.
    pub match_undefined: bool,
}

/// `include` or `exclude` of the Collector's `attributes` processor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatchSettings {
    /// How names and values are compared.
    pub match_type: MatchType,
    /// Spans: `service.name` of the resource.
    pub services: Vec<String>,
    /// Spans: names.
    pub span_names: Vec<String>,
    /// Spans: kinds as the protocol names them, `SPAN_KIND_SERVER`.
    pub span_kinds: Vec<String>,
    /// Logs: bodies.
    pub log_bodies: Vec<String>,
    /// Logs: severity texts.
    pub log_severity_texts: Vec<String>,
    /// Logs: severity numbers.
    pub log_severity_number: Option<SeverityMatch>,
    /// Metrics: names.
    pub metric_names: Vec<String>,
    /// Attributes of the record.
    pub attributes: Vec<AttributeMatch>,
    /// Attributes of the resource.
    pub resources: Vec<AttributeMatch>,
    /// Instrumentation scopes.
    pub libraries: Vec<LibraryMatch>,
}

/// What decides whether a record is edited. By default every record is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SelectSettings {
    /// Only records that match this.
    pub include: Option<MatchSettings>,
    /// Of them, only records that do not match this.
    pub exclude: Option<MatchSettings>,
    /// Of them, only records for which this holds: a condition as [`crate::filter`] takes it.
    pub condition: Option<String>,
}

/// A compiled [`SelectSettings`] that lets some records pass.
#[derive(Clone, Debug)]
pub(crate) struct Select {
    expressions: Vec<Expression>,
    reads_record_attributes: bool,
    reads_resource_attributes: bool,
}

impl Select {
    /// `None` if every record is selected.
    pub(crate) fn new(settings: &SelectSettings, signal: Signal) -> Result<Option<Self>, Vec<SettingError>> {
        let environment = Environment::of(signal);
        let mut errors = Vec::new();
        let mut expressions = Vec::new();
        for (path, properties, wanted) in
            [("include", &settings.include, true), ("exclude", &settings.exclude, false)]
        {
            let Some(properties) = properties else { continue };
            match properties.expression(path, signal) {
                Ok(text) => {
                    let text = if wanted { text } else { format!("!({text})") };
                    match Expression::condition(&text, &environment) {
                        Ok(expression) => expressions.push(expression),
                        Err(faults) => {
                            let told = faults.into_iter().map(|fault| SettingError::new(path, fault.message));
                            errors.extend(told);
                        }
                    }
                }
                Err(faults) => errors.extend(faults),
            }
        }
        if let Some(text) = &settings.condition {
            match filter::compile(text, Context::Record, &environment) {
                Ok(expression) => expressions.push(expression),
                Err(faults) => errors.extend(faults.into_iter().map(|(at, message)| SettingError {
                    path: "condition".into(),
                    message,
                    at: Some(at),
                })),
            }
        }
        match (errors.is_empty(), expressions.is_empty()) {
            (false, _) => Err(errors),
            (true, true) => Ok(None),
            (true, false) => {
                // What a condition reads is not looked into: it may read anything.
                let reads = |of: fn(&MatchSettings) -> bool| {
                    settings.condition.is_some()
                        || [&settings.include, &settings.exclude].into_iter().flatten().any(of)
                };
                Ok(Some(Self {
                    expressions,
                    reads_record_attributes: reads(|properties| !properties.attributes.is_empty()),
                    reads_resource_attributes: reads(|properties| {
                        !properties.resources.is_empty() || !properties.services.is_empty()
                    }),
                }))
            }
        }
    }

    /// Whether it may depend on attributes of records.
    pub(crate) fn reads_record_attributes(&self) -> bool {
        self.reads_record_attributes
    }

    /// Whether it may depend on attributes of resources.
    pub(crate) fn reads_resource_attributes(&self) -> bool {
        self.reads_resource_attributes
    }

    pub(crate) fn needs(&self) -> Depth {
        self.expressions.iter().map(Expression::needs).max().unwrap_or(Depth::Counts)
    }
}

/// The kinds of spans as `match_type: strict` knows them, with their numbers.
const SPAN_KINDS: [(&str, i64); 5] = [
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
];

impl MatchSettings {
    /// Which lists are given, with the signals that have such a thing.
    fn given(&self) -> [(&'static str, bool, &'static [Signal]); 10] {
        use Signal::{Logs, Metrics, Traces};
        [
            ("services", !self.services.is_empty(), &[Traces]),
            ("span_names", !self.span_names.is_empty(), &[Traces]),
            ("span_kinds", !self.span_kinds.is_empty(), &[Traces]),
            ("log_bodies", !self.log_bodies.is_empty(), &[Logs]),
            ("log_severity_texts", !self.log_severity_texts.is_empty(), &[Logs]),
            ("log_severity_number", self.log_severity_number.is_some(), &[Logs]),
            ("metric_names", !self.metric_names.is_empty(), &[Metrics]),
            ("attributes", !self.attributes.is_empty(), &[Traces, Logs]),
            ("resources", !self.resources.is_empty(), &[Traces, Logs, Metrics]),
            ("libraries", !self.libraries.is_empty(), &[Traces, Logs]),
        ]
    }

    /// The properties in the language of `expr`. What it says is never null, so that its negation means the rest.
    fn expression(&self, path: &str, signal: Signal) -> Result<String, Vec<SettingError>> {
        let mut errors = Vec::new();
        let given = self.given();
        for (key, _, _) in given.iter().filter(|(_, is_given, of)| *is_given && !of.contains(&signal)) {
            errors
                .push(SettingError::new(format!("{path}.{key}"), format!("{signal} have no such property")));
        }
        let mut all = Clauses::default();
        self.names("resource[\"service.name\"]", &self.services, &mut all);
        self.names("name", &self.span_names, &mut all);
        self.kinds(path, &mut all, &mut errors);
        self.names("string(body)", &self.log_bodies, &mut all);
        self.names("severity_text", &self.log_severity_texts, &mut all);
        if let Some(severity) = self.log_severity_number {
            let SeverityMatch { min, match_undefined } = severity;
            all.push(&format!("(severity_number == 0 ? {match_undefined} : severity_number >= {min})"));
        }
        self.names("metric_name", &self.metric_names, &mut all);
        for (key, map, list) in
            [("attributes", "attributes", &self.attributes), ("resources", "resource", &self.resources)]
        {
            for (i, attribute) in list.iter().enumerate() {
                match self.attribute(map, attribute) {
                    Ok(clause) => all.push(&clause),
                    Err(message) => errors.push(SettingError::new(format!("{path}.{key}[{i}]"), message)),
                }
            }
        }
        let libraries: Vec<_> = self.libraries.iter().map(|library| self.library(library)).collect();
        all.push(&libraries.join(" || "));
        if all.text.is_empty() && errors.is_empty() {
            let known: Vec<_> =
                given.iter().filter(|(_, _, of)| of.contains(&signal)).map(|(key, _, _)| *key).collect();
            errors
                .push(SettingError::new(path, format!("nothing to match: give one of {}", known.join(", "))));
        }
        if errors.is_empty() { Ok(all.text) } else { Err(errors) }
    }

    /// One of `names` is found in, or is, `subject`.
    fn names(&self, subject: &str, names: &[String], all: &mut Clauses) {
        all.push(&match self.match_type {
            _ if names.is_empty() => String::new(),
            MatchType::Strict => {
                let literals: Vec<_> = names.iter().map(|name| literal(name)).collect();
                format!("{subject} in [{}]", literals.join(", "))
            }
            MatchType::Regexp => {
                let any = names.iter().map(|name| format!("{subject}.matches({})", literal(name)));
                any.collect::<Vec<_>>().join(" || ")
            }
        });
    }

    fn kinds(&self, path: &str, all: &mut Clauses, errors: &mut Vec<SettingError>) {
        if self.match_type == MatchType::Regexp {
            // A pattern is asked about each kind's name, once: constant parts are folded.
            let any = SPAN_KINDS.iter().flat_map(|(name, number)| {
                let asked = self.span_kinds.iter();
                asked.map(move |re| {
                    format!("(kind == {number} && {}.matches({}))", literal(name), literal(re))
                })
            });
            return all.push(&any.collect::<Vec<_>>().join(" || "));
        }
        let mut numbers = Vec::new();
        for (i, kind) in self.span_kinds.iter().enumerate() {
            match SPAN_KINDS.iter().find(|(name, _)| name == kind) {
                Some((_, number)) => numbers.push(number.to_string()),
                None => {
                    let known: Vec<_> = SPAN_KINDS.iter().map(|(name, _)| *name).collect();
                    let message = format!("`{kind}` is no kind of span: use one of {}", known.join(", "));
                    errors.push(SettingError::new(format!("{path}.span_kinds[{i}]"), message));
                }
            }
        }
        if !numbers.is_empty() {
            all.push(&format!("kind in [{}]", numbers.join(", ")));
        }
    }

    fn attribute(&self, map: &str, attribute: &AttributeMatch) -> Result<String, String> {
        let key = literal(&attribute.key);
        if attribute.key.is_empty() {
            return Err("an attribute is matched by its `key`".into());
        }
        let Some(value) = &attribute.value else { return Ok(format!("{key} in {map}")) };
        match (self.match_type, value) {
            (MatchType::Regexp, AttributeValue::String(pattern)) => {
                Ok(format!("string({map}[{key}]).matches({})", literal(pattern)))
            }
            (MatchType::Regexp, _) => {
                Err("with `match_type: regexp` a value is a pattern: put it in quotes".into())
            }
            (MatchType::Strict, value) => Ok(format!("{map}[{key}] == {}", value_literal(value)?)),
        }
    }

    fn library(&self, library: &LibraryMatch) -> String {
        let compare = |subject: &str, text: &str| match self.match_type {
            MatchType::Strict => format!("{subject} == {}", literal(text)),
            MatchType::Regexp => format!("{subject}.matches({})", literal(text)),
        };
        let name = compare("scope.name", &library.name);
        match &library.version {
            Some(version) => format!("({name} && {})", compare("scope.version", version)),
            None => name,
        }
    }
}

/// Clauses that must all hold.
#[derive(Debug, Default)]
struct Clauses {
    text: String,
}

impl Clauses {
    /// Adds one; the empty one demands nothing.
    fn push(&mut self, clause: &str) {
        if !clause.is_empty() {
            let and = if self.text.is_empty() { "" } else { " && " };
            let _ = write!(self.text, "{and}({clause})");
        }
    }
}

/// Text as a literal of `expr`.
fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => literal.extend(['\\', c]),
            // Writing to a `String` does not fail.
            c if c.is_control() => drop(write!(literal, "\\U{:08x}", u32::from(c))),
            c => literal.push(c),
        }
    }
    literal.push('"');
    literal
}

fn value_literal(value: &AttributeValue) -> Result<String, String> {
    Ok(match value {
        AttributeValue::String(text) => literal(text),
        AttributeValue::Int(int) => int.to_string(),
        AttributeValue::Double(double) if double.is_finite() => format!("{double:?}"),
        AttributeValue::Bool(truth) => truth.to_string(),
        AttributeValue::Array(elements) => {
            let elements: Result<Vec<_>, _> = elements.iter().map(value_literal).collect();
            format!("[{}]", elements?.join(", "))
        }
        AttributeValue::Double(_) | AttributeValue::Bytes(_) | AttributeValue::Map(_) => {
            return Err("only texts, finite numbers, booleans and lists of them can be matched".into());
        }
    })
}

/// The records that every expression selects.
#[derive(Debug, Default)]
pub(crate) struct Selected {
    all: Vec<Selection>,
}

impl Selected {
    /// Judges a batch.
    pub(crate) fn judge(&mut self, select: &Select, batch: &Batch) {
        self.all.resize_with(select.expressions.len(), Selection::default);
        for (expression, selection) in select.expressions.iter().zip(&mut self.all) {
            expression.select(batch, selection);
        }
    }

    /// Whether record `i` is selected.
    pub(crate) fn contains(&self, i: usize) -> bool {
        self.all.iter().all(|selection| selection.contains(i))
    }
}
