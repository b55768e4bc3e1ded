//! Numbers as text.

use std::io::Write;

/// Writes a number as Go's `strconv.FormatFloat(value, 'g', -1, 64)` does, which every client library imitates: the values
/// of `le` and `quantile` labels identify series.
pub(super) fn put_float(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if value.is_infinite() {
        return out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
    let start = out.len();
    // Writing to a vector does not fail.
    let _ = write!(out, "{value:e}");
    let Some(at) = out[start..].iter().position(|b| *b == b'e') else { return };
    let text = std::str::from_utf8(&out[start + at + 1..]).unwrap_or_default();
    let exponent: i32 = text.parse().unwrap_or_default();
    // The shortest form is written with an exponent from 10^6 on and below 10^-4.
    if (-4..6).contains(&exponent) {
        out.truncate(start);
        let _ = write!(out, "{value}");
    } else {
        out.truncate(start + at);
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
    }
}

/// The same, but with `.0` behind what would else read as an integer, as OpenMetrics wants it of `le` and `quantile`.
pub(super) fn put_canonical_float(value: f64, out: &mut Vec<u8>) {
    let start = out.len();
    put_float(value, out);
    if value.is_finite() && !out[start..].iter().any(|b| matches!(b, b'.' | b'e')) {
        out.extend_from_slice(b".0");
    }
}

/// Writes an integer.
pub(super) fn put_int(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    put_count(value.unsigned_abs(), out);
}

/// Writes a count.
pub(super) fn put_count(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes a time as seconds with milliseconds, as OpenMetrics wants it.
pub(super) fn put_seconds(ns: u64, out: &mut Vec<u8>) {
    put_count(ns / 1_000_000_000, out);
    let millis = ns / 1_000_000 % 1000;
    if millis > 0 {
        // Writing to a vector does not fail.
        let _ = write!(out, ".{millis:03}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(put: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_written_as_go_writes_them() {
        for (value, expected, canonical) in [
            (0.0, "0", "0.0"),
            (-0.0, "-0", "-0.0"),
            (1.0, "1", "1.0"),
            (0.005, "0.005", "0.005"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "1e-05"),
            (100_000.0, "100000", "100000.0"),
            (123_456.5, "123456.5", "123456.5"),
            (1_000_000.0, "1e+06", "1e+06"),
            (1_234_567.0, "1.234567e+06", "1.234567e+06"),
            (-2.5e-300, "-2.5e-300", "-2.5e-300"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
            (f64::NAN, "NaN", "NaN"),
        ] {
            assert_eq!(text(|out| put_float(value, out)), expected);
            assert_eq!(text(|out| put_canonical_float(value, out)), canonical);
        }
    }

    #[test]
    fn every_float_reads_back() {
        let mut bits = 1_u64;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                assert_eq!(text(|out| put_float(value, out)).parse::<f64>().unwrap(), value);
            }
        }
    }

    #[test]
    fn integers_and_times() {
        assert_eq!(text(|out| put_int(i64::MIN, out)), "-9223372036854775808");
        assert_eq!(text(|out| put_count(u64::MAX, out)), "18446744073709551615");
        assert_eq!(text(|out| put_seconds(1_700_000_000_250_999_999, out)), "1700000000.250");
        assert_eq!(text(|out| put_seconds(2_000_000_000, out)), "2");
    }
}
