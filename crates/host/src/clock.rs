//! The clocks of those who run the machines; the machines themselves are told the time.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`, which never jumps and stands still while the machine sleeps.
#[must_use]
pub fn monotonic_ns() -> u64 {
    ns(clock_gettime(ClockId::Monotonic))
}

/// Nanoseconds of CPU time of the thread that asks.
pub(crate) fn thread_cpu_ns() -> u64 {
    ns(clock_gettime(ClockId::ThreadCPUTime))
}

/// Nanoseconds of CPU time of a process with all its threads, ended ones too; of any user's. `None` if there is none of that number.
pub(crate) fn process_cpu_ns(pid: u32) -> Option<u64> {
    // clock_getcpuclockid(3), whose kinds of clocks are the kernel's: 2 is that of the scheduler, in nanoseconds.
    let pid = i32::try_from(pid).ok()?;
    let clock = nix::time::ClockId::from_raw((!pid) << 3 | 2);
    let now = clock.now().ok()?;
    Some(ns(Timespec { tv_sec: now.tv_sec(), tv_nsec: now.tv_nsec() }))
}

fn ns(time: Timespec) -> u64 {
    let part = |part: i64| u64::try_from(part).unwrap_or(0);
    part(time.tv_sec).saturating_mul(1_000_000_000).saturating_add(part(time.tv_nsec))
}
