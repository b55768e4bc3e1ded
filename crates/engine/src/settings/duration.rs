//! Lengths of time as Go writes them, <https://pkg.go.dev/time#ParseDuration>.

use std::time::Duration;

const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

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

#[cfg(test)]
mod tests {
    use super::*;

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
