//! `aldis config`: what can stand in a configuration file.

use clap::{Args, Subcommand};

use crate::{exit::Exit, output};

const EXAMPLES: &str = "\
Examples:
  aldis config schema > aldis.schema.json
  aldis config docs | less";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  aldis config schema > aldis.schema.json

An editor with the YAML language server checks and completes a file whose first line is
  # yaml-language-server: $schema=aldis.schema.json";

const DOCS_EXAMPLES: &str = "\
Examples:
  aldis config docs | less
  aldis config docs > settings.md";

/// Commands of `aldis config`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum ConfigCommand {
    /// Write a JSON Schema (draft 2020-12) of configuration files: keys, types, bounds, defaults, descriptions.
    Schema(SchemaArgs),
    /// Write every component with its settings, as Markdown.
    Docs(DocsArgs),
}

/// Arguments of `aldis config schema`: none.
#[derive(Debug, Args)]
#[command(after_help = SCHEMA_EXAMPLES)]
pub(crate) struct SchemaArgs {}

/// Arguments of `aldis config docs`: none.
#[derive(Debug, Args)]
#[command(after_help = DOCS_EXAMPLES)]
pub(crate) struct DocsArgs {}

/// Writes what is asked for. Both are derived from the rows by which files are read.
pub(crate) fn run(command: &ConfigCommand) -> Exit {
    match command {
        ConfigCommand::Schema(SchemaArgs {}) => {
            output::show_line(format_args!("{:#}", engine::reference::schema()));
            Exit::Success
        }
        ConfigCommand::Docs(DocsArgs {}) => {
            output::show_bytes(engine::reference::markdown().as_bytes());
            Exit::Success
        }
    }
}
