//! Conditions as Collector configurations spell them, in the language of [`expr`]: the table of [`super`].

use std::ops::Range;

use expr::{Environment, Expression};

use super::Context;

/// Compiles a condition in either spelling. Faults come with the bytes of `source` that are at fault.
pub(crate) fn compile(
    source: &str,
    context: Context,
    environment: &Environment,
) -> Result<Expression, Vec<(Range<usize>, String)>> {
    let translation = Translation::of(source, context);
    Expression::condition(&translation.text, environment).map_err(|faults| {
        let told = |fault: expr::ExprError| {
            let help = fault.suggestion.map_or(String::new(), |guess| format!("; did you mean `{guess}`?"));
            (translation.source_of(fault.start..fault.end), fault.message + &help)
        };
        faults.into_iter().map(told).collect()
    })
}

/// A condition in the language of `expr`, and where each part of it came from.
#[derive(Debug, Default)]
struct Translation {
    /// What `expr` is given.
    text: String,
    /// Pieces in order: where a piece is in the text, and what it was made from.
    pieces: Vec<(Range<usize>, Range<usize>)>,
}

impl Translation {
    /// Translates what can be translated. It never fails: the rest is left as it stands.
    fn of(source: &str, context: Context) -> Self {
        let tokens = tokens(source);
        let mut translator = Translator { source, tokens: &tokens, context, out: Self::default() };
        translator.range(0..tokens.len());
        translator.out
    }

    /// The bytes of the source that these bytes of the text were made from.
    fn source_of(&self, at: Range<usize>) -> Range<usize> {
        let mut touched = self
            .pieces
            .iter()
            .filter(|(text, _)| text.start < at.end.max(at.start + 1) && at.start < text.end);
        let Some(first @ (text, source)) = touched.next() else {
            // Behind the last piece: something is missing at the end.
            let end = self.pieces.last().map_or(0, |(_, source)| source.end);
            return end..end;
        };
        // Inside a piece that was copied, offsets carry over.
        let copied = text.len() == source.len();
        let start = if copied { source.start + at.start.saturating_sub(text.start) } else { source.start };
        let (last_text, last_source) = touched.next_back().unwrap_or(first);
        let copied = last_text.len() == last_source.len();
        let end =
            if copied { last_source.end - last_text.end.saturating_sub(at.end) } else { last_source.end };
        start..end.max(start)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Name,
    /// A literal or a piece of punctuation.
    Other,
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    at: Range<usize>,
}

/// Names, quoted texts, numbers, `&&`, `||`, and single characters. What `expr` would refuse becomes single characters.
fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(first) = source[start..].chars().next() {
        let rest = &source[start..];
        let word = |accept: fn(char) -> bool| rest.find(|c| !accept(c)).unwrap_or(rest.len());
        let (kind, length) = match first {
            _ if first.is_whitespace() => {
                start += first.len_utf8();
                continue;
            }
            'a'..='z' | 'A'..='Z' | '_' => (Kind::Name, word(|c| c.is_ascii_alphanumeric() || c == '_')),
            '0'..='9' => (Kind::Other, word(|c| c.is_ascii_alphanumeric())),
            '"' | '\'' => (Kind::Other, quoted(rest, first)),
            '&' | '|' if rest[1..].starts_with(first) => (Kind::Other, 2),
            _ => (Kind::Other, first.len_utf8()),
        };
        tokens.push(Token { kind, at: start..start + length });
        start += length;
    }
    tokens
}

/// The length of a quoted text; everything, where it does not end.
fn quoted(rest: &str, quote: char) -> usize {
    let triple: String = [quote; 3].iter().collect();
    if let Some(inside) = rest.strip_prefix(&triple) {
        return inside.find(&triple).map_or(rest.len(), |end| end + 6);
    }
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return i + 1,
            _ => {}
        }
    }
    rest.len()
}

struct Translator<'a> {
    source: &'a str,
    tokens: &'a [Token],
    context: Context,
    out: Translation,
}

impl<'a> Translator<'a> {
    fn range(&mut self, range: Range<usize>) {
        let mut i = range.start;
        while i < range.end {
            i = self.one(i, range.end);
        }
    }

