//! Layers: every arrow between crates points down, and the map in `ARCHITECTURE.md` is the map of the crates.
//!
//! The map is the table under the heading `## Layers`: one line per row of the house, highest first,
//! `| row | name | crates | may also see |`. Crates of one row never see each other, except as the last column says
//! (`` `expr` → `otlp` ``). Dev-dependencies count. A second table, under `## Crates`, says one sentence for each crate.

use super::{Finding, Tree};

const MAP: &str = "ARCHITECTURE.md";

/// What the table says of one crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The crate, named as its folder.
    pub name: String,
    /// 0 is the lowest row.
    pub row: u32,
    /// Crates of its own row that it may see.
    pub also_sees: Vec<String>,
}

/// Reads the table under `## Layers`.
pub fn parse(architecture: &str) -> Vec<Placed> {
    let mut placed = Vec::new();
    for cells in table(architecture, "## Layers") {
        let [row, _, crates, also] = cells.as_slice() else { continue };
        let Ok(row) = row.parse() else { continue };
        let exceptions = arrows(also);
        for name in quoted(crates) {
            let also_sees =
                exceptions.iter().filter(|(from, _)| *from == name).map(|(_, to)| to.clone()).collect();
            placed.push(Placed { name, row, also_sees });
        }
    }
    placed
}

/// The layers against the manifests.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let Some(architecture) = tree.text(MAP) else {
        return vec![Finding::new(MAP, "is missing: it holds the map of the crates")];
    };
    let placed = parse(architecture);
    let find = |name: &str| placed.iter().find(|p| p.name == name);
    let described: Vec<String> =
        table(architecture, "## Crates").iter().filter_map(|cells| quoted(cells.first()?).pop()).collect();
    let mut findings = Vec::new();
    for (name, manifest) in tree.manifests() {
        let Some(own) = find(name) else {
            findings.push(Finding::new(&manifest.path, format!("`{name}` is in no row of {MAP} § Layers")));
            continue;
        };
        if manifest.path.starts_with("crates/") && !described.iter().any(|d| d == name) {
            findings.push(Finding::new(MAP, format!("§ Crates has no sentence for `{name}`")));
        }
        findings.extend(check_manifest(own, &manifest.path, &manifest.text, &find));
    }
    for name in placed.iter().map(|p| &p.name).chain(&described) {
        if !tree.manifests().any(|(n, _)| n == name) {
            findings.push(Finding::new(MAP, format!("names `{name}`, which has no manifest")));
        }
    }
    findings
}

fn check_manifest<'a>(
    own: &Placed,
    path: &str,
    text: &str,
    find: &impl Fn(&str) -> Option<&'a Placed>,
) -> Vec<Finding> {
    let manifest: toml::Table = match text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![Finding::new(path, format!("is not TOML: {error}"))],
    };
    let mut findings = Vec::new();
    if manifest.get("lints").and_then(|l| l.get("workspace")).and_then(toml::Value::as_bool) != Some(true) {
        findings.push(Finding::new(path, "does not inherit the lints: add `[lints] workspace = true`"));
    }
    for dependency in dependencies(&manifest) {
        let Some(other) = find(&dependency) else { continue };
        let allowed = other.row < own.row || own.also_sees.contains(&other.name);
        if !allowed {
            let (from, to) = (own.row, other.row);
            findings.push(Finding::new(
                path,
                format!("`{}` (row {from}) sees `{dependency}` (row {to}): arrows point down only", own.name),
            ));
        }
    }
    findings
}

/// Every crate that a manifest names as a dependency, of whatever kind and target, by its folder's name.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables =
        targets.into_iter().flat_map(|t| t.values()).filter_map(toml::Value::as_table).chain([manifest]);
    let mut names = Vec::new();
    for table in tables {
        for kind in KINDS {
            for (key, value) in table.get(kind).and_then(toml::Value::as_table).into_iter().flatten() {
                let package = value.get("package").and_then(toml::Value::as_str).unwrap_or(key);
                names.push(package.strip_prefix("aldis-").unwrap_or(package).to_owned());
            }
        }
    }
    names
}

