//! `aldis load`.

use std::{io::IsTerminal, sync::mpsc, time::Duration};

use connect::otlp::{
    Encoding, OtlpConfig, Protocol,
    load::{self, Corpus, Load, LoadReport, Pace},
};
use otlp::{Codec, Signal};
use serde_json::{Value, json};

use super::LoadArgs;
use crate::{exit::Exit, shop::Shop};

/// Sends requests and tells what became of them.
pub(crate) fn run(args: &LoadArgs) -> Exit {
    let settings = settings(args);
    let outcome = match args.workload {
        Some(seed) => shop(&settings, seed),
        None => match corpus(args) {
            Ok(corpus) => Progress::during(&settings, || load::run(&settings, &corpus)),
            Err(message) => {
                eprintln!("error: {message}");
                return Exit::File;
            }
        },
    };
    let report = match outcome {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::Usage;
        }
    };
    if args.json {
        println!("{:#}", as_json(&report));
    } else {
        print!("{}", as_text(&report));
    }
    let lost = report.refused_records() + report.rejected_records;
    if lost == 0 && report.refused.is_empty() { Exit::Success } else { Exit::Undelivered }
}

/// Sends the requests of a modelled shop. Its time goes as fast as they are taken.
fn shop(settings: &Load, seed: u64) -> Result<LoadReport, load::LoadError> {
    // Single traces are not asked for, so they need not be remembered.
    let shop = Shop::open(workload::Settings { seed, truths_max: 0, ..workload::Settings::default() });
    // The usual settings with another seed are good ones.
    let Ok(shop) = shop else { return Err(load::LoadError::NothingToSend) };
    Progress::during(settings, || load::play(settings, move || shop.next_at_once()))
}

fn settings(args: &LoadArgs) -> Load {
    let compression = match args.codec {
        super::CodecArg::None => None,
        super::CodecArg::Gzip => Some(Codec::Gzip),
        super::CodecArg::Zstd => Some(Codec::Zstd),
    };
    let http = args.protocol == super::ProtocolArg::Http;
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
                super::EncodingArg::Proto => Encoding::Proto,
                super::EncodingArg::Json => Encoding::Json,
            },
            endpoint,
            compression,
            compression_level: args.level.unwrap_or(defaults.compression_level),
            headers: args.headers.clone(),
            timeout: args.timeout,
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
    let corpus = Corpus::read(named, file).map_err(told)?;
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
        format!("  refused {code}: {} requests, {} records\n", refused.requests, refused.records)
    });
    format!(
        "delivered {} records in {} requests, {:.0} records/s\n{}{}latency p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms; {:.2} s CPU in {:.2} s\n",
        report.delivered_records,
        report.delivered_requests,
        report.records_per_second(),
        refused.collect::<String>(),
        match report.rejected_records {
            0 => String::new(),
            rejected => format!("  rejected by partial success: {rejected} records\n"),
        },
        report.p50_ms,
        report.p90_ms,
        report.p99_ms,
        report.cpu_seconds,
        report.seconds,
    )
}

fn as_json(report: &LoadReport) -> Value {
    let refused = |(code, refused): (&String, &load::Refused)| {
        (code.clone(), json!({"requests": refused.requests, "records": refused.records}))
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

/// A line on the terminal that counts the seconds; nothing where standard error is not a terminal.
struct Progress {
    end: Option<(mpsc::Sender<()>, std::thread::JoinHandle<()>)>,
}

impl Progress {
    fn during<T>(settings: &Load, work: impl FnOnce() -> T) -> T {
        let progress = Progress::start(settings);
        let done = work();
        progress.end();
        done
    }

    fn start(settings: &Load) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress { end: None };
        }
        let endpoint = settings.target.endpoint.clone();
        let until = match (settings.requests, settings.duration) {
            (Some(requests), _) => format!(", until {requests} requests are answered"),
            (None, duration) => format!(" of {} s", duration.as_secs()),
        };
        let (tell, ended) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            for second in 0.. {
                eprint!("\rsending to {endpoint}: second {second}{until} ");
                if ended.recv_timeout(Duration::from_secs(1)) != Err(mpsc::RecvTimeoutError::Timeout) {
                    break;
                }
            }
            eprint!("\r\x1b[K");
        });
        Progress { end: Some((tell, thread)) }
    }

    fn end(self) {
        if let Some((tell, thread)) = self.end {
            drop(tell);
            // It prints only; if it panicked the line stays.
            let _ = thread.join();
        }
    }
}
