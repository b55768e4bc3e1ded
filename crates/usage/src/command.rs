//! The subcommand `telemetry`, for tools that use clap.

use std::io::{self, Write};

use clap::{Args, Subcommand};

use crate::{management::ManageError, usage::Usage};

/// What a user can say and ask about counting. Put it into a tool's own commands:
///
/// ```
/// use aldis_usage::TelemetryCommand;
/// use clap::{Parser, Subcommand};
///
/// #[derive(Parser)]
/// struct Cli {
///     #[command(subcommand)]
///     command: Command,
/// }
///
/// #[derive(Subcommand)]
/// enum Command {
///     Build,
///     /// Whether the use of this tool is counted.
///     #[command(subcommand)]
///     Telemetry(TelemetryCommand),
/// }
///
/// assert!(Cli::try_parse_from(["tool", "telemetry", "enable", "--endpoint", "http://a:4318"]).is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum TelemetryCommand {
    /// Count which commands are run, and send that to an OTLP receiver.
    Enable(EnableArgs),
    /// Count nothing any more, and forget the pseudonym of this installation.
    Disable,
    /// Tell whether commands are counted, and why, and what came of the last one.
    Status(StatusArgs),
    /// Write what would be sent, and to standard error where to.
    Show,
    /// Forget the pseudonym of this installation: the next one is another.
    Reset,
}

/// Arguments of `telemetry enable`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct EnableArgs {
    /// Base URL of an OTLP/HTTP receiver; `/v1/metrics` is added. Without it, the one that is configured.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
}

/// Arguments of `telemetry status`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct StatusArgs {
    /// Write the answer as JSON.
    #[arg(long)]
    json: bool,
}

impl TelemetryCommand {
    /// Does it; the text is for standard output. `show` writes to standard error where it would go, so that what it shows can be read as it is.
    ///
    /// # Errors
    /// What is told on standard error: the decision could not be kept.
    pub fn run(&self, usage: &Usage) -> Result<String, ManageError> {
        match self {
            TelemetryCommand::Enable(args) => usage.enable(args.endpoint.as_deref()),
            TelemetryCommand::Disable => usage.disable(),
            TelemetryCommand::Status(args) if args.json => Ok(format!("{}\n", usage.status().to_json())),
            TelemetryCommand::Status(_) => Ok(usage.status().to_string()),
            TelemetryCommand::Show => {
                let body = usage.show()?;
                // Where nobody reads it nothing is lost.
                let _ = writeln!(io::stderr(), "{}", usage.destination());
                Ok(format!("{body}\n"))
            }
            TelemetryCommand::Reset => usage.reset(),
        }
    }
}
