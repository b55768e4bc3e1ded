//! `aldis check`.

mod explain;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use engine::{Checked, Severity, StartError, explain::Explanation};
use serde_json::{Value, json};

use super::{fail, plural};
use crate::{color::color, exit::Exit, output, terminal::Style};

const EXAMPLES: &str = "\
Examples:
  aldis check config.yaml             every problem, with its place and what to do
  aldis check config.yaml --explain   what it builds: queues, bounds, memory, and who is answered when
  aldis check config.yaml --json      the same for programs
  aldis check /etc/otelcol/config.yaml
                                      whether a Collector's file runs here";

/// Flags of `aldis check`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The configuration.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Tell what it builds: where it listens, pipelines, stages, queues, bounds, memory, and when senders are answered.
    #[arg(long)]
    explain: bool,
    /// Write everything to standard output as JSON.
    #[arg(long)]
    json: bool,
}

/// Tells every problem of a file.
pub(crate) fn run(args: &CheckArgs) -> Exit {
    let (text, checked) = match load(&args.file, args.json) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let explained = match explained(args, &checked) {
        Ok(explained) => explained,
        Err(error) => return fail(args.json, Exit::Unavailable, &error.to_string()),
    };
    let exit = if checked.problems.has_errors() { Exit::Configuration } else { Exit::Success };
    if args.json {
        let mut told = as_json(&args.file, &checked);
        if args.explain {
            told["explanation"] = explained.as_ref().map(explain::as_json).into();
        }
        output::show_line(format_args!("{told:#}"));
        return exit;
    }
    tell(&args.file, &text, &checked);
    if exit == Exit::Success {
        output::show_line(format_args!("{}: ok ({})", args.file.display(), summary(&checked)));
        match &explained {
            Some(explained) => {
                output::show(format_args!("\n{}", explain::as_text(explained, Style::of_stdout().unicode)));
            }
            None => checked
                .graph
                .ownership()
                .iter()
                .for_each(|ownership| output::show_line(format_args!("  {ownership}"))),
        }
    }
    exit
}

/// What the file builds on this machine, where that is asked for and can be built.
fn explained(args: &CheckArgs, checked: &Checked) -> Result<Option<Explanation>, StartError> {
    let wanted = args.explain && !checked.problems.has_errors();
    wanted.then(|| engine::explain::explain(&checked.graph, engine::explain::memory_bytes())).transpose()
}

/// Reads and checks a file, with this process's environment variables.
pub(super) fn load(file: &Path, json: bool) -> Result<(String, Checked), Exit> {
    let text = read(file)
        .map_err(|error| fail(json, Exit::File, &format!("cannot read {}: {error}", file.display())))?;
    let checked = engine::check(&text, &|name| std::env::var(name).ok());
    Ok((text, checked))
}

/// The text of a file, no more of it than is read of a configuration: what is longer is told there.
fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(engine::limits::MAX_FILE_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// Writes the problems to standard error.
pub(super) fn tell(file: &Path, text: &str, checked: &Checked) {
    let name = file.display().to_string();
    let rendering = engine::Rendering { file: &name, source: text, color: color(&io::stderr()) };
    output::say(format_args!("{}", rendering.write_all(&checked.problems)));
    let (errors, warnings) =
        (checked.problems.count(Severity::Error), checked.problems.count(Severity::Warning));
    if errors > 0 {
        output::say_line(format_args!(
            "{name}: {errors} error{}, {warnings} warning{}",
            plural(errors),
            plural(warnings)
        ));
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
