//! `aldis run`.

mod allowance;
mod attached;
mod courier;
mod export;
mod job;
mod live;
mod story;
mod summary;
mod trace_context;
mod watching;

use std::{
    ffi::OsString, fmt, os::unix::process::ExitStatusExt, path::PathBuf, process::ExitStatus, time::Duration,
};

use clap::{
    Args,
    builder::{PathBufValueParser, TypedValueParser},
};
use engine::settings::duration;
use host::{
    ChildrenUsage, EndReason, EpisodeId,
    limits::{MAX_SAMPLE_PERIOD_MS, MIN_SAMPLE_PERIOD_MS},
    monotonic_ns,
    placement::EXIT_NOT_PLACED,
};

use crate::{exit::Exit, output};
use allowance::{Allowance, is_whole_ms};
use courier::Courier;
use export::ExportArgs;
use job::Job;
use summary::Ending;
use watching::Watching;

const EXAMPLES: &str = "\
Examples:
  aldis run -- make -j4               run a command, and tell what it used
  aldis run --budget-cpu 10s --budget-wall 1m -- ./job
                                      end it, and all that it started, when that is used up
  aldis run --limit-memory 512MiB --limit-processes 64 -- ./job
                                      have the kernel hold it to that
  aldis run --every 10ms --json frames.jsonl -- ./job
                                      a line for every sample, and one for the whole
  aldis run --otlp localhost:4317 -- ./job
                                      send samples as metrics and the whole as a span, above the command's own
  aldis run --pid 4711 --live         watch what runs already, until Ctrl-C";

/// What the command's exit code means here, beside its own.
const CODES: &str = "\
Exit codes: those of the command; 128 and the number of the signal that ended it. Of `aldis run` itself, as `timeout` and `env` have them:
  124  a budget is used up, and the command was ended
  125  `aldis run` itself failed: nothing was run, or what was begun was ended again
  126  the command cannot be executed
  127  there is no such command";

/// Flags of `aldis run`.
#[derive(Debug, Args)]
#[command(after_help = format!("{CODES}\n\n{EXAMPLES}"))]
pub(crate) struct RunArgs {
    #[command(flatten)]
    allowance: Allowance,
    /// Time between two samples, 1ms to 1h; a quarter of it once four fifths of a budget are used, sooner if a budget might be used up.
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = period)]
    every: Duration,
    /// Write every sample to this file as a line of JSON, and the summary as the last.
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(named))]
    json: Option<PathBuf>,
    /// Append the last samples to this file if the command ends otherwise than well: the last 600.
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(named))]
    record: Option<PathBuf>,
    /// How long what the command has left behind in its cgroup may take to end by itself; then it is ended.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration::parse)]
    grace: Duration,
    #[command(flatten)]
    export: ExportArgs,
    /// Show on the terminal, meanwhile, how it stands.
    #[arg(long)]
    live: bool,
    /// Offer samples to `aldis episodes follow`, and to whoever else reads the Unix socket that is told.
    #[arg(long)]
    stream: bool,
    /// Watch a process that runs already, with those that descend from it, until it has ended or a signal comes. What it used before
    /// does not count.
    #[arg(long, value_name = "PID", conflicts_with_all = ["command", "no_cgroup", "grace", "limit_memory", "limit_cpu", "limit_processes"])]
    pid: Option<u32>,
    /// With --pid, end the process when a budget is used up, instead of letting go of it.
    #[arg(long, requires = "pid", conflicts_with = "command")]
    kill: bool,
    /// Write no summary.
    #[arg(short, long)]
    quiet: bool,
    /// Make no cgroup: look for the command's processes in `/proc`, and miss what lives between two samples.
    #[arg(long)]
    no_cgroup: bool,
    /// The command, and what it is given.
    #[arg(
        value_name = "COMMAND",
        required_unless_present = "pid",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

/// What a policy takes: whole milliseconds.
fn period(text: &str) -> Result<Duration, String> {
    let period = duration::parse(text)?;
    if is_whole_ms(period)
        && (MIN_SAMPLE_PERIOD_MS..=MAX_SAMPLE_PERIOD_MS).contains(&(period.as_millis() as u64))
    {
        Ok(period)
    } else {
        Err("it must be whole milliseconds, from 1ms to 1h".to_owned())
    }
}

