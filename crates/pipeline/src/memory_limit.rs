//! When memory is short, senders are asked to come back later.

use std::{fs, sync::Arc, time::Duration};

use crate::{
    Budget,
    sync::atomic::{AtomicBool, Ordering},
};

/// The Collector's `memory_limiter` keys. Of MiB and percentages, MiB count where both are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimitSettings {
    /// How often the process's own memory is looked at; what is admitted is always looked at.
    pub check_interval: Duration,
    /// MiB: the most memory in use. Zero: use the percentage.
    pub limit_mib: u64,
    /// MiB kept free for work already admitted. Zero: use the percentage, else a fifth of the limit.
    pub spike_limit_mib: u64,
    /// Percent of the memory this process may use.
    pub limit_percentage: u64,
    /// Percent of the memory this process may use, kept free.
    pub spike_limit_percentage: u64,
}

impl Default for MemoryLimitSettings {
    fn default() -> Self {
        Self {
            check_interval: Duration::from_secs(1),
            limit_mib: 0,
            spike_limit_mib: 0,
            limit_percentage: 0,
            spike_limit_percentage: 0,
        }
    }
}

/// What is wrong with the settings; fix the keys it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimitError {
    /// Neither `limit_mib` nor `limit_percentage` is set.
    NoLimit,
    /// A percentage is above 100.
    Percentage,
    /// The spike limit is not below the limit.
    Spike,
}

impl std::fmt::Display for MemoryLimitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoLimit => "set limit_mib or limit_percentage",
            Self::Percentage => "limit_percentage and spike_limit_percentage must be at most 100",
            Self::Spike => "the spike limit must be below the limit",
        })
    }
}

impl std::error::Error for MemoryLimitError {}

/// Refuses while memory is short: at once when bodies and batches reach limit − spike ([`MemoryLimiter::budget`]), and
/// between two looks at the process when its resident memory has passed the limit, until it is below limit − spike.
#[derive(Clone, Debug)]
pub struct MemoryLimiter {
    hard: u64,
    soft: u64,
    check_interval: Duration,
    budget: Budget,
    over: Arc<AtomicBool>,
}

impl MemoryLimiter {
    /// Resolves the settings; `total_bytes` is what percentages refer to ([`total_memory`]).
    ///
    /// # Errors
    /// When the settings contradict themselves.
    ///
    /// ```
    /// use aldis_pipeline::memory_limit::{MemoryLimitSettings, MemoryLimiter};
    ///
    /// let settings = MemoryLimitSettings { limit_percentage: 50, spike_limit_percentage: 20, ..Default::default() };
    /// let limiter = MemoryLimiter::new(&settings, 1 << 30)?;
    /// assert_eq!(limiter.budget().limit() as u64, (1 << 30) / 100 * 30);
    /// # Ok::<(), aldis_pipeline::memory_limit::MemoryLimitError>(())
    /// ```
    pub fn new(settings: &MemoryLimitSettings, total_bytes: u64) -> Result<Self, MemoryLimitError> {
        if settings.limit_percentage > 100 || settings.spike_limit_percentage > 100 {
            return Err(MemoryLimitError::Percentage);
        }
        let percent = |percentage: u64| total_bytes / 100 * percentage;
        let either = |mib: u64, percentage: u64| if mib > 0 { mib << 20 } else { percent(percentage) };
        let hard = either(settings.limit_mib, settings.limit_percentage);
        if hard == 0 {
            return Err(MemoryLimitError::NoLimit);
        }
        let spike = match either(settings.spike_limit_mib, settings.spike_limit_percentage) {
            0 => hard / 5,
            spike => spike,
        };
        let soft = hard.checked_sub(spike).filter(|soft| *soft > 0).ok_or(MemoryLimitError::Spike)?;
        Ok(Self {
            hard,
            soft,
            check_interval: settings.check_interval,
            budget: Budget::new(usize::try_from(soft).unwrap_or(usize::MAX)),
            over: Arc::default(),
        })
    }

