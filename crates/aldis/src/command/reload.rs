//! `aldis reload`, and what `aldis serve` does when it is asked to.

use std::path::{Path, PathBuf};

use clap::Args;
use engine::{Changes, Engine, Rendering, Severity};
use serde_json::{Map, Value, json};

use super::check;
use crate::{
    control::{self, Request, place},
    exit::Exit,
    output,
};

const EXAMPLES: &str = "\
Examples:
  aldis reload                      the only engine of this user reads its file again
  aldis reload --pid 4711           one of several
  aldis reload --control /run/aldis.sock --json
                                    the one that was started with `--control /run/aldis.sock`; the answer as JSON";

/// Flags of `aldis reload`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReloadArgs {
    /// The socket of the engine: what its `--control` says.
    #[arg(long, value_name = "PATH", conflicts_with = "pid")]
    control: Option<PathBuf>,
    /// The process of the engine. Without this and `--control`, the only engine of this user.
    #[arg(long, value_name = "N")]
    pid: Option<u32>,
    /// Write the answer to standard output as JSON.
    #[arg(long)]
    json: bool,
}

/// Asks an engine to read its configuration again, and tells what came of it.
pub(crate) fn run(args: &ReloadArgs) -> Exit {
    let path = match path(args) {
        Ok(path) => path,
        Err((exit, message)) => {
            return super::fail(args.json, exit, &message);
        }
    };
    let answer = match control::ask(&path, Request::Reload) {
        Ok(answer) => answer,
        Err(error) => {
            let message = format!("the engine at {} does not answer: {error}", path.display());
            return super::fail(args.json, Exit::Unavailable, &message);
        }
    };
    let text = answer["text"].as_str().unwrap_or_default();
    if args.json {
        output::show_line(format_args!("{answer}"));
    } else if answer["ok"] == true {
        output::show(format_args!("{text}"));
    } else {
        output::say(format_args!("{text}"));
    }
    let code = answer["exit"].as_u64();
    let exit = Exit::ALL.iter().find(|(_, of, _)| Some(u64::from(*of)) == code);
    exit.map_or(Exit::Unavailable, |(exit, ..)| *exit)
}

fn path(args: &ReloadArgs) -> Result<PathBuf, (Exit, String)> {
    if let Some(path) = &args.control {
        return Ok(path.clone());
    }
    let mut all = place::all();
    if let Some(pid) = args.pid {
        all.retain(|(found, _)| *found == pid);
    }
    match all.as_slice() {
        [(_, path)] => Ok(path.clone()),
        [] => {
            let which =
                args.pid.map_or("no engine of this user".to_owned(), |pid| format!("no engine {pid}"));
            Err((Exit::Unavailable, format!("{which} is running; name its socket with --control PATH")))
        }
        several => {
            let listed: Vec<String> =
                several.iter().map(|(pid, path)| format!("\n  --pid {pid}  {}", path.display())).collect();
            Err((
                Exit::Usage,
                format!("{} engines are running; choose one:{}", several.len(), listed.concat()),
            ))
        }
    }
}

/// What came of a reload.
pub(crate) struct Reloaded {
    exit: Exit,
    /// Lines for people.
    pub(crate) text: String,
    /// The rest, for programs.
    told: Value,
}

impl Reloaded {
    fn failed(exit: Exit, text: &str, message: &str) -> Self {
        let text = format!("{text}{message}; everything runs on as before\n");
        Self { exit, text, told: json!({"message": message}) }
    }

    /// Nothing can be read again.
    pub(crate) fn without_file() -> Self {
        Self::failed(Exit::Usage, "", "the engine runs without a configuration file")
    }

