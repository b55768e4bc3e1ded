//! The settings reference.

use std::fmt::Write as _;

use crate::{
    components::{COMPONENTS, Component},
    config::SERVICE,
    settings::{Setting, paths, refused},
};

/// Every component with its settings, and `service`: a heading and a table each. The end of `docs/configuration.md`.
pub fn markdown() -> String {
    let mut out = String::new();
    for component in COMPONENTS {
        let aliases: Vec<String> = component.aliases.iter().map(|alias| format!(", `{alias}`")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n## {} `{}`{}\n", component.class.name(), component.name, aliases.concat());
        let _ = writeln!(out, "{}", about(component));
        table(&mut out, component.settings);
    }
    let _ = writeln!(out, "\n## service\n\nWhat of it is used, and how it is put together.");
    table(&mut out, SERVICE);
    out
}

/// What a component is, and where it may stand.
pub(super) fn about(component: &Component) -> String {
    let signals: Vec<&str> = component.signals.iter().map(|signal| signal.name()).collect();
    match signals.is_empty() {
        true => component.text.to_owned(),
        false => format!("{} For {}.", component.text, signals.join(", ")),
    }
}

fn table(out: &mut String, rows: &'static [Setting]) {
    let taken = paths(rows);
    if !taken.is_empty() {
        out.push_str("\n| key | type | default | |\n|---|---|---|---|\n");
    }
    for (path, row) in taken {
        let default = if row.default.is_empty() { String::new() } else { format!("`{}`", row.default) };
        let _ = writeln!(out, "| `{path}` | {} | {default} | {} |", row.kind.name(), row.text);
    }
    let refused = refused(rows);
    if !refused.is_empty() {
        out.push_str("\nRefused, with what `aldis check` says:\n\n");
    }
    for (path, row) in refused {
        let _ = writeln!(out, "- `{path}`: {}", row.text);
    }
}
