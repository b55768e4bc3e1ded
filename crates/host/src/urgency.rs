//! The thread that looks, and its turn to run: it comes when a budget may be used up, and not after those who use it.

use std::cell::Cell;

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use crate::limits::MAX_VISITED_CPUS;

/// How long this thread goes on when others wait: the least that the kernel takes. One that wakes up with a shorter turn than that of who
/// runs does not wait for its end (Linux 6.12).
const TURN_NS: u64 = 100_000;

/// What it starts is not urgent (`SCHED_FLAG_RESET_ON_FORK`).
const RESET_ON_FORK: u64 = 1;

thread_local! {
    static AT_ONCE: Cell<bool> = const { Cell::new(false) };
}

/// How this thread is scheduled.
pub(crate) struct Urgency {
    ordinary: Option<libc::sched_attr>,
    is_urgent: bool,
}

impl Urgency {
    /// As it is now.
    pub(crate) fn of_this_thread() -> Self {
        Self { ordinary: attributes(), is_urgent: false }
    }

    /// From now on it comes at once when it wakes up, before everything that is not urgent itself, where the user may have that (as root, or by
    /// `RLIMIT_RTPRIO`); else before who has run for a tenth of a millisecond. Or it waits its turn again, as it did at first.
    ///
    /// Measured with jobs that burn on each of two CPUs, `cargo bench -p aldis-host -- anatomy`: an ordinary thread was up to 20 ms late, one with
    /// a short turn 4 ms, one that comes at once 0.06 ms.
    pub(crate) fn set(&mut self, is_urgent: bool) {
        let Some(ordinary) = self.ordinary.filter(|_| is_urgent != self.is_urgent) else { return };
        self.is_urgent = is_urgent;
        let at_once = libc::sched_attr {
            sched_policy: libc::SCHED_FIFO.unsigned_abs(),
            sched_priority: 1,
            sched_flags: RESET_ON_FORK,
            ..ordinary
        };
        let soon = libc::sched_attr { sched_runtime: TURN_NS, ..ordinary };
        AT_ONCE.set(is_urgent && schedule(&at_once));
        if !AT_ONCE.get() {
            // What the kernel refuses leaves it as it was: late now and then.
            let _ = schedule(if is_urgent { &soon } else { &ordinary });
        }
    }
}

/// Has the kernel account for what runs at this moment. It does so with each tick, four milliseconds mostly, and when somebody else gets a CPU:
/// this thread, for a moment, one CPU after the other. Asking for the clocks of processes is not enough: those of others are of the last tick too.
///
/// Only of a thread that comes at once: another would wait as long as for the tick.
pub(crate) fn visit_cpus() {
    if !AT_ONCE.get() {
        return;
    }
    // A machine with more CPUs than such a set holds is not visited.
    let Ok(all) = sched_getaffinity(None) else { return };
    let here = sched_getcpu();
    let others = (0..CpuSet::MAX_CPU).filter(|cpu| *cpu != here && all.is_set(*cpu));
    for cpu in others.take(MAX_VISITED_CPUS) {
        let mut one = CpuSet::new();
        one.set(cpu);
        // One that was taken away meanwhile runs nobody.
        let _ = sched_setaffinity(None, &one);
    }
    let _ = sched_setaffinity(None, &all);
}

#[expect(unsafe_code, reason = "no safe call says how a thread is scheduled")]
fn attributes() -> Option<libc::sched_attr> {
    // SAFETY: all zeros is a value of this structure of integers.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sched_attr>();
    // SAFETY: the kernel writes no more than `size` bytes; 0 is this thread.
    let answer =
        unsafe { libc::syscall(libc::SYS_sched_getattr, 0, std::ptr::from_mut(&mut attributes), size, 0) };
    (answer == 0).then_some(attributes)
}

#[expect(unsafe_code, reason = "no safe call says how a thread is scheduled")]
fn schedule(attributes: &libc::sched_attr) -> bool {
    // SAFETY: the kernel reads as many bytes as the structure says that it has; 0 is this thread.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, std::ptr::from_ref(attributes), 0) == 0 }
}