/// The cells of the first table under a heading, without its head.
fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let section = text.lines().skip_while(|line| line.trim() != heading).skip(1);
    let section = section.take_while(|line| !line.starts_with("## "));
    let rows = section.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.skip(2)
        .map(|line| line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn arrows(cell: &str) -> Vec<(String, String)> {
    cell.split(',')
        .filter_map(|arrow| {
            let (from, to) = arrow.split_once('→')?;
            Some((quoted(from).pop()?, quoted(to).pop()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP_TEXT: &str = "\
# x

## Layers
Words.

| row | name | crates | may also see |
|---|---|---|---|
| 1 | rules | `operators` | |
| 0 | data | `otlp` `expr` | `expr` → `otlp` |

## Crates

| crate | sentence |
|---|---|
| `operators` | a |
| `otlp` | b |
| `expr` | c |
";

    fn house(operators: &str, otlp: &str, expr: &str) -> Vec<Finding> {
        let lints = "\n[lints]\nworkspace = true\n";
        check(&Tree::of(&[
            (MAP, MAP_TEXT),
            ("Cargo.toml", "[workspace]\n"),
            ("crates/operators/Cargo.toml", &format!("{operators}{lints}")),
            ("crates/otlp/Cargo.toml", &format!("{otlp}{lints}")),
            ("crates/expr/Cargo.toml", &format!("{expr}{lints}")),
        ]))
    }

    #[test]
    fn arrows_down_and_the_named_exception_pass() {
        assert_eq!(
            house(
                "[dependencies]\notlp.workspace = true",
                "",
                "[dependencies]\notlp = { package = \"aldis-otlp\" }"
            ),
            []
        );
    }

    #[test]
    fn an_arrow_up_fails_in_every_kind_of_dependency() {
        for kind in
            ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"]
        {
            let findings = house("", &format!("[{kind}]\noperators.workspace = true"), "");
            assert_eq!(findings.len(), 1, "{kind}: {findings:?}");
            assert!(findings[0].message.contains("arrows point down"), "{}", findings[0]);
        }
    }

    #[test]
    fn an_arrow_sideways_fails_unless_it_is_named() {
        let findings = house("", "[dependencies]\nexpr.workspace = true", "");
        assert_eq!(findings.len(), 1, "{findings:?}");
    }

    #[test]
    fn a_renamed_dependency_is_still_seen() {
        let findings = house("", "[dependencies]\nops = { package = \"aldis-operators\", path = \"\" }", "");
        assert_eq!(findings.len(), 1, "{findings:?}");
    }

    #[test]
    fn the_map_and_the_crates_must_agree() {
        let lints = "[lints]\nworkspace = true\n";
        let tree =
            Tree::of(&[(MAP, MAP_TEXT), ("crates/otlp/Cargo.toml", lints), ("crates/new/Cargo.toml", lints)]);
        let messages: Vec<String> = check(&tree).into_iter().map(|f| f.message).collect();
        assert!(messages.iter().any(|m| m.contains("`new` is in no row")), "{messages:?}");
        assert!(messages.iter().any(|m| m.contains("names `expr`, which has no manifest")), "{messages:?}");
    }

    #[test]
    fn a_crate_without_a_sentence_or_the_lints_fails() {
        let map = MAP_TEXT.replace("| `expr` | c |\n", "");
        let findings = check(&Tree::of(&[
            (MAP, &map),
            ("crates/operators/Cargo.toml", "[lints]\nworkspace = true"),
            ("crates/otlp/Cargo.toml", ""),
            ("crates/expr/Cargo.toml", "[lints]\nworkspace = true"),
        ]));
        assert_eq!(findings.len(), 2, "{findings:?}");
    }
}
