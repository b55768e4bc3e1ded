//! What is wrong with a configuration, and where.

pub mod mask;
mod secrets;

use std::fmt::{self, Write as _};

use crate::limits::MAX_PROBLEMS;
use secrets::Secrets;

/// A place in a file: one line and the characters on it that are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1. Zero where there is no place: the file as a whole.
    pub line: u32,
    /// First character on the line, from 1.
    pub column: u32,
    /// How many characters are meant, at least 1.
    pub width: u32,
}

/// Whether a problem keeps a configuration from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It does not start.
    Error,
    /// It starts, and somebody should look.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One problem of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it keeps the configuration from starting.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// The key path to it, such as `receivers.otlp.protocols.grpc`; empty at the top.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// All problems of a configuration, in the order of the file once [`Diagnostics::sort`] has run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    untold: usize,
    secrets: Secrets,
}

impl Diagnostics {
    /// Says `instead` wherever a message would quote this text from now on.
    pub fn conceal(&mut self, text: &str, instead: &str) {
        self.secrets.add(text, instead);
    }

    /// Adds an error. An empty `help` is none.
    pub fn error(&mut self, place: Place, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Error, place, path, &message.into(), &help.into());
    }

    /// Adds a warning. An empty `help` is none.
    pub fn warning(&mut self, place: Place, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Warning, place, path, &message.into(), &help.into());
    }

    fn push(&mut self, severity: Severity, place: Place, path: &str, message: &str, help: &str) {
        if self.list.len() >= MAX_PROBLEMS {
            self.untold += 1;
            return;
        }
        let message = self.secrets.hidden_in(message);
        let help = Some(self.secrets.hidden_in(help)).filter(|help| !help.is_empty());
        let problem = Diagnostic { severity, place, path: path.to_owned(), message, help };
        if !self.list.contains(&problem) {
            self.list.push(problem);
        }
    }

    /// Whether there is an error among them.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many of this severity are told.
    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|problem| problem.severity == severity).count()
    }

    /// How many more there were than are told ([`MAX_PROBLEMS`]).
    pub fn untold(&self) -> usize {
        self.untold
    }

    /// Puts them into the order of the file.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|problem| (problem.place, problem.severity));
    }

    /// The problems.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Takes over the problems of another list.
    pub fn append(&mut self, other: Diagnostics) {
        self.untold += other.untold;
        for problem in other.list {
            if self.list.len() < MAX_PROBLEMS {
                self.list.push(problem);
            } else {
                self.untold += 1;
            }
        }
    }
}

/// How problems are written for people.
#[derive(Clone, Copy, Debug)]
pub struct Rendering<'a> {
    /// The file's name as the reader knows it.
    pub file: &'a str,
    /// The file's text, for the lines that are shown.
    pub source: &'a str,
    /// Whether to colour with ANSI escapes.
    pub color: bool,
}

impl Rendering<'_> {
    /// Writes one problem: `file:line:column: error: …`, the line with a caret under what is meant, the key path, and what to
    /// do.
    pub fn write(&self, out: &mut String, problem: &Diagnostic) {
        let paint = |code: &'static str| if self.color { code } else { "" };
        let tone = match problem.severity {
            Severity::Error => paint("\x1b[1;31m"),
            Severity::Warning => paint("\x1b[1;33m"),
        };
        let (bold, dim, off) = (paint("\x1b[1m"), paint("\x1b[34m"), paint("\x1b[0m"));
        let Place { line, column, width } = problem.place;
        // Writing to a String cannot fail.
        let _ = match line {
            0 => write!(out, "{bold}{}: {off}", self.file),
            _ => write!(out, "{bold}{}:{line}:{column}: {off}", self.file),
        };
        let _ = writeln!(out, "{tone}{}{off}{bold}: {}{off}", problem.severity.name(), problem.message);
        // Terminals act on control characters, and secrets are nobody's to read.
        let shown = (line as usize).checked_sub(1).and_then(|index| mask::line(self.source, index));
        if let Some(text) = shown {
            let gutter = line.to_string().len().max(3);
            let text = text.replace(char::is_control, " ");
            let indent = (column as usize).saturating_sub(1);
            let carets = (width as usize).clamp(1, text.chars().count().saturating_sub(indent).max(1));
            let _ = writeln!(out, "{dim}{line:>gutter$} |{off} {text}");
            let _ = writeln!(out, "{dim}{:gutter$} |{off} {:indent$}{tone}{:^<carets$}{off}", "", "", "");
        }
        if !problem.path.is_empty() {
            let _ = writeln!(out, "    {dim}={off} in {}", problem.path);
        }
        if let Some(help) = &problem.help {
            let _ = writeln!(out, "    {dim}={off} {bold}help:{off} {help}");
        }
    }

    /// Writes all problems, then how many there are more.
    pub fn write_all(&self, problems: &Diagnostics) -> String {
        let mut out = String::new();
        for problem in problems.iter() {
            self.write(&mut out, problem);
        }
        if problems.untold() > 0 {
            let _ = writeln!(out, "… and {} more", problems.untold());
        }
        out
    }
}

/// One line, for logs and as an error's text: `line:column: error: message (help)`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.line > 0 {
            write!(f, "{}:{}: ", self.place.line, self.place.column)?;
        }
        write!(f, "{}: {}", self.severity.name(), self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// The word among `known` that was most likely meant by `word`: nearest by edit distance, at most a third of its length
/// away (two for short words).
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '.', ' '], "_");
    let asked = plain(word);
    let reach = (asked.chars().count() / 3).max(2);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&asked, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= reach && *distance < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

/// "did you mean `x`?" or, with nothing near, the list of what there is.
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(word, known.clone()) {
        return format!("did you mean `{near}`?");
    }
    let list: Vec<String> = known.into_iter().map(|word| format!("`{word}`")).collect();
    if list.is_empty() { String::new() } else { format!("there is {}", list.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_typos_and_nothing_else() {
        let known = ["send_batch_size", "send_batch_max_size", "timeout"];
        assert_eq!(nearest("send_batch_sise", known), Some("send_batch_size"));
        assert_eq!(nearest("send-batch-size", known), Some("send_batch_size"));
        assert_eq!(nearest("tiemout", known), Some("timeout"));
        assert_eq!(nearest("endpoint", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn a_rendered_problem_points_at_its_characters() {
        let problem = Diagnostic {
            severity: Severity::Error,
            place: Place { line: 2, column: 3, width: 4 },
            path: "a".into(),
            message: "no such key".into(),
            help: Some("say `good`".into()),
        };
        let mut out = String::new();
        Rendering { file: "f.yaml", source: "a:\n  evil: 1\n", color: false }.write(&mut out, &problem);
        let want = "f.yaml:2:3: error: no such key\n  2 |   evil: 1\n    |   ^^^^\n    = in a\n    = help: say `good`\n";
        assert_eq!(out, want);
    }

    #[test]
    fn problems_are_told_once_and_bounded() {
        let mut problems = Diagnostics::default();
        for _ in 0..2 {
            problems.error(Place::default(), "", "the same", "");
        }
        assert_eq!(problems.count(Severity::Error), 1);
        for i in 0..2 * MAX_PROBLEMS {
            problems.warning(Place::default(), "", format!("{i}"), "");
        }
        assert_eq!(problems.iter().count(), MAX_PROBLEMS);
        assert_eq!(problems.untold(), MAX_PROBLEMS + 1);
    }
}
