//! `aldis open`.

use std::path::PathBuf;

use archive::open;
use clap::Args;

use super::{Failure, Input, WorkArgs, target, told};
use crate::{exit::Exit, terminal::bytes};

const EXAMPLES: &str = "\
Examples:
  aldis open spans.sealed -o spans.jsonl --key-file key
                                      what was sealed; the file appears when the archive was verified to its end
  aldis open backup.sealed -o backup --password-file password --stats
                                      with a password, and what it took";

/// Flags of `aldis open`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct OpenArgs {
    /// The archive; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What was sealed, which appears when the archive was verified to its end; `-` is standard output.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    #[command(flatten)]
    work: WorkArgs,
}

/// Opens an archive into a file.
pub(crate) fn run(args: &OpenArgs) -> Exit {
    told(args.work.json, opened(args))
}

fn opened(args: &OpenArgs) -> Result<(), Failure> {
    let key = args.work.key()?;
    let input = Input::open(&args.file)?;
    let what = format!("opening {}", args.file.display());
    let snapshot = input.during(!args.work.json, what, |input| {
        let work = |out: &mut dyn std::io::Write| open(input, out, &key, &args.work.open_options());
        target::write(&args.output, work, |error| Failure::of(&args.file, error))
    })?;
    args.work.show_stats(&snapshot);
    args.work.tell(&args.output, &snapshot, || {
        format!("opened {} into {}", bytes(snapshot.bytes_ciphertext), bytes(snapshot.bytes_plaintext))
    });
    Ok(())
}
