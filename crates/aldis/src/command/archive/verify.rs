//! `aldis verify`.

use std::path::{Path, PathBuf};

use ::archive::{Key, TelemetrySnapshot, verify};
use clap::Args;
use serde_json::json;

use super::{Failure, Input, WorkArgs, stats};
use crate::{
    command::{fail, plural},
    exit::Exit,
    output,
    terminal::bytes,
};

const EXAMPLES: &str = "\
Examples:
  aldis verify spans.sealed --key-file key
                                      read it to its end, every tag and the digest, and forget it
  aldis verify backups/*.sealed --password-file password --json
                                      many, an object for each";

/// Flags of `aldis verify`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// Archives; `-` is standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    work: WorkArgs,
}

/// Verifies archives, one after another, and tells of each whether it is whole.
pub(crate) fn run(args: &VerifyArgs) -> Exit {
    let key = match args.work.key() {
        Ok(key) => key,
        Err(failure) => return fail(args.work.json, failure.exit, &failure.message),
    };
    let mut exit = Exit::Success;
    for path in &args.files {
        match verified(args, path, &key) {
            Ok(snapshot) => tell(args, path, &snapshot),
            Err(failure) => {
                if args.work.json {
                    output::show_line(format_args!(
                        "{}",
                        json!({"file": path, "whole": false, "message": failure.message})
                    ));
                } else {
                    fail(false, failure.exit, &failure.message);
                }
                exit = failure.exit;
            }
        }
    }
    exit
}

fn verified(args: &VerifyArgs, path: &Path, key: &Key) -> Result<TelemetrySnapshot, Failure> {
    let what = format!("verifying {}", path.display());
    Input::open(path)?.during(!args.work.json, what, |input| {
        verify(input, key, &args.work.open_options()).map_err(|error| Failure::of(path, &error))
    })
}

fn tell(args: &VerifyArgs, path: &Path, snapshot: &TelemetrySnapshot) {
    args.work.show_stats(snapshot);
    if args.work.json {
        output::show_line(format_args!(
            "{}",
            json!({"file": path, "whole": true, "snapshot": stats::as_json(snapshot)})
        ));
    } else {
        let frames = usize::try_from(snapshot.frames_data).unwrap_or(usize::MAX);
        let plaintext = bytes(snapshot.bytes_plaintext);
        output::show_line(format_args!(
            "{}: whole, {plaintext} in {frames} frame{}",
            path.display(),
            plural(frames)
        ));
    }
}
