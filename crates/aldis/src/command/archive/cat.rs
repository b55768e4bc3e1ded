//! `aldis cat`.

use std::{
    cmp::Ordering,
    io::{self, IsTerminal, Seek, StdoutLock},
    ops::Range,
    path::{Path, PathBuf},
};

use ::archive::{
    Archive, Error, Key, LineTimes, LinesCopied, TelemetrySnapshot, TimeSpan, copy_lines, open, unix_nanos,
};
use clap::Args;

use super::{
    Failure, Input, WorkArgs, opened,
    target::{Blamed, STDOUT},
    told,
};
use crate::{exit::Exit, output};

const EXAMPLES: &str = "\
Examples:
  aldis cat spans.sealed --key-file key | jq .
                                      what was sealed, to standard output
  aldis cat dump.sealed --key-file key --range 1048576..1049600
                                      a kibibyte of it, without opening the rest
  aldis cat spans.sealed --key-file key --range 2026-11-21T10:00:00Z..2026-11-21T10:05:00Z
                                      the lines of five minutes, if `aldis seal --time-key` has told the index";

/// Flags of `aldis cat`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CatArgs {
    /// Archives, one behind another; `-` is standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Only a part of each: bytes, as 0..1024, or lines of a time, as 2026-11-21T10:00:00Z..2026-11-21T10:05:00Z. The second is
    /// not in it; either may be left out. Needs files, and is read by one thread: takes no `--workers`.
    #[arg(long, value_name = "FROM..TO", value_parser = part, conflicts_with = "workers")]
    range: Option<Part>,
    /// Behind keys that end so stand times, as `aldis seal` was told.
    #[arg(long = "time-key", value_name = "KEY", default_value = "UnixNano", requires = "range")]
    time_keys: Vec<String>,
    #[command(flatten)]
    work: WorkArgs,
}

/// What is asked for of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Bytes(Range<u64>),
    Times(TimeSpan),
}

/// Writes what archives hold to standard output.
pub(crate) fn run(args: &CatArgs) -> Exit {
    told(args.work.json, written(args))
}

fn written(args: &CatArgs) -> Result<(), Failure> {
    let key = args.work.key()?;
    let times = LineTimes::new(&args.time_keys)
        .map_err(|error| Failure { exit: Exit::Usage, message: error.to_string() })?;
    for path in &args.files {
        let mut out = Blamed::new(io::stdout().lock());
        let done = match &args.range {
            None => whole(args, path, &key, &mut out)?,
            Some(part) => of_part(args, path, &key, (part, &times), &mut out)?,
        };
        match done {
            Ok(snapshot) => args.work.show_stats(&snapshot),
            // Who reads has read enough.
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Err(error) => return Err(out.failure(Path::new(STDOUT), error, |error| Failure::of(path, error))),
        }
    }
    Ok(())
}

fn whole(
    args: &CatArgs,
    path: &Path,
    key: &Key,
    out: &mut Blamed<StdoutLock<'_>>,
) -> Result<Result<TelemetrySnapshot, Error>, Failure> {
    let what = format!("opening {}", path.display());
    // A bar would be drawn into what is written.
    let is_wanted = !args.work.json && !io::stdout().is_terminal();
    let options = args.work.open_options();
    Ok(Input::open(path)?.during(is_wanted, what, |input| open(input, out, key, &options)))
}

fn of_part(
    args: &CatArgs,
    path: &Path,
    key: &Key,
    (part, times): (&Part, &LineTimes),
    out: &mut Blamed<StdoutLock<'_>>,
) -> Result<Result<TelemetrySnapshot, Error>, Failure> {
    if path == Path::new("-") {
        return Err(needs_file(Exit::Usage, path));
    }
    let mut file = opened(path)?;
    if file.stream_position().is_err() {
        return Err(needs_file(Exit::File, path));
    }
    let copied = || {
        let mut archive = Archive::read(file, key, &args.work.open_options())?;
        match part {
            Part::Bytes(range) => archive.copy(range.clone(), out)?,
            Part::Times(range) => warn(path, copy_lines(&mut archive, *range, times, out)?),
        }
        Ok(archive.snapshot())
    };
    Ok(copied())
}

/// Where no line of all that were read has a time, another `--time-key` may have been meant: nothing was found, but maybe it is there.
fn warn(path: &Path, copied: LinesCopied) {
    if copied.read > 0 && copied.with_time == 0 {
        output::say_line(format_args!(
            "warning: {}: no line has a time behind `--time-key` ({} read): was it another when it was sealed?",
            path.display(),
            copied.read
        ));
    }
}

/// What is read from several places is no pipe.
fn needs_file(exit: Exit, path: &Path) -> Failure {
    Failure { exit, message: format!("{}: a range needs a file by its name, not a pipe", path.display()) }
}

/// `FROM..TO`: two offsets or two times; what is left out is the beginning or the end.
fn part(text: &str) -> Result<Part, String> {
    let (from, to) = text.split_once("..").ok_or("it has no `..` between its ends")?;
    let bytes = |text: &str, open: u64| if text.is_empty() { Some(open) } else { text.parse().ok() };
    let time = |text: &str, open: u64| match text.is_empty() {
        true => Some(open),
        false => unix_nanos(text.as_bytes()),
    };
    if from.is_empty() && to.is_empty() {
        return Err("it has neither a beginning nor an end".to_owned());
    }
    let (part, ends) = match (bytes(from, 0), bytes(to, u64::MAX), time(from, 0), time(to, u64::MAX)) {
        (Some(from), Some(to), ..) => (Part::Bytes(from..to), from.cmp(&to)),
        (_, _, Some(first), Some(to)) => {
            let last = if to == u64::MAX { to } else { to.saturating_sub(1) };
            (Part::Times(TimeSpan { first, last }), first.cmp(&to))
        }
        _ => {
            let what = "its ends are offsets, as in 0..1024, or times, as in 2026-11-21T10:00:00Z..2026-11-21T10:05:00Z";
            return Err(what.to_owned());
        }
    };
    match ends {
        Ordering::Less => Ok(part),
        Ordering::Equal => Err("nothing is in it: the second of its ends is not".to_owned()),
        Ordering::Greater => Err("it ends before it begins".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_of_bytes_or_of_times() {
        let bytes = |from, to| Ok(Part::Bytes(from..to));
        let times = |first, last| Ok(Part::Times(TimeSpan { first, last }));
        assert_eq!(part("0..1024"), bytes(0, 1024));
        assert_eq!(part("7.."), bytes(7, u64::MAX));
        assert_eq!(part("..7"), bytes(0, 7));
        let second = 1_000_000_000;
        assert_eq!(part("1970-01-01T00:00:01Z..1970-01-01T00:00:02Z"), times(second, 2 * second - 1));
        assert_eq!(part("1970-01-01T00:00:01Z.."), times(second, u64::MAX));
        assert_eq!(part("..1970-01-01T00:00:01.5+00:00"), times(0, 3 * second / 2 - 1));
        for wrong in ["", "..", "7", "7..7", "9..7", "a..b", "1..1970-01-01T00:00:02Z", "-1..7", "1...2"] {
            assert!(part(wrong).is_err(), "{wrong}");
        }
    }
}
