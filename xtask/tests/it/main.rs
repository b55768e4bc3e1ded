//! The repository against its own rules.
#![forbid(unsafe_code)]

mod surface;

use xtask::tidy::{self, Tree};

#[test]
fn tidy() {
    let tree = Tree::read(&xtask::root()).expect("the repository is readable");
    let findings: Vec<String> = tidy::check(&tree).iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{} wrong:\n{}", findings.len(), findings.join("\n"));
}
