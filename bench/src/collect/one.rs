//! One run, in a process that does nothing else.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::{
    gate::{Gate, PERIOD},
    subject::{ENTRIES, Subject},
};
use crate::process::usage;

/// What a run's process is started with.
pub(super) const ONE: &str = "--one";

/// What a run is to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// Record so many, one right behind the other.
    Tight(usize),
    /// Record so many in each second, for some stalls of the storage.
    Paced { per_second: u64, stalls: u64 },
}

impl Order {
    /// What every subject puts in front of its storage.
    pub(super) fn gate(&self) -> Gate {
        Gate::new(matches!(self, Order::Paced { .. }))
    }
}

/// What a run took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// CPU time of the thread that records, for each record.
    pub(super) cpu_ns: f64,
    /// CPU time of all threads until everything was stored, for each record.
    pub(super) process_cpu_ns: f64,
    pub(super) wall_ns: f64,
    /// The share of records that never came to the storage.
    pub(super) lost: f64,
    /// By how much the largest resident memory exceeded what was resident before.
    pub(super) peak_bytes: u64,
    /// Time from when a call was due to its end: median, 99 % and 99.9 % of calls, longest.
    pub(super) late_ns: [f64; 4],
}

/// Makes one.
pub(super) fn run<S: Subject>(order: &Order, subject: Result<S, String>) -> Result<Sample, String> {
    let mut subject = subject?;
    match *order {
        Order::Tight(records) => tight(subject, records),
        Order::Paced { per_second, stalls } => {
            let records = per_second * stalls * PERIOD.as_secs();
            // Written once, so that this memory is there before it is measured.
            let mut late = vec![u64::MAX; records as usize];
            let before = usage::from_here()?.rss;
            let began = Instant::now();
            for (number, late) in late.iter_mut().enumerate() {
                let due = Duration::from_nanos(number as u64 * 1_000_000_000 / per_second);
                while began.elapsed() < due {
                    std::hint::spin_loop();
                }
                subject.record(number);
                *late = (began.elapsed() - due).as_nanos() as u64;
            }
            let stored = subject.finish()?;
            late.sort_unstable();
            let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize] as f64;
            Ok(Sample {
                lost: 1.0 - stored as f64 / records as f64,
                peak_bytes: usage::now()?.rss_peak.saturating_sub(before),
                late_ns: [at(0.5), at(0.99), at(0.999), at(1.0)],
                ..Sample::default()
            })
        }
    }
}

fn tight<S: Subject>(mut subject: S, records: usize) -> Result<Sample, String> {
    let before = usage::from_here()?.rss;
    let (thread, process) = (ClockId::ThreadCPUTime, ClockId::ProcessCPUTime);
    let (cpu, all, began) = (seconds(thread), seconds(process), Instant::now());
    for number in 0..records {
        subject.record(number);
    }
    let (cpu, wall) = (seconds(thread) - cpu, began.elapsed().as_secs_f64());
    let stored = subject.finish()?;
    let each = |seconds: f64| seconds * 1e9 / records as f64;
    Ok(Sample {
        cpu_ns: each(cpu),
        process_cpu_ns: each(seconds(process) - all),
        wall_ns: each(wall),
        lost: 1.0 - stored as f64 / records as f64,
        peak_bytes: usage::now()?.rss_peak.saturating_sub(before),
        late_ns: [0.0; 4],
    })
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Starts a process for one run and reads what it says.
pub(super) fn start(entry: &str, order: Order) -> Result<Sample, String> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let how = match order {
        Order::Tight(records) => ["tight".to_owned(), records.to_string(), String::new()],
        Order::Paced { per_second, stalls } => {
            ["paced".to_owned(), per_second.to_string(), stalls.to_string()]
        }
    };
    let output =
        Command::new(this).args(["collect", ONE, entry]).args(how).output().map_err(|e| e.to_string())?;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Sample::of(&told).ok_or_else(|| format!("{entry}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The run itself: `ENTRY tight RECORDS` or `ENTRY paced PER_SECOND STALLS`.
pub(super) fn command(args: &[String]) -> Result<(), String> {
    let [name, how, first, second] = args else { return Err("ENTRY HOW NUMBER NUMBER".to_owned()) };
    let entry = ENTRIES.iter().find(|entry| entry.name == name).ok_or(format!("no such entry: {name}"))?;
    let number = |text: &String| text.parse::<u64>().map_err(|e| format!("{text}: {e}"));
    let order = match how.as_str() {
        "tight" => Order::Tight(number(first)? as usize),
        _ => Order::Paced { per_second: number(first)?, stalls: number(second)? },
    };
    println!("{}", (entry.run)(&order)?.told());
    Ok(())
}

impl Sample {
    pub(super) fn told(&self) -> Value {
        json!({
            "cpu_ns": self.cpu_ns, "process_cpu_ns": self.process_cpu_ns, "wall_ns": self.wall_ns, "lost": self.lost,
            "peak_bytes": self.peak_bytes, "late_ns": self.late_ns,
        })
    }

    fn of(told: &Value) -> Option<Self> {
        let number = |key: &str| told[key].as_f64();
        let late = |i: usize| told["late_ns"][i].as_f64();
        Some(Self {
            cpu_ns: number("cpu_ns")?,
            process_cpu_ns: number("process_cpu_ns")?,
            wall_ns: number("wall_ns")?,
            lost: number("lost")?,
            peak_bytes: told["peak_bytes"].as_u64()?,
            late_ns: [late(0)?, late(1)?, late(2)?, late(3)?],
        })
    }
}
