use std::{cell::RefCell, collections::BTreeSet};

use super::*;
use crate::{
    diagnostic::{Diagnostics, Place},
    settings::{Kind, Setting, duration, paths},
    yaml,
};

#[test]
fn every_component_reads_only_rows_that_it_has() {
    // A read of a key without a row, or of another kind than the row's, panics.
    for component in COMPONENTS {
        for text in ["", &full(component.settings, 0)] {
            let mut syntax = Diagnostics::default();
            let node = yaml::parse(text, &mut syntax);
            assert!(!syntax.has_errors(), "{}: {text}\n{syntax:?}", component.name);
            let problems = RefCell::new(Diagnostics::default());
            let section =
                Section::open(node.as_ref(), component.settings, component.name, Place::default(), &problems);
            (component.read)(&section, component.signals);
            let unknown = problems.into_inner().iter().find(|p| p.message.contains("unknown key")).cloned();
            assert_eq!(unknown, None, "{}: {text}", component.name);
        }
    }
}

/// A section with every key that can be honoured.
fn full(rows: &[Setting], indent: usize) -> String {
    let pad = " ".repeat(indent);
    let line = |row: &Setting| match row.kind {
        Kind::Later => String::new(),
        Kind::Bool => format!("{pad}{}: true\n", row.key),
        Kind::Int(least, _) => format!("{pad}{}: {}\n", row.key, least.max(1)),
        Kind::Float(..) => format!("{pad}{}: 1\n", row.key),
        Kind::Duration => format!("{pad}{}: 1s\n", row.key),
        Kind::Text | Kind::Secret | Kind::Extension(_) | Kind::Value => format!("{pad}{}: x\n", row.key),
        Kind::Choice(words) => format!("{pad}{}: '{}'\n", row.key, words[0]),
        Kind::Address => format!("{pad}{}: localhost:1\n", row.key),
        Kind::TextMap | Kind::SecretMap => format!("{pad}{}: {{x: y}}\n", row.key),
        Kind::TextList | Kind::Secrets => format!("{pad}{}: ['x']\n", row.key),
        Kind::Table(inner) => format!("{pad}{}:\n{}", row.key, full(inner, indent + 2)),
        Kind::Tables(inner) => format!("{pad}{}:\n{pad}- x_: 1\n{}", row.key, full(inner, indent + 2))
            .replace(&format!("{pad}- x_: 1\n{pad}  "), &format!("{pad}- ")),
    };
    rows.iter().map(line).collect()
}

#[test]
fn every_row_is_documented_once_and_its_default_can_be_read() {
    for component in COMPONENTS {
        let mut seen = BTreeSet::new();
        for (path, row) in paths(component.settings) {
            assert!(seen.insert(path.clone()), "{}: {path} twice", component.name);
            assert!(row.text.ends_with('.'), "{}: {path}: {:?}", component.name, row.text);
            let default = row.default;
            let good = match row.kind {
                Kind::Bool => matches!(default, "true" | "false"),
                Kind::Int(least, most) => default.parse().is_ok_and(|n: i64| (least..=most).contains(&n)),
                Kind::Float(least, most) => default.parse().is_ok_and(|n: f64| (least..=most).contains(&n)),
                Kind::Duration => duration::parse(default).is_ok(),
                Kind::Choice(words) => default.is_empty() || words.contains(&default),
                Kind::Address => crate::settings::Address::parse(default).is_ok(),
                Kind::Text | Kind::Value => true,
                Kind::TextMap | Kind::TextList | Kind::Table(_) | Kind::Tables(_) => default.is_empty(),
                Kind::Secret | Kind::Secrets | Kind::SecretMap | Kind::Extension(_) => default.is_empty(),
                Kind::Later => false,
            };
            assert!(good, "{}: {path} has the default {default:?}", component.name);
        }
    }
}

#[test]
fn types_and_aliases_are_unique_in_their_class() {
    for class in Class::ALL {
        let names: Vec<&str> =
            of(class).flat_map(|c| std::iter::once(c.name).chain(c.aliases.iter().copied())).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}

#[test]
fn names_of_components_are_read_as_the_collector_does() {
    for (text, kind, name) in
        [("otlp", "otlp", ""), ("otlp/2", "otlp", "2"), (" a_1 / b c ", "a_1", "b c"), ("x/a/b", "x", "a/b")]
    {
        let id = Id::parse(text).unwrap();
        assert_eq!((id.kind.as_str(), id.name.as_str()), (kind, name), "{text}");
    }
    for text in ["", "/x", "otlp/", "1a", "a-b", "_a", "a b"] {
        assert!(Id::parse(text).is_err(), "{text}");
    }
}
