//! `aldis sink`.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use connect::otlp::{
    GrpcSettings, HttpSettings, ReceiverSettings,
    sink::{Rate, Sink, SinkReport, SinkSettings},
};
use engine::{run::Bound, settings::Address};
use pipeline::Shards;
use serde_json::{Value, json};

use super::{fail, positive, some_time};
use crate::{addresses, exit::Exit, output, signals::Signals};

const EXAMPLES: &str = "\
Examples:
  aldis sink                                                     take everything on 4317 and 4318
  aldis sink --grpc 127.0.0.1:5317 --http 127.0.0.1:5318         behind `aldis serve -c examples/relay.yaml`
  aldis sink --refuse 0.1 --duration 1m                          refuse a tenth of all requests, for a minute
  aldis sink --rate 50000 --json                                 take 50,000 records a second, and report as JSON";

/// MiB: the largest request that a receiver can be told to take.
const MAX_REQUEST_MIB: usize = 1024;

fn mebibytes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(mebibytes @ 1..=MAX_REQUEST_MIB) => Ok(mebibytes),
        _ => Err(format!("it is not a whole number from 1 to {MAX_REQUEST_MIB}")),
    }
}

fn part(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(part) if (0.0..=1.0).contains(&part) => Ok(part),
        _ => Err("it is not a number from 0 to 1".to_owned()),
    }
}

/// Flags of `aldis sink`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SinkArgs {
    /// Where to listen for gRPC; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4317", value_parser = Address::parse)]
    grpc: Address,
    /// Where to listen for HTTP; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4318", value_parser = Address::parse)]
    http: Address,
    #[command(flatten)]
    tls: super::tls::ServerTlsArgs,
    /// The largest request, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = mebibytes)]
    max_request_mib: usize,
    /// Take no more records per second than this: answers wait for their turn.
    #[arg(long, value_name = "PER-SECOND", value_parser = positive)]
    rate: Option<f64>,
    /// The part of all requests that is refused, 0 to 1.
    #[arg(long, value_name = "PART", default_value_t = 0.0, value_parser = part)]
    refuse: f64,
    /// End after this time; without it, at SIGTERM or Ctrl-C.
    #[arg(long, value_name = "TIME", value_parser = some_time)]
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

/// Takes everything and counts it, until a signal comes or the time is over.
pub(crate) fn run(args: &SinkArgs) -> Exit {
    if let Err(message) = args.tls.check_files() {
        return fail(args.json, Exit::File, &message);
    }
    let started = Signals::listen().and_then(|signals| Ok((signals, Shards::start(args.shards, "sink")?)));
    let (signals, shards) = match started {
        Ok(started) => started,
        Err(error) => {
            return fail(args.json, Exit::Unavailable, &error.to_string());
        }
    };
    let sink = match Sink::start(settings(args), &shards) {
        Ok(sink) => sink,
        Err(error) => {
            return fail(args.json, Exit::Unavailable, &error.to_string());
        }
    };
    let bound = [("grpc", sink.grpc_addr()), ("http", sink.http_addr())].into_iter().filter_map(
        |(protocol, address)| Some(Bound { receiver: "sink".to_owned(), protocol, address: address? }),
    );
    let bound: Vec<Bound> = bound.collect();
    let started = addresses::started(&bound, shards.count());
    if args.json {
        output::say_line(format_args!("{started}"));
    } else {
        output::say_line(format_args!("counting: {}", addresses::listed(&bound)));
    }
    if let Some(file) = &args.addresses_file
        && let Err(error) = addresses::write(file, &started)
    {
        return fail(args.json, Exit::File, &format!("cannot write {}: {error}", file.display()));
    }
    match args.duration {
        Some(duration) => drop(signals.wait_for(duration)),
        None => signals.wait(),
    }
    let report = sink.stop(Instant::now() + STOP);
    if args.json {
        output::show_line(format_args!("{}", as_json(&report)));
    } else {
        output::show_line(format_args!("{}", as_text(&report)));
    }
    Exit::Success
}

/// How long requests in flight may take at the end.
const STOP: Duration = Duration::from_secs(2);

fn settings(args: &SinkArgs) -> SinkSettings {
    let max = args.max_request_mib;
    let grpc = |address: &Address| GrpcSettings {
        endpoint: address.to_string(),
        max_recv_msg_size_mib: max,
        tls: args.tls.settings(),
        ..GrpcSettings::default()
    };
    let http = |address: &Address| HttpSettings {
        endpoint: address.to_string(),
        max_request_body_size: max << 20,
        tls: args.tls.settings(),
        ..HttpSettings::default()
    };
    SinkSettings {
        receiver: ReceiverSettings {
            grpc: Some(grpc(&args.grpc)),
            http: Some(http(&args.http)),
            ..ReceiverSettings::default()
        },
        rate: args.rate.map(Rate::Records),
        refuse: args.refuse,
        ..SinkSettings::default()
    }
}

fn as_text(report: &SinkReport) -> String {
    let rate = if report.seconds > 0.0 { report.records as f64 / report.seconds } else { 0.0 };
    let SinkReport { requests, records, bytes, refused_requests, seconds, .. } = report;
    let stamps = match report.stamps {
        0 => String::new(),
        stamps => format!(
            "\n{stamps} stamps, sent to here: p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            report.p50_ms, report.p90_ms, report.p99_ms, report.max_ms
        ),
    };
    format!(
        "{records} records in {requests} requests, {bytes} bytes, {rate:.0} records/s over {seconds:.2} s; {refused_requests} refused{stamps}"
    )
}

fn as_json(report: &SinkReport) -> Value {
    json!({
        "requests": report.requests,
        "records": report.records,
        "bytes": report.bytes,
        "refused_requests": report.refused_requests,
        "seconds": report.seconds,
        "stamps": report.stamps,
        "p50_ms": report.p50_ms,
        "p90_ms": report.p90_ms,
        "p99_ms": report.p99_ms,
        "max_ms": report.max_ms,
    })
}
