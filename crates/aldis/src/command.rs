//! The command line: what can be typed, and what it calls.

mod check;
mod serve;

use std::{io::IsTerminal, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::exit::{self, Exit};

const EXAMPLES: &str = "\
Examples:
  aldis check config.yaml            every problem of a configuration, with its place
  aldis serve -c config.yaml         run it until SIGTERM or Ctrl-C, then drain";

/// A telemetry engine: OTLP in, a bounded pipeline, OTLP out.
#[derive(Debug, Parser)]
#[command(name = "aldis", version, after_help = format!("{EXAMPLES}\n\n{}", exit::table()))]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the engine that a configuration file describes.
    Serve(ServeArgs),
    /// Tell every problem of a configuration file.
    Check(CheckArgs),
}

/// Flags of `aldis serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The configuration: YAML in the shape of the OpenTelemetry Collector's.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Write the addresses that are listened on to this file, as JSON, once the engine has started.
    #[arg(long, value_name = "FILE")]
    addresses_file: Option<PathBuf>,
    /// How long what was accepted may take to leave after SIGTERM, in seconds. A second signal ends at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain_timeout: u64,
    /// Threads that carry telemetry; 0 is one for each CPU that may be used.
    #[arg(long, value_name = "N", default_value_t = 0)]
    shards: usize,
    /// Write what became of all telemetry to standard error when the engine ends.
    #[arg(long)]
    stats_on_exit: bool,
    /// Write the lines on standard error as JSON.
    #[arg(long)]
    json: bool,
}

/// Flags of `aldis check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write the problems to standard output as JSON.
    #[arg(long)]
    json: bool,
}

impl Cli {
    /// Does what was asked for.
    pub(crate) fn run(self) -> Exit {
        match self.command {
            Command::Serve(args) => serve::run(&args),
            Command::Check(args) => check::run(&args),
        }
    }
}

/// Whether to colour what is written to a stream: on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
fn color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The ending of a plural.
fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}