    /// What bodies and batches must be charged to.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Bytes of resident memory of the whole process above which everything is refused.
    pub fn limit_bytes(&self) -> u64 {
        self.hard
    }

    /// Whether new work is refused because the process as a whole is over its limit.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Takes note of the process's resident memory, in bytes. Where it is too much, stages are asked to let go of what they
    /// hold.
    pub fn observe(&self, resident: u64) {
        if resident > self.hard {
            self.over.store(true, Ordering::Relaxed);
            self.budget.want(usize::try_from(resident - self.soft).unwrap_or(usize::MAX));
        } else if resident < self.soft {
            self.over.store(false, Ordering::Relaxed);
        }
    }

    /// Looks at the process for as long as anybody else holds this limiter.
    pub async fn watch(self) {
        let mut interval = tokio::time::interval(self.check_interval.max(Duration::from_millis(10)));
        loop {
            interval.tick().await;
            if Arc::strong_count(&self.over) == 1 {
                return;
            }
            if let Some(resident) = resident_memory() {
                self.observe(resident);
            }
        }
    }
}

/// Bytes of this process in memory, where the system tells.
pub fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    kib(&status, "VmRSS:")
}

/// Bytes this process may use: the machine's memory, or its control group's limit (v2) where that is less.
pub fn total_memory() -> Option<u64> {
    let machine = kib(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let file = std::path::Path::new("/sys/fs/cgroup").join(path).join("memory.max");
    let group = fs::read_to_string(file).ok().and_then(|max| max.trim().parse().ok());
    Some(machine.min(group.unwrap_or(u64::MAX)))
}

fn kib(file: &str, key: &str) -> Option<u64> {
    let line = file.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mib(limit: u64, spike: u64) -> MemoryLimitSettings {
        MemoryLimitSettings { limit_mib: limit, spike_limit_mib: spike, ..Default::default() }
    }

    #[test]
    fn settings_resolve_as_the_collector_does() {
        let limit =
            |settings| MemoryLimiter::new(&settings, 1000 << 20).map(|limiter| limiter.budget.limit() >> 20);
        assert_eq!(limit(mib(100, 30)), Ok(70));
        assert_eq!(limit(mib(100, 0)), Ok(80));
        assert_eq!(limit(mib(0, 0)), Err(MemoryLimitError::NoLimit));
        assert_eq!(limit(mib(100, 100)), Err(MemoryLimitError::Spike));
        let percent = MemoryLimitSettings { limit_percentage: 101, ..Default::default() };
        assert_eq!(limit(percent), Err(MemoryLimitError::Percentage));
        let both = MemoryLimitSettings {
            limit_percentage: 10,
            limit_mib: 50,
            spike_limit_mib: 1,
            ..Default::default()
        };
        assert_eq!(limit(both), Ok(49));
    }

    #[test]
    fn a_process_over_its_limit_must_come_below_the_soft_one() {
        let limiter = MemoryLimiter::new(&mib(100, 30), 0).unwrap();
        for (resident, over) in [(99, false), (101, true), (90, true), (71, true), (69, false), (90, false)] {
            limiter.observe(resident << 20);
            assert_eq!(limiter.is_over(), over, "{resident} MiB");
        }
    }

    #[test]
    fn a_limiter_that_nobody_holds_is_not_watched() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let limiter = MemoryLimiter::new(&mib(100, 30), 0).unwrap();
        runtime.unwrap().block_on(async {
            let watching = tokio::spawn(limiter.clone().watch());
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert!(!watching.is_finished());
            drop(limiter);
            tokio::time::timeout(Duration::from_secs(3), watching).await.unwrap().unwrap();
        });
    }

    #[test]
    fn the_system_tells_memory() {
        assert!(resident_memory().unwrap() > 1 << 20);
        assert!(total_memory().unwrap() > 1 << 26);
    }
}
