//! The formats of an exposition, and which of them a scraper gets.
//!
//! Rules: <https://prometheus.io/docs/instrumenting/content_negotiation/> and
//! <https://prometheus.io/docs/instrumenting/escaping_schemes/>.

use std::borrow::Cow;

use super::naming::{is_legacy_label, is_legacy_metric};
use crate::{limits::MAX_ACCEPT_BYTES, page::quality};

/// How an exposition is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syntax {
    /// The text format, version 0.0.4 (1.0.0 where names have characters that only it allows).
    #[default]
    Text,
    /// OpenMetrics text, version 1.0.0.
    OpenMetrics,
    /// `io.prometheus.client.MetricFamily`, each behind its length.
    Protobuf,
}

/// What becomes of names that Prometheus before version 3 did not take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escaping {
    /// Other characters become `_`.
    #[default]
    Underscores,
    /// `.` becomes `_dot_`, `_` becomes `__`, others become `__`.
    Dots,
    /// `U__` in front, `_` becomes `__`, others become `_<code point>_`.
    Values,
    /// They stay, in quotes.
    AllowUtf8,
}

/// A format.
///
/// ```
/// use aldis_connect::prometheus::{Syntax, Format};
///
/// let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
/// assert_eq!(Format::negotiate(accept, true).syntax, Syntax::OpenMetrics);
/// assert_eq!(Format::negotiate(accept, false), Format::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// How it is encoded.
    pub syntax: Syntax,
    /// What becomes of names.
    pub escaping: Escaping,
}

/// What a range of `Accept` asks for.
struct Wish {
    format: Format,
    quality: u32,
}

impl Format {
    /// The format that an `Accept` header likes best; text where it likes none, or is too long to be honest.
    pub fn negotiate(accept: &str, open_metrics: bool) -> Format {
        if accept.len() > MAX_ACCEPT_BYTES {
            return Format::default();
        }
        let mut best: Option<Wish> = None;
        for wish in accept.split(',').filter_map(|range| Wish::read(range, open_metrics)) {
            if wish.quality > 0 && best.as_ref().is_none_or(|best| wish.quality > best.quality) {
                best = Some(wish);
            }
        }
        best.map(|wish| wish.format).unwrap_or_default()
    }

    /// The `Content-Type` of an exposition in this format.
    pub fn content_type(self) -> String {
        let escaping = self.escaping.name();
        match self.syntax {
            Syntax::Text if self.escaping == Escaping::AllowUtf8 => {
                format!("text/plain; version=1.0.0; charset=utf-8; escaping={escaping}")
            }
            Syntax::Text => format!("text/plain; version=0.0.4; charset=utf-8; escaping={escaping}"),
            Syntax::OpenMetrics => {
                format!("application/openmetrics-text; version=1.0.0; charset=utf-8; escaping={escaping}")
            }
            Syntax::Protobuf => format!(
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping={escaping}"
            ),
        }
    }
}

impl Wish {
    fn read(range: &str, open_metrics: bool) -> Option<Wish> {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next()?.to_ascii_lowercase();
        let (mut version, mut proto, mut delimited) = ("", "", true);
        let mut wish = Wish { format: Format::default(), quality: 1000 };
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "q" => wish.quality = quality(value)?,
                "version" => version = value,
                "proto" => proto = value,
                "encoding" => delimited = value == "delimited",
                "escaping" => wish.format.escaping = Escaping::by_name(value),
                _ => {}
            }
        }
        wish.format.syntax = match media.as_str() {
            "text/plain" if matches!(version, "" | "0.0.4" | "1.0.0") => Syntax::Text,
            "text/*" | "*/*" => Syntax::Text,
            "application/openmetrics-text" if open_metrics && matches!(version, "" | "0.0.1" | "1.0.0") => {
                Syntax::OpenMetrics
            }
            "application/vnd.google.protobuf"
                if matches!(proto, "" | "io.prometheus.client.MetricFamily") && delimited =>
            {
                Syntax::Protobuf
            }
            _ => return None,
        };
        // Only version 1.0.0 of the text formats has names in quotes.
        if wish.format.syntax != Syntax::Protobuf && version != "1.0.0" {
            wish.format.escaping = Escaping::Underscores;
        }
        Some(wish)
    }
}

