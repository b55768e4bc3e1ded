//! Units of measure in words, as Prometheus spells them.
//!
//! Rules: <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#metric-metadata-1>. Where the
//! Go translator differs from the specification (it writes `TiBy` as `tibibytes`) the specification is followed.

/// UCUM codes and their words.
const WORDS: &[(&str, &str)] = &[
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tebibytes"),
    ("kBy", "kilobytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
    ("1", ""),
];

/// The same behind a slash, where words are singular and `m` is a minute.
const PER_WORDS: &[(&str, &str)] = &[
    ("s", "second"),
    ("m", "minute"),
    ("min", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("wk", "week"),
    ("mo", "month"),
    ("y", "year"),
    ("a", "year"),
];

/// A unit in words: `By/s` is `bytes` per `second`. Either may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UnitWords {
    /// What is in front of the slash.
    pub(super) main: String,
    /// What is behind it.
    pub(super) per: String,
}

impl UnitWords {
    /// Reads a unit as UCUM writes it. What is in braces is an annotation and goes.
    pub(super) fn of(unit: &str) -> Self {
        let bare = without_annotations(unit);
        let (main, per) = bare.split_once('/').unwrap_or((&bare, ""));
        UnitWords { main: word(main.trim(), WORDS), per: word(per.trim(), PER_WORDS) }
    }

    /// As one word: `bytes_per_second`; empty where the unit says nothing.
    pub(super) fn joined(&self) -> String {
        match (self.main.is_empty(), self.per.is_empty()) {
            (_, true) => self.main.clone(),
            (true, false) => format!("per_{}", self.per),
            (false, false) => format!("{}_per_{}", self.main, self.per),
        }
    }
}

fn without_annotations(unit: &str) -> String {
    let mut depth = 0_u32;
    let mut bare = String::new();
    for c in unit.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if depth == 0 => bare.push(c),
            _ => {}
        }
    }
    bare
}

fn word(code: &str, words: &[(&str, &str)]) -> String {
    match words.iter().find(|(known, _)| *known == code) {
        Some((_, word)) => (*word).to_owned(),
        None => {
            let parts = code.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join("_")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::UnitWords;

    #[test]
    fn units_are_spelled_out() {
        for (unit, words) in [
            ("", ""),
            ("1", ""),
            ("s", "seconds"),
            ("By", "bytes"),
            ("TiBy", "tebibytes"),
            ("{packet}", ""),
            ("{packet}/s", "per_second"),
            ("By/s", "bytes_per_second"),
            ("m/m", "meters_per_minute"),
            ("By{transmitted}/h", "bytes_per_hour"),
            ("furlong/fortnight", "furlong_per_fortnight"),
            ("m^2", "m_2"),
            ("{a", ""),
        ] {
            assert_eq!(UnitWords::of(unit).joined(), words, "{unit}");
        }
    }
}
