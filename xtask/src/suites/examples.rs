//! Every example of every crate, run to its end.

use super::Tally;
use super::cargo_tests::programs;
use super::run::watched;
use crate::tidy::Tree;
use std::process::Command;
use std::time::Duration;

/// Longest time for one example.
const LIMIT: Duration = Duration::from_secs(15 * 60);

pub(super) fn run() -> Tally {
    let tree = match Tree::read(&crate::root()) {
        Ok(tree) => tree,
        Err(reason) => return Tally::not_run(reason),
    };
    if !programs() {
        return Tally::one(false);
    }
    let mut tally = Tally::default();
    for file in tree.ending(".rs") {
        let Some(example) = example(&file.path) else { continue };
        let built = crate::target_dir().join("debug/examples").join(example);
        let ended = watched(&mut Command::new(built), LIMIT, |_| true);
        println!("example {} ... {}", file.path, if ended.success { "ok" } else { "FAILED" });
        tally.passed += u64::from(ended.success);
        tally.failed += u64::from(!ended.success);
    }
    if tally == Tally::default() {
        return Tally::not_run("there is no example");
    }
    tally
}

/// The name of an example, from its path.
fn example(path: &str) -> Option<&str> {
    let (folder, name) = path.split_once("/examples/")?;
    let name = name.strip_suffix(".rs").map(|name| name.strip_suffix("/main").unwrap_or(name))?;
    (folder.starts_with("crates/") && !name.contains('/')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_found_by_path() {
        assert_eq!(example("crates/a/examples/x.rs"), Some("x"));
        assert_eq!(example("crates/a/examples/y/main.rs"), Some("y"));
        assert_eq!(example("crates/a/examples/y/part.rs"), None);
        assert_eq!(example("crates/a/src/x.rs"), None);
    }
}