/// A file of its own: elsewhere `-` is standard output, and here that is the command's.
fn named(path: PathBuf) -> Result<PathBuf, &'static str> {
    match path.to_str() {
        Some("-") => {
            Err("standard output is the command's: name a file, or /dev/stdout to write between its lines")
        }
        _ => Ok(path),
    }
}

/// Runs the command and tells what it used.
pub(crate) fn run(args: &RunArgs) -> Exit {
    let ended = match args.pid {
        Some(pid) => attached::watch(args, pid),
        None => watched(args),
    };
    ended.unwrap_or_else(|message| {
        output::say_line(format_args!("aldis run: {message}"));
        Exit::Command(EXIT_NOT_PLACED as u8)
    })
}

fn watched(args: &RunArgs) -> Result<Exit, String> {
    let id = EpisodeId::random().map_err(said)?;
    let mut watching = Watching::prepare(args, id, &args.command)?;
    let before = ChildrenUsage::now().map_err(said)?;
    // What comes for this process from now on is the command's.
    let courier = Courier::listen().map_err(|error| format!("signals cannot be listened for: {error}"))?;
    let begun_ns = monotonic_ns();
    let limits = args.allowance.limits();
    let variables = watching.variables();
    let mut job = match Job::start(&args.command, id, &limits, args.no_cgroup, &variables, &courier) {
        Ok(job) => job,
        Err(job::Refused::Command(code, message)) => {
            output::say_line(format_args!("aldis run: {message}"));
            return Ok(Exit::Command(code));
        }
        Err(job::Refused::Other(message)) => return Err(message),
    };
    for warning in &job.warnings {
        output::say_line(format_args!("aldis run: warning: {warning}"));
    }
    // The command may have ended already: what a cgroup says of it stays.
    let unwatched = |why: String| format!("the command was ended again, as nobody could watch it: {why}");
    let watch = job.watch(id).map_err(unwatched)?;
    watching.begin(watch, job.pid(), begun_ns).map_err(unwatched).inspect_err(|_| job.abandon())?;
    let status = job.wait(&courier, || watching.look()).inspect_err(|_| job.abandon())?;
    job.linger(args.grace, &courier, || {
        watching.look();
    });
    let mut used = ChildrenUsage::now().map_err(said)?.since(&before);
    if used.max_rss_bytes <= inherited(&job) {
        // The most that it ever had may be ours.
        used.max_rss_bytes = 0;
    }
    let reason = if status.success() { EndReason::Completed } else { EndReason::Failed };
    watching.finish(reason, Some(used));
    let left_over = job.end();
    let ending = Ending { status: Some(status), left_over, goes_on: false, no_cgroup: job.no_cgroup.clone() };
    let exit = watching.told(&ending, job::code(status), &|| courier.is_called_back());
    raise_again(status, &exit);
    Ok(exit)
}

/// Whoever waits for this process is to see that a signal ended the command, as if they had started it: a shell that runs a loop goes by
/// that when somebody presses Ctrl-C. Does not return where it does so.
fn raise_again(status: ExitStatus, exit: &Exit) {
    /// What people and their shells send. The others are told by the exit code: there this process has had no accident.
    const RAISED: [i32; 5] = [1, 2, 3, 13, 15];
    if let Some(signal) = status.signal()
        && RAISED.contains(&signal)
        && *exit == Exit::Command(job::code(status))
    {
        // No core of this process: it would take the place of the command's.
        let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
        let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
}

/// The most resident bytes that a process may have had of this one when it began (proc(5)): all, or what is of no file, which only grows here.
fn inherited(job: &Job) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.map(|kib| kib.saturating_mul(1024))
    };
    let of_no_file = || Some(bytes("RssAnon:")? + bytes("RssShmem:")?);
    let copied = if job.is_copy() { of_no_file() } else { None };
    copied.or_else(|| bytes("VmHWM:")).unwrap_or(u64::MAX)
}

fn said(error: impl fmt::Display) -> String {
    error.to_string()
}