/// Whether this thread is, one way or the other.
#[cfg(test)]
pub(crate) fn is_urgent() -> bool {
    AT_ONCE.get() || attributes().is_some_and(|now| now.sched_runtime == TURN_NS)
}

/// Whether a thread of this user can be, on this kernel.
#[cfg(test)]
pub(crate) fn can_be_urgent() -> bool {
    let tried = || {
        Urgency::of_this_thread().set(true);
        is_urgent()
    };
    std::thread::spawn(tried).join().is_ok_and(|is_urgent| is_urgent)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::atomic::{AtomicU64, Ordering},
        thread,
        time::Duration,
    };

    use super::*;
    use crate::clock::{monotonic_ns, thread_cpu_ns};

    const ROUNDS: u64 = 30;

    /// One of the CPUs of this thread, the lowest first.
    fn alone(nth: usize) -> Option<CpuSet> {
        let all = sched_getaffinity(None).unwrap();
        let cpu = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).nth(nth)?;
        let mut one = CpuSet::new();
        one.set(cpu);
        Some(one)
    }

    /// Burns, without a call of the system, and says what it has used when it is asked, which has the kernel account for it.
    fn burn(number: &AtomicU64, asked: &AtomicU64, told: &AtomicU64) {
        // Where it is visited, however many CPUs there are.
        sched_setaffinity(None, &alone(0).unwrap()).unwrap();
        number.store(
            u64::from(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()),
            Ordering::Release,
        );
        for round in 1..=ROUNDS {
            while asked.load(Ordering::Acquire) < round {
                std::hint::spin_loop();
            }
            told.store(thread_cpu_ns(), Ordering::Release);
        }
    }

    /// A thread uses no more between two moments than the time between them. What it is found to have used beyond that was missing from the account.
    #[test]
    fn after_a_visit_nothing_that_ran_is_missing() {
        let [number, asked, told] = [const { AtomicU64::new(0) }; 3];
        let (mut visited, mut missing) = (0, Vec::new());
        thread::scope(|scope| {
            scope.spawn(|| burn(&number, &asked, &told));
            let mut urgency = Urgency::of_this_thread();
            let before = sched_getaffinity(None).unwrap();
            urgency.set(true);
            // Asleep, as it would keep the other from the CPU.
            let changed = |value: &AtomicU64, last: u64| {
                while value.load(Ordering::Acquire) == last {
                    thread::sleep(Duration::from_micros(50));
                }
                value.load(Ordering::Acquire)
            };
            let account = format!("/proc/self/task/{}/schedstat", changed(&number, 0));
            let mut used_ns = 0;
            for round in 1..=ROUNDS {
                // Elsewhere, as who runs where this thread comes to is accounted for by that.
                if let Some(second) = alone(1) {
                    sched_setaffinity(None, &second).unwrap();
                }
                thread::sleep(Duration::from_millis(1));
                sched_setaffinity(None, &before).unwrap();
                let begun_ns = monotonic_ns();
                visit_cpus();
                let text = fs::read_to_string(&account).unwrap_or_default();
                let accounted_ns = text.split(' ').next().and_then(|word| word.parse::<u64>().ok());
                asked.store(round, Ordering::Release);
                used_ns = changed(&told, used_ns);
                let passed_ns = monotonic_ns() - begun_ns;
                if let Some(accounted_ns) = accounted_ns.filter(|_| AT_ONCE.get()) {
                    visited += 1;
                    missing.extend(used_ns.saturating_sub(accounted_ns).checked_sub(passed_ns + 1));
                }
            }
            urgency.set(false);
            assert!(sched_getaffinity(None).unwrap() == before, "it is where it was");
            assert!(attributes().is_some_and(|now| now.sched_policy == 0) && !AT_ONCE.get());
        });
        if visited == 0 {
            eprintln!(
                "SKIPPED: this user may not have a thread that comes at once, or is not told what threads have used"
            );
        }
        assert!(missing.is_empty(), "nanoseconds in {} of {visited} rounds: {missing:?}", missing.len());
    }
}
