//! `aldis seal`.

use std::path::PathBuf;

use ::archive::{LineTimes, SealOptions, seal, seal_lines};
use clap::Args;

use super::{Failure, Input, WorkArgs, stats, target, told};
use crate::{exit::Exit, terminal::bytes};

const EXAMPLES: &str = "\
Examples:
  aldis seal spans.jsonl -o spans.sealed --key-file key
                                      compress and encrypt a file; `head -c 32 /dev/urandom > key` makes a key
  aldis seal spans.jsonl -o spans.sealed --key-file key --time-key UnixNano
                                      so that `aldis cat --range` finds lines of OTLP/JSON by their time
  aldis seal - -o backup.sealed --password-file password --level 9 --stats
                                      what comes in a pipe, with a password, and what it took";

/// Flags of `aldis seal`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SealArgs {
    /// What to seal; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The archive, which appears when it is whole; `-` is standard output.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// How hard to compress: zstd 1 to 22.
    #[arg(long, value_name = "LEVEL", default_value_t = 3)]
    level: i32,
    /// The file has lines of JSON, and behind keys that end so stand times: nanoseconds, or RFC 3339. May be given more than once.
    #[arg(long = "time-key", value_name = "KEY")]
    time_keys: Vec<String>,
    #[command(flatten)]
    work: WorkArgs,
}

/// Seals a file and tells how large it became.
pub(crate) fn run(args: &SealArgs) -> Exit {
    told(args.work.json, sealed(args))
}

fn sealed(args: &SealArgs) -> Result<(), Failure> {
    target::refuse_terminal(&args.output)?;
    let times = match &args.time_keys[..] {
        [] => None,
        keys => Some(LineTimes::new(keys).map_err(|error| Failure::of(&args.file, &error))?),
    };
    let key = args.work.key()?;
    let options = SealOptions {
        level: args.level,
        workers: args.work.workers,
        context: args.work.context.clone().into_bytes(),
        ..SealOptions::default()
    };
    let input = Input::open(&args.file)?;
    let of_file = |error: &_| Failure::of(&args.file, error);
    let what = format!("sealing {}", args.file.display());
    let snapshot = input.during(!args.work.json, what, |input| {
        let work = |out: &mut dyn std::io::Write| match &times {
            None => seal(input, out, &key, &options),
            Some(times) => seal_lines(input, out, &key, &options, times),
        };
        target::write(&args.output, work, of_file)
    })?;
    args.work.show_stats(&snapshot);
    let line = || {
        let smaller = stats::factor(&snapshot).map_or_else(String::new, |factor| format!(", {factor}"));
        let (plaintext, sealed) = (bytes(snapshot.bytes_plaintext), bytes(snapshot.bytes_ciphertext));
        format!("sealed {plaintext} into {sealed}{smaller}")
    };
    args.work.tell(&args.output, &snapshot, line);
    Ok(())
}