    /// Translates what begins at token `i` and returns the token behind it.
    fn one(&mut self, i: usize, end: usize) -> usize {
        let token = &self.tokens[i];
        if token.kind != Kind::Name || (i > 0 && self.is(i - 1, ".")) {
            self.copy(i);
            return i + 1;
        }
        match self.text(i) {
            "and" => self.put("&&", i..i + 1),
            "or" => self.put("||", i..i + 1),
            "nil" => self.put("null", i..i + 1),
            "not" => return self.negation(i, end),
            name if self.is(i + 1, "(") && i + 1 < end => match self.call(name, i, end) {
                Some(next) => return next,
                None => self.copy(i),
            },
            _ => return self.path(i, end),
        }
        i + 1
    }

    /// `not` takes one comparison in OTTL, where `!` would take one operand.
    fn negation(&mut self, i: usize, end: usize) -> usize {
        let mut depth = 0;
        let stop = (i + 1..end).find(|&j| {
            match self.text(j) {
                "(" | "[" => depth += 1,
                ")" | "]" if depth == 0 => return true,
                ")" | "]" => depth -= 1,
                _ => {}
            }
            depth == 0 && matches!(self.text(j), "and" | "or" | "&&" | "||")
        });
        let stop = stop.unwrap_or(end);
        self.put("!(", i..i + 1);
        self.range(i + 1..stop);
        self.put(")", i..i + 1);
        stop
    }

    /// A call of one of OTTL's functions; `None` if `name` is none, or is called with another number of arguments.
    fn call(&mut self, name: &str, i: usize, end: usize) -> Option<usize> {
        let (arguments, close) = self.arguments(i + 2, end)?;
        let whole = i..close + 1;
        match (name, &arguments[..]) {
            ("IsRootSpan", []) => self.put("is_root", whole),
            ("IsMatch", [x, y]) => self.method(i, x, ".matches(", y),
            ("HasPrefix", [x, y]) => self.method(i, x, ".startsWith(", y),
            ("HasSuffix", [x, y]) => self.method(i, x, ".endsWith(", y),
            ("ToLowerCase", [x]) => self.method(i, x, ".lower(", &(0..0)),
            ("ToUpperCase", [x]) => self.method(i, x, ".upper(", &(0..0)),
            ("TraceID" | "SpanID", [digits]) if digits.len() == 1 => {
                let digits = self.text(digits.start).strip_prefix("0x")?;
                let text = format!("\"{}\"", digits.to_ascii_lowercase());
                self.put(&text, whole);
            }
            (_, [x]) => {
                let known = [
                    ("Len", "size("),
                    ("Int", "int("),
                    ("Double", "double("),
                    ("String", "string("),
                    ("Bool", "bool("),
                    ("Duration", "duration("),
                ];
                let (_, open) = known.iter().find(|(ottl, _)| *ottl == name)?;
                self.put(open, i..i + 2);
                self.range(x.clone());
                self.put(")", close..close + 1);
            }
            _ => return None,
        }
        Some(close + 1)
    }

    /// `(x).name(y)`.
    fn method(&mut self, i: usize, x: &Range<usize>, name: &str, y: &Range<usize>) {
        self.put("(", i..i + 1);
        self.range(x.clone());
        self.put(")", i..i + 1);
        self.put(name, i..i + 1);
        self.range(y.clone());
        self.put(")", i..i + 1);
    }

    /// The arguments of a call, as token ranges, and the token that closes it. `start` is behind the `(`.
    fn arguments(&self, start: usize, end: usize) -> Option<(Vec<Range<usize>>, usize)> {
        let mut arguments = Vec::new();
        let (mut depth, mut from) = (0, start);
        for j in start..end {
            match self.text(j) {
                "(" | "[" => depth += 1,
                ")" if depth == 0 => {
                    if from < j {
                        arguments.push(from..j);
                    }
                    return Some((arguments, j));
                }
                ")" | "]" => depth -= 1,
                "," if depth == 0 => {
                    arguments.push(from..j);
                    from = j + 1;
                }
                _ => {}
            }
        }
        None
    }

