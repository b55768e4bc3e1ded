//! Words that have no place in what is committed: unfinished work, the machine it was written on, and where its
//! dependencies were fetched.

use super::{Finding, Tree};

/// Files that hold the words on purpose or by machine: this one, and lock files.
const EXEMPT: [&str; 2] = ["xtask/src/tidy/words.rs", "Cargo.lock"];

const WORDS: [(&str, &str); 17] = [
    ("FIXME", "unfinished work: finish it or take it out"),
    ("TBD", "unfinished work: finish it or take it out"),
    ("XXX", "unfinished work: finish it or take it out"),
    ("dbg!", "left over from debugging"),
    ("session", "says nothing here (a gap-based window is a `session window`)"),
    ("/work/", "a path of one machine"),
    ("/root/", "a path of one machine"),
    ("/home/", "a path of one machine"),
    ("/Users/", "a path of one machine"),
    ("artifactory", "a registry's address: the client's configuration knows it"),
    ("index.crates.io", "a registry's address: the client's configuration knows it"),
    ("static.crates.io", "a registry's address: the client's configuration knows it"),
    ("registry.npmjs.org", "a registry's address: the client's configuration knows it"),
    ("pypi.org", "a registry's address: the client's configuration knows it"),
    ("files.pythonhosted.org", "a registry's address: the client's configuration knows it"),
    ("proxy.golang.org", "a registry's address: the client's configuration knows it"),
    ("sum.golang.org", "a registry's address: the client's configuration knows it"),
];

/// Phrases that hold a banned word and are fine: the field's own terms.
const FINE: [&str; 9] = [
    "session window",
    "Session window",
    "session.id",
    "session_id",
    "WindowConfig::Session",
    "SessionWindow",
    "session.previous_id",
    "TLS session",
    "requests.Session",
];

/// No banned word in a text file.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| !EXEMPT.iter().any(|name| file.path.ends_with(name))) {
        if file.path.contains("/testdata/") || file.path.contains("/corpus/") {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            let line = FINE.iter().fold(line.to_owned(), |line, fine| line.replace(fine, ""));
            for (word, why) in WORDS.iter().filter(|(word, _)| has_word(&line, word)) {
                findings.push(Finding::at(&file.path, number, format!("`{word}`: {why}")));
            }
        }
    }
    findings
}

/// Whether `word` begins a word of the line, whatever the case: `Sessions` counts, `obsession` does not, nor does a path
/// that goes on to the left (`src/work/x`). Capitals are taken as they are, and as whole words.
fn has_word(line: &str, word: &str) -> bool {
    let capitals = word.bytes().all(|b| b.is_ascii_uppercase());
    let line = if capitals { line.to_owned() } else { line.to_lowercase() };
    let word = if capitals { word.to_owned() } else { word.to_lowercase() };
    line.match_indices(&word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let begins = !before.is_some_and(|c| c.is_alphanumeric() || "_.".contains(c));
        let ends = !capitals || !after.is_some_and(|c| c.is_alphanumeric() || c == '_');
        begins && ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        check(&Tree::of(&[("a.md", text)])).len()
    }

    #[test]
    fn every_banned_word_is_found() {
        for (word, _) in WORDS {
            assert_eq!(count(&format!("see {word}\n")), 1, "{word}");
        }
        assert_eq!(count("Sessions end\n"), 1);
        assert_eq!(count("cd /work/main\n"), 1);
    }

    #[test]
    fn the_fields_terms_and_longer_words_pass() {
        let fine = ["session windows", "`session.id`", "an obsession", "src/work/x.rs", "aaTBDaa", "XXXL"];
        for text in fine {
            assert_eq!(count(text), 0, "{text}");
        }
    }

    #[test]
    fn a_finding_names_file_and_line() {
        let findings = check(&Tree::of(&[("a.rs", "fn f() {}\n// FIXME later\n")]));
        assert_eq!(findings[0].place, "a.rs:2");
    }
}
