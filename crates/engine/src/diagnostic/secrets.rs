//! Texts that no message may quote.

use std::{cmp::Reverse, collections::BTreeMap, fmt};

/// Characters of the shortest text that is looked for anywhere in a message; what is shorter stands in words that have nothing to do
/// with it.
const MIN_CHARS: usize = 8;

/// Characters of the shortest text that is looked for where a message quotes something.
const MIN_QUOTED_CHARS: usize = 3;

/// Texts, and what is said instead of them; the longest first, as it may hold others.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Secrets(BTreeMap<(Reverse<usize>, String), String>);

impl Secrets {
    /// Hides a text, and what messages make of it: its first characters on one line, and the form with escapes.
    pub(super) fn add(&mut self, text: &str, instead: &str) {
        let escaped = format!("{text:?}");
        let escaped = &escaped[1..escaped.len() - 1];
        let start = crate::yaml::scalar::shorten(text);
        for form in [text, text.trim(), escaped, start.trim_end_matches('…')] {
            let chars = form.chars().count();
            if chars >= MIN_CHARS {
                self.put(form.to_owned(), instead.to_owned());
            } else if chars >= MIN_QUOTED_CHARS {
                self.put(format!("`{form}`"), format!("`{instead}`"));
                self.put(format!("\"{form}\""), format!("\"{instead}\""));
            }
        }
    }

    fn put(&mut self, text: String, instead: String) {
        self.0.entry((Reverse(text.len()), text)).or_insert(instead);
    }

    /// A message without any of them, and without the users and passwords of URLs.
    pub(super) fn hidden_in(&self, message: &str) -> String {
        let mut message = super::mask::without_userinfo(message);
        for ((_, text), instead) in &self.0 {
            if message.contains(text.as_str()) {
                message = message.replace(text.as_str(), instead);
            }
        }
        message
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}
