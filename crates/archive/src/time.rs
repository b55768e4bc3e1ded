//! Times as text.

/// Unix nanoseconds of an RFC 3339 time, as `2026-11-21T10:00:00.5Z` or with `+01:00`; from 1970 to 2554. Digits beyond the
/// ninth of a fraction are cut.
///
/// ```
/// use aldis_archive::unix_nanos;
///
/// assert_eq!(unix_nanos(b"1970-01-01T00:00:01.5Z"), Some(1_500_000_000));
/// assert_eq!(unix_nanos(b"1970-01-01T02:00:00+02:00"), Some(0));
/// assert_eq!(unix_nanos(b"yesterday"), None);
/// ```
pub fn unix_nanos(text: &[u8]) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let (clock, rest) = rest.split_at_checked(9)?;
    let is_shaped = date[4] == b'-' && date[7] == b'-' && clock[3] == b':' && clock[6] == b':';
    if !is_shaped || !matches!(clock[0], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (digits(&date[..4])?, digits(&date[5..7])?, digits(&date[8..])?);
    let (hour, minute, second) = (digits(&clock[1..3])?, digits(&clock[4..6])?, digits(&clock[7..])?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of_month = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    // A leap second is the next one.
    if !(1..=days_of_month).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix(b".") {
        Some(rest) => {
            let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let kept = &rest[..len.min(9)];
            (digits(kept)? * 10_i64.pow(9 - kept.len() as u32), &rest[len..])
        }
        None => (0, rest),
    };
    let offset_minutes = match zone {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), h @ .., b':', m1, m2] if h.len() == 2 => {
            let (hours, minutes) = (digits(h)?, digits(&[*m1, *m2])?);
            let offset = hours * 60 + minutes;
            if hours > 23 || minutes > 59 {
                return None;
            }
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + (minute - offset_minutes) * 60 + second;
    u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(fraction as u64)
}

/// Days from 1970-01-01 in the Gregorian calendar, counted in years that begin in March
/// (<https://howardhinnant.github.io/date_algorithms.html#days_from_civil>).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A number of decimal digits and nothing else, of at most nine.
fn digits(text: &[u8]) -> Option<i64> {
    let is_number = (1..=9).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| text.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_date() {
        // Seconds as `date -u -d TEXT +%s` gives them.
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-11-21T10:59:59Z", 1_795_258_799),
            ("2024-12-31T23:30:00-01:30", 1_735_693_200),
            ("2100-03-01T00:00:00+00:00", 4_107_542_400),
            ("2554-07-21T00:00:00Z", 18_446_659_200),
        ] {
            assert_eq!(unix_nanos(text.as_bytes()), Some(seconds * 1_000_000_000), "{text}");
        }
        let of = |text: &str| unix_nanos(text.as_bytes());
        assert_eq!(of("1970-01-01 00:00:00.000000001z"), Some(1));
        assert_eq!(of("1970-01-01T00:00:00.1234567899Z"), Some(123_456_789));
        assert_eq!(of("1970-01-01T00:00:60Z"), Some(60_000_000_000));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2026",
            "2026-11-21",
            "2026-11-21T10:59:59",
            "2026-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2026-11-00T00:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T10:60:00Z",
            "2026-11-21T10:59:59.Z",
            "2026-11-21T10:59:59+1:00",
            "2026-11-21T10:59:59+24:00",
            "2026-11-21T10:59:59ZZ",
            "2026-11-21X10:59:59Z",
            "+026-11-21T10:59:59Z",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(unix_nanos(text.as_bytes()), None, "{text}");
        }
    }
}
