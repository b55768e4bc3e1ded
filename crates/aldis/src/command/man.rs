//! `aldis man`.

use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use super::{Cli, fail};
use crate::{exit::Exit, output};

const EXAMPLES: &str = "\
Examples:
  aldis man | man -l -               read the page of `aldis`
  aldis man ~/.local/share/man/man1  write all pages, so that `man aldis-serve` finds its own";

/// Arguments of `aldis man`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManArgs {
    /// Where to write a page for each command, `aldis.1`, `aldis-serve.1` and so on; made if it is not there. Without it, the
    /// page of `aldis` is written to standard output.
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Writes manual pages.
pub(crate) fn run(args: &ManArgs) -> Exit {
    let Some(folder) = &args.folder else {
        let mut written = Vec::new();
        return match Man::new(command()).render(&mut written) {
            Ok(()) => {
                output::show_bytes(&written);
                Exit::Success
            }
            Err(error) => fail(false, Exit::File, &format!("cannot write: {error}")),
        };
    };
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command(), folder));
    match written {
        Ok(()) => Exit::Success,
        Err(error) => fail(false, Exit::File, &format!("cannot write into {}: {error}", folder.display())),
    }
}

/// Every command. `aldis help serve` is another way to say `aldis serve --help`, not one with a page of its own.
fn command() -> clap::Command {
    let no_help = |command: clap::Command| command.disable_help_subcommand(true);
    let mut command = no_help(Cli::command()).mut_subcommands(no_help);
    command.build();
    command
}
