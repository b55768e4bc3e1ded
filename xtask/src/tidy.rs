//! The house rules that no compiler checks. Each rule is a pure function from the files of the repository to what it
//! found wrong, with a test beside it that shows it can fail; the test `tidy` in `tests/it` runs them all.
//!
//! Not here: formatting (rustfmt), function length and `mod.rs`-style lints (clippy reads `clippy.toml`).

pub mod facade;
pub mod layers;
pub mod links;
pub mod names;
pub mod promises;
pub mod purity;
pub mod security;
pub mod sizes;
pub mod testdata;
pub mod tree;
pub mod words;

use std::fmt;

pub use tree::Tree;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Path from the root, with `:line` where a line is to blame.
    pub place: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    /// A finding about a whole file.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }

    /// A finding about one line, counted from 0 as `lines().enumerate()` does.
    pub fn at(path: &str, line_index: usize, message: impl Into<String>) -> Self {
        Self::new(format!("{path}:{}", line_index + 1), message)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// A rule: reads the tree, returns what is wrong.
pub type Rule = fn(&Tree) -> Vec<Finding>;

/// Every rule, by the name of its module.
pub const RULES: [(&str, Rule); 9] = [
    ("layers", layers::check),
    ("purity", purity::check),
    ("sizes", sizes::check),
    ("names", names::check),
    ("words", words::check),
    ("links", links::check),
    ("testdata", testdata::check),
    ("promises", promises::check),
    ("security", security::check),
];

/// All findings of all rules.
pub fn check(tree: &Tree) -> Vec<Finding> {
    RULES.iter().flat_map(|(_, rule)| rule(tree)).collect()
}

/// `cargo xtask tidy`.
///
/// # Errors
/// The repository cannot be read.
pub fn command() -> Result<bool, String> {
    let tree = Tree::read(&crate::root())?;
    let mut clean = true;
    for (name, rule) in RULES {
        let findings = rule(&tree);
        println!(
            "{name:<10} {}",
            if findings.is_empty() { "ok".into() } else { format!("{} wrong", findings.len()) }
        );
        for finding in &findings {
            println!("  {finding}");
        }
        clean &= findings.is_empty();
    }
    Ok(clean)
}