    /// A name with the fields selected from it.
    fn path(&mut self, i: usize, end: usize) -> usize {
        let mut next = i + 1;
        while next + 1 < end && self.is(next, ".") && self.tokens[next + 1].kind == Kind::Name {
            next += 2;
        }
        // A method is called on what stands before its name.
        if next < end && self.is(next, "(") && next > i + 1 {
            next -= 2;
        }
        let written: String = (i..next).map(|j| self.text(j)).collect();
        let whole = self.tokens[i].at.start..self.tokens[next - 1].at.end;
        let bare = ["span.", "log.", "datapoint."].iter().find_map(|prefix| written.strip_prefix(prefix));
        let name = bare.unwrap_or(&written);
        let renamed =
            field(name).map(str::to_owned).or_else(|| constant(name)).or_else(|| self.own(&written));
        match renamed.as_deref().or(bare) {
            Some(name) => self.piece(name, whole),
            None => (i..next).for_each(|j| self.copy(j)),
        }
        next
    }

    /// What a bare name means in a context other than the record's.
    fn own(&self, written: &str) -> Option<String> {
        let owner = match self.context {
            Context::Record | Context::Metric => None,
            Context::Resource => Some("resource"),
            Context::Scope => Some("scope"),
        };
        if let Some(rest) = written.strip_prefix("instrumentation_scope.") {
            return Some(format!("scope.{rest}"));
        }
        let of_metric =
            written.strip_prefix("metric.").or((self.context == Context::Metric).then_some(written));
        if let Some(field @ ("name" | "unit" | "description" | "type")) = of_metric {
            return Some(format!("metric_{field}"));
        }
        match (owner, written) {
            (Some(owner), "attributes") | (Some(owner @ "scope"), "name" | "version") => {
                Some(format!("{owner}.{written}"))
            }
            _ => None,
        }
    }

    fn is(&self, i: usize, text: &str) -> bool {
        i < self.tokens.len() && self.text(i) == text
    }

    fn text(&self, i: usize) -> &'a str {
        let source = self.source;
        &source[self.tokens[i].at.clone()]
    }

    /// Writes token `i` as it is, with the blank before it.
    fn copy(&mut self, i: usize) {
        let at = self.tokens[i].at.clone();
        let source = self.source;
        self.piece(&source[at.clone()], at);
    }

    /// Writes `text` in place of some tokens.
    fn put(&mut self, text: &str, tokens: Range<usize>) {
        let at = self.tokens[tokens.start].at.start..self.tokens[tokens.end - 1].at.end;
        self.piece(text, at);
    }

    /// Writes one piece. Names and literals are kept apart by a blank, as they were.
    fn piece(&mut self, text: &str, from: Range<usize>) {
        let blank_before = self.source[..from.start].ends_with(char::is_whitespace);
        if blank_before && !self.out.text.is_empty() {
            self.out.text.push(' ');
        }
        let start = self.out.text.len();
        self.out.text.push_str(text);
        self.out.pieces.push((start..self.out.text.len(), from));
    }
}

fn field(name: &str) -> Option<&'static str> {
    Some(match name {
        "status.code" => "status_code",
        "status.message" => "status_message",
        "start_time" | "start_time_unix_nano" => "start_ns",
        "end_time" | "end_time_unix_nano" => "end_ns",
        "time" | "time_unix_nano" => "time_ns",
        "observed_time" | "observed_time_unix_nano" => "observed_time_ns",
        "trace_id.string" => "trace_id",
        "span_id.string" => "span_id",
        "parent_span_id.string" => "parent_span_id",
        "body.string" => "body",
        _ => return None,
    })
}

fn constant(name: &str) -> Option<String> {
    let prefixes = [
        ("SPAN_KIND_", "KIND_"),
        ("STATUS_CODE_", "STATUS_"),
        ("SEVERITY_NUMBER_", "SEVERITY_"),
        ("METRIC_DATA_TYPE_", "METRIC_"),
    ];
    prefixes.iter().find_map(|(ottl, ours)| Some(format!("{ours}{}", name.strip_prefix(ottl)?)))
}

#[cfg(test)]
mod tests;
