//! A page of metrics in the text format of Prometheus, read back:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::collections::BTreeMap;

/// One number of a page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Sample {
    /// A label's value; empty where it is not there.
    pub(crate) fn label(&self, key: &str) -> &str {
        self.labels.get(key).map_or("", String::as_str)
    }
}

/// All samples of a page.
///
/// # Errors
/// The first line that is none.
pub(crate) fn parse(page: &str) -> Result<Vec<Sample>, String> {
    let lines = page.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| sample(line).ok_or_else(|| format!("`{line}` is no sample"))).collect()
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (key, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(key.to_owned(), value);
            rest = after;
        }
    }
    // A time may stand behind the value.
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// A label's value up to its closing quote, and what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_whatever_stands_in_their_labels() {
        let page = "# TYPE a counter\na 1\n\nb_total{x=\"1\",y=\"q\\\"u}, \\\\o\\nte\"} 2.5e3 1700000000\nc{} +Inf\n";
        let read = parse(page).unwrap();
        assert_eq!((read[0].name.as_str(), read[0].value, read[0].labels.len()), ("a", 1.0, 0));
        assert_eq!((read[1].label("x"), read[1].label("y"), read[1].value), ("1", "q\"u}, \\o\nte", 2500.0));
        assert_eq!((read[2].value, read[2].label("z")), (f64::INFINITY, ""));
        for wrong in ["<html>", "a{x=\"1} 2", "a{x} 2", "a b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
