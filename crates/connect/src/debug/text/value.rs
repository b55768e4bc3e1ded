//! Values, attributes, times and ids.

use std::{fmt::Write, time::Duration};

use otlp::view::{Attributes, ValueView};

use crate::{
    calendar::Civil,
    limits::{DEBUG_DEPTH, DEBUG_ITEMS, DEBUG_TEXT_CHARS},
};

/// Text in which nothing controls a terminal, in no more than `most` characters.
pub(super) fn escaped(text: &str, most: usize, out: &mut String) {
    for (i, c) in text.chars().enumerate() {
        if i == most {
            let _ = write!(out, "… ({} bytes)", text.len());
            return;
        }
        // Besides control characters, what changes the direction of the text behind it.
        let is_direction =
            matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || is_direction {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
}

pub(super) fn text(text: &str, out: &mut String) {
    escaped(text, DEBUG_TEXT_CHARS, out);
}

/// A value as it reads best: text bare where it is one word.
pub(super) fn value(value: &ValueView<'_>, out: &mut String) {
    nested(value, 0, out);
}

fn nested(value: &ValueView<'_>, depth: usize, out: &mut String) {
    match value {
        ValueView::Empty => out.push_str("(empty)"),
        ValueView::String(string) => {
            let is_word =
                !string.is_empty() && !string.contains(|c: char| c.is_whitespace() || "\",[]{}=".contains(c));
            if is_word {
                text(string, out);
            } else {
                out.push('"');
                text(string, out);
                out.push('"');
            }
        }
        ValueView::Bool(truth) => drop(write!(out, "{truth}")),
        ValueView::Int(number) => drop(write!(out, "{number}")),
        ValueView::Double(number) => drop(write!(out, "{number:?}")),
        ValueView::Bytes(bytes) => {
            out.push_str("0x");
            for byte in bytes.iter().take(DEBUG_ITEMS) {
                let _ = write!(out, "{byte:02x}");
            }
            if bytes.len() > DEBUG_ITEMS {
                let _ = write!(out, "… ({} bytes)", bytes.len());
            }
        }
        ValueView::Array(_) | ValueView::Map(_) if depth == DEBUG_DEPTH => out.push('…'),
        ValueView::Array(items) => {
            out.push('[');
            list(*items, out, |item, out| nested(&item, depth + 1, out));
            out.push(']');
        }
        ValueView::Map(entries) => {
            out.push('{');
            list(*entries, out, |(key, value), out| {
                text(key, out);
                out.push('=');
                nested(&value, depth + 1, out);
            });
            out.push('}');
        }
    }
}

fn list<T>(items: impl Iterator<Item = T>, out: &mut String, one: impl Fn(T, &mut String)) {
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        if i == DEBUG_ITEMS {
            out.push('…');
            return;
        }
        one(item, out);
    }
}

/// ` key=value key=value`.
pub(super) fn attributes(attributes: Attributes<'_>, out: &mut String) {
    for (i, (key, of_key)) in attributes.enumerate() {
        if i == DEBUG_ITEMS {
            out.push_str(" …");
            return;
        }
        out.push(' ');
        text(key, out);
        out.push('=');
        value(&of_key, out);
    }
}

/// A line for each attribute, so far in.
pub(super) fn attribute_lines(attributes: Attributes<'_>, indent: usize, out: &mut String) {
    for (i, (key, of_key)) in attributes.enumerate() {
        if i == DEBUG_ITEMS {
            let _ = writeln!(out, "{:indent$}…", "");
            return;
        }
        let _ = write!(out, "{:indent$}", "");
        text(key, out);
        out.push_str(" = ");
        value(&of_key, out);
        out.push('\n');
    }
}

/// `2026-11-21 05:02:14.173000000`, or `-` where there is none.
pub(super) fn time(ns: u64) -> String {
    if ns == 0 {
        return "-".to_owned();
    }
    let Civil { year, month, day, hour, minute, second, nanosecond } = Civil::of(ns);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{nanosecond:09}")
}

/// From a time to another; `-` where it would be negative.
pub(super) fn duration(start_ns: u64, end_ns: u64) -> String {
    match end_ns.checked_sub(start_ns) {
        Some(ns) if start_ns > 0 => format!("{:?}", Duration::from_nanos(ns)),
        _ => "-".to_owned(),
    }
}
