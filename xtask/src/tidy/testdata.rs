//! Test data: every file under a `testdata` folder is read by a test, every fuzz corpus belongs to a fuzz target.
//!
//! A file counts as read when a source file names it, or names the folder it is in (as `testdata/<folder>`, for tests that
//! run every script of a folder).

use super::{Finding, Tree};

const SOURCES: [&str; 5] = [".rs", ".py", ".js", ".mjs", ".go"];

/// No dead test data.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let sources: Vec<&str> = tree
        .files
        .iter()
        .filter(|file| SOURCES.iter().any(|end| file.path.ends_with(end)))
        .map(|file| file.text.as_str())
        .collect();
    let named = |words: &str| sources.iter().any(|text| text.contains(words));
    let mut findings = Vec::new();
    for file in &tree.files {
        if let Some((_, inside)) = file.path.split_once("testdata/") {
            let by_folder = inside.rsplit_once('/').is_some_and(|(folder, _)| {
                let first = folder.split('/').next().unwrap_or(folder);
                named(&format!("testdata/{folder}")) || named(&format!("testdata/{first}\""))
            });
            if !named(file.name()) && !by_folder && file.name() != "README.md" {
                findings.push(Finding::new(&file.path, "is read by no test: read it or delete it"));
            }
        }
        if let Some((folder, rest)) = file.path.split_once("fuzz/corpus/") {
            let target = rest.split('/').next().unwrap_or(rest);
            if !tree.has(&format!("{folder}fuzz/fuzz_targets/{target}.rs")) {
                findings.push(Finding::new(&file.path, format!("there is no fuzz target `{target}`")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_is_named_or_whose_folder_is_named_passes() {
        let tree = Tree::of(&[
            ("crates/a/testdata/one.bin", ""),
            ("crates/a/testdata/scripts/x.script", ""),
            (
                "crates/a/tests/it/main.rs",
                "include_bytes!(\"../../testdata/one.bin\"); run(\"testdata/scripts\");",
            ),
            ("fuzz/corpus/check/seed", ""),
            ("fuzz/fuzz_targets/check.rs", ""),
        ]);
        assert_eq!(check(&tree), []);
    }

    #[test]
    fn dead_data_and_an_orphaned_corpus_fail() {
        let tree = Tree::of(&[
            ("crates/a/testdata/one.bin", ""),
            ("crates/a/testdata/scripts/x.script", ""),
            ("crates/a/tests/it/main.rs", "run(\"testdata/other\");"),
            ("fuzz/corpus/gone/seed", ""),
        ]);
        assert_eq!(check(&tree).len(), 3, "{:?}", check(&tree));
    }
}
