//! Reading `testdata/*.script`: lines of words, `#` to the end of a line that begins with it.

use std::path::Path;

/// The lines of a script that say something, with their numbers.
pub(crate) fn lines(name: &str) -> Vec<(usize, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines: Vec<_> = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(number, line)| (number, line.to_owned()))
        .collect();
    assert!(!lines.is_empty(), "{name} says nothing");
    lines
}

/// Text that may stand in quotes, to keep blanks or to be empty.
pub(crate) fn unquote(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}
