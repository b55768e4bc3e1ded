//! The type of a scalar that was written without quotes.

/// A scalar with its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Everything else.
    Text(&'a str),
}

impl Scalar<'_> {
    /// What it is, for messages.
    pub fn describe(&self) -> String {
        match self {
            Scalar::Null => "nothing".into(),
            Scalar::Bool(value) => format!("the truth value {value}"),
            Scalar::Int(value) => format!("the number {value}"),
            Scalar::Float(value) => format!("the number {value}"),
            Scalar::Text(text) => format!("the text `{}`", shorten(text)),
        }
    }
}

/// At most forty characters of a text, on one line.
pub(crate) fn shorten(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(41).collect();
    match line.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Finds the type as YAML 1.2's core schema does, <https://yaml.org/spec/1.2.2/#1032-tag-resolution>, and, because
/// configurations of the OpenTelemetry Collector may have them, with `_` between digits. A leading zero (`0755`) makes text:
/// YAML 1.1 would read it as octal, and guessing is worse than asking.
pub fn resolve(text: &str) -> Scalar<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Scalar::Text(text);
    }
    integer(text).or_else(|| float(text)).unwrap_or(Scalar::Text(text))
}

fn integer(text: &str) -> Option<Scalar<'_>> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        _ => (10, digits),
    };
    let leading_zero = radix == 10 && digits.len() > 1 && digits.starts_with('0');
    if leading_zero || !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let plain = digits.replace('_', "");
    let value = i64::from_str_radix(&if negative { format!("-{plain}") } else { plain }, radix).ok()?;
    Some(Scalar::Int(value))
}

fn float(text: &str) -> Option<Scalar<'_>> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let shaped = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    let whole = digits.split(['.', 'e', 'E']).next().unwrap_or_default();
    if !shaped || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    text.parse().ok().map(Scalar::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_the_core_schema() {
        let cases = [
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("true", Scalar::Bool(true)),
            ("FALSE", Scalar::Bool(false)),
            ("yes", Scalar::Text("yes")),
            ("0", Scalar::Int(0)),
            ("-17", Scalar::Int(-17)),
            ("+3", Scalar::Int(3)),
            ("1_000", Scalar::Int(1000)),
            ("0x1F", Scalar::Int(31)),
            ("0o17", Scalar::Int(15)),
            ("0755", Scalar::Text("0755")),
            ("-0755", Scalar::Text("-0755")),
            ("1.5", Scalar::Float(1.5)),
            (".5", Scalar::Float(0.5)),
            ("1e3", Scalar::Float(1000.0)),
            ("9223372036854775808", Scalar::Float(9.223372036854776e18)),
            (".inf", Scalar::Float(f64::INFINITY)),
            ("200ms", Scalar::Text("200ms")),
            ("1.2.3", Scalar::Text("1.2.3")),
            ("127.0.0.1:80", Scalar::Text("127.0.0.1:80")),
            ("-", Scalar::Text("-")),
            ("_1", Scalar::Text("_1")),
            ("é", Scalar::Text("é")),
            ("-é", Scalar::Text("-é")),
        ];
        for (text, want) in cases {
            assert_eq!(resolve(text), want, "{text:?}");
        }
    }
}
