//! How many CPUs this process may use.

use std::fs;

/// CPUs that this process may keep busy: the smallest of its affinity and the quotas of its control group (v2) and that
/// group's ancestors, rounded up; at least one.
pub fn cpus() -> usize {
    let affinity = fs::read_to_string("/proc/self/status").ok().and_then(|status| allowed(&status));
    let affinity = affinity.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    affinity.unwrap_or(1).min(group_quota().unwrap_or(usize::MAX)).max(1)
}

fn group_quota() -> Option<usize> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let ancestors = std::path::Path::new(path).ancestors();
    let quotas = ancestors.filter_map(|group| {
        let file = std::path::Path::new("/sys/fs/cgroup").join(group).join("cpu.max");
        quota(&fs::read_to_string(file).ok()?)
    });
    quotas.min()
}

/// Reads `cpu.max` (`quota period` in microseconds, or `max period`), rounding up.
fn quota(cpu_max: &str) -> Option<usize> {
    let mut words = cpu_max.split_whitespace();
    let quota: usize = words.next()?.parse().ok()?;
    let period: usize = words.next()?.parse().ok()?;
    (period > 0).then(|| quota.div_ceil(period).max(1))
}

/// Reads `Cpus_allowed_list` (`0-3,8`) of a `/proc/…/status`.
fn allowed(status: &str) -> Option<usize> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    list.trim().split(',').map(range_len).sum()
}

fn range_len(range: &str) -> Option<usize> {
    match range.split_once('-') {
        None => range.parse::<usize>().ok().map(|_| 1),
        Some((first, last)) => {
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            last.checked_sub(first).map(|more| more + 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_round_up() {
        assert_eq!(quota("150000 100000\n"), Some(2));
        assert_eq!(quota("100000 100000\n"), Some(1));
        assert_eq!(quota("1000 100000\n"), Some(1));
        assert_eq!(quota("max 100000\n"), None);
        assert_eq!(quota("100 0\n"), None);
        assert_eq!(quota(""), None);
    }

    #[test]
    fn affinity_lists_are_counted() {
        assert_eq!(allowed("Name:\tx\nCpus_allowed_list:\t0-3,8\n"), Some(5));
        assert_eq!(allowed("Cpus_allowed_list:\t7\n"), Some(1));
        assert_eq!(allowed("Cpus_allowed_list:\t3-1\n"), None);
        assert_eq!(allowed("Name:\tx\n"), None);
    }

    #[test]
    fn there_is_at_least_one() {
        assert!(cpus() >= 1);
    }
}
