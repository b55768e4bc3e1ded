//! Durations as CEL writes them: `1.5s`, `1h30m`, `-250ms`.

/// Nanoseconds per unit; a unit stands before its prefixes.
const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Nanoseconds, or `None` where the text is no duration or does not fit 64 bits. Fractions of a nanosecond are cut off.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, tail) = rest.split_at(number);
        let (unit, nanoseconds) = UNITS.iter().find(|(unit, _)| tail.starts_with(unit))?;
        total = total.checked_add(part(digits, *nanoseconds)?)?;
        rest = &tail[unit.len()..];
    }
    Some(if negative { -total } else { total })
}

/// `digits`, which may have a fraction, times `unit`.
fn part(digits: &str, unit: u64) -> Option<i64> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanoseconds = whole.checked_mul(unit)?;
    // An hour has 3.6e12 ns: digits behind the fifteenth are below a nanosecond.
    let mut part: u128 = 0;
    let mut scale: u128 = 1;
    for digit in fraction.bytes().take(15) {
        part = part * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    nanoseconds = nanoseconds.checked_add(u64::try_from(part * u128::from(unit) / scale).ok()?)?;
    i64::try_from(nanoseconds).ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn units_add_up() {
        let cases = [
            ("1.5s", Some(1_500_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            ("-250ms", Some(-250_000_000)),
            ("1.000000001s", Some(1_000_000_001)),
            ("3us", Some(3_000)),
            ("3µs", Some(3_000)),
            (".5m", Some(30_000_000_000)),
            ("0", Some(0)),
            ("7ns", Some(7)),
            ("1.9ns", Some(1)),
            ("", None),
            ("-", None),
            ("5", None),
            ("s", None),
            (".s", None),
            ("1..5s", None),
            ("1 s", None),
            ("1d", None),
            ("9999999999h", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
