//! Values that name an extension: found by their rows, so that whoever resolves names needs to know no component.

use super::{Kind, Role, Setting};
use crate::{
    diagnostic::Place,
    yaml::{Node, Value},
};

/// A value that names an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The name as it stands there.
    pub name: String,
    /// What the extension is to do.
    pub role: Role,
    /// The keys that lead to it: `protocols.http.auth.authenticator`.
    pub path: String,
    /// Where it stands.
    pub place: Place,
}

/// All that a map read by these rows has, in the order of the rows.
pub fn links(node: &Node, rows: &'static [Setting]) -> Vec<Link> {
    let mut found = Vec::new();
    collect(node, rows, "", &mut found);
    found
}

fn collect(node: &Node, rows: &'static [Setting], path: &str, found: &mut Vec<Link>) {
    for row in rows {
        let Some(node) = node.get(row.key).filter(|node| !node.is_null()) else { continue };
        let path = if path.is_empty() { row.key.to_owned() } else { format!("{path}.{}", row.key) };
        match (row.kind, &node.value) {
            (Kind::Table(inner), _) => collect(node, inner, &path, found),
            (Kind::Tables(inner), Value::List(items)) => {
                items.iter().for_each(|item| collect(item, inner, &path, found));
            }
            (Kind::Extension(role), Value::Plain(text) | Value::Quoted(text)) => {
                found.push(Link { name: text.trim().to_owned(), role, path, place: node.place });
            }
            _ => {}
        }
    }
}
