//! Numbers and names as text.

/// Nanoseconds with three digits and a unit: `178 ms`, `1.20 s`.
pub(crate) fn duration(ns: u64) -> String {
    let (value, unit) = match ns {
        0 => return "0".to_owned(),
        1..1_000 => (ns as f64, "ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    format!("{} {unit}", three(value))
}

/// A rate with three digits: `0.25`, `38.1`, `412`, `12.3k`.
pub(super) fn rate(value: f64) -> String {
    match value {
        v if v >= 999_500.0 => format!("{}M", three(v / 1e6)),
        v if v >= 9_999.5 => format!("{}k", three(v / 1e3)),
        v if v >= 999.5 => format!("{v:.0}"),
        v => three(v),
    }
}

fn three(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// A part of one as percentage; nothing at all is `-`.
pub(super) fn share(value: f64) -> String {
    match value {
        v if v <= 0.0 => "-".to_owned(),
        v if v < 0.001 => "<0.1%".to_owned(),
        v => format!("{:.1}%", v * 100.0),
    }
}

/// A number in groups of three digits: `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A size: `512 MiB`, `1.5 GiB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    // Budgets are parts of a machine's memory: a tenth says enough of them.
    let unit = UNITS.into_iter().find(|(size, _)| n >= *size);
    match unit {
        Some((size, name)) if n.is_multiple_of(size) => format!("{} {name}", count(n / size)),
        Some((size, name)) => format!("{:.1} {name}", n as f64 / size as f64),
        None => format!("{n} bytes"),
    }
}

/// Hours, minutes and seconds: `00:42`, `1:00:42`.
pub(super) fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes:02}:{seconds:02}"),
        hours => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Text that came from outside, without what would move the cursor, change colours, or turn the order of what follows.
pub(super) fn clean(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c })
}

/// Characters without a width, and those that turn the direction of writing (Unicode, UAX #9).
fn turns(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The latest values as a row of bars, the greatest as the highest.
pub(crate) fn sparkline(values: &[u64], width: usize, unicode: bool) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const ASCII: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];
    let values = &values[values.len().saturating_sub(width)..];
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    let bar = |value: &u64| match value {
        0 => ' ',
        value => {
            let height = (value.saturating_mul(8)).div_ceil(most).clamp(1, 8) as usize - 1;
            if unicode { BARS[height] } else { ASCII[height] }
        }
    };
    let pad = std::iter::repeat_n(' ', width - values.len());
    pad.chain(values.iter().map(bar)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        let durations = [0, 999, 1_500, 178_132_000, 999_999_999, 61_200_000_000].map(duration);
        assert_eq!(durations, ["0", "999 ns", "1.50 us", "178 ms", "1000 ms", "61.2 s"]);
        let rates = [0.0, 0.254, 38.06, 412.4, 4_123.0, 12_345.0, 2_500_000.0].map(rate);
        assert_eq!(rates, ["0.00", "0.25", "38.1", "412", "4123", "12.3k", "2.50M"]);
        assert_eq!([0.0, 0.0004, 0.45, 1.0].map(share), ["-", "<0.1%", "45.0%", "100.0%"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        let sizes = [0, 1_023, 1 << 10, 1_500_000, 384 << 20, 2_147_483_625].map(bytes);
        assert_eq!(sizes, ["0 bytes", "1023 bytes", "1 KiB", "1.4 MiB", "384 MiB", "2.0 GiB"]);
        assert_eq!([42, 3_642].map(clock), ["00:42", "1:00:42"]);
    }

    #[test]
    fn bars_are_as_high_as_their_values_and_the_latest_is_last() {
        assert_eq!(sparkline(&[9, 1, 0, 8, 4], 4, true), "▁ █▄");
        assert_eq!(sparkline(&[3], 3, false), "  #");
        assert_eq!(sparkline(&[], 2, true), "  ");
    }

    #[test]
    fn what_came_from_outside_moves_no_cursor() {
        assert_eq!(clean("a\x1b[2J\r\nb\u{9b}c").collect::<String>(), "a [2J  b c");
    }
}
