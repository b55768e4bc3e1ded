//! The `aldis` command.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks to its user")]

mod addresses;
mod command;
mod exit;
mod report;
mod shop;
mod signals;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(command::Cli::parse().run().code())
}
