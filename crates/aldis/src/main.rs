//! The `aldis` command.
#![forbid(unsafe_code)]

mod addresses;
mod color;
mod command;
mod control;
mod exit;
mod output;
mod report;
mod service_manager;
mod shop;
mod signals;
mod terminal;
mod top;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // This program is also what places the commands of `aldis run` in their cgroups.
    host::enter_if_asked();
    ExitCode::from(command::Cli::main().code())
}
