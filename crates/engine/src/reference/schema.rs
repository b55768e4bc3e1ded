//! A JSON Schema of configurations.
//!
//! Where a value may be a reference to an environment variable, which is a string in YAML, the types of both are allowed;
//! `pattern` looks at strings only and the other keywords at the other type only (JSON Schema Validation, section 6), so
//! that one level says it.

use otlp::Signal;
use serde_json::{Map, Value, json};

use super::markdown::about;
use crate::{
    components::{self, Class, Component},
    config::{PIPELINE, SERVICE, TOP},
    settings::{Kind, Setting, duration},
};

/// A value that is nothing but a reference to a variable.
const VARIABLE: &str = r"^\$\{.*\}$";

/// Text with a reference to a variable in it.
const VARIABLE_INSIDE: &str = r"\$\{.*\}";

/// The schema, draft 2020-12, of a whole file.
///
/// ```
/// let schema = aldis_engine::reference::schema();
/// let endpoint = schema.pointer("/$defs/receivers.otlp/properties/protocols/properties/grpc/properties/endpoint");
/// assert_eq!(endpoint.and_then(|row| row["default"].as_str()), Some("localhost:4317"));
/// ```
pub fn schema() -> Value {
    let mut root = table(TOP);
    // A file that is null says nothing, and a variable cannot be all of it.
    root["type"] = json!("object");
    remove(&mut root, "pattern");
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("Aldis configuration");
    root["description"] = json!(
        "What `aldis serve` runs. A value may be `${env:NAME}` or `${env:NAME:-default}`; durations are written as `200ms`, `1m30s`."
    );
    root["required"] = json!(["receivers", "exporters", "service"]);
    let mut definitions = Map::new();
    for class in Class::ALL {
        for component in components::of(class) {
            let mut definition = table(component.settings);
            definition["description"] = json!(about(component));
            definitions.insert(name(component), definition);
        }
        let section = &mut root["properties"][class.section()];
        let description = section["description"].take();
        *section = kinds(class);
        section["description"] = description;
    }
    root["$defs"] = Value::Object(definitions);
    let service = &mut root["properties"]["service"];
    service["required"] = json!(["pipelines"]);
    let description = service["properties"]["pipelines"]["description"].take();
    service["properties"]["pipelines"] = pipelines();
    service["properties"]["pipelines"]["description"] = description;
    debug_assert!(SERVICE.iter().any(|row| row.key == "pipelines"));
    root
}

/// Where a component is defined.
fn name(component: &Component) -> String {
    format!("{}.{}", component.class.section(), component.name)
}

/// A section of components: `type` or `type/name`, by their types.
fn kinds(class: Class) -> Value {
    let pattern = |component: &Component| {
        let words: Vec<&str> =
            std::iter::once(component.name).chain(component.aliases.iter().copied()).collect();
        format!(r"^\s*({})\s*(/.*\S.*)?$", words.join("|"))
    };
    let of_kind =
        |component: &Component| (pattern(component), json!({"$ref": format!("#/$defs/{}", name(component))}));
    json!({
        "type": ["object", "null", "string"],
        "pattern": VARIABLE,
        "patternProperties": components::of(class).map(of_kind).collect::<Map<_, _>>(),
        "additionalProperties": false,
    })
}

fn pipelines() -> Value {
    let mut pipeline = table(PIPELINE);
    for key in ["receivers", "exporters"] {
        pipeline["properties"][key]["minItems"] = json!(1);
    }
    pipeline["required"] = json!(["receivers", "exporters"]);
    let signals = Signal::ALL.map(Signal::name).join("|");
    let mut patterns = Map::new();
    patterns.insert(format!(r"^\s*({signals})\s*(/.*)?$"), pipeline);
    json!({
        "type": ["object", "string"],
        "pattern": VARIABLE,
        "patternProperties": patterns,
        "additionalProperties": false,
        "minProperties": 1,
    })
}

/// A map with these keys.
fn table(rows: &[Setting]) -> Value {
    let properties: Map<String, Value> = rows.iter().map(|row| (row.key.to_owned(), property(row))).collect();
    json!({
        "type": ["object", "null", "string"],
        "pattern": VARIABLE,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn property(row: &Setting) -> Value {
    let text = json!({"type": ["string", "null"]});
    let mut property = match row.kind {
        Kind::Bool => json!({"type": ["boolean", "null", "string"], "pattern": VARIABLE}),
        Kind::Int(least, most) => {
            let mut int =
                json!({"type": ["integer", "null", "string"], "pattern": VARIABLE, "minimum": least});
            if most < i64::MAX {
                int["maximum"] = json!(most);
            }
            int
        }
        Kind::Float(least, most) => {
            let mut float = json!({"type": ["number", "null", "string"], "pattern": VARIABLE});
            for (key, bound) in [("minimum", least), ("maximum", most)] {
                if bound.is_finite() {
                    float[key] = json!(bound);
                }
            }
            float
        }
        Kind::Duration => json!({
            "type": ["string", "integer", "null"], "minimum": 0,
            "pattern": format!("{}|{VARIABLE_INSIDE}", duration::PATTERN),
        }),
        Kind::Text | Kind::Secret | Kind::Extension(_) => text,
        Kind::Choice(words) => {
            let words = words.iter().map(|word| json!(word)).chain([Value::Null]).collect::<Vec<_>>();
            json!({"anyOf": [{"enum": words}, {"type": "string", "pattern": VARIABLE_INSIDE}]})
        }
        Kind::Address => json!({
            "type": ["string", "null"],
            "pattern": format!(r"^([^\[\]:/\s]*|\[[^\[\]/\s]*\]):[0-9]{{1,5}}$|{VARIABLE_INSIDE}"),
        }),
        Kind::TextMap | Kind::SecretMap => json!({
            "type": ["object", "null", "string"], "pattern": VARIABLE, "additionalProperties": text,
        }),
        Kind::TextList | Kind::Secrets => {
            json!({"type": ["array", "null", "string"], "pattern": VARIABLE, "items": text})
        }
        Kind::Table(rows) => table(rows),
        Kind::Tables(rows) => {
            json!({"type": ["array", "null", "string"], "pattern": VARIABLE, "items": table(rows)})
        }
        Kind::Value => json!({}),
        // Nothing is valid here: an editor shows why.
        Kind::Later => json!({"not": {}}),
    };
    let description = match row.kind {
        Kind::Later => format!("Cannot be used yet: {}.", row.text.trim_end_matches('.')),
        _ => row.text.to_owned(),
    };
    property["description"] = json!(description);
    if let Some(default) = default(row) {
        property["default"] = default;
    }
    property
}

/// The default as a value of its type.
fn default(row: &Setting) -> Option<Value> {
    let text = row.default;
    if text.is_empty() {
        return None;
    }
    match row.kind {
        Kind::Bool => text.parse().ok().map(Value::Bool),
        Kind::Int(..) => text.parse::<i64>().ok().map(|number| json!(number)),
        Kind::Float(..) => text.parse::<f64>().ok().map(|number| json!(number)),
        _ => Some(json!(text)),
    }
}

fn remove(schema: &mut Value, key: &str) {
    if let Value::Object(keywords) = schema {
        keywords.remove(key);
    }
}
