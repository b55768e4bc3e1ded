//! `memory_limiter`: how much memory telemetry may take up.

use otlp::Signal;

use super::{Class, Component, Settings};
use crate::settings::{Kind, Section, Setting};

/// Processor `memory_limiter`.
pub const COMPONENT: Component = Component {
    name: "memory_limiter",
    aliases: &[],
    class: Class::Processor,
    signals: &Signal::ALL,
    text: "Bounds the memory that telemetry takes up; what would exceed it is refused before it is read.",
    settings: ROWS,
    read,
};

const MIB: i64 = (usize::MAX >> 21) as i64;

const ROWS: &[Setting] = &[
    Setting::new(
        "check_interval",
        Kind::Duration,
        "0s",
        "How often memory is looked at. It is at every request; the key is required as in the Collector.",
    ),
    Setting::new("limit_mib", Kind::Int(0, MIB), "0", "MiB that may be taken up."),
    Setting::new("spike_limit_mib", Kind::Int(0, MIB), "0", "MiB kept free for what is being read; a fifth of the limit."),
    Setting::new("limit_percentage", Kind::Int(0, 100), "0", "The limit as percentage of the memory of the cgroup or machine."),
    Setting::new("spike_limit_percentage", Kind::Int(0, 100), "0", "The spike limit as percentage of that memory."),
    Setting::later("min_gc_interval_when_soft_limited", "there is no garbage collector here; remove the key"),
    Setting::later("min_gc_interval_when_hard_limited", "there is no garbage collector here; remove the key"),
];

/// What `memory_limiter` is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimiterSettings {
    /// How much there may be.
    pub limit: Amount,
    /// How much of it is kept free; `None` for a fifth.
    pub spike: Option<Amount>,
}

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// In MiB.
    Mib(usize),
    /// In hundredths of what the cgroup or machine has.
    Percent(usize),
}

impl Amount {
    fn bytes(self, total_bytes: u64) -> u64 {
        match self {
            Amount::Mib(mib) => (mib as u64) << 20,
            Amount::Percent(percent) => total_bytes / 100 * percent as u64,
        }
    }
}

impl MemoryLimiterSettings {
    /// Bytes that telemetry may take up where the cgroup or machine has `total_bytes`: the limit without the spike limit,
    /// which is where the Collector begins to refuse.
    pub fn budget_bytes(&self, total_bytes: u64) -> usize {
        let limit = self.limit.bytes(total_bytes);
        let spike = self.spike.map_or(limit / 5, |spike| spike.bytes(total_bytes));
        usize::try_from(limit.saturating_sub(spike)).unwrap_or(usize::MAX)
    }
}

fn read(section: &Section<'_>) -> Settings {
    if section.duration("check_interval").is_zero() {
        section.error("check_interval", "`check_interval` must be longer than zero", "such as `1s`");
    }
    let amount = |mib: &str, percentage: &str| match (section.count(mib), section.count(percentage)) {
        (0, 0) => None,
        (0, percent) => Some(Amount::Percent(percent)),
        (mib, _) => Some(Amount::Mib(mib)),
    };
    let limit = amount("limit_mib", "limit_percentage");
    let spike = amount("spike_limit_mib", "spike_limit_percentage");
    if limit.is_none() {
        section.error("limit_mib", "there is no limit", "set `limit_mib` or `limit_percentage`");
    }
    let swallowed = match (limit, spike) {
        (Some(Amount::Mib(limit)), Some(Amount::Mib(spike))) => spike >= limit,
        (Some(Amount::Percent(limit)), Some(Amount::Percent(spike))) => spike >= limit,
        _ => false,
    };
    if swallowed {
        let key = if section.has("spike_limit_mib") { "spike_limit_mib" } else { "spike_limit_percentage" };
        section.error(key, "the spike limit takes up the whole limit", "make it smaller; a fifth is usual");
    }
    Settings::MemoryLimiter(MemoryLimiterSettings { limit: limit.unwrap_or(Amount::Mib(0)), spike })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_the_limit_without_the_spike() {
        let total = 1000 << 20;
        for (limit, spike, mib) in [
            (Amount::Mib(100), None, 80),
            (Amount::Mib(100), Some(Amount::Mib(30)), 70),
            (Amount::Percent(50), None, 400),
            (Amount::Percent(50), Some(Amount::Percent(10)), 400),
            (Amount::Mib(100), Some(Amount::Percent(50)), 0),
        ] {
            let settings = MemoryLimiterSettings { limit, spike };
            assert_eq!(settings.budget_bytes(total) >> 20, mib, "{settings:?}");
        }
    }
}
