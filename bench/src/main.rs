//! Measurements. `bench archive` measures what it takes to seal and to open; `bench check` what it costs to check a request; `bench
//! collect` what it costs to collect events and metrics inside one's own process; `bench compression` what codecs cost and save by
//! level; `bench edit` to change one and to build one; `bench episodes` how near to the truth it is what `aldis run` tells; `bench expr` what a condition costs beside the `cel` crate; `bench record` what it costs to record a span in one's own
//! process; `bench rate` what that takes at a fixed rate; `bench workload` what it costs to make the telemetry of the
//! modelled shop; `bench exposition` what it costs to keep series for Prometheus, to expose them and to write them; `bench process`
//! measures whole processes, side by side with the OpenTelemetry Collector.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to a terminal")]

mod archive;
mod check;
mod collect;
mod compression;
mod edit;
mod episodes;
mod exposition;
mod expressions;
mod framing;
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
        Some("archive") => archive::command(&args[1..]),
        Some("check") => check::command(&shared_data()),
        Some("collect") => collect::command(&args[1..]),
        Some("compression") => compression::command(&args[1..], &shared_data()),
        Some("expr") => expressions::command(&shared_data()),
        Some("exposition") => exposition::command(&args[1..]),
        Some("episodes") => episodes::command(&args[1..]),
        Some("edit") => edit::command(&shared_data()),
        Some("process") => process::command(&args[1..]),
        Some("rate") => rate::command(&args[1..]),
        Some("record") => record::command(&args[1..]),
        Some("workload") => shop::command(&args[1..]),
        _ => Err(format!(
            "say what to measure\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}",
            collect::HELP,
            episodes::HELP,
            process::HELP,
            archive::HELP,
            compression::HELP,
            exposition::HELP,
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
