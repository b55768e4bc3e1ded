//! What the process itself uses, as Linux tells it. Elsewhere there is nothing of it.

/// What the process uses now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usage {
    /// CPU time of all threads, user and system, in seconds.
    pub(super) cpu_seconds: f64,
    /// Bytes in memory.
    pub(super) resident: u64,
    /// Of these, bytes that are no file's.
    pub(super) anonymous: u64,
    /// Private bytes asked for, in memory or not.
    pub(super) asked: u64,
}

impl Usage {
    /// Reads it; `None` where the system does not tell.
    pub(super) fn now() -> Option<Usage> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        Self::read(&stat, &status, rustix::param::clock_ticks_per_second())
    }

    /// From the texts of `proc_pid_stat(5)` and `proc_pid_status(5)`.
    fn read(stat: &str, status: &str, ticks_per_second: u64) -> Option<Usage> {
        // The second field, the name, is in parentheses and may hold anything; user and system time are 14 and 15.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut times = rest.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
        let ticks = times.next()?.ok()? + times.next()?.ok()?;
        let bytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
        };
        Some(Usage {
            cpu_seconds: ticks as f64 / ticks_per_second.max(1) as f64,
            resident: bytes("VmRSS:")?,
            anonymous: bytes("RssAnon:")?,
            asked: bytes("VmData:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_the_system_are_read() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 9 9 20 0 3 0 100 1 1";
        let status = "Name:\ta\nVmData:\t  300 kB\nVmRSS:\t  20 kB\nRssAnon:\t  10 kB\n";
        let usage = Usage { cpu_seconds: 3.0, resident: 20 << 10, anonymous: 10 << 10, asked: 300 << 10 };
        assert_eq!(Usage::read(stat, status, 100), Some(usage));
        assert_eq!(Usage::read("7 (a", status, 100), None);
        assert_eq!(Usage::read(stat, "VmRSS: x kB", 100), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_something() {
        let usage = Usage::now().unwrap();
        assert!(usage.resident > 0 && usage.anonymous <= usage.resident && usage.asked > 0);
    }
}
