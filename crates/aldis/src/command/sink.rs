//! `aldis sink`.

use std::time::{Duration, Instant};

use connect::otlp::{
    GrpcSettings, HttpSettings, ReceiverSettings,
    sink::{Rate, Sink, SinkReport, SinkSettings},
};
use engine::{run::Bound, settings::Address};
use pipeline::Shards;
use serde_json::{Value, json};

use super::SinkArgs;
use crate::{addresses, exit::Exit, signals::Signals};

/// Takes everything and counts it, until a signal comes or the time is over.
pub(crate) fn run(args: &SinkArgs) -> Exit {
    let started = Signals::listen().and_then(|signals| Ok((signals, Shards::start(args.shards, "sink")?)));
    let (signals, shards) = match started {
        Ok(started) => started,
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::Unavailable;
        }
    };
    let sink = match Sink::start(settings(args), &shards) {
        Ok(sink) => sink,
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::Unavailable;
        }
    };
    let bound = [("grpc", sink.grpc_addr()), ("http", sink.http_addr())].into_iter().filter_map(
        |(protocol, address)| Some(Bound { receiver: "sink".to_owned(), protocol, address: address? }),
    );
    let bound: Vec<Bound> = bound.collect();
    let started = addresses::started(&bound, shards.count());
    if args.json {
        eprintln!("{started}");
    } else {
        eprintln!("counting: {}", addresses::listed(&bound));
    }
    if let Some(file) = &args.addresses_file
        && let Err(error) = addresses::write(file, &started)
    {
        eprintln!("error: cannot write {}: {error}", file.display());
        return Exit::File;
    }
    match args.duration {
        Some(duration) => drop(signals.wait_for(duration)),
        None => signals.wait(),
    }
    let report = sink.stop(Instant::now() + STOP);
    if args.json {
        println!("{}", as_json(&report));
    } else {
        println!("{}", as_text(&report));
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
        ..GrpcSettings::default()
    };
    let http = |address: &Address| HttpSettings {
        endpoint: address.to_string(),
        max_request_body_size: max << 20,
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
