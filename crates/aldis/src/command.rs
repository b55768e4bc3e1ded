//! The command line: what can be typed, and what it calls.

mod builtin;
mod check;
mod demo;
mod load;
mod serve;
mod sink;

use std::{io::IsTerminal, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use engine::settings::{Address, duration};

use crate::exit::{self, Exit};

const EXAMPLES: &str = "\
Examples:
  aldis demo                         see it work: a modelled shop sends telemetry, a summary shows it
  aldis serve                        take OTLP in on 4317 and 4318, and show what comes
  aldis check config.yaml            every problem of a configuration, with its place
  aldis serve -c config.yaml         run it until SIGTERM or Ctrl-C, then drain
  aldis sink                         take everything on 4317 and 4318 and count it
  aldis load --duration 10s          send generated logs to 127.0.0.1:4317 as fast as they are answered
  aldis load traces.zst --batch 1000 --codec zstd --rate 50
                                     replay a file in requests of about 1000 spans, 50 a second
  aldis load spans.jsonl --protocol http --encoding json --requests 100
                                     replay OTLP/JSON as it is, a hundred requests
  aldis load --workload 7 --requests 1000
                                     a thousand requests of a modelled shop: traces, logs and metrics";

/// A telemetry engine: OTLP in, a bounded pipeline, OTLP out.
#[derive(Debug, Parser)]
#[command(name = "aldis", version, after_help = format!("{EXAMPLES}\n\n{}", exit::table()))]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it work: a modelled shop sends telemetry, and a summary shows it.
    Demo(DemoArgs),
    /// Run the engine that a configuration file describes; without a file, show what comes.
    Serve(ServeArgs),
    /// Tell every problem of a configuration file.
    Check(CheckArgs),
    /// Send OTLP requests, replayed or generated, and tell what became of them.
    Load(LoadArgs),
    /// Take OTLP requests, count their records, and forget them.
    Sink(SinkArgs),
}

/// Seconds: the longest drain that can be asked for, a day.
const MAX_DRAIN_SECONDS: u64 = 24 * 3600;

/// Flags of `aldis serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The configuration: YAML in the shape of the OpenTelemetry Collector's. Without it, OTLP is taken in and a summary shown.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Without a configuration: where to listen for gRPC; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4317", value_parser = Address::parse, conflicts_with = "config")]
    grpc: Address,
    /// Without a configuration: where to listen for HTTP; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4318", value_parser = Address::parse, conflicts_with = "config")]
    http: Address,
    /// Write the addresses that are listened on to this file, as JSON, once the engine has started.
    #[arg(long, value_name = "FILE")]
    addresses_file: Option<PathBuf>,
    /// How long what was accepted may take to leave after SIGTERM, in seconds. A second signal ends at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=MAX_DRAIN_SECONDS))]
    drain_timeout: u64,
    /// Threads that carry telemetry; 0 is one for each CPU that may be used.
    #[arg(long, value_name = "N", default_value_t = 0)]
    shards: usize,
    /// Write what became of all telemetry to standard error when the engine ends.
    #[arg(long)]
    stats_on_exit: bool,
    /// Write the lines on standard error as JSON.
    #[arg(long)]
    json: bool,
}

/// Flags of `aldis demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// From which every choice in the shop follows.
    #[arg(long, value_name = "N", default_value_t = 1917)]
    seed: u64,
    /// How many traces begin in a second, on average.
    #[arg(long, value_name = "PER-SECOND", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// For how long [default: until Ctrl-C].
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    duration: Option<Duration>,
    /// Write the summary every few seconds, and the books at the end, to standard output as JSON, an object on each line.
    #[arg(long)]
    json: bool,
}

/// Flags of `aldis check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write the problems to standard output as JSON.
    #[arg(long)]
    json: bool,
}

