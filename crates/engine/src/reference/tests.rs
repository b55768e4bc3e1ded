use serde_json::Value;

use super::*;
use crate::{
    components::{COMPONENTS, Class},
    settings::{Kind, Setting},
};

/// A row's place in the schema, below its component's.
fn below<'a>(schema: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(schema, |inner, key| {
        let table = if inner["items"].is_object() { &inner["items"] } else { inner };
        &table["properties"][key]
    })
}

fn all(rows: &'static [Setting]) -> Vec<(String, &'static Setting)> {
    crate::settings::paths(rows).into_iter().chain(crate::settings::refused(rows)).collect()
}

#[test]
fn every_row_is_in_the_schema_with_its_type_default_and_text() {
    let schema = schema();
    for component in COMPONENTS {
        let definition = &schema["$defs"][format!("{}.{}", component.class.section(), component.name)];
        let description = definition["description"].as_str().unwrap();
        assert!(description.starts_with(component.text), "{}: {description}", component.name);
        assert_eq!(definition["additionalProperties"], false);
        for (path, row) in all(component.settings) {
            let property = below(definition, &path);
            let what = format!("{} {path}: {property}", component.name);
            let description = property["description"].as_str().unwrap_or_default();
            assert!(description.contains(row.text.trim_end_matches('.')), "{what}");
            assert_eq!(property["not"].is_object(), matches!(row.kind, Kind::Later), "{what}");
            let default = match &property["default"] {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                // A whole number may be written without its fraction.
                other => other.to_string().trim_end_matches(".0").to_owned(),
            };
            assert_eq!(default, row.default, "{what}");
            if let Kind::Choice(words) = row.kind {
                let known = property["anyOf"][0]["enum"].as_array().unwrap();
                assert!(words.iter().all(|word| known.contains(&Value::from(*word))), "{what}");
            }
        }
    }
}

#[test]
fn the_schema_has_every_type_and_alias_of_a_class() {
    let schema = schema();
    for component in COMPONENTS {
        let patterns =
            schema["properties"][component.class.section()]["patternProperties"].as_object().unwrap();
        for word in std::iter::once(&component.name).chain(component.aliases) {
            let fits = |pattern: &String| pattern.split(['(', ')', '|']).any(|part| part == *word);
            let definition = format!("#/$defs/{}.{}", component.class.section(), component.name);
            let found = patterns.iter().find(|(pattern, _)| fits(pattern)).map(|(_, value)| &value["$ref"]);
            assert_eq!(found, Some(&Value::from(definition)), "{word}");
        }
    }
    let sections = schema["properties"].as_object().unwrap();
    assert!(Class::ALL.iter().all(|class| sections.contains_key(class.section())));
}

#[test]
fn every_refused_key_is_explained_in_the_page() {
    let page = markdown();
    for component in COMPONENTS {
        for (path, row) in crate::settings::refused(component.settings) {
            assert!(page.contains(&format!("- `{path}`: {}\n", row.text)), "{path}");
        }
    }
}
