//! Lengths of time as Go writes them, <https://pkg.go.dev/time#ParseDuration>.

use std::time::Duration;

const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// What [`parse`] takes, as a regular expression; how long a time may be it does not say.
pub const PATTERN: &str = r"^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$";

/// Nanoseconds: the longest time that is taken, a century.
const MAX_NANOS: f64 = 100.0 * 365.25 * 86_400e9;

/// Reads `300ms`, `1.5h`, `1m30s`, `0`.
///
/// # Errors
/// What is wrong with it, as half a sentence.
///
/// ```
/// use aldis_engine::settings::duration::parse;
/// use std::time::Duration;
///
/// assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
/// assert!(parse("5 minutes").is_err());
/// ```
pub fn parse(text: &str) -> Result<Duration, String> {
    let rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.starts_with('-') {
        return Err("it is negative".into());
    }
    let (mut rest, mut nanos) = (rest, 0.0);
    if rest.is_empty() {
        return Err("it is empty".into());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits]
            .parse()
            .map_err(|_| format!("a number is missing before `{}`", &rest[digits..]))?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = &rest[..end];
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(match unit {
                "" => "it has no unit".into(),
                unit => format!("`{unit}` is not a unit of time (ns, us, ms, s, m, h)"),
            });
        };
        nanos += number * scale;
        rest = &rest[end..];
    }
    if nanos > MAX_NANOS {
        return Err("it is longer than a century".into());
    }
    Ok(Duration::from_nanos(nanos.round() as u64))
}

/// Writes what [`parse`] reads, as Go does but without parts that are zero: `1m30s`, `200ms`, `1.5ms`.
///
/// ```
/// use aldis_engine::settings::duration::write;
/// use std::time::Duration;
///
/// assert_eq!(write(Duration::from_secs(7200)), "2h");
/// assert_eq!(write(Duration::from_millis(90_500)), "1m30.5s");
/// ```
pub fn write(duration: Duration) -> String {
    let nanos = duration.subsec_nanos();
    let part = |n: u64, unit: &str| if n > 0 { format!("{n}{unit}") } else { String::new() };
    let seconds = duration.as_secs();
    let decimal = |whole: u64, fraction: u32, digits: usize, unit: &str| {
        let fraction = format!("{fraction:0digits$}");
        match fraction.trim_end_matches('0') {
            "" => format!("{whole}{unit}"),
            fraction => format!("{whole}.{fraction}{unit}"),
        }
    };
    match (seconds, nanos) {
        (0, 0) => "0s".to_owned(),
        (0, 1..1_000) => format!("{nanos}ns"),
        (0, 1_000..1_000_000) => decimal(u64::from(nanos / 1_000), nanos % 1_000, 3, "us"),
        (0, _) => decimal(u64::from(nanos / 1_000_000), nanos % 1_000_000, 6, "ms"),
        _ => {
            let head = part(seconds / 3600, "h") + &part(seconds / 60 % 60, "m");
            match (seconds % 60, nanos) {
                (0, 0) => head,
                (seconds, nanos) => head + &decimal(seconds, nanos, 9, "s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_as_the_same() {
        for (nanos, text) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5us"),
            (200_000_000, "200ms"),
            (1_000_001, "1.000001ms"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "1m30s"),
            (60_000_000_001, "1m0.000000001s"),
            (7_200_000_000_000, "2h"),
            (3_660_000_000_000, "1h1m"),
        ] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(write(duration), text);
            assert_eq!(parse(text), Ok(duration));
        }
    }

    #[test]
    fn the_pattern_takes_what_is_read() {
        let pattern = regex::Regex::new(super::PATTERN).unwrap();
        for text in [
            "0", "0s", "+5s", "1.5h", ".5s", "1.s", "1m30s", "7µs", "7μs", "", "5", "s", "-5s", "5 s", "5d",
            "1.2.3s", "1s5", ".s", "5é", "+", "+0", "00",
        ] {
            assert_eq!(pattern.is_match(text), parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn durations_read_as_go_reads_them() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("5s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1m30s", 90_000_000_000),
            ("1h1m1s1ms1us1ns", 3_661_001_001_001),
            ("7µs", 7000),
            ("200ms", 200_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
        for text in ["", "5", "s", "-5s", "5 s", "5d", "1.2.3s", "1s5", "999999999h", ".s", "5é"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
