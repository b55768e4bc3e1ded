//! What a command may use: totals, which are watched, and limits, which the kernel holds.

use std::time::Duration;

use clap::Args;
use host::{Budget, OsResourceLimits};

use super::super::{positive, some_time};

#[derive(Debug, Args)]
pub(super) struct Allowance {
    /// CPU time of all its processes together.
    #[arg(long, value_name = "DURATION", value_parser = whole_ms)]
    budget_cpu: Option<Duration>,
    /// Time since it began.
    #[arg(long, value_name = "DURATION", value_parser = whole_ms)]
    budget_wall: Option<Duration>,
    /// Bytes read from and written to devices.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    budget_io: Option<u64>,
    /// The most memory at once, page cache included where a cgroup counts.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    budget_memory: Option<u64>,
    /// The most processes at once, as samples see them; threads, where a cgroup counts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    budget_processes: Option<u64>,
    /// CPU time of the measuring itself: beyond it the command goes on, unmeasured.
    #[arg(long, value_name = "DURATION", value_parser = whole_ms)]
    budget_measuring: Option<Duration>,
    /// Memory, page cache included: beyond it the kernel takes cache away, then kills.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    limit_memory: Option<u64>,
    /// CPUs that it may keep busy, in hundredths: 1.5 is one and a half.
    #[arg(long, value_name = "CPUS", value_parser = positive)]
    limit_cpu: Option<f64>,
    /// Processes and threads that there may be at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit_processes: Option<u64>,
}

impl Allowance {
    pub(super) fn budget(&self) -> Budget {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Budget {
            cpu_ms: self.budget_cpu.map(ms),
            wall_ms: self.budget_wall.map(ms),
            bytes_io: self.budget_io,
            mem_peak_bytes: self.budget_memory,
            processes: self.budget_processes,
            sampler_cpu_ms: self.budget_measuring.map(ms),
            sampler_bytes: None,
        }
    }

    pub(super) fn limits(&self) -> OsResourceLimits {
        OsResourceLimits {
            memory_max_bytes: self.limit_memory,
            cpu_millis: self.limit_cpu.map(|cpus| (cpus * 1000.0).round().min(f64::from(u32::MAX)) as u32),
            pids_max: self.limit_processes,
        }
    }
}

/// What a budget counts in.
fn whole_ms(text: &str) -> Result<Duration, String> {
    let time = some_time(text)?;
    if is_whole_ms(time) { Ok(time) } else { Err("it must be whole milliseconds".to_owned()) }
}

pub(super) fn is_whole_ms(time: Duration) -> bool {
    time.subsec_nanos().is_multiple_of(1_000_000)
}

/// Bytes: `4096`, `64KiB`, `1.5GiB`, `10MB`.
fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 11] = [
        ("", 1.0),
        ("B", 1.0),
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("TiB", 1_099_511_627_776.0),
        ("kB", 1e3),
        ("KB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
    ];
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| "it begins with no number".to_owned())?;
    let unit = UNITS.iter().find(|(name, _)| *name == unit.trim());
    let (_, scale) = unit.ok_or("its unit is none of B, KiB, MiB, GiB, TiB, kB, MB, GB, TB")?;
    let bytes = number * scale;
    match bytes {
        b if b < 1.0 => Err("it must be greater than zero".to_owned()),
        b if b > 1e18 => Err("it is more than there is".to_owned()),
        b => Ok(b.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::{size, whole_ms};

    #[test]
    fn a_budget_of_time_is_whole_milliseconds() {
        assert_eq!(whole_ms("1500ms"), Ok(std::time::Duration::from_millis(1500)));
        for text in ["1500us", "999us", "0s", "x"] {
            assert!(whole_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units_or_are_bytes() {
        for (text, bytes) in [
            ("4096", 4096),
            ("64KiB", 65_536),
            ("1.5GiB", 1_610_612_736),
            ("10MB", 10_000_000),
            ("2 MiB", 2 << 20),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (text, said) in [
            ("", "no number"),
            ("MiB", "no number"),
            ("5 mib", "unit"),
            ("0", "zero"),
            ("9999999TiB", "more"),
        ] {
            let error = size(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
