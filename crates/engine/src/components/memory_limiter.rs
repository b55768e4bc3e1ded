//! `memory_limiter`: how much memory telemetry may take up.

use otlp::Signal;
use pipeline::{MemoryLimitSettings, MemoryLimiter};

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
        "How often the memory of the whole process is looked at. Required.",
    ),
    Setting::new("limit_mib", Kind::Int(0, MIB), "0", "MiB that may be taken up."),
    Setting::new(
        "spike_limit_mib",
        Kind::Int(0, MIB),
        "0",
        "MiB kept free for what is being read; a fifth of the limit.",
    ),
    Setting::new(
        "limit_percentage",
        Kind::Int(0, 100),
        "0",
        "The limit as percentage of the memory of the cgroup or machine.",
    ),
    Setting::new(
        "spike_limit_percentage",
        Kind::Int(0, 100),
        "0",
        "The spike limit as percentage of that memory.",
    ),
    Setting::later("min_gc_interval_when_soft_limited", "there is no garbage collector here; remove the key"),
    Setting::later("min_gc_interval_when_hard_limited", "there is no garbage collector here; remove the key"),
];

fn read(section: &Section<'_>, _: &[Signal]) -> Settings {
    let mib = |key| section.count(key) as u64;
    let settings = MemoryLimitSettings {
        check_interval: section.duration("check_interval"),
        limit_mib: mib("limit_mib"),
        spike_limit_mib: mib("spike_limit_mib"),
        limit_percentage: mib("limit_percentage"),
        spike_limit_percentage: mib("spike_limit_percentage"),
    };
    if settings.check_interval.is_zero() {
        section.error("check_interval", "`check_interval` must be longer than zero", "such as `1s`");
    }
    if settings.limit_mib == 0 && settings.limit_percentage == 0 {
        section.error("limit_mib", "there is no limit", "set `limit_mib` or `limit_percentage`");
        return Settings::MemoryLimiter(settings);
    }
    // Where one of them is in MiB and the other a percentage, the memory of the machine decides when the engine starts.
    let spike = settings.spike_limit_mib > 0 || settings.spike_limit_percentage > 0;
    let mixed = spike && (settings.limit_mib > 0) != (settings.spike_limit_mib > 0);
    if !mixed && let Err(error) = MemoryLimiter::new(&settings, 1 << 40) {
        let key = if section.has("spike_limit_mib") { "spike_limit_mib" } else { "spike_limit_percentage" };
        section.error(key, error.to_string(), "a fifth of the limit is usual");
    }
    Settings::MemoryLimiter(settings)
}
