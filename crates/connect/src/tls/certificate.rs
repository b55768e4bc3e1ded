//! When a certificate holds (RFC 5280, section 4.1.2.5), which rustls reads but does not say.

use std::ops::RangeInclusive;

/// From the first to the last second, Unix time; `None` if the bytes are not a certificate's.
pub(super) fn validity(der: &[u8]) -> Option<RangeInclusive<i64>> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (SEQUENCE, certificate, _) = element(der)? else { return None };
    let (SEQUENCE, mut fields, _) = element(certificate)? else { return None };
    if let (VERSION, _, rest) = element(fields)? {
        fields = rest;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        (_, _, fields) = element(fields)?;
    }
    let (SEQUENCE, both, _) = element(fields)? else { return None };
    let (kind, first, rest) = element(both)?;
    let first = seconds(kind, first)?;
    let (kind, last, _) = element(rest)?;
    Some(first..=seconds(kind, last)?)
}

/// Tag, content, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn seconds(kind: u8, text: &[u8]) -> Option<i64> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let digits = text.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number =
        |digits: &[u8]| digits.iter().fold(0i64, |number, digit| number * 10 + i64::from(digit - b'0'));
    let (year, rest) = match (kind, digits.len()) {
        (UTC_TIME, 12) => {
            let (year, rest) = digits.split_at(2);
            let year = number(year);
            (year + if year < 50 { 2000 } else { 1900 }, rest)
        }
        (GENERALIZED_TIME, 14) => {
            let (year, rest) = digits.split_at(4);
            (number(year), rest)
        }
        _ => return None,
    };
    let part = |i: usize| number(&rest[2 * i..2 * i + 2]);
    let (month, day) = (part(0), part(1));
    // Days since 1970 in a calendar whose years begin in March, so that leap days come last.
    let (march_year, march_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = march_year / 4 - march_year / 100 + march_year / 400;
    let days = 365 * march_year + leap_days + (153 * march_month + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + part(2) * 3600 + part(3) * 60 + part(4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    #[test]
    fn times_are_those_that_were_asked_for() {
        let key = KeyPair::generate().unwrap();
        for (first, last, expected) in [
            ((1970, 1, 1), (2000, 2, 29), 0..=951_782_400),
            ((2024, 2, 29), (2024, 12, 31), 1_709_164_800..=1_735_603_200),
            ((1999, 12, 31), (2100, 3, 1), 946_598_400..=4_107_542_400),
        ] {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_before = date_time_ymd(first.0, first.1, first.2);
            params.not_after = date_time_ymd(last.0, last.1, last.2);
            let certificate = params.self_signed(&key).unwrap();
            assert_eq!(validity(certificate.der()), Some(expected));
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_times() {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        for length in 0..certificate.der().len().min(200) {
            // Cut short the outermost length no longer holds.
            assert_eq!(validity(&certificate.der()[..length]), None, "{length}");
        }
        assert_eq!(seconds(0x17, b"70010100000"), None);
        assert_eq!(seconds(0x18, b"19700101000000"), None);
    }
}
