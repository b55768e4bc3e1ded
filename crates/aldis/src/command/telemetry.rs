//! `aldis telemetry`, and the counting of the other commands, off until a user enables it here.

use clap::{ArgMatches, Error, FromArgMatches, Subcommand};
use usage::{ManageError, TelemetryCommand, Tool, Tracked, Usage};

use super::fail;
use crate::{exit::Exit, output};

const EXAMPLES: &str = "\
Examples:
  aldis telemetry status                                    whether commands are counted, and why
  aldis telemetry enable --endpoint http://127.0.0.1:4318   count them, and send that there
  aldis telemetry show                                      what is sent
  aldis telemetry disable                                   stop, and forget the pseudonym of this installation";

const OF_COMMANDS: [(&str, &str); 5] = [
    (
        "enable",
        "\
Examples:
  aldis telemetry enable --endpoint http://127.0.0.1:4318    the engine of `aldis serve`, on this machine
  aldis telemetry enable                                     where it was sent before",
    ),
    (
        "disable",
        "\
Examples:
  aldis telemetry disable

DO_NOT_TRACK=1 and ALDIS_TELEMETRY=off do so for one run.",
    ),
    (
        "status",
        "\
Examples:
  aldis telemetry status
  aldis telemetry status --json | jq .reason",
    ),
    (
        "show",
        "\
Examples:
  aldis telemetry show

ALDIS_TELEMETRY=log shows what any command would send.",
    ),
    (
        "reset",
        "\
Examples:
  aldis telemetry reset",
    ),
];

/// The commands of `aldis telemetry`: those of the library, with examples.
#[derive(Debug)]
pub(crate) struct TelemetryArgs(TelemetryCommand);

impl FromArgMatches for TelemetryArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        TelemetryCommand::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Subcommand for TelemetryArgs {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        let command = TelemetryCommand::augment_subcommands(command).after_help(EXAMPLES);
        let with_examples = |command: clap::Command, (name, examples)| {
            command.mut_subcommand(name, |inner: clap::Command| inner.after_help(examples))
        };
        OF_COMMANDS.into_iter().fold(command, with_examples)
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        TelemetryCommand::has_subcommand(name)
    }
}

/// The handle of this process. In a process that was started to send it never returns.
pub(crate) fn init() -> &'static Usage {
    usage::init(Tool::new("aldis", env!("CARGO_PKG_VERSION")))
}

/// Counts one execution of a command, if the user wants that.
pub(crate) fn track(usage: &Usage, command: &'static str) {
    if let Tracked::Sending(sending) = usage.track(command)
        // A child that was waited for is counted as what a command that is run has used.
        && command != "run"
    {
        // An engine runs for weeks: the system's table of processes should not have the sender's entry for as long. Without a thread
        // it has.
        let _ = std::thread::Builder::new().name("usage".to_owned()).spawn(|| sending.wait());
    }
}

/// Does what a user decides.
pub(crate) fn run(args: &TelemetryArgs, usage: &Usage) -> Exit {
    match args.0.run(usage) {
        Ok(text) => {
            output::show(format_args!("{text}"));
            Exit::Success
        }
        Err(error) => {
            let exit = match error {
                ManageError::Endpoint(_) => Exit::Usage,
                ManageError::Config(_)
                | ManageError::Storage(_)
                | ManageError::NoDirectory
                | ManageError::Busy(_) => Exit::File,
            };
            fail(false, exit, &error.to_string())
        }
    }
}
