//! Sizes: a file that ships stays below [`FILE_LINES_MAX`] lines, its inline tests not counted, and the inline tests below
//! [`INLINE_TEST_LINES_MAX`] (more go to `foo/tests.rs`). Clippy holds functions to 70 (`clippy.toml`).

use super::{Finding, Tree};

/// Most lines of a production file, inline tests excluded.
pub const FILE_LINES_MAX: usize = 600;
/// Most lines of the tests inside a production file.
pub const INLINE_TEST_LINES_MAX: usize = 200;

/// No file outgrows its limit.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.ending(".rs").filter(|file| file.is_production()) {
        let ships = file.production_lines().count();
        let tests = file.text.lines().count() - ships;
        if ships > FILE_LINES_MAX {
            findings.push(Finding::new(
                &file.path,
                format!("{ships} lines, at most {FILE_LINES_MAX}: split it by noun"),
            ));
        }
        if tests > INLINE_TEST_LINES_MAX {
            let message = format!(
                "{tests} lines of inline tests, at most {INLINE_TEST_LINES_MAX}: move them to tests.rs"
            );
            findings.push(Finding::new(&file.path, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_and_long_inline_tests_fail() {
        let line = "fn f() {}\n";
        let fits = line.repeat(FILE_LINES_MAX);
        let long = line.repeat(FILE_LINES_MAX + 1);
        let tests = format!("fn f() {{}}\n#[cfg(test)]\n{}", line.repeat(INLINE_TEST_LINES_MAX));
        let tree = Tree::of(&[
            ("crates/a/src/fits.rs", &fits),
            ("crates/a/src/long.rs", &long),
            ("crates/a/src/tests.rs", &long),
            ("crates/a/tests/it/main.rs", &long),
            ("crates/a/src/tested.rs", &tests),
        ]);
        let places: Vec<String> = check(&tree).into_iter().map(|f| f.place).collect();
        assert_eq!(places, ["crates/a/src/long.rs", "crates/a/src/tested.rs"]);
    }
}
