//! `aldis completions`.

use clap::Args;
use clap_complete::{Shell, generate};

use super::whole;
use crate::{exit::Exit, output};

const EXAMPLES: &str = "\
Examples:
  aldis completions bash > ~/.local/share/bash-completion/completions/aldis
  aldis completions zsh > ~/.zfunc/_aldis                          with ~/.zfunc in $fpath
  aldis completions fish > ~/.config/fish/completions/aldis.fish";

/// Arguments of `aldis completions`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Writes the script for a shell.
pub(crate) fn run(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    generate(args.shell, &mut whole(), "aldis", &mut script);
    output::show_bytes(&script);
    Exit::Success
}
