//! `ci/expected-skips`: the skips that continuous integration accepts, one `name: reason` a line.

use std::path::Path;

/// The accepted skips.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    names: Vec<String>,
}

impl Expected {
    /// Reads the file; an absent file accepts nothing.
    ///
    /// # Errors
    /// A line without a reason.
    pub fn read(path: &Path) -> Result<Self, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|e| format!("{}: {e}", path.display())),
            Err(_) => Ok(Self::default()),
        }
    }

    /// Reads `name: reason` lines; `#` begins a comment. The name is that of a suite, or `suite: test`.
    ///
    /// # Errors
    /// A line without a reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut names = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, reason) =
                line.rsplit_once(": ").ok_or_else(|| format!("line {}: no reason", number + 1))?;
            if reason.trim().is_empty() {
                return Err(format!("line {}: no reason", number + 1));
            }
            names.push(name.trim().to_owned());
        }
        Ok(Self { names })
    }

    /// Whether this skip is accepted.
    pub fn lists(&self, name: &str) -> bool {
        self.names.iter().any(|listed| listed == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_needs_a_reason() {
        assert!(Expected::parse("fuzz\n").is_err());
        assert!(Expected::parse("fuzz:  \n").is_err());
        let expected = Expected::parse("# why\n\nfuzz: no nightly\nrust: a::b: no data\n").unwrap();
        assert!(expected.lists("fuzz") && expected.lists("rust: a::b") && !expected.lists("rust"));
    }
}
