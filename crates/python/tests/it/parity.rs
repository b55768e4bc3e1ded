//! Reads scenarios, executes them, and compares what every step said with what is written beside them.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::{archives::Archives, collecting::Collecting};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity")
}

/// What every step says, below a line that names it.
fn transcript(steps: &Value) -> String {
    let files = tempfile::tempdir().unwrap();
    let mut collecting = Collecting::new(files.path().to_owned());
    let mut archives = Archives::default();
    let mut transcript = String::new();
    for (number, step) in steps.as_array().unwrap().iter().enumerate() {
        let what = step["do"].as_str().unwrap();
        let said = archives.step(what, step).unwrap_or_else(|| collecting.step(what, step));
        transcript += &format!("# {} {what}\n{}\n", number + 1, said.trim_end());
    }
    transcript
}

/// `ALDIS_BLESS=1` writes what is said now.
#[test]
fn every_scenario_says_what_it_says_in_python() {
    let mut scenarios = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let steps = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let said = transcript(&steps);
        let expected = path.with_extension("expected");
        if std::env::var_os("ALDIS_BLESS").is_some() {
            fs::write(&expected, &said).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap();
        let differs = said.lines().zip(expected.lines()).position(|(said, expected)| said != expected);
        let at = differs.map(|line| (said.lines().nth(line), expected.lines().nth(line)));
        assert!(said == expected, "{}: {at:?}", path.display());
        scenarios += 1;
    }
    assert!(scenarios >= 5, "{scenarios} scenarios");
}

/// The text of a step's member.
pub(crate) fn text<'a>(step: &'a Value, name: &str) -> &'a str {
    step[name].as_str().unwrap_or_default()
}

/// Numbers behind this key become 0: those that no two runs have in common.
pub(crate) fn without(text: &str, key: &str) -> String {
    let key = format!("\"{key}\":");
    let mut parts = text.split(&key);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || ".e+-".contains(c));
        out += &format!("{key}0{rest}");
    }
    out
}
