//! Runs `testdata/*.script`.
//!
//! A script is a sentence of intent (`#`), records (`given span`, `given log` or `given gauge`, `sum`, …, then indented
//! `path = literal`; it holds until the next one), and cases: `> expression` or `? condition`, continued by `| ` lines, followed by what it yields or by
//! what is wrong, up to a blank line. `ALDIS_BLESS=1 cargo test` writes what came out into the scripts; read the difference.

use std::fmt::Write as _;
use std::path::Path;

use aldis_expr::{Environment, Expression, Selection};

use crate::record::Given;

#[test]
fn scripts_yield_what_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut failures = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "script")) {
        let script = std::fs::read_to_string(path).unwrap();
        let actual = run(&script);
        if actual == script {
            continue;
        }
        if std::env::var_os("ALDIS_BLESS").is_some() {
            std::fs::write(path, actual).unwrap();
            continue;
        }
        let line = script.lines().zip(actual.lines()).take_while(|(l, r)| l == r).count();
        let show = |text: &str| text.lines().skip(line).take(4).collect::<Vec<_>>().join("\n    ");
        failures.push(format!(
            "{}:{}\n  says\n    {}\n  but is\n    {}",
            path.display(),
            line + 1,
            show(&script),
            show(&actual)
        ));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(paths.len() > 5, "the scripts are missing from {}", folder.display());
}

/// The script as it would be if everything in it were right.
pub(crate) fn run(script: &str) -> String {
    let mut out = String::new();
    let mut given = Given::default();
    let mut lines = script.lines().peekable();
    while let Some(line) = lines.next() {
        writeln!(out, "{line}").unwrap();
        if let Some(kind) = line.strip_prefix("given ") {
            given = Given::new(kind);
        } else if let Some(assignment) = line.strip_prefix("  ") {
            let (path, value) =
                assignment.split_once(" = ").unwrap_or_else(|| panic!("{line:?} has no ` = `"));
            given.set(path, value);
        } else if let Some(source) = line.strip_prefix("> ").or(line.strip_prefix("? ")) {
            let mut source = source.to_owned();
            while let Some(more) = lines.peek().and_then(|line| line.strip_prefix("| ")) {
                writeln!(out, "| {more}").unwrap();
                source.push('\n');
                source.push_str(more);
                lines.next();
            }
            while lines.next_if(|line| !line.is_empty()).is_some() {}
            writeln!(out, "{}", answer(&source, line.starts_with('?'), &given)).unwrap();
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "{line:?} means nothing in a script");
        }
    }
    out
}

fn answer(source: &str, condition: bool, given: &Given) -> String {
    let environment = Environment::of(given.signal());
    let compiled = if condition {
        Expression::condition(source, &environment)
    } else {
        Expression::compile(source, &environment)
    };
    let expression = match compiled {
        Ok(expression) => expression,
        Err(errors) => {
            let rendered: Vec<String> = errors.iter().map(|error| error.render(source)).collect();
            return format!("error: {}", rendered.join("\nerror: "));
        }
    };
    if let Some(constant) = expression.constant() {
        return constant.to_string();
    }
    let batch = given.batch();
    let mut selection = Selection::default();
    expression.select(&batch, &mut selection);
    assert_eq!(selection.contains(0), expression.matches(&batch, 0), "{source}: select and matches disagree");
    let value = expression.evaluate(&batch, 0);
    assert_eq!(
        value.as_bool() == Some(true),
        expression.matches(&batch, 0),
        "{source}: evaluate and matches disagree"
    );
    value.to_string()
}
