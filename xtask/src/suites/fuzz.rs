//! Every target in `fuzz/`, started from its committed corpus, for a bounded time.

use super::Tally;
use super::run::{answer, watched};
use std::num::NonZero;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Time for each target, in seconds; `ALDIS_FUZZ_SECONDS` overrides it.
const SECONDS_PER_TARGET: u64 = 15;
/// The version of cargo-fuzz that is installed below the target directory where the machine has none.
const CARGO_FUZZ: &str = "0.13.2";
/// Longest time to install cargo-fuzz or to build the targets.
const BUILD_LIMIT: Duration = Duration::from_secs(60 * 60);
/// Largest input, in bytes.
const INPUT_BYTES_MAX: u64 = 64 * 1024;

pub(super) fn run() -> Tally {
    if !crate::root().join("fuzz/Cargo.toml").exists() {
        return Tally::not_run("there is no fuzz target");
    }
    if answer(Command::new("cargo").args(["+nightly", "--version"])).is_none() {
        return Tally::not_run("no nightly toolchain: `rustup toolchain install nightly`");
    }
    let bin = crate::target_dir().join("tools/bin");
    if let Err(reason) = install(&bin) {
        return Tally::not_run(reason);
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let fuzz = |args: &[&str]| {
        let mut command = Command::new("cargo");
        command.args(["+nightly", "fuzz"]).args(args).env("PATH", format!("{}:{path}", bin.display()));
        command
    };
    let Some(targets) = answer(fuzz(&["list"]).current_dir(crate::root())) else {
        return Tally::not_run("`cargo fuzz list` fails");
    };
    if !watched(&mut fuzz(&["build"]), BUILD_LIMIT, |_| true).success {
        println!("the fuzz targets do not build");
        return Tally::one(false);
    }
    let seconds =
        std::env::var("ALDIS_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(SECONDS_PER_TARGET);
    let targets: Vec<&str> = targets.lines().collect();
    let next = AtomicUsize::new(0);
    // A target keeps one core busy.
    let lane = || {
        let mut tally = Tally::default();
        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            let passed = fuzz_one(fuzz(&["run", target]), target, seconds);
            println!("fuzz target {target} for {seconds} s ... {}", if passed { "ok" } else { "FAILED" });
            tally.passed += u64::from(passed);
            tally.failed += u64::from(!passed);
        }
        tally
    };
    let lanes = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        let mut tally = Tally::default();
        for lane in lanes {
            let one = lane.join().unwrap_or_else(|_| Tally::one(false));
            tally.passed += one.passed;
            tally.failed += one.failed;
        }
        tally
    })
}

/// Runs one target from its corpus; whether it ended without a finding.
fn fuzz_one(mut command: Command, target: &str, seconds: u64) -> bool {
    // What is found on the way goes below the target directory: the committed corpus stays as it is.
    let found = crate::target_dir().join("fuzz-corpus").join(target);
    let seeds = crate::root().join("fuzz/corpus").join(target);
    if let Err(error) = std::fs::create_dir_all(&found) {
        println!("{}: {error}", found.display());
        return false;
    }
    command.arg(&found);
    if seeds.exists() {
        command.arg(&seeds);
    }
    let limits = [format!("-max_total_time={seconds}"), format!("-max_len={INPUT_BYTES_MAX}")];
    command.arg("--").args(limits).args(["-print_final_stats=1", "-verbosity=0", "-timeout=60"]);
    watched(&mut command, Duration::from_secs(seconds) + BUILD_LIMIT, |_| true).success
}

fn install(bin: &std::path::Path) -> Result<(), String> {
    let installed = bin.join("cargo-fuzz").exists()
        || answer(Command::new("cargo").args(["fuzz", "--version"])).is_some();
    if installed {
        return Ok(());
    }
    println!("installing cargo-fuzz {CARGO_FUZZ}");
    let mut command = Command::new("cargo");
    command.args(["install", "--quiet", "--locked", "cargo-fuzz", "--version", CARGO_FUZZ, "--root"]);
    command.arg(crate::target_dir().join("tools"));
    super::sdk::again(|| {
        let ended = watched(&mut command, BUILD_LIMIT, |_| true);
        if ended.success { Ok(()) } else { Err(format!("cargo-fuzz {CARGO_FUZZ} cannot be installed")) }
    })
}
