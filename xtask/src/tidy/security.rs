//! Security: the table of `docs/security.md` names for each attack a limit and a test, and both are there.
//!
//! A row is `| attack | answer | limit | test |`. What stands in backticks in the third column is a constant of a `limits.rs`, or a
//! setting of `docs/promises.toml`; links of the fourth are ``[`name`](../path)``, a test in that file.

use super::{Finding, Tree, promises};

/// Where the table is.
const PAGE: &str = "docs/security.md";

/// Columns of the table.
const COLUMNS: usize = 4;

/// Every limit and test of the table exists.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text(PAGE) else { return vec![Finding::new(PAGE, "is missing")] };
    let mut findings = Vec::new();
    let mut rows = 0;
    for (number, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let is_row = line.starts_with("| ") && cells.len() == COLUMNS && cells[0] != "attack";
        if !is_row {
            if line.starts_with("| ") && cells.len() != COLUMNS {
                findings.push(Finding::at(
                    PAGE,
                    number,
                    "a row has an attack, an answer, a limit and a test",
                ));
            }
            continue;
        }
        rows += 1;
        let mut tell = |message: String| findings.push(Finding::at(PAGE, number, message));
        for limit in quoted(cells[2]).filter(|limit| !is_limit(tree, limit)) {
            tell(format!("`{limit}` is no constant of a limits.rs and no setting that is promised"));
        }
        let tests = links(cells[3]);
        if tests.is_empty() {
            tell("no test is named".to_owned());
        }
        for (name, path) in tests {
            let file = path.trim_start_matches("../");
            if !tree.text(file).is_some_and(|text| promises::is_test(text, name)) {
                tell(format!("{file} has no test `{name}`"));
            }
        }
    }
    if rows == 0 {
        findings.push(Finding::new(PAGE, "has no table of attacks"));
    }
    findings
}

/// What stands in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Texts in backticks that are links, and where they lead.
fn links(cell: &str) -> Vec<(&str, &str)> {
    cell.split("[`").skip(1).filter_map(|rest| rest.split_once("`](")).filter_map(link).collect()
}

fn link<'a>((name, rest): (&'a str, &'a str)) -> Option<(&'a str, &'a str)> {
    Some((name, rest.split_once(')')?.0))
}

fn is_limit(tree: &Tree, name: &str) -> bool {
    let constant = format!("pub const {name}:");
    let in_limits = |path: &str| path.ends_with("/limits.rs");
    let is_constant = tree.files.iter().any(|file| in_limits(&file.path) && file.text.contains(&constant));
    let promised = tree.text(promises::LIST).and_then(|text| promises::parse(text).ok()).unwrap_or_default();
    is_constant
        || promised
            .iter()
            .any(|promise| promise.kind == "setting" && promise.name.ends_with(&format!(".{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: (&str, &str) = ("crates/a/src/limits.rs", "pub const MAX_THINGS: usize = 1;\n");
    const TEST: (&str, &str) =
        ("crates/a/tests/it/flood.rs", "#[test]\nfn floods_end() {}\n\nfn helper() {}\n");
    const LIST: (&str, &str) =
        (promises::LIST, "[[promise]]\nkind = 'setting'\nnames = ['a.b.timeout']\ntest = 'x'\n");

    fn findings(row: &str) -> Vec<String> {
        let page = format!("# Security\n\n| attack | answer | limit | test |\n|---|---|---|---|\n{row}\n");
        let tree = Tree::of(&[(PAGE, &page), LIMITS, TEST, LIST]);
        check(&tree).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_row_whose_limit_and_test_exist_passes() {
        let none: [&str; 0] = [];
        assert_eq!(
            findings("| a | b | `MAX_THINGS` | [`floods_end`](../crates/a/tests/it/flood.rs) |"),
            none
        );
        assert_eq!(
            findings("| a | b | `timeout`, `MAX_THINGS` | [`floods_end`](../crates/a/tests/it/flood.rs) |"),
            none
        );
        assert_eq!(findings("| a | b | none | [`floods_end`](../crates/a/tests/it/flood.rs) |"), none);
    }

    #[test]
    fn a_row_without_them_fails() {
        for (row, says) in [
            ("| a | b | `MAX_GONE` | [`floods_end`](../crates/a/tests/it/flood.rs) |", "no constant"),
            ("| a | b | none | [`floods`](../crates/a/tests/it/flood.rs) |", "no test `floods`"),
            ("| a | b | none | [`helper`](../crates/a/tests/it/flood.rs) |", "no test `helper`"),
            ("| a | b | none | [`floods_end`](../crates/a/gone.rs) |", "no test"),
            ("| a | b | none | later |", "no test is named"),
            ("| a | b | [`floods_end`](../crates/a/tests/it/flood.rs) |", "a row has"),
            ("", "no table"),
        ] {
            let found = findings(row);
            assert!(found.iter().any(|message| message.contains(says)), "{row}: {found:?}");
        }
    }
}
