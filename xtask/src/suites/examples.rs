//! Every example of every crate, run to its end.

use super::Tally;
use super::run::watched;
use crate::tidy::Tree;
use std::process::Command;
use std::time::Duration;

/// Longest time for one example, its build included.
const LIMIT: Duration = Duration::from_secs(5 * 60);

pub(super) fn run() -> Tally {
    let tree = match Tree::read(&crate::root()) {
        Ok(tree) => tree,
        Err(reason) => return Tally::not_run(reason),
    };
    let mut tally = Tally::default();
    for file in tree.ending(".rs") {
        let Some((manifest, example)) = example(&file.path) else { continue };
        let mut command = Command::new("cargo");
        command.args(["run", "--quiet", "--manifest-path", &manifest, "--example", example]);
        let ended = watched(&mut command, LIMIT, |_| true);
        println!("example {} ... {}", file.path, if ended.success { "ok" } else { "FAILED" });
        tally.passed += u64::from(ended.success);
        tally.failed += u64::from(!ended.success);
    }
    if tally == Tally::default() {
        return Tally::not_run("there is no example");
    }
    tally
}

/// The manifest and the name of an example, from its path.
fn example(path: &str) -> Option<(String, &str)> {
    let (folder, name) = path.split_once("/examples/")?;
    let name = name.strip_suffix(".rs").map(|name| name.strip_suffix("/main").unwrap_or(name))?;
    (folder.starts_with("crates/") && !name.contains('/')).then(|| (format!("{folder}/Cargo.toml"), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_found_by_path() {
        let manifest = || "crates/a/Cargo.toml".to_owned();
        assert_eq!(example("crates/a/examples/x.rs"), Some((manifest(), "x")));
        assert_eq!(example("crates/a/examples/y/main.rs"), Some((manifest(), "y")));
        assert_eq!(example("crates/a/examples/y/part.rs"), None);
        assert_eq!(example("crates/a/src/x.rs"), None);
    }
}
