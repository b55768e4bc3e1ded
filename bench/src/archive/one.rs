//! One run, in a process that does nothing else.

use super::{LEVEL, ONE, Run, input, peak};
use ::archive::{Key, NewFile, OpenOptions, SealOptions, TelemetrySnapshot};
use serde_json::{Value, json};
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The key of all runs.
fn key() -> Key {
    Key::new([7; 32])
}

fn options(workers: usize) -> SealOptions {
    SealOptions { level: LEVEL, workers, ..SealOptions::default() }
}

/// Starts a process for one run and reads what it says.
pub(super) fn run(what: &str, workers: usize, input: &Path) -> Result<Run, String> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let begun = Instant::now();
    let output = Command::new(this)
        .args(["archive", ONE, what, &workers.to_string()])
        .arg(input)
        .output()
        .map_err(|e| e.to_string())?;
    let seconds = begun.elapsed().as_secs_f64();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let number = |key: &str| told[key].as_f64();
    match (number("ratio"), told["peak_bytes"].as_u64(), told["frames"].as_u64()) {
        (Some(ratio), Some(peak_bytes), Some(frames)) => Ok(Run { seconds, ratio, peak_bytes, frames }),
        _ => Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// The run itself: `WHAT WORKERS INPUT`.
pub(super) fn command(args: &[String]) -> Result<(), String> {
    let [what, workers, input] = args else { return Err("WHAT WORKERS INPUT".to_owned()) };
    let workers = workers.parse().map_err(|e| format!("{workers}: {e}"))?;
    let open = || File::open(input).map_err(|e| format!("{input}: {e}"));
    let opening = OpenOptions { workers, ..OpenOptions::default() };
    let done = match what.as_str() {
        "seal" => ::archive::seal(open()?, io::sink(), &key(), &options(workers)),
        "open" => ::archive::open(open()?, io::sink(), &key(), &opening),
        // What is made as it is read, so that no file holds it.
        _ => {
            let mib: u64 = input.parse().map_err(|e| format!("{input}: {e}"))?;
            ::archive::seal(input::reader(mib << 20), io::sink(), &key(), &options(workers))
        }
    };
    let snapshot = done.map_err(|e| e.to_string())?;
    println!("{}", told(&snapshot, peak()?));
    Ok(())
}

fn told(snapshot: &TelemetrySnapshot, peak_bytes: u64) -> Value {
    json!({
        "ratio": snapshot.bytes_ciphertext as f64 / snapshot.bytes_plaintext.max(1) as f64,
        "peak_bytes": peak_bytes,
        "frames": snapshot.frames_data,
    })
}

/// What is opened in the runs.
pub(super) fn seal_to(input: &Path, output: &Path) -> Result<(), String> {
    let work = || -> Result<(), ::archive::Error> {
        let mut new = NewFile::create(output)?;
        ::archive::seal(File::open(input)?, &mut new, &key(), &options(0))?;
        new.commit()?;
        Ok(())
    };
    work().map_err(|e| format!("{}: {e}", input.display()))
}
