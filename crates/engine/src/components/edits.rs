//! What `attributes` and `resource` share: actions on attributes.

use operators::{
    SettingError,
    edit::{ActionSettings, AttributesSettings, EditPlan, ResourceSettings},
};
use otlp::{AttributeValue, Signal};

use crate::{
    settings::{Kind, Section, Setting},
    yaml::{Node, Scalar, Value},
};

/// What attributes can be changed of.
pub const SIGNALS: &[Signal] = &[Signal::Traces, Signal::Logs, Signal::Metrics];

/// The rows of one action.
pub const ACTION: &[Setting] = &[
    Setting::new(
        "action",
        Kind::Choice(&["insert", "update", "upsert", "delete", "hash", "extract", "convert", "rename"]),
        "",
        "What to do. `rename` is only in Aldis.",
    ),
    Setting::new("key", Kind::Text, "", "The attribute it is done to."),
    Setting::new("value", Kind::Value, "", "The value to put."),
    Setting::new("from_attribute", Kind::Text, "", "The attribute whose value is put."),
    Setting::new(
        "from_context",
        Kind::Text,
        "",
        "What of the request is put: `metadata.NAME`, `auth.tenant`.",
    ),
    Setting::new(
        "default_value",
        Kind::Value,
        "",
        "What is put where `from_attribute` or `from_context` finds nothing.",
    ),
    Setting::new("pattern", Kind::Text, "", "A regular expression, for `extract`, `delete` and `hash`."),
    Setting::new("converted_type", Kind::Choice(&["int", "double", "string"]), "", "The type to convert to."),
    Setting::new("to", Kind::Text, "", "The new key, for `rename`."),
];

/// Reads one action.
pub fn read_action(section: &Section<'_>) -> ActionSettings {
    let text = |key| section.optional_text(key).filter(|text| !text.is_empty());
    ActionSettings {
        action: section.text("action"),
        key: text("key"),
        value: value(section, "value"),
        from_attribute: text("from_attribute"),
        from_context: text("from_context"),
        default_value: value(section, "default_value"),
        pattern: text("pattern"),
        converted_type: text("converted_type"),
        to: text("to"),
    }
}

/// What an editing processor is told.
#[derive(Clone, Debug, PartialEq)]
pub enum EditSettings {
    /// Processor `attributes`.
    Attributes(Box<AttributesSettings>),
    /// Processor `resource`.
    Resource(ResourceSettings),
}

impl EditSettings {
    /// Its plan for records of a signal.
    ///
    /// # Errors
    /// All that is wrong with the settings.
    pub fn plan(&self, signal: Signal) -> Result<EditPlan, Vec<SettingError>> {
        match self {
            EditSettings::Attributes(settings) => EditPlan::attributes(signal, settings),
            EditSettings::Resource(settings) => EditPlan::resource(settings),
        }
    }

    /// The request headers that it puts into attributes, lower case.
    pub fn headers(&self) -> impl Iterator<Item = String> {
        let actions = match self {
            EditSettings::Attributes(settings) => &settings.actions,
            EditSettings::Resource(settings) => &settings.attributes,
        };
        let named =
            actions.iter().filter_map(|action| action.from_context.as_deref()?.strip_prefix("metadata."));
        named.map(str::to_ascii_lowercase)
    }
}

/// One plan of several processors in a row; `None` where a setting is wrong or they must stay apart.
pub fn fused(signal: Signal, settings: &[EditSettings]) -> Option<EditPlan> {
    let (first, rest) = settings.split_first()?;
    rest.iter().try_fold(first.plan(signal).ok()?, |plan, next| plan.fuse(next.plan(signal).ok()?).ok())
}

/// Tells what is wrong with the settings for these signals; with none, what is wrong for all.
pub fn validate(section: &Section<'_>, settings: &EditSettings, signals: &[Signal]) {
    let faults = |signal: &Signal| settings.plan(*signal).err().unwrap_or_default();
    for signal in signals {
        section.tell(&faults(signal));
    }
    if signals.is_empty() {
        let mut all = SIGNALS.iter().map(faults);
        let first = all.next().unwrap_or_default();
        let common =
            all.fold(first, |common, found| common.into_iter().filter(|f| found.contains(f)).collect());
        section.tell(&common);
    }
}

/// The value of an attribute, as written.
pub fn value(section: &Section<'_>, key: &str) -> Option<AttributeValue> {
    section.value(key).map(attribute_value)
}

fn attribute_value(node: &Node) -> AttributeValue {
    match (&node.value, node.scalar()) {
        (Value::List(items), _) => AttributeValue::Array(items.iter().map(attribute_value).collect()),
        (Value::Map(entries), _) => {
            AttributeValue::Map(entries.iter().map(|e| (e.key.clone(), attribute_value(&e.node))).collect())
        }
        (_, Some(Scalar::Bool(value))) => AttributeValue::Bool(value),
        (_, Some(Scalar::Int(value))) => AttributeValue::Int(value),
        (_, Some(Scalar::Float(value))) => AttributeValue::Double(value),
        (_, Some(Scalar::Text(text))) => AttributeValue::String(text.to_owned()),
        (_, Some(Scalar::Null) | None) => AttributeValue::String(String::new()),
    }
}
