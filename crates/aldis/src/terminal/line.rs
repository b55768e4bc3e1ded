//! A line that knows its width.

use super::{Style, text::clean};

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
    Warn,
    Accent,
}

impl Paint {
    /// ECMA-48, *Select Graphic Rendition*.
    fn code(self) -> &'static str {
        match self {
            Paint::Plain => "",
            Paint::Bold => "\x1b[1m",
            Paint::Dim => "\x1b[2m",
            Paint::Good => "\x1b[32m",
            Paint::Bad => "\x1b[31m",
            Paint::Warn => "\x1b[33m",
            Paint::Accent => "\x1b[36m",
        }
    }
}

/// One line of at most so many columns; what is beyond them is cut off.
#[derive(Clone, Debug)]
pub(super) struct Line {
    out: String,
    column: usize,
    width: usize,
    style: Style,
}

/// What lines are made with: how wide they may be, and what may be used.
pub(super) struct Draw {
    pub(super) width: usize,
    pub(super) style: Style,
}

impl Draw {
    /// One that is empty.
    pub(super) fn line(&self) -> Line {
        Line::new(self.width, self.style)
    }

    /// One of a single text.
    pub(super) fn one(&self, paint: Paint, text: &str) -> String {
        let mut line = self.line();
        line.put(paint, text);
        line.finish()
    }
}

impl Line {
    pub(super) fn new(width: usize, style: Style) -> Self {
        Self { out: String::new(), column: 0, width, style }
    }

    /// Appends text. A character is taken to be one column wide.
    pub(super) fn put(&mut self, paint: Paint, text: &str) -> &mut Self {
        let room = self.width.saturating_sub(self.column);
        let painted = self.style.color && paint != Paint::Plain && room > 0 && !text.is_empty();
        if painted {
            self.out.push_str(paint.code());
        }
        for c in clean(text).take(room) {
            self.out.push(if c.is_ascii() || self.style.unicode { c } else { plain(c) });
            self.column += 1;
        }
        if painted {
            self.out.push_str("\x1b[0m");
        }
        self
    }

    /// Appends text in a column of this width, cut off with a mark where it is longer.
    pub(super) fn left(&mut self, paint: Paint, text: &str, width: usize) -> &mut Self {
        let length = text.chars().count();
        if length > width {
            let mark = if self.style.unicode { "…" } else { "~" };
            let cut: String = text.chars().take(width.saturating_sub(1)).chain(mark.chars()).collect();
            return self.put(paint, &cut);
        }
        self.put(paint, text).put(Paint::Plain, &" ".repeat(width - length))
    }

    /// Appends text at the right end of a column of this width.
    pub(super) fn right(&mut self, paint: Paint, text: &str, width: usize) -> &mut Self {
        let length = text.chars().count();
        self.put(Paint::Plain, &" ".repeat(width.saturating_sub(length))).put(paint, text)
    }

    pub(super) fn finish(self) -> String {
        self.out.trim_end().to_owned()
    }
}

/// Where only ASCII may be used.
pub(super) fn plain(c: char) -> char {
    match c {
        '·' | '—' | '–' => '-',
        '├' | '└' => '`',
        '│' => '|',
        '─' => '-',
        '━' => '=',
        '█' => '#',
        '░' | '▒' => '-',
        _ => '?',
    }
}
