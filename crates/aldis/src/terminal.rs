//! What a person sees while the engine runs.
//!
//! [`frame::lines`] draws a [`Scene`] as lines of text, and nothing else; [`Screen`] puts them on a terminal, in place.

mod frame;
mod keys;
mod line;
pub(crate) mod progress;
mod screen;
mod text;
mod top;
mod trace;
mod view;

pub(crate) use frame::{Part, Scene, lines};
pub(crate) use keys::Key;
pub(crate) use screen::{Screen, scrolling};
pub(crate) use text::{bytes, count, duration, sparkline};
pub(crate) use top::top_lines;
pub(crate) use view::{TICK, View, print};

use std::io::IsTerminal;

use crate::color::color;

/// What may be used to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) color: bool,
    /// Whether characters beyond ASCII may be used.
    pub(crate) unicode: bool,
}

/// How many columns and lines there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: usize,
    /// `None` where there is no end, as in a pipe.
    pub(crate) height: Option<usize>,
}

impl Style {
    /// For standard output, by its environment: colours as [`color`] says; more than ASCII where the locale says UTF-8 (POSIX.1-2017, §8.2: the first of `LC_ALL`,
    /// `LC_CTYPE` and `LANG` that is not empty decides), or says nothing and this is no terminal.
    pub(crate) fn of_stdout() -> Style {
        Style::of(&std::io::stdout())
    }

    /// For standard error, in the same way.
    pub(crate) fn of_stderr() -> Style {
        Style::of(&std::io::stderr())
    }

    fn of(stream: &impl IsTerminal) -> Style {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let unicode = match locale {
            Some(locale) => {
                let locale = locale.to_ascii_lowercase();
                locale.contains("utf-8") || locale.contains("utf8")
            }
            None => !stream.is_terminal(),
        };
        Style { color: color(stream), unicode }
    }
}

/// Whether the terminal cannot place its cursor, or says nothing of itself.
pub(crate) fn is_dumb() -> bool {
    std::env::var("TERM").map_or(true, |term| term.is_empty() || term == "dumb")
}

#[cfg(test)]
mod tests;
