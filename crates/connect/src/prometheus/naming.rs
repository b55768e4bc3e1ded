//! Names of metrics and labels: how OpenTelemetry's become Prometheus'.
//!
//! Rules: <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#otlp-metric-points-to-prometheus>.

use std::{borrow::Cow, fmt};

use super::unit::UnitWords;

/// How names are translated (`translation_strategy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TranslationStrategy {
    /// What Prometheus could not always store becomes `_`; units and types are put behind the name.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// What Prometheus could not always store becomes `_`; nothing is put behind the name.
    UnderscoreEscapingWithoutSuffixes,
    /// Every character stays; units and types are put behind the name.
    NoUtf8EscapingWithSuffixes,
    /// Names stay as they are.
    NoTranslation,
}

impl TranslationStrategy {
    /// Every strategy.
    pub const ALL: [TranslationStrategy; 4] = [
        Self::UnderscoreEscapingWithSuffixes,
        Self::UnderscoreEscapingWithoutSuffixes,
        Self::NoUtf8EscapingWithSuffixes,
        Self::NoTranslation,
    ];

    /// Its name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnderscoreEscapingWithSuffixes => "UnderscoreEscapingWithSuffixes",
            Self::UnderscoreEscapingWithoutSuffixes => "UnderscoreEscapingWithoutSuffixes",
            Self::NoUtf8EscapingWithSuffixes => "NoUTF8EscapingWithSuffixes",
            Self::NoTranslation => "NoTranslation",
        }
    }

    /// Whether names are reduced to `[a-zA-Z0-9_:]`.
    pub const fn escapes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes)
    }

    /// Whether unit and type are put behind the name.
    pub const fn has_suffixes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::NoUtf8EscapingWithSuffixes)
    }
}

impl fmt::Display for TranslationStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What of a type shows in a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suffix {
    /// A counter ends in `total`.
    Total,
    /// A gauge without a unit (`1`) ends in `ratio`.
    Ratio,
    /// Nothing.
    None,
}

/// A metric's name; `None` where nothing is left of it.
pub(super) fn metric_name(
    strategy: TranslationStrategy,
    namespace: &str,
    name: &str,
    unit: &str,
    suffix: Suffix,
) -> Option<String> {
    let suffix = if suffix == Suffix::Ratio && unit != "1" { Suffix::None } else { suffix };
    let mut whole = match strategy {
        TranslationStrategy::UnderscoreEscapingWithSuffixes => with_suffixes(name, unit, suffix),
        TranslationStrategy::UnderscoreEscapingWithoutSuffixes => {
            escaped(name, |c| c.is_ascii_alphanumeric() || c == ':')
        }
        TranslationStrategy::NoUtf8EscapingWithSuffixes => appended(name, unit, suffix),
        TranslationStrategy::NoTranslation => name.to_owned(),
    };
    if name.is_empty() || strategy.escapes() && whole.chars().all(|c| c == '_') {
        return None;
    }
    if !namespace.is_empty() {
        let prefix = if strategy.escapes() {
            escaped(namespace, |c| c.is_ascii_alphanumeric() || c == ':')
        } else {
            namespace.to_owned()
        };
        whole = format!("{prefix}_{whole}");
    }
    if strategy.escapes() && whole.starts_with(|c: char| c.is_ascii_digit()) {
        whole.insert(0, '_');
    }
    Some(whole)
}

/// The words of a name joined by `_`, then the unit unless it is among them, then the type.
fn with_suffixes(name: &str, unit: &str, suffix: Suffix) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == ':';
    let mut words: Vec<&str> = name.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return String::new();
    }
    let unit = UnitWords::of(unit);
    if !unit.main.is_empty() && !words.contains(&unit.main.as_str()) {
        words.push(&unit.main);
    }
    let says_per = |words: &[&str]| words.windows(2).any(|pair| pair == ["per", unit.per.as_str()]);
    if !unit.per.is_empty() && !says_per(&words) {
        words.extend(["per", unit.per.as_str()]);
    }
    let last = match suffix {
        Suffix::Total => "total",
        Suffix::Ratio => "ratio",
        Suffix::None => return words.join("_"),
    };
    words.retain(|word| *word != last);
    words.push(last);
    words.join("_")
}

/// The same where every character stays: only the end of a name tells whether it says its unit.
fn appended(name: &str, unit: &str, suffix: Suffix) -> String {
    let last = match suffix {
        Suffix::Total => "total",
        Suffix::Ratio => "ratio",
        Suffix::None => "",
    };
    let ends = |text: &str, word: &str| {
        text.strip_suffix(word).is_some_and(|rest| !rest.ends_with(char::is_alphanumeric))
    };
    let mut whole = name.to_owned();
    if !last.is_empty() && ends(name, last) && name.len() > last.len() + 1 {
        whole.truncate(name.len() - last.len() - 1);
    }
    let unit = UnitWords::of(unit).joined();
    for word in [unit.as_str(), last] {
        if !word.is_empty() && !ends(&whole, word) {
            whole.push('_');
            whole.push_str(word);
        }
    }
    whole
}

/// A label's name.
pub(super) fn label_name(strategy: TranslationStrategy, key: &str) -> Cow<'_, str> {
    if !strategy.escapes() {
        return Cow::Borrowed(if key.is_empty() { "_" } else { key });
    }
    if is_legacy_label(key) && !key.contains("__") {
        return Cow::Borrowed(key);
    }
    let name = escaped(key, |c| c.is_ascii_alphanumeric());
    Cow::Owned(match name.bytes().next() {
        None => "_".to_owned(),
        // `_1` would do, but everybody else writes this.
        Some(b'0'..=b'9') => format!("key_{name}"),
        Some(_) => name,
    })
}

/// Every run of other characters as one `_`.
fn escaped(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_kept(c) {
            out.push(c);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    out
}

/// Whether Prometheus before version 3 takes it as the name of a metric.
pub(super) fn is_legacy_metric(name: &str) -> bool {
    let is_rest = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
    !name.is_empty() && name.bytes().all(is_rest) && !name.as_bytes()[0].is_ascii_digit()
}

/// Whether Prometheus before version 3 takes it as the name of a label.
pub(super) fn is_legacy_label(name: &str) -> bool {
    is_legacy_metric(name) && !name.contains(':')
}

#[cfg(test)]
mod tests;
