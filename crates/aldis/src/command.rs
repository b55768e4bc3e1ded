//! The command line: what can be typed, and what it calls.

mod archive;
mod builtin;
mod check;
mod completions;
mod config;
mod demo;
mod episodes;
mod load;
mod man;
mod reload;
mod replay;
mod run;
mod serve;
mod sink;
mod telemetry;
mod tls;
mod top;

use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use engine::settings::duration;
use serde_json::json;

use usage::Usage;

use crate::{
    exit::{self, Exit},
    output,
};

const EXAMPLES: &str = "\
Examples:
  aldis demo                         see it work: a modelled shop sends telemetry, a summary shows it
  aldis serve                        take OTLP in on 4317 and 4318, and show what comes
  aldis check config.yaml            every problem of a configuration, with its place
  aldis check config.yaml --explain  what it builds: queues, bounds, memory, and who is answered when
  aldis serve -c config.yaml         run it until SIGTERM or Ctrl-C, then drain
  aldis reload                       have it read the file again: what has not changed keeps running
  aldis sink                         take everything on 4317 and 4318 and count it
  aldis load --duration 10s          send generated logs to 127.0.0.1:4317 as fast as they are answered
  aldis replay spans.jsonl -c config.yaml
                                     lead a file through the pipelines of a configuration, and end
  aldis seal spans.jsonl -o spans.sealed --key-file key
                                     compress and encrypt a file; `aldis open` gives it back
  aldis run --budget-cpu 10s -- ./job
                                     run a command, tell what it used, end it when that is used up

Every command has examples of its own: `aldis COMMAND --help`.";

/// A telemetry engine: OTLP in, a bounded pipeline, OTLP out.
#[derive(Debug, Parser)]
#[command(name = "aldis", version, after_help = format!("{EXAMPLES}\n\n{}", exit::table()))]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it work: a modelled shop sends telemetry, and a summary shows it.
    Demo(demo::DemoArgs),
    /// Run the engine that a configuration file describes; without a file, show what comes.
    Serve(serve::ServeArgs),
    /// Tell every problem of a configuration file.
    Check(check::CheckArgs),
    /// What can stand in a configuration file: as a JSON Schema for editors, or as a page to read.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Have a running engine read its configuration file again.
    Reload(reload::ReloadArgs),
    /// Send OTLP requests, replayed or generated, and tell what became of them.
    Load(load::LoadArgs),
    /// Lead files through the pipelines of a configuration, on the time of the telemetry, and end.
    Replay(replay::ReplayArgs),
    /// Run a command in a cgroup of its own, tell what it used, and end it when a budget is used up.
    Run(run::RunArgs),
    /// List what runs under `aldis run`, and end what a killed one has left behind.
    Episodes(episodes::EpisodesArgs),
    /// Compress and encrypt a file into a sealed archive.
    Seal(archive::seal::SealArgs),
    /// Verify and decrypt a sealed archive into a file.
    Open(archive::open::OpenArgs),
    /// Read sealed archives to their end and tell whether they are whole.
    Verify(archive::verify::VerifyArgs),
    /// Write what sealed archives hold, or a range of it, to standard output.
    Cat(archive::cat::CatArgs),
    /// Take OTLP requests, count their records, and forget them.
    Sink(sink::SinkArgs),
    /// Watch a running engine: rates, queues, losses, latencies, memory.
    Top(top::TopArgs),
    /// Whether it is counted which commands are run: off until it is enabled.
    #[command(subcommand)]
    Telemetry(telemetry::TelemetryArgs),
    /// Write what a shell needs to complete this command's words.
    Completions(completions::CompletionsArgs),
    /// Write the manual pages.
    Man(man::ManArgs),
}

impl Command {
    /// What it is counted as; neither what shells and readers ask for nor counting itself is.
    fn counted_as(&self) -> Option<&'static str> {
        Some(match self {
            Command::Demo(_) => "demo",
            Command::Serve(_) => "serve",
            Command::Check(_) => "check",
            Command::Config(config::ConfigCommand::Schema(_)) => "config schema",
            Command::Config(config::ConfigCommand::Docs(_)) => "config docs",
            Command::Reload(_) => "reload",
            Command::Load(_) => "load",
            Command::Replay(_) => "replay",
            Command::Run(_) => "run",
            Command::Episodes(args) => args.counted_as(),
            Command::Seal(_) => "seal",
            Command::Open(_) => "open",
            Command::Verify(_) => "verify",
            Command::Cat(_) => "cat",
            Command::Sink(_) => "sink",
            Command::Top(_) => "top",
            Command::Telemetry(_) | Command::Completions(_) | Command::Man(_) => return None,
        })
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if number > 0.0 && number.is_finite() {
        Ok(number)
    } else {
        Err("it must be greater than zero".to_owned())
    }
}

/// A time that is not over before it begins.
fn some_time(text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        Duration::ZERO => Err("it must be greater than zero".to_owned()),
        time => Ok(time),
    }
}

impl Cli {
    /// Reads the command line and does what was asked for.
    pub(crate) fn main() -> Exit {
        let usage = telemetry::init();
        match Cli::try_parse() {
            Ok(cli) => {
                if let Some(name) = cli.command.counted_as() {
                    telemetry::track(usage, name);
                }
                output::exit_after(cli.run(usage))
            }
            Err(error) if error.use_stderr() && std::env::args_os().any(|word| word == "--json") => {
                let text = error.render().to_string();
                fail(true, Exit::Usage, text.trim_start_matches("error: ").trim_end())
            }
            Err(error) => {
                // Help and versions are no errors, and whoever asked may have gone.
                let _ = error.print();
                if error.use_stderr() { Exit::Usage } else { Exit::Success }
            }
        }
    }

    fn run(self, usage: &Usage) -> Exit {
        match self.command {
            Command::Demo(args) => demo::run(&args),
            Command::Serve(args) => serve::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Config(command) => config::run(&command),
            Command::Reload(args) => reload::run(&args),
            Command::Load(args) => load::run(&args),
            Command::Replay(args) => replay::run(&args),
            Command::Run(args) => run::run(&args),
            Command::Episodes(args) => episodes::run(&args),
            Command::Seal(args) => archive::seal::run(&args),
            Command::Open(args) => archive::open::run(&args),
            Command::Verify(args) => archive::verify::run(&args),
            Command::Cat(args) => archive::cat::run(&args),
            Command::Sink(args) => sink::run(&args),
            Command::Top(args) => top::run(&args),
            Command::Telemetry(args) => telemetry::run(&args, usage),
            Command::Completions(args) => completions::run(&args),
            Command::Man(args) => man::run(&args),
        }
    }
}

/// The whole command line, for what is derived from it.
fn whole() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// Tells why nothing more is done: a line, or for programs an object.
fn fail(json: bool, exit: Exit, message: &str) -> Exit {
    if json {
        output::say_line(format_args!("{}", json!({"event": "error", "message": message})));
    } else {
        output::say_line(format_args!("error: {message}"));
    }
    exit
}

/// The ending of a plural.
fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests;
