//! The performance table of the pipeline's specification: a program that records a million spans a second, and one and a
//! half; CPU of all cores, memory, and the latencies that `stats()` tells.

use std::{
    thread,
    time::{Duration, Instant},
};

use otlp::event::Span;
use pipeline::TelemetryPipeline;

use crate::record;

/// How it is called.
pub(crate) const HELP: &str =
    "  bench rate [SECONDS]             record_span at 1 M and 1.5 M spans/s: CPU, memory, latencies";

/// Spans per second.
const RATES: [u64; 2] = [1_000_000, 1_500_000];
/// What is recorded between two looks at the clock.
const TICK: Duration = Duration::from_millis(1);

/// What one run used.
struct Used {
    /// Percent of what all cores have.
    cpu_percent: f64,
    /// What was recorded per second.
    per_second: f64,
    stats: Option<pipeline::PipelineStats>,
}

/// Measures and prints a table. Making the spans is part of the program, so each rate is run without a pipeline too.
pub(crate) fn command(args: &[String]) -> Result<(), String> {
    let seconds = match args.first() {
        None => 5,
        Some(text) => text.parse().map_err(|_| format!("not a number: {text}"))?,
    };
    let length = Duration::from_secs(seconds);
    println!("one producer, spans of 4 attributes, null exporter, {seconds} s; CPU is of all cores");
    println!(
        "{:<34} {:>10} {:>7} {:>12} {:>16} {:>16} {:>9}",
        "", "spans/s", "CPU", "peak memory", "p99 ingestion", "p99 processing", "dropped"
    );
    for rate in RATES {
        let bare = run(rate, length, None)?;
        println!(
            "{:<34} {:>9.2}M {:>5.1} %",
            "spans made and dropped",
            bare.per_second / 1e6,
            bare.cpu_percent
        );
        let pipeline = TelemetryPipeline::builder().build().map_err(|error| error.to_string())?;
        let used = run(rate, length, Some(&pipeline))?;
        let stats = used.stats.ok_or("no statistics")?;
        println!(
            "{:<34} {:>9.2}M {:>5.1} % {:>8.1} MiB {:>13.1} us {:>13.1} us {:>9}",
            "spans made and recorded",
            used.per_second / 1e6,
            used.cpu_percent,
            record::peak_memory_mib(),
            stats.p99_ingestion_latency_us,
            stats.p99_processing_latency_us,
            stats.events_dropped,
        );
    }
    Ok(())
}

fn run(rate: u64, length: Duration, pipeline: Option<&TelemetryPipeline>) -> Result<Used, String> {
    let (cpu_before, began) = (record::cpu_seconds(), Instant::now());
    let mut made = 0u64;
    while began.elapsed() < length {
        let due = (rate as f64 * began.elapsed().as_secs_f64()) as u64;
        while made < due {
            let span = record::span(0, made as usize);
            match pipeline {
                Some(pipeline) => record::record(pipeline, span),
                None => drop(std::hint::black_box::<Span>(span)),
            }
            made += 1;
        }
        thread::sleep(TICK);
    }
    let seconds = began.elapsed().as_secs_f64();
    let cpu = record::cpu_seconds() - cpu_before;
    let cores = thread::available_parallelism().map_or(1, usize::from) as f64;
    let stats = pipeline.map(|pipeline| {
        record::settle(pipeline);
        pipeline.stats()
    });
    if let Some(stats) = &stats {
        stats.check().map_err(|violation| violation.to_string())?;
    }
    Ok(Used { cpu_percent: 100.0 * cpu / seconds / cores, per_second: made as f64 / seconds, stats })
}