impl Escaping {
    /// Its name in media types.
    pub const fn name(self) -> &'static str {
        match self {
            Escaping::Underscores => "underscores",
            Escaping::Dots => "dots",
            Escaping::Values => "values",
            Escaping::AllowUtf8 => "allow-utf-8",
        }
    }

    fn by_name(name: &str) -> Self {
        match name {
            "dots" => Escaping::Dots,
            "values" => Escaping::Values,
            "allow-utf-8" => Escaping::AllowUtf8,
            _ => Escaping::Underscores,
        }
    }

    /// The name of a metric in this scheme.
    pub(super) fn metric(self, name: &str) -> Cow<'_, str> {
        self.escape(name, is_legacy_metric(name), true)
    }

    /// The name of a label in this scheme.
    pub(super) fn label(self, name: &str) -> Cow<'_, str> {
        self.escape(name, is_legacy_label(name), false)
    }

    fn escape(self, name: &str, is_legacy: bool, colons: bool) -> Cow<'_, str> {
        let keeps = |i: usize, c: char| {
            c == '_' || c.is_ascii_alphabetic() || c == ':' && colons || i > 0 && c.is_ascii_digit()
        };
        let mut out = String::new();
        match self {
            Escaping::AllowUtf8 => return Cow::Borrowed(name),
            Escaping::Underscores if is_legacy => return Cow::Borrowed(name),
            Escaping::Underscores => {
                out.extend(name.chars().enumerate().map(|(i, c)| if keeps(i, c) { c } else { '_' }));
            }
            Escaping::Dots => {
                for (i, c) in name.chars().enumerate() {
                    match c {
                        '_' => out.push_str("__"),
                        '.' => out.push_str("_dot_"),
                        c if keeps(i, c) => out.push(c),
                        _ => out.push_str("__"),
                    }
                }
            }
            Escaping::Values if is_legacy => return Cow::Borrowed(name),
            Escaping::Values => {
                out.push_str("U__");
                for (i, c) in name.chars().enumerate() {
                    match c {
                        '_' => out.push_str("__"),
                        c if keeps(i, c) => out.push(c),
                        c => out.push_str(&format!("_{:x}_", c as u32)),
                    }
                }
            }
        }
        Cow::Owned(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrapers_get_what_they_like_best() {
        const PROTO: &str =
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        let format = |syntax, escaping| Format { syntax, escaping };
        let prometheus3 = format!(
            "{PROTO};escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2"
        );
        for (accept, open_metrics, expected) in [
            ("", true, Format::default()),
            ("*/*", true, Format::default()),
            ("application/json", true, Format::default()),
            (
                "text/plain;version=0.0.4;q=0.5,application/openmetrics-text",
                true,
                format(Syntax::OpenMetrics, Escaping::Underscores),
            ),
            ("text/plain;version=0.0.4;q=0.5,application/openmetrics-text", false, Format::default()),
            (PROTO, true, format(Syntax::Protobuf, Escaping::Underscores)),
            ("application/vnd.google.protobuf;proto=other,text/plain;q=0.1", true, Format::default()),
            ("application/vnd.google.protobuf;encoding=text", true, Format::default()),
            (&prometheus3, true, format(Syntax::OpenMetrics, Escaping::AllowUtf8)),
            (&prometheus3, false, format(Syntax::Protobuf, Escaping::AllowUtf8)),
            ("text/plain;version=1.0.0;escaping=\"values\"", true, format(Syntax::Text, Escaping::Values)),
            ("text/plain;version=0.0.4;escaping=allow-utf-8", true, Format::default()),
            ("application/openmetrics-text;q=0, text/plain", true, Format::default()),
            ("application/openmetrics-text;q=nonsense", true, Format::default()),
            ("application/openmetrics-text;version=2.0.0", true, Format::default()),
        ] {
            assert_eq!(Format::negotiate(accept, open_metrics), expected, "{accept}");
        }
        assert_eq!(Format::negotiate(&PROTO.repeat(100), true), Format::default());
    }

    #[test]
    fn names_are_escaped_by_scheme() {
        for (name, underscores, dots, values) in [
            ("http_requests", "http_requests", "http__requests", "http_requests"),
            ("http.requests", "http_requests", "http_dot_requests", "U__http_2e_requests"),
            ("a_b.ü", "a_b__", "a__b_dot___", "U__a__b_2e__fc_"),
            ("1a", "_a", "__a", "U___31_a"),
        ] {
            assert_eq!(Escaping::Underscores.metric(name), underscores);
            assert_eq!(Escaping::Dots.metric(name), dots);
            assert_eq!(Escaping::Values.metric(name), values);
            assert_eq!(Escaping::AllowUtf8.metric(name), name);
        }
        assert_eq!(Escaping::Underscores.label("a:b"), "a_b");
    }
}
