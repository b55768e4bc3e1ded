//! Holds `docs/expressions.md` to what the language does.

use std::path::Path;

use aldis_expr::{Environment, Type};
use otlp::Signal;

use crate::script;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/expressions.md");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn its_examples_yield_what_they_say() {
    let page = page();
    // Every second piece between fences is inside one.
    let blocks: Vec<&str> =
        page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("expr\n")).collect();
    assert!(blocks.len() > 5, "the page has lost its examples");
    let script = blocks.join("\n");
    let actual = script::run(&script);
    for (said, is) in script.lines().zip(actual.lines()) {
        assert_eq!(said, is, "on the page, and as it is");
    }
    assert_eq!(script.lines().count(), actual.lines().count());
}

#[test]
fn its_tables_list_every_field_with_its_type() {
    let page = page();
    for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
        let heading = match signal {
            Signal::Traces => "### Fields of spans",
            Signal::Logs => "### Fields of logs",
            _ => "### Fields of data points",
        };
        let own = page.split(heading).nth(1).and_then(|tail| tail.split("###").next()).unwrap();
        let both = page.split("### Of all").nth(1).unwrap();
        for field in Environment::of(signal).fields() {
            let name = format!("`{}`", field.name);
            let table = if field.name.starts_with("scope.") { both } else { own };
            let row = table
                .lines()
                .find(|line| line.starts_with('|') && line.split('|').nth(1).unwrap().contains(&name))
                .unwrap_or_else(|| panic!("{name} is in no table of {signal}"));
            let kind = match field.r#type {
                Type::Dynamic => "dynamic".to_owned(),
                other => format!("{other:?}").to_lowercase(),
            };
            assert_eq!(row.split('|').nth(2).unwrap().trim(), kind, "{name}");
        }
    }
    let [spans, points] = [Signal::Traces, Signal::Metrics].map(Environment::of);
    for (constant, _) in spans.constants().chain(points.constants()) {
        assert!(page.contains(&format!("`{constant}`")), "{constant}");
    }
}

#[test]
fn every_function_it_lists_is_one() {
    let page = page();
    let table = page.split("| function | yields |").nth(1).unwrap().split("\n\n").next().unwrap();
    let calls = table
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let mut count = 0;
    for call in calls {
        // In `matches(x, "regex")` only the lone x is a variable.
        let source = call.replace("x.", "name.").replace("(x", "(name").replace("(y)", "(\"y\")");
        let compiled = aldis_expr::Expression::compile(&source, &Environment::of(Signal::Traces));
        assert!(compiled.is_ok(), "{call}: {}", compiled.unwrap_err()[0]);
        count += 1;
    }
    assert!(count >= 20, "{count} calls");
}
