//! What it costs to make the telemetry of the modelled shop: process CPU per span, logs and metrics included.

use workload::{Settings, Workload};

use crate::record;

/// How it is called.
pub(crate) const HELP: &str =
    "  bench workload [SPANS] [REPEATS] telemetry of the modelled shop, made as fast as it can be";

/// Nanoseconds of the model's time between two looks at what was made.
const STEP_NS: u64 = 10_000_000;

/// Traces per second of the model's time, and whether the truth about them is kept.
const ROWS: [(&str, u32, usize); 4] = [
    ("A: 2000 traces/s", 2_000, 0),
    ("A again: 2000 traces/s", 2_000, 0),
    ("2000 traces/s, truth kept", 2_000, 4_096),
    ("40000 traces/s", 40_000, 0),
];

/// Measures and prints a table; the first two rows are the same thing twice.
pub(crate) fn command(args: &[String]) -> Result<(), String> {
    let number = |i: usize, default: usize| match args.get(i) {
        None => Ok(default),
        Some(text) => text.parse::<usize>().map_err(|_| format!("not a number: {text}")),
    };
    let (spans, repeats) = (number(0, 2_000_000)?, number(1, 5)?.max(1));
    println!("{spans} spans; best and median of {repeats}");
    println!(
        "{:<28} {:>12} {:>12} {:>12} {:>14}",
        "", "CPU µs/span", "median", "bytes/span", "logs/1000 spans"
    );
    for (name, traces_per_second, truths_max) in ROWS {
        let mut runs = Vec::new();
        for _ in 0..repeats {
            runs.push(run(spans as u64, traces_per_second, truths_max)?);
        }
        runs.sort_by(|a, b| a.cpu_us.total_cmp(&b.cpu_us));
        let (best, median) = (&runs[0], &runs[runs.len() / 2]);
        let (bytes, logs) = (best.bytes, best.logs);
        println!("{name:<28} {:>12.3} {:>12.3} {bytes:>12.0} {logs:>14.0}", best.cpu_us, median.cpu_us);
    }
    Ok(())
}

struct Run {
    cpu_us: f64,
    bytes: f64,
    logs: f64,
}

fn run(spans: u64, traces_per_second: u32, truths_max: usize) -> Result<Run, String> {
    let settings =
        Settings { traces_per_second, truths_max, traces_in_flight_max: 1 << 20, ..Settings::default() };
    let mut until = settings.start_ns;
    let mut workload = Workload::new(settings).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    let mut made = [0u64; 3];
    let mut bytes = 0;
    let before = record::cpu_seconds();
    while made[0] < spans {
        until += STEP_NS;
        workload.advance(until, &mut out);
        for request in out.drain(..) {
            made[request.signal as usize] += request.records as u64;
            bytes += request.body.len();
        }
        workload.drain_traces().for_each(drop);
    }
    let cpu = record::cpu_seconds() - before;
    let spans = made[0] as f64;
    Ok(Run { cpu_us: cpu / spans * 1e6, bytes: bytes as f64 / spans, logs: made[1] as f64 / spans * 1e3 })
}
