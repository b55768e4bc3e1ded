//! The `ot` entry of a W3C trace state, where samplers tell each other what they did.
//!
//! Rules: OpenTelemetry specification, *TraceState Handling*; W3C Trace Context level 2, §3.3 and §3.5.

use std::fmt::Write;

use super::{Randomness, Threshold};
use crate::limits::{MAX_OT_ENTRY_BYTES, MAX_TRACE_STATE_MEMBERS};

/// What the `ot` entry of a trace state says about sampling.
///
/// An entry that breaks the grammar, or is longer than 256 bytes, says nothing. A `th` or `rv` whose digits are wrong is
/// as good as absent, and the other sub-keys still count.
///
/// ```
/// use aldis_operators::sample::{OtelState, Threshold};
///
/// let state = "vendor=1,ot=th:8;rv:d29d6a7215ced0;pn:abc";
/// let read = OtelState::read(state);
/// assert_eq!(read.threshold, Threshold::parse("8"));
///
/// let mut written = String::new();
/// read.write(state, Threshold::parse("c"), &mut written);
/// assert_eq!(written, "ot=rv:d29d6a7215ced0;th:c;pn:abc,vendor=1");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OtelState<'a> {
    /// `th`: the threshold applied so far. `None` means the probability is unknown.
    pub threshold: Option<Threshold>,
    /// `rv`: randomness stated beside the trace id.
    pub randomness: Option<Randomness>,
    /// The value of the entry if it keeps the grammar, else empty.
    pub(super) entry: &'a str,
}

impl<'a> OtelState<'a> {
    /// Reads a whole trace state. Of several `ot` entries the first counts.
    pub fn read(trace_state: &'a str) -> Self {
        // Most spans have none, and this is asked of every one of them.
        if trace_state.is_empty() {
            return Self::default();
        }
        members(trace_state).find_map(value_of_ot).map_or(Self::default(), Self::read_entry)
    }

    fn read_entry(entry: &'a str) -> Self {
        let mut state = Self { entry, ..Self::default() };
        if entry.len() > MAX_OT_ENTRY_BYTES || !sub_keys(entry).all(is_well_formed) {
            return Self::default();
        }
        state.threshold = only(entry, "th").and_then(Threshold::parse);
        state.randomness = only(entry, "rv").and_then(Randomness::parse);
        state
    }

    /// Replaces `th` (`None` erases it) in the trace state that this was read from, and appends the result to `out`.
    ///
    /// `rv` and sub-keys of other concerns are kept. The entry moves to the front, as W3C wants it of whoever changes
    /// one; other vendors' entries follow as they were. Beyond 32 entries the rightmost goes. Where the entry would grow
    /// past 256 bytes, `th` is left out: an unknown probability is better than a wrong one.
    pub fn write(&self, trace_state: &str, threshold: Option<Threshold>, out: &mut String) {
        let start = out.len();
        out.push_str("ot=");
        let value = out.len();
        if self.write_entry(threshold, out) > MAX_OT_ENTRY_BYTES {
            out.truncate(value);
            self.write_entry(None, out);
        }
        let own = usize::from(out.len() > value);
        if own == 0 {
            out.truncate(start);
        }
        let others = members(trace_state).filter(|member| value_of_ot(member).is_none());
        for member in others.take(MAX_TRACE_STATE_MEMBERS - own) {
            if out.len() > start {
                out.push(',');
            }
            out.push_str(member);
        }
    }

    /// Writes the entry's value and returns its length.
    fn write_entry(&self, threshold: Option<Threshold>, out: &mut String) -> usize {
        let start = out.len();
        let separate = |out: &mut String| {
            if out.len() > start {
                out.push(';');
            }
        };
        // Writing to a `String` does not fail.
        if let Some(rv) = self.randomness {
            let _ = write!(out, "rv:{rv}");
        }
        if let Some(th) = threshold {
            separate(out);
            let _ = write!(out, "th:{th}");
        }
        for (key, value) in sub_keys(self.entry).flatten().filter(|(key, _)| !matches!(*key, "th" | "rv")) {
            separate(out);
            let _ = write!(out, "{key}:{value}");
        }
        out.len() - start
    }
}

/// The list members of a trace state, without the optional whitespace around them. Empty members are allowed and mean
/// nothing.
fn members(trace_state: &str) -> impl Iterator<Item = &str> {
    trace_state.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty())
}

fn value_of_ot(member: &str) -> Option<&str> {
    member.strip_prefix("ot=")
}

/// The sub-keys of an `ot` entry and their values; `None` for what is no such pair. Empty text has none.
fn sub_keys(entry: &str) -> impl Iterator<Item = Option<(&str, &str)>> {
    let empty = entry.is_empty();
    entry.split(';').filter(move |_| !empty).map(|pair| pair.split_once(':'))
}

/// The value of a sub-key. Keys must be unique: one that is stated twice says nothing.
fn only<'a>(entry: &'a str, key: &str) -> Option<&'a str> {
    let mut values = sub_keys(entry).flatten().filter(|(name, _)| *name == key);
    let (_, value) = values.next()?;
    values.next().is_none().then_some(value)
}

/// `key = lcalpha *(lcalpha / DIGIT)`, `value = *(ALPHA / DIGIT / "." / "_" / "-")`.
fn is_well_formed(pair: Option<(&str, &str)>) -> bool {
    let Some((key, value)) = pair else { return false };
    key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        && value.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
}