    /// Certificates that cannot be read again: by component, why. The old ones stay in use, so that not all is as the files say.
    pub(crate) fn add_certificates<E: std::fmt::Display>(&mut self, failed: &[(String, E)]) {
        let lines = failed.iter().map(|(component, error)| format!("{component}: {error}"));
        let lines: Vec<String> = lines.collect();
        for line in &lines {
            self.text.push_str(&format!("the certificates are still the old ones: {line}\n"));
        }
        if !lines.is_empty() && self.exit == Exit::Success {
            self.exit = Exit::File;
        }
        self.told["certificates"] = lines.into();
    }

    /// As JSON.
    pub(crate) fn as_json(&self) -> Value {
        let mut all = json!({
            "event": "reload", "ok": self.exit == Exit::Success, "exit": self.exit.code(), "text": self.text,
        });
        if let (Value::Object(all), Value::Object(told)) = (&mut all, &self.told) {
            all.extend(told.clone());
        }
        all
    }
}

/// Reads the file again, and has the engine do as it says, if that can be done.
pub(crate) fn reload(
    engine: &mut Engine,
    file: &Path,
    patience: std::time::Duration,
    color: bool,
) -> Reloaded {
    let name = file.display().to_string();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("cannot read {name}: {error}");
            engine.note_failed_reload(&message);
            return Reloaded::failed(Exit::File, "", &message);
        }
    };
    let checked = engine::check(&text, &|name| std::env::var(name).ok());
    let problems = Rendering { file: &name, source: &text, color }.write_all(&checked.problems);
    let listed: Vec<Value> = checked.problems.iter().map(check::problem).collect();
    let mut reloaded = if checked.problems.has_errors() {
        let errors = checked.problems.count(Severity::Error);
        let message = format!("{name} has {errors} error{}", super::plural(errors));
        engine.note_failed_reload(&message);
        Reloaded::failed(Exit::Configuration, &problems, &message)
    } else {
        match engine.reload(&checked.graph, patience) {
            Ok(changes) => Reloaded {
                exit: Exit::Success,
                text: format!("{problems}reloaded {name}: {changes}\n"),
                told: json!({"changes": as_json(&changes)}),
            },
            Err(error) => Reloaded::failed(Exit::Unavailable, &problems, &error.to_string()),
        }
    };
    reloaded.told["problems"] = listed.into();
    reloaded
}

fn as_json(changes: &Changes) -> Value {
    let section = |(section, names): (&str, Vec<(String, engine::changes::Fate)>)| {
        let of = |fate: engine::changes::Fate| {
            let names: Vec<&String> =
                names.iter().filter(|(_, of)| *of == fate).map(|(name, _)| name).collect();
            (fate.name().to_owned(), json!(names))
        };
        let fates: Map<String, Value> = engine::changes::Fate::ALL.into_iter().map(of).collect();
        (section.to_owned(), Value::Object(fates))
    };
    Value::Object(changes.rows().into_iter().map(section).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_that_cannot_be_read_again_make_the_answer_a_failure() {
        let reloaded =
            || Reloaded { exit: Exit::Success, text: "reloaded a.yaml\n".to_owned(), told: json!({}) };
        let mut well = reloaded();
        well.add_certificates::<&str>(&[]);
        assert_eq!(
            well.as_json(),
            json!({"event": "reload", "ok": true, "exit": 0, "text": "reloaded a.yaml\n", "certificates": []})
        );
        let mut unwell = reloaded();
        unwell.add_certificates(&[("receiver otlp grpc".to_owned(), "a.pem has no certificate")]);
        let line = "receiver otlp grpc: a.pem has no certificate";
        let text = format!("reloaded a.yaml\nthe certificates are still the old ones: {line}\n");
        assert_eq!(
            unwell.as_json(),
            json!({"event": "reload", "ok": false, "exit": 3, "text": text, "certificates": [line]})
        );
        let mut wrong = Reloaded::failed(Exit::Configuration, "", "a.yaml has 1 error");
        wrong.add_certificates(&[("receiver otlp grpc".to_owned(), "a.pem has no certificate")]);
        assert_eq!(wrong.as_json()["exit"], 1, "what is wrong with the file comes first");
    }
}
