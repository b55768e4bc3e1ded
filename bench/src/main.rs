//! Measurements. `bench check` measures what it costs to check a request; `bench edit` to change one and to build one;
//! `bench expr` what a condition costs beside the `cel` crate; `bench record` what it costs to record a span in one's own
//! process; `bench rate` what that takes at a fixed rate; `bench workload` what it costs to make the telemetry of the
//! modelled shop; `bench process` measures whole processes, side by side with the OpenTelemetry Collector.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to a terminal")]

mod check;
mod edit;
mod expressions;
mod process;
mod rate;
mod record;
mod shop;

use std::path::PathBuf;
use std::process::ExitCode;

/// The allocator of the `aldis` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.first().map(String::as_str) {
        Some("check") => check::command(&shared_data()),
        Some("expr") => expressions::command(&shared_data()),
        Some("edit") => edit::command(&shared_data()),
        Some("process") => process::command(&args[1..]),
        Some("rate") => rate::command(&args[1..]),
        Some("record") => record::command(&args[1..]),
        Some("workload") => shop::command(&args[1..]),
        _ => Err(format!(
            "say what to measure\n{}\n{}\n{}\n{}",
            process::HELP,
            record::HELP,
            rate::HELP,
            shop::HELP
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Where the real inputs are: `ALDIS_SHARED_DATA`, else beside the workspace.
fn shared_data() -> PathBuf {
    std::env::var_os("ALDIS_SHARED_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    )
}
