//! `aldis check`.

use std::{io, path::Path};

use engine::{Checked, Severity};
use serde_json::{Value, json};

use super::{CheckArgs, color, plural};
use crate::exit::Exit;

/// Tells every problem of a file.
pub(crate) fn run(args: &CheckArgs) -> Exit {
    let (text, checked) = match load(&args.file) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    if args.json {
        println!("{:#}", as_json(&args.file, &checked));
    } else {
        tell(&args.file, &text, &checked);
        if !checked.problems.has_errors() {
            println!("{}: ok ({})", args.file.display(), summary(&checked));
            for ownership in checked.graph.ownership() {
                println!("  {ownership}");
            }
        }
    }
    if checked.problems.has_errors() { Exit::Configuration } else { Exit::Success }
}

/// Reads and checks a file, with this process's environment variables.
pub(super) fn load(file: &Path) -> Result<(String, Checked), Exit> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        eprintln!("error: cannot read {}: {error}", file.display());
        Exit::File
    })?;
    let checked = engine::check(&text, &|name| std::env::var(name).ok());
    Ok((text, checked))
}

/// Writes the problems to standard error.
pub(super) fn tell(file: &Path, text: &str, checked: &Checked) {
    let name = file.display().to_string();
    let rendering = engine::Rendering { file: &name, source: text, color: color(&io::stderr()) };
    eprint!("{}", rendering.write_all(&checked.problems));
    let (errors, warnings) =
        (checked.problems.count(Severity::Error), checked.problems.count(Severity::Warning));
    if errors > 0 {
        eprintln!("{name}: {errors} error{}, {warnings} warning{}", plural(errors), plural(warnings));
    }
}

fn summary(checked: &Checked) -> String {
    let graph = &checked.graph;
    let count = |n: usize, what: &str| format!("{n} {what}{}", plural(n));
    let parts = [
        count(graph.pipelines.len(), "pipeline"),
        count(graph.receivers.len(), "receiver"),
        count(graph.exporters.len(), "exporter"),
        count(checked.problems.count(Severity::Warning), "warning"),
    ];
    parts.join(", ")
}

/// A problem as JSON.
pub(super) fn problem(problem: &engine::Diagnostic) -> Value {
    json!({
        "severity": problem.severity.name(),
        "line": problem.place.line,
        "column": problem.place.column,
        "width": problem.place.width,
        "path": problem.path,
        "message": problem.message,
        "help": problem.help,
    })
}

fn as_json(file: &Path, checked: &Checked) -> Value {
    let ownership = |ownership: &engine::graph::Ownership| {
        json!({
            "pipeline": ownership.pipeline,
            "exporter": ownership.exporter.to_string(),
            "answered": if ownership.exported { "exported" } else { "accepted" },
        })
    };
    json!({
        "file": file.display().to_string(),
        "ok": !checked.problems.has_errors(),
        "errors": checked.problems.count(Severity::Error),
        "warnings": checked.problems.count(Severity::Warning),
        "untold": checked.problems.untold(),
        "problems": checked.problems.iter().map(problem).collect::<Vec<_>>(),
        "ownership": checked.graph.ownership().iter().map(ownership).collect::<Vec<_>>(),
    })
}
