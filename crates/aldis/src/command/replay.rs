//! `aldis replay`.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use clap::Args;
use engine::{DrainReport, Engine, ReplayError, ReplayReport, ReplaySettings, Route, components::Id};
use otlp::Signal;
use serde_json::{Value, json};

use super::{archive::SealedArgs, check, fail, plural};
use crate::{
    color::color,
    exit::Exit,
    output, report,
    signals::Signals,
    terminal::{bytes, count, progress},
};

const EXAMPLES: &str = "\
Examples:
  aldis replay spans.jsonl -c config.yaml
                                      a file through the pipelines of a configuration
  aldis replay /archive/*.zst -c config.yaml --pipeline traces/archive --stats
                                      an archive through one pipeline, and what became of every record
  aldis replay dump.bin -c config.yaml --signal logs
                                      protobuf, which does not tell its signal
  aldis replay spans.sealed -c config.yaml --key-file key
                                      a sealed archive";

/// Flags of `aldis replay`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReplayArgs {
    /// What to replay, one file behind another: OTLP/JSON lines, or length (u32, big-endian) and request over and over; compressed
    /// with zstd or gzip or not, or sealed by `aldis seal`.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The configuration. Its receivers stay closed: the files take their place.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Only into the pipeline of this name [default: all pipelines of a request's signal].
    #[arg(long, value_name = "NAME", conflicts_with = "receiver")]
    pipeline: Option<String>,
    /// Only into the pipelines that this receiver feeds.
    #[arg(long, value_name = "ID", value_parser = Id::parse)]
    receiver: Option<Id>,
    /// The signal of protobuf in a file whose name does not tell it; of JSON, the only one that is replayed.
    #[arg(long, value_name = "SIGNAL", value_parser = ["traces", "logs", "metrics", "profiles"])]
    signal: Option<String>,
    #[command(flatten)]
    sealed: SealedArgs,
    /// Threads that carry telemetry; 0 is one for each CPU that may be used.
    #[arg(long, value_name = "N", default_value_t = 0)]
    shards: usize,
    /// How long exporters may take for what is left at the end of the files, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(..=MAX_DRAIN_SECONDS))]
    drain_timeout: u64,
    /// Write what became of all records to standard error at the end.
    #[arg(long)]
    stats: bool,
    /// Write the result to standard output as JSON.
    #[arg(long)]
    json: bool,
}

/// Seconds: the longest drain that can be asked for, a day.
const MAX_DRAIN_SECONDS: u64 = 24 * 3600;

/// Replays files and tells what became of them.
pub(crate) fn run(args: &ReplayArgs) -> Exit {
    let (text, checked) = match check::load(&args.config, args.json) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    check::tell(&args.config, &text, &checked);
    if checked.problems.has_errors() {
        return Exit::Configuration;
    }
    let settings = match settings(args) {
        Ok(settings) => settings,
        Err(message) => return fail(args.json, Exit::File, &message),
    };
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            let message = format!("signals cannot be listened for: {error}");
            return fail(args.json, Exit::Unavailable, &message);
        }
    };
    let read = Arc::new(Read::default());
    let shown = read.clone();
    // How much there is to come nobody knows: files may be compressed, and JSON is longer than what is counted.
    let replayed = progress::during(!args.json, Box::new(move || shown.text()), Box::new(|| None), || {
        Engine::replay(&checked.graph, &settings, &mut |report| {
            read.note(report);
            !signals.came()
        })
    });
    let (report, drained) = match replayed {
        Ok(replayed) => replayed,
        Err(error) => {
            let exit = match error {
                ReplayError::File { .. } => Exit::File,
                ReplayError::NoSuch(_) => Exit::Usage,
                _ => Exit::Unavailable,
            };
            return fail(args.json, exit, &error.to_string());
        }
    };
    tell(args, &report, &drained);
    let is_delivered = report.failed == 0 && report.rejected == 0 && drained.is_complete();
    match (is_delivered && !report.is_cut_short, report.faults) {
        (false, _) => Exit::Undelivered,
        (true, 0) => Exit::Success,
        (true, _) => Exit::File,
    }
}

fn settings(args: &ReplayArgs) -> Result<ReplaySettings, String> {
    let into = match (&args.pipeline, &args.receiver) {
        (Some(name), _) => Route::Pipeline(name.clone()),
        (None, Some(id)) => Route::Receiver(id.clone()),
        (None, None) => Route::All,
    };
    Ok(ReplaySettings {
        key: args.sealed.read()?,
        files: args.files.clone(),
        signal: Signal::ALL.into_iter().find(|signal| args.signal.as_deref() == Some(signal.name())),
        into,
        shards: args.shards,
        drain_timeout: Duration::from_secs(args.drain_timeout),
    })
}

fn tell(args: &ReplayArgs, report: &ReplayReport, drained: &DrainReport) {
    for fault in &report.told {
        output::say_line(format_args!("warning: {fault}; passed over"));
    }
    if report.faults > report.told.len() as u64 {
        output::say_line(format_args!(
            "warning: {} more pieces are no requests and were passed over",
            report.faults - report.told.len() as u64
        ));
    }
    if report.unrouted > 0 {
        output::say_line(format_args!(
            "warning: {} records have no pipeline here and were passed over",
            report.unrouted
        ));
    }
    if let Some(reason) = &report.failure {
        output::say_line(format_args!("warning: {} records were not delivered: {reason}", report.failed));
    }
    for undelivered in drained.undelivered.iter().filter(|undelivered| !undelivered.is_empty()) {
        output::say_line(format_args!("warning: {undelivered}"));
    }
    if report.is_cut_short {
        output::say_line(format_args!("warning: ended by a signal before the end of the files"));
    }
    if args.stats {
        output::say(format_args!("{}", report::as_table(drained, color(&std::io::stderr()))));
    }
    if args.json {
        output::show_line(format_args!("{:#}", as_json(report, drained)));
    } else {
        output::show(format_args!("{}", as_text(report, drained)));
    }
}

fn as_text(report: &ReplayReport, drained: &DrainReport) -> String {
    let seconds = report.elapsed.as_secs_f64();
    let requests = usize::try_from(report.requests).unwrap_or(usize::MAX);
    let mut out = format!(
        "replayed {} records in {requests} request{} in {seconds:.2} s, {:.0} records/s\n",
        report.records,
        plural(requests),
        report.records as f64 / seconds.max(f64::MIN_POSITIVE),
    );
    if let Some((first, last)) = report.event_time {
        let span = Duration::from_nanos(last - first);
        out += &format!("  their time spans {span:?}\n");
    }
    for row in &drained.stats.exporters {
        out += &format!("  {} {}: delivered {}\n", row.name, row.signal, row.delivered);
    }
    out
}

fn as_json(report: &ReplayReport, drained: &DrainReport) -> Value {
    json!({
        "requests": report.requests,
        "records": report.records,
        "bytes": report.bytes,
        "unrouted_records": report.unrouted,
        "rejected_records": report.rejected,
        "failed_records": report.failed,
        "failure": report.failure,
        "faults": report.faults,
        "first_ns": report.event_time.map(|(first, _)| first),
        "last_ns": report.event_time.map(|(_, last)| last),
        "seconds": report.elapsed.as_secs_f64(),
        "complete": drained.is_complete() && !report.is_cut_short,
        "stats": report::as_json(drained),
    })
}

/// What was read so far.
#[derive(Default)]
struct Read {
    records: AtomicU64,
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Read {
    fn note(&self, report: &ReplayReport) {
        self.records.store(report.records, Relaxed);
        self.requests.store(report.requests, Relaxed);
        self.bytes.store(report.bytes, Relaxed);
    }

    fn text(&self) -> String {
        let [records, requests, of_bytes] =
            [&self.records, &self.requests, &self.bytes].map(|n| n.load(Relaxed));
        format!("replaying: {} records in {} requests, {}", count(records), count(requests), bytes(of_bytes))
    }
}
