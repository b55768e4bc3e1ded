//! What a running process has used, from `/proc`.

use std::time::Duration;

/// CPU time and memory of one process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    /// User and system time of all its threads since it started.
    pub(crate) cpu: Duration,
    /// Resident memory now, in bytes.
    pub(crate) rss: u64,
    /// The largest resident memory so far, in bytes.
    pub(crate) rss_peak: u64,
}

/// Reads `/proc/PID`.
pub(crate) fn of(pid: u32) -> Result<Usage, String> {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))
    };
    let status = read("status")?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) * 1024
    };
    let ticks = cpu_ticks(&read("stat")?).ok_or_else(|| format!("/proc/{pid}/stat is not understood"))?;
    let cpu = Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
    Ok(Usage { cpu, rss: kib("VmRSS:"), rss_peak: kib("VmHWM:") })
}

/// What this process uses.
pub(crate) fn now() -> Result<Usage, String> {
    of(std::process::id())
}

/// What this process uses, whose largest resident memory is counted anew from here on (proc_pid_clear_refs(5)).
pub(crate) fn from_here() -> Result<Usage, String> {
    const FILE: &str = "/proc/self/clear_refs";
    std::fs::write(FILE, "5").map_err(|e| format!("{FILE}: {e}"))?;
    now()
}

/// The unit of `utime` and `stime`: `USER_HZ`, which Linux fixes at 100 on every architecture of today.
const TICKS_PER_SECOND: u64 = 100;

/// Fields 14 and 15, counted from after the command's name, which may hold spaces and brackets (proc_pid_stat(5)).
fn cpu_ticks(stat: &str) -> Option<u64> {
    let after = stat.rsplit_once(") ")?.1;
    let mut fields = after.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_found_behind_an_odd_name() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20";
        assert_eq!(cpu_ticks(stat), Some(175));
        assert_eq!(cpu_ticks("7 (a"), None);
    }

    #[test]
    fn this_process_uses_memory() {
        let usage = of(std::process::id()).unwrap();
        assert!(usage.rss > 0 && usage.rss_peak >= usage.rss);
    }
}
