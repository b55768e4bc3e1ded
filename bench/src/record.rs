//! What `TelemetryPipeline::record_span` costs: process CPU per span from the call to a null exporter, the span's drop
//! included, and spans per second.

use std::{
    pin::pin,
    sync::Barrier,
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use otlp::event::{AttributeValue, Span, SpanStatus};
use pipeline::{BackpressureStrategy, TelemetryPipeline};

/// How it is called.
pub(crate) const HELP: &str =
    "  bench record [SPANS] [REPEATS]   record_span to a null exporter, 1 and 2 producers";

/// Spans made before the clock starts, so that making them is not measured. A producer records them block by block.
const BLOCK: usize = 250_000;

/// Measures and prints a table; the first two rows are the same thing twice.
pub(crate) fn command(args: &[String]) -> Result<(), String> {
    let number = |i: usize, default: usize| match args.get(i) {
        None => Ok(default),
        Some(text) => text.parse::<usize>().map_err(|_| format!("not a number: {text}")),
    };
    let spans = number(0, 2_000_000)?;
    let repeats = number(1, 5)?;
    println!(
        "{spans} spans of 4 attributes per producer; block of {BLOCK} made beforehand; best and median of {repeats}"
    );
    println!("{:<28} {:>12} {:>12} {:>14} {:>10}", "", "CPU µs/span", "median", "spans/s", "dropped");
    for (name, producers) in [("A: 1 producer", 1), ("A again: 1 producer", 1), ("2 producers", 2)] {
        let mut runs = Vec::new();
        for _ in 0..repeats {
            runs.push(run(spans, producers)?);
        }
        runs.sort_by(|a, b| a.cpu_us.total_cmp(&b.cpu_us));
        let (best, median) = (&runs[0], &runs[runs.len() / 2]);
        let rate = runs.iter().map(|run| run.rate).fold(0.0, f64::max);
        let (dropped, us) = (best.dropped, (best.cpu_us, median.cpu_us));
        println!("{name:<28} {:>12.3} {:>12.3} {:>12.2} M {dropped:>10}", us.0, us.1, rate / 1e6);
    }
    Ok(())
}

struct Run {
    cpu_us: f64,
    rate: f64,
    dropped: u64,
}

/// Records in bursts of [`BLOCK`]; time and CPU of making the blocks are left out.
fn run(spans: usize, producers: usize) -> Result<Run, String> {
    let pipeline = TelemetryPipeline::builder()
        .with_backpressure_strategy(BackpressureStrategy::DropOldest)
        .build()
        .map_err(|error| error.to_string())?;
    let blocks = spans.div_ceil(BLOCK);
    let barrier = Barrier::new(producers + 1);
    let (mut cpu, mut wall) = (0.0, Duration::ZERO);
    thread::scope(|scope| {
        for producer in 0..producers {
            let (pipeline, barrier) = (&pipeline, &barrier);
            scope.spawn(move || {
                for block in 0..blocks {
                    let made: Vec<Span> = (0..BLOCK).map(|i| span(producer, block * BLOCK + i)).collect();
                    barrier.wait();
                    for span in made {
                        record(pipeline, span);
                    }
                    barrier.wait();
                    barrier.wait();
                }
            });
        }
        for _ in 0..blocks {
            // Made; recorded; measured: only then is the next block made.
            barrier.wait();
            let (cpu_before, began) = (cpu_seconds(), Instant::now());
            barrier.wait();
            wall += began.elapsed();
            settle(&pipeline);
            cpu += cpu_seconds() - cpu_before;
            barrier.wait();
        }
    });
    let recorded = (blocks * BLOCK * producers) as f64;
    pipeline.shutdown(Duration::from_secs(10));
    let stats = pipeline.stats();
    stats.check().map_err(|violation| violation.to_string())?;
    let dropped = stats.events_dropped;
    Ok(Run { cpu_us: cpu / recorded * 1e6, rate: recorded / wall.as_secs_f64(), dropped })
}

/// Waits for the workers without spending CPU time on it.
pub(crate) fn settle(pipeline: &TelemetryPipeline) {
    thread::sleep(Duration::from_millis(3));
    while pipeline.stats().events_pending > 0 {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Recording is ready at once with this strategy.
pub(crate) fn record(pipeline: &TelemetryPipeline, span: Span) {
    match pin!(pipeline.record_span(span)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(())) => {}
        other => panic!("not recorded: {other:?}"),
    }
}

pub(crate) fn span(producer: usize, n: usize) -> Span {
    let text = |key: &str, value: &str| (key.to_owned(), AttributeValue::String(value.to_owned()));
    Span {
        name: "hipstershop.CartService/GetCart".to_owned(),
        trace_id: format!("{:032x}", (n as u128 + 1) * 0x9e37_79b9_7f4a_7c15_f39c),
        span_id: format!("{:08x}{n:08x}", producer + 1),
        parent_span_id: Some("00f067aa0ba902b7".to_owned()),
        attributes: vec![
            text("service.name", "cartservice"),
            text("rpc.system", "grpc"),
            text("rpc.service", "hipstershop.CartService"),
            ("rpc.grpc.status_code".to_owned(), AttributeValue::Int(0)),
        ],
        duration_ns: 1_500_000,
        status: SpanStatus::Ok,
        start_time_ns: 1_700_000_000_000_000_000 + n as u64,
        end_time_ns: 1_700_000_000_001_500_000 + n as u64,
    }
}

/// User and system time of this process, in clock ticks of 10 ms: blocks are large so that this is fine enough.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name in parentheses, which may hold anything, field 14 is the twelfth.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// The largest resident memory of this process so far.
pub(crate) fn peak_memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap_or(0.0) / 1024.0
}