/// Flags of `aldis load`.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// What to send, over and over: OTLP/JSON, one request or a line each, or a sequence of length (u32, big-endian) and
    /// request; compressed with zstd or gzip or not. Without it, generated logs.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Instead of a file, the telemetry of the modelled shop that `aldis demo` shows, made from this number.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["file", "signal", "batch", "stamp_every"])]
    workload: Option<u64>,
    /// The signal that the file has, where neither its name nor JSON tells; of a JSON file with several, the one to send.
    #[arg(long, value_name = "SIGNAL", value_parser = ["traces", "logs", "metrics", "profiles"])]
    signal: Option<String>,
    /// Where to: host:port or a URL [default: 127.0.0.1:4317, over HTTP 127.0.0.1:4318].
    #[arg(long, value_name = "ADDRESS")]
    endpoint: Option<String>,
    /// The transport.
    #[arg(long, value_enum, default_value_t = ProtocolArg::Grpc)]
    protocol: ProtocolArg,
    /// What bodies are written in; json needs `--protocol http`.
    #[arg(long, value_enum, default_value_t = EncodingArg::Proto)]
    encoding: EncodingArg,
    /// How bodies are compressed, once, before anything is sent.
    #[arg(long, value_enum, default_value_t = CodecArg::None)]
    codec: CodecArg,
    /// How hard: gzip 1 to 12, zstd 1 to 22.
    #[arg(long, value_name = "LEVEL")]
    level: Option<i32>,
    /// A header sent with every request; may be given more than once.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Connections.
    #[arg(long, value_name = "N", default_value_t = 1)]
    connections: usize,
    /// Requests in flight on each connection.
    #[arg(long, value_name = "N", default_value_t = 1)]
    in_flight: usize,
    /// Requests per second; without it the next is sent when one is answered.
    #[arg(long, value_name = "PER-SECOND", value_parser = positive)]
    rate: Option<f64>,
    /// For how long [default: 10s, with --requests as long as they take].
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    duration: Option<Duration>,
    /// End after so many requests.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// Write the time of sending into every N-th request, over the time of its first record, so that `aldis sink` tells
    /// how long requests take to arrive there.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    stamp_every: Option<u64>,
    /// How long one request may take.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    timeout: Duration,
    /// Records in each request: a file's are grouped anew by whole resources.
    #[arg(long, value_name = "RECORDS")]
    batch: Option<usize>,
    /// Write the result to standard output as JSON.
    #[arg(long)]
    json: bool,
}

/// Flags of `aldis sink`.
#[derive(Debug, Args)]
pub(crate) struct SinkArgs {
    /// Where to listen for gRPC; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4317", value_parser = Address::parse)]
    grpc: Address,
    /// Where to listen for HTTP; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4318", value_parser = Address::parse)]
    http: Address,
    /// The largest request, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    max_request_mib: usize,
    /// Take no more records per second than this: answers wait for their turn.
    #[arg(long, value_name = "PER-SECOND", value_parser = positive)]
    rate: Option<f64>,
    /// The part of all requests that is refused, 0 to 1.
    #[arg(long, value_name = "PART", default_value_t = 0.0)]
    refuse: f64,
    /// End after this time; without it, at SIGTERM or Ctrl-C.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    duration: Option<Duration>,
    /// Threads; 0 is one for each CPU that may be used.
    #[arg(long, value_name = "N", default_value_t = 0)]
    shards: usize,
    /// Write the addresses that are listened on to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    addresses_file: Option<PathBuf>,
    /// Write the result to standard output, and the start to standard error, as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProtocolArg {
    Grpc,
    Http,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EncodingArg {
    Proto,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CodecArg {
    None,
    Gzip,
    Zstd,
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if number > 0.0 && number.is_finite() {
        Ok(number)
    } else {
        Err("it must be greater than zero".to_owned())
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has no `=`")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Cli {
    /// Does what was asked for.
    pub(crate) fn run(self) -> Exit {
        match self.command {
            Command::Demo(args) => demo::run(&args),
            Command::Serve(args) => serve::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Load(args) => load::run(&args),
            Command::Sink(args) => sink::run(&args),
        }
    }
}

/// Whether to colour what is written to a stream: on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
pub(crate) fn color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The ending of a plural.
fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}
