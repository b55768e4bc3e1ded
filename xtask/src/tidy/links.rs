//! Links: every relative link of a Markdown file leads to a file or folder of the repository, and a link into a
//! Markdown file's heading leads to a heading that is there.

use super::{Finding, Tree};

/// Relative links resolve.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.ending(".md") {
        let mut fenced = false;
        for (number, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            if fenced {
                continue;
            }
            for target in targets(line) {
                if let Some(problem) = broken(tree, file.folder(), &file.path, target) {
                    findings.push(Finding::at(&file.path, number, problem));
                }
            }
        }
    }
    findings
}

/// The targets of the inline links in a line.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next())
}

fn broken(tree: &Tree, folder: &str, own: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, heading) =
        target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
    let full = if path.is_empty() { own.to_owned() } else { resolve(folder, path)? };
    if !tree.has(&full) {
        return Some(format!("link to `{target}`: no such file or folder"));
    }
    let text = tree.text(&full).filter(|_| full.ends_with(".md"))?;
    let heading = heading?;
    let found = text.lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == heading);
    (!found).then(|| format!("link to `{target}`: no such heading in {full}"))
}

/// A path relative to a folder of the repository; `None` leads out of it and cannot be checked.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The anchor that forges give to a heading: lower case, spaces as hyphens, punctuation gone.
fn slug(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    words
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> usize {
        check(&Tree::of(&[("docs/a.md", text), ("docs/b.md", "## One Thing, twice\n"), ("src/x.rs", "")]))
            .len()
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        for text in [
            "[b](b.md)",
            "[b](./b.md#one-thing-twice)",
            "[x](../src/x.rs)",
            "[s](../src)",
            "[w](https://x.y/z)",
        ] {
            assert_eq!(findings(text), 0, "{text}");
        }
        assert_eq!(findings("```\n[b](gone.md)\n```\n"), 0);
    }

    #[test]
    fn links_that_lead_nowhere_fail() {
        for text in ["[b](gone.md)", "[b](b.md#two)", "[x](src/x.rs)", "[a](#gone)"] {
            assert_eq!(findings(text), 1, "{text}");
        }
    }
}
