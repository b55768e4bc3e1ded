//! Names: a file is named after one noun. `util` and its like name nothing, `mod.rs` names nothing either.

use super::{Finding, Tree};

const EMPTY_NAMES: [&str; 8] = ["util", "utils", "common", "helper", "helpers", "misc", "shared", "mod"];

/// No file or folder with a name that says nothing.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for part in file.path.split('/') {
            let stem = part.split('.').next().unwrap_or(part);
            if EMPTY_NAMES.contains(&stem) {
                findings.push(Finding::new(
                    &file.path,
                    format!("`{part}` says nothing: name it after what it holds"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_names_fail_as_file_and_as_folder() {
        let bad = [
            "crates/a/src/util.rs",
            "crates/common/Cargo.toml",
            "crates/a/src/x/mod.rs",
            "tests/helpers/a.py",
        ];
        for path in bad {
            assert_eq!(check(&Tree::of(&[(path, "")])).len(), 1, "{path}");
        }
        assert_eq!(
            check(&Tree::of(&[("crates/a/src/model.rs", ""), ("crates/a/src/utilisation.rs", "")])),
            []
        );
    }
}
