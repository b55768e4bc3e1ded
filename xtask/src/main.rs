//! `cargo xtask`: the commands of this repository. `cargo xtask help` lists them.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to a terminal")]

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask test [SUITE…]   set up what the suites need and run them (all, or those named); ends with a table
cargo xtask test --list     name the suites
cargo xtask tidy            check the house: layers, sizes, words, links, promises
cargo xtask package         build for release; check the binary's size, the systemd unit, and the image where an engine is
cargo xtask peers           build the peer of the benchmarks (the OpenTelemetry Collector) into <target>/peers
cargo xtask peers episodes    fetch those that `bench episodes` measures beside `aldis run`: Debian's time, hyperfine, perf; psutil of PyPI
cargo xtask peers otel-arrow  the same with OTel Arrow's dataflow engine, for the row of that name: half an hour of compiling
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["test", rest @ ..] => xtask::suites::command(rest),
        ["tidy"] => xtask::tidy::command(),
        ["package"] => xtask::package::command(),
        ["peers"] => xtask::peers::command(),
        ["peers", "episodes"] => xtask::peers::episodes(),
        ["peers", "otel-arrow"] => xtask::peers::otel_arrow(),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(true)
        }
        _ => Err(format!("no such command: {:?}\n\n{HELP}", args.join(" "))),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::from(2)
        }
    }
}
