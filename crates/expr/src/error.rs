//! What is wrong with an expression, where, and what to do.

use std::fmt;

use crate::limits;

/// One fault in the source of an expression.
///
/// It displays as one line; [`ExprError::render`] shows the source with a caret below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// Byte offset of the first byte at fault.
    pub start: usize,
    /// One past the last byte at fault; equal to `start` where something is missing.
    pub end: usize,
    /// Line of `start`, from 1.
    pub line: usize,
    /// Column of `start` in characters, from 1.
    pub column: usize,
    /// What is wrong and what to do about it.
    pub message: String,
    /// What to write instead of the bytes at fault, where there is a good guess.
    pub suggestion: Option<String>,
}

impl ExprError {
    /// The message, the line of the source, carets under the fault, and the suggestion: several lines without a final newline.
    pub fn render(&self, source: &str) -> String {
        let line = source.lines().nth(self.line - 1).unwrap_or("");
        let before: String =
            line.chars().take(self.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let at_fault = source.get(self.start..self.end).unwrap_or("");
        let width = at_fault.lines().next().unwrap_or("").chars().count().max(1);
        let mut text = format!("{}\n  {line}\n  {before}{}", self.message, "^".repeat(width));
        if let Some(suggestion) = &self.suggestion {
            text.push_str(&format!("\n  did you mean `{suggestion}`?"));
        }
        text
    }
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean `{suggestion}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ExprError {}

/// A half-open range of bytes of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Position {
    /// From the start of `self` to the end of `last`.
    pub(crate) fn to(self, last: Position) -> Position {
        Position { start: self.start, end: last.end }
    }
}

/// A fault before its line and column are known.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) at: Position,
    pub(crate) message: String,
    pub(crate) suggestion: Option<String>,
}

impl Fault {
    pub(crate) fn new(at: Position, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), suggestion: None }
    }

    pub(crate) fn suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }

    pub(crate) fn locate(self, source: &str) -> ExprError {
        let before = source.get(..self.at.start).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ExprError {
            start: self.at.start,
            end: self.at.end,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: self.message,
            suggestion: self.suggestion,
        }
    }
}

/// The candidate nearest to `name`, unless all are further than a slip of the fingers.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let allowed = limits::MAX_SUGGESTION_DISTANCE.min(name.chars().count().div_ceil(3));
    candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Insertions, deletions and replacements between two names, case aside; names too unlike in length are not compared.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().map(|c| c.to_ascii_lowercase()).collect();
    let right: Vec<char> = right.chars().map(|c| c.to_ascii_lowercase()).collect();
    if left.len().abs_diff(right.len()) > limits::MAX_SUGGESTION_DISTANCE {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(l != r);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("Name", "name"), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("a", "abcdefgh"), usize::MAX);
    }

    #[test]
    fn columns_count_characters_and_lines() {
        let source = "true &&\n  \"é\" + nme";
        let at = Position { start: source.find("nme").unwrap(), end: source.len() };
        let error = Fault::new(at, "unknown").locate(source);
        assert_eq!((error.line, error.column), (2, 9));
        assert_eq!(error.render(source), "unknown\n    \"é\" + nme\n          ^^^");
    }
}
