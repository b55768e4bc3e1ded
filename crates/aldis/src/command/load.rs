//! `aldis load`.

use std::{
    path::PathBuf,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use connect::otlp::{
    Encoding, OtlpConfig, Protocol,
    load::{self, Corpus, Load, LoadError, LoadReport, Pace, Refused},
};
use engine::settings::duration;
use otlp::{Codec, Signal};
use serde_json::{Value, json};

use super::{archive::SealedArgs, fail, positive, some_time};
use crate::{exit::Exit, output, shop::Shop, terminal::progress};

const EXAMPLES: &str = "\
Examples:
  aldis load --duration 10s          send generated logs to 127.0.0.1:4317 as fast as they are answered
  aldis load traces.zst --batch 1000 --codec zstd --rate 50
                                     replay a file in requests of about 1000 spans, 50 a second
  aldis load spans.jsonl --protocol http --encoding json --requests 100
                                     replay OTLP/JSON as it is, a hundred requests
  aldis load --workload 7 --requests 1000
                                     a thousand requests of a modelled shop: traces, logs and metrics
  aldis load --rate 200 --stamp-every 10 --json
                                     with stamps by which `aldis sink` tells how long requests take";

/// Flags of `aldis load`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LoadArgs {
    /// What to send, over and over: OTLP/JSON, one request or a line each, or a sequence of length (u32, big-endian) and
    /// request; compressed with zstd or gzip or not, or sealed by `aldis seal`. Without it, generated logs.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Instead of a file, the telemetry of the modelled shop that `aldis demo` shows, made from this number.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["file", "signal", "batch"])]
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
    #[arg(long, value_name = "TIME", value_parser = some_time)]
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
    #[command(flatten)]
    sealed: SealedArgs,
    #[command(flatten)]
    tls: super::tls::ClientTlsArgs,
    /// Write the result to standard output as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ProtocolArg {
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

pub(super) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has no `=`")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Sends requests and tells what became of them.
pub(crate) fn run(args: &LoadArgs) -> Exit {
    if let Err(message) = args.tls.check_files() {
        return fail(args.json, Exit::File, &message);
    }
    let settings = settings(args);
    let outcome = match args.workload {
        Some(seed) => shop(args.json, &settings, seed),
        None => match corpus(args) {
            Ok(corpus) => watched(args.json, &settings, || load::run(&settings, &corpus)),
            Err(message) => {
                return fail(args.json, Exit::File, &message);
            }
        },
    };
    let report = match outcome {
        Ok(report) => report,
        Err(error) => {
            let exit = match error {
                LoadError::Io(_) => Exit::Unavailable,
                LoadError::Malformed(_) | LoadError::NothingToSend => Exit::File,
                _ => Exit::Usage,
            };
            return fail(args.json, exit, &error.to_string());
        }
    };
    if args.json {
        output::show_line(format_args!("{:#}", as_json(&report)));
    } else {
        output::show(format_args!("{}", as_text(&report)));
    }
    let lost = report.refused_records() + report.rejected_records;
    if lost == 0 && report.refused.is_empty() { Exit::Success } else { Exit::Undelivered }
}

/// Sends the requests of a modelled shop. Its time goes as fast as they are taken.
fn shop(json: bool, settings: &Load, seed: u64) -> Result<LoadReport, LoadError> {
    // Single traces are not asked for, so they need not be remembered.
    let shop = Shop::open(workload::Settings { seed, truths_max: 0, ..workload::Settings::default() });
    // The usual settings with another seed are good ones.
    let Ok(shop) = shop else { return Err(LoadError::NothingToSend) };
    watched(json, settings, || load::play(settings, move || shop.next_at_once()))
}

fn settings(args: &LoadArgs) -> Load {
    let compression = match args.codec {
        CodecArg::None => None,
        CodecArg::Gzip => Some(Codec::Gzip),
        CodecArg::Zstd => Some(Codec::Zstd),
    };
    let http = args.protocol == ProtocolArg::Http;
    let endpoint = match (&args.endpoint, http) {
        (Some(endpoint), _) => endpoint.clone(),
        (None, false) => "127.0.0.1:4317".to_owned(),
        (None, true) => "127.0.0.1:4318".to_owned(),
    };
    let defaults = OtlpConfig::default();
    Load {
        target: OtlpConfig {
            protocol: if http { Protocol::Http } else { Protocol::Grpc },
            encoding: match args.encoding {
                EncodingArg::Proto => Encoding::Proto,
                EncodingArg::Json => Encoding::Json,
            },
            endpoint,
            compression,
            compression_level: args.level.unwrap_or(defaults.compression_level),
            headers: args.headers.iter().cloned().map(|(name, value)| (name, value.into())).collect(),
            timeout: args.timeout,
            tls: args.tls.settings(),
            ..defaults
        },
        connections: args.connections,
        in_flight: args.in_flight,
        pace: args.rate.map_or(Pace::Closed, Pace::Requests),
        duration: args.duration.unwrap_or(match args.requests {
            Some(_) => Duration::MAX,
            None => DURATION,
        }),
        requests: args.requests,
        stamp_every: args.stamp_every.unwrap_or(0),
        ..Load::default()
    }
}

/// For how long, where neither that nor a number of requests is given.
const DURATION: Duration = Duration::from_secs(10);

fn corpus(args: &LoadArgs) -> Result<Corpus, String> {
    let Some(file) = &args.file else {
        return Ok(Corpus::logs(GENERATED_REQUESTS, args.batch.unwrap_or(GENERATED_RECORDS)));
    };
    let told = |error: load::CorpusError| match error.place() {
        Some((line, column)) => format!("{}:{line}:{column}: {error}", file.display()),
        None => format!("{}: {error}", file.display()),
    };
    let named = Signal::ALL.into_iter().find(|signal| args.signal.as_deref() == Some(signal.name()));
    let corpus = Corpus::read_with_key(named, file, args.sealed.read()?).map_err(told)?;
    match args.batch {
        Some(records) => corpus.regroup(records as u64).map_err(told),
        None => Ok(corpus),
    }
}

/// Requests that are made where no file is given; they are sent again and again.
const GENERATED_REQUESTS: usize = 16;
/// Records in each.
const GENERATED_RECORDS: usize = 1000;

fn as_text(report: &LoadReport) -> String {
    let refused = report.refused.iter().map(|(code, refused)| {
        let Refused { requests, records, reason } = refused;
        format!("  refused {code}: {requests} requests, {records} records; the first: {reason}\n")
    });
    // Nothing that was answered took no time.
    let is_answered = report.delivered_requests > 0 || report.refused.keys().any(|code| code != "io");
    let latency = match is_answered {
        true => format!(
            "latency p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms; ",
            report.p50_ms, report.p90_ms, report.p99_ms
        ),
        false => String::new(),
    };
    format!(
        "delivered {} records in {} requests, {:.0} records/s\n{}{}{latency}{:.2} s CPU in {:.2} s\n",
        report.delivered_records,
        report.delivered_requests,
        report.records_per_second(),
        refused.collect::<String>(),
        match report.rejected_records {
            0 => String::new(),
            rejected => format!("  rejected by partial success: {rejected} records\n"),
        },
        report.cpu_seconds,
        report.seconds,
    )
}

fn as_json(report: &LoadReport) -> Value {
    let refused = |(code, refused): (&String, &Refused)| {
        let Refused { requests, records, reason } = refused;
        (code.clone(), json!({"requests": requests, "records": records, "first_reason": reason}))
    };
    json!({
        "delivered_requests": report.delivered_requests,
        "delivered_records": report.delivered_records,
        "rejected_records": report.rejected_records,
        "refused_records": report.refused_records(),
        "refused": report.refused.iter().map(refused).collect::<serde_json::Map<_, _>>(),
        "seconds": report.seconds,
        "records_per_second": report.records_per_second(),
        "p50_ms": report.p50_ms,
        "p90_ms": report.p90_ms,
        "p99_ms": report.p99_ms,
        "cpu_seconds": report.cpu_seconds,
    })
}

/// Sends, and shows on the terminal how far that has come.
fn watched<T>(json: bool, settings: &Load, send: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let (requests, duration, answered) = (settings.requests, settings.duration, settings.answered.clone());
    let part = move || {
        // Whichever is over first ends it.
        let of_requests = requests.map(|all| answered.load(Relaxed) as f64 / all.max(1) as f64);
        let of_time = begun.elapsed().as_secs_f64() / duration.as_secs_f64();
        Some(of_requests.unwrap_or_default().max(of_time))
    };
    let what = format!("sending to {}", settings.target.endpoint);
    progress::during(!json, Box::new(move || what.clone()), Box::new(part), send)
}
