//! Purity: the crates named under `## Pure crates` of `ARCHITECTURE.md` read no clock, open nothing, start no thread.
//! Time is an argument there, and bytes come and go as values.

use super::{Finding, Tree};

const IMPURE: [&str; 9] = [
    "std::net",
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "Instant::now",
    "SystemTime",
    "tokio::",
    "hyper::",
];

/// No impure name in what ships of a pure crate.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let crates = pure_crates(tree.text("ARCHITECTURE.md").unwrap_or_default());
    let mut findings = Vec::new();
    for file in tree.ending(".rs").filter(|file| file.is_production()) {
        if !crates.iter().any(|name| file.path.starts_with(&format!("crates/{name}/src/"))) {
            continue;
        }
        for (number, line) in file.production_lines() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for name in IMPURE.iter().filter(|name| line.contains(**name)) {
                findings.push(Finding::at(
                    &file.path,
                    number,
                    format!("`{name}` in a pure crate: take it as an argument"),
                ));
            }
        }
    }
    findings
}

fn pure_crates(architecture: &str) -> Vec<&str> {
    let section = architecture.split("## Pure crates\n").nth(1).unwrap_or_default();
    let line = section.lines().find(|line| line.starts_with('`')).unwrap_or_default();
    line.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: (&str, &str) = ("ARCHITECTURE.md", "## Pure crates\n\n`otlp` `expr`\n");

    #[test]
    fn a_clock_in_a_pure_crate_fails_and_in_its_tests_passes() {
        let clock = "fn f() { std::time::Instant::now(); }\n";
        let tested = format!("fn g() {{}}\n#[cfg(test)]\nmod tests {{ {clock} }}\n");
        let tree = Tree::of(&[
            MAP,
            ("crates/otlp/src/a.rs", clock),
            ("crates/otlp/src/b.rs", &tested),
            ("crates/otlp/src/c/tests.rs", clock),
            ("crates/pipeline/src/a.rs", clock),
        ]);
        let findings = check(&tree);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].place, "crates/otlp/src/a.rs:1");
    }

    #[test]
    fn the_line_of_pure_crates_is_read() {
        assert_eq!(pure_crates(MAP.1), ["otlp", "expr"]);
    }
}
