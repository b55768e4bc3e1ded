//! Test data: every file under a `testdata` folder is read by a test, every fuzz corpus belongs to a fuzz target.
//!
//! A file counts as read when a source file of its crate names it, or reads the folder it is in: names the folder (or
//! one above it), as `testdata/<folder>` or for what lies there directly as `testdata`, and calls `read_dir`.

use super::tree::File;
use super::{Finding, Tree};

const SOURCES: [&str; 5] = [".rs", ".py", ".js", ".mjs", ".go"];

/// No dead test data.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let sources: Vec<&File> =
        tree.files.iter().filter(|file| SOURCES.iter().any(|end| file.path.ends_with(end))).collect();
    let mut findings = Vec::new();
    for file in &tree.files {
        if let Some((home, inside)) = file.path.split_once("testdata/") {
            let whole = format!("testdata/{inside}");
            // Of `testdata/a/b/c`: `testdata/a/b` and `testdata/a`; `testdata` only for what lies in it directly.
            let depth = whole.matches('/').count();
            let folders: Vec<&str> = whole.match_indices('/').map(|(at, _)| &whole[..at]).collect();
            let folders = if depth == 1 { &folders[..] } else { &folders[1..] };
            let read = sources.iter().filter(|source| source.path.starts_with(home)).any(|source| {
                source.text.contains(file.name())
                    || folders.iter().any(|folder| reads_folder(&source.text, folder))
            });
            if !read && file.name() != "README.md" {
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

/// Whether a source reads every file of a folder.
fn reads_folder(source: &str, folder: &str) -> bool {
    source.contains("read_dir(") && source.contains(&format!("{folder}\""))
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
                "include_bytes!(\"../../testdata/one.bin\"); read_dir(\"testdata/scripts\");",
            ),
            ("crates/b/testdata/deep/er/x.yaml", ""),
            ("crates/b/tests/it/main.rs", "read_dir(root.join(\"testdata/deep\").join(name));"),
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
            ("crates/a/tests/it/main.rs", "read_dir(\"testdata/other\");"),
            ("crates/a/tests/it/named.rs", "run(\"testdata/scripts\");"),
            ("crates/b/tests/it/main.rs", "read_dir(\"testdata/scripts\");"),
            ("fuzz/corpus/gone/seed", ""),
        ]);
        assert_eq!(check(&tree).len(), 3, "{:?}", check(&tree));
    }
}
