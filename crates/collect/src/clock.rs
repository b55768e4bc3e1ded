//! Unix time, from the processor's counter of cycles where the kernel trusts that: asking the system costs more than all else that is done
//! to stamp a record.
//!
//! How fast the counter runs is found out on the way, from two looks at it and at the system's clock: waiting for that would delay the
//! start of every process by some 20 ms. The system is asked for each time until then, and wherever the counter is not to be trusted.

use std::{
    sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime},
};

use crate::limits::ANCHOR_NS;

/// Nanoseconds between two looks from which on they tell a rate: each is off by some 50 ns.
const LEAST_BASE_NS: u64 = 1_000_000;

/// Time between two looks that tell the rate as well as it needs to be known.
const GOOD_BASE: Duration = Duration::from_millis(100);

/// Nanoseconds between two looks from which on nothing is made of them: the system's clock is adjusted on the way.
const MOST_BASE_NS: u64 = 2_000_000_000;

/// Nanoseconds by which the system's two clocks may disagree about what passed: one is adjusted by a thousandth at most.
const MOST_APART_NS: u64 = 3_000_000;

/// A part of a rate by which another may differ from it without being another machine's, as after a migration: a thousandth.
const TOLERANCE: u64 = 1000;

/// Attempts after which a counter that cannot be read beside the clock in time is not tried any more.
const ATTEMPTS: u32 = 1000;

/// Nanoseconds that two looks may take together to tell a rate: twice what they may be off.
const MOST_TOOK_NS: u128 = 2000;

/// How many times as long as it was measured a rate is relied upon.
const RELIANCE: u64 = 16;

/// Looks of which the quickest is taken: between reading one clock and the other anything may happen.
const LOOKS: usize = 3;

/// Where the kernel tells which clocks it offers.
const OFFERED: &str = "/sys/devices/system/clocksource/clocksource0/available_clocksource";

/// Attempts since a rate was last found.
static FAILED: AtomicU32 = AtomicU32::new(0);

/// The rate by which all threads go: see [`Rate::packed`]. 0: not known yet.
static RATE: AtomicU64 = AtomicU64::new(0);

/// What turns the counter into Unix time, for a while: its rate is known by a millionth or so, and the system's clock may be set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchored {
    /// The counter, and the Unix nanoseconds at which it stood there.
    cycles: u64,
    unix_ns: u64,
    rate: u64,
    /// Cycles for which it holds.
    lasts: u64,
    /// From where on the rate is measured.
    since: Look,
}

/// The counter and the system's clocks, at one time.
#[derive(Clone, Copy, Debug)]
struct Look {
    cycles: u64,
    /// Cycles that it took: by half of them it may be off.
    took: u64,
    steady: Instant,
    unix_ns: u64,
}

/// How fast the counter runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    /// Nanoseconds that a cycle takes, times 2^32.
    rate: u64,
    /// Over how many milliseconds it was measured, 100 at most.
    base_ms: u64,
}

impl Rate {
    /// `None`: the two looks took too long, or the clocks do not agree about what passed between them.
    fn between(first: &Look, second: &Look) -> Option<Self> {
        let passed_ns = second.since(first);
        let cycles = second.cycles.wrapping_sub(first.cycles);
        let unix_ns = second.unix_ns.wrapping_sub(first.unix_ns);
        // The one stands still while the machine sleeps, the other may be set: the counter goes by neither.
        if cycles == 0 || unix_ns.abs_diff(passed_ns) > MOST_APART_NS {
            return None;
        }
        let rate = (u128::from(passed_ns) << 32) / u128::from(cycles);
        let took_ns = (u128::from(first.took.saturating_add(second.took)) * rate) >> 32;
        if took_ns > MOST_TOOK_NS {
            return None;
        }
        let base_ms = passed_ns.min(nanoseconds(GOOD_BASE)) / LEAST_BASE_NS;
        // A counter that stood still, or was set back, tells none that fits.
        (1..1 << 48).contains(&rate).then_some(Self { rate: rate as u64, base_ms })
    }

    /// In one word, which threads can exchange without a lock: a child of a process may be forked while another thread holds one.
    fn packed(self) -> u64 {
        self.rate << 8 | self.base_ms
    }

    fn unpacked(word: u64) -> Self {
        Self { rate: word >> 8, base_ms: word & 0xff }
    }

    /// Has all threads go by it, unless a better one is known.
    fn found(self) {
        FAILED.store(0, Ordering::Relaxed);
        let known = Self::unpacked(RATE.load(Ordering::Relaxed));
        let is_another = known.rate > 0 && self.rate.abs_diff(known.rate) > known.rate / TOLERANCE;
        if is_another {
            // Whichever of the two is wrong: the next one tells. Until then the system is asked.
            RATE.store(0, Ordering::Relaxed);
        } else if self.base_ms >= known.base_ms {
            RATE.store(self.packed(), Ordering::Relaxed);
        }
    }

    /// Cycles for which it may be relied upon.
    fn lasts(self) -> u64 {
        let ns = (self.base_ms * LEAST_BASE_NS * RELIANCE).min(ANCHOR_NS);
        if self.rate == 0 { 0 } else { ((u128::from(ns) << 32) / u128::from(self.rate)) as u64 }
    }
}

impl Look {
    /// Nanoseconds that passed since another.
    fn since(&self, first: &Self) -> u64 {
        nanoseconds(self.steady.saturating_duration_since(first.steady))
    }

    fn now() -> Self {
        let look = || {
            let before = counter();
            let (steady, unix_ns) = (Instant::now(), unix_ns());
            let took = counter().wrapping_sub(before);
            Self { cycles: before.wrapping_add(took / 2), took, steady, unix_ns }
        };
        let mut best = look();
        for _ in 1..LOOKS {
            let next = look();
            if next.took < best.took {
                best = next;
            }
        }
        best
    }
}

impl Anchored {
    pub(crate) fn now() -> Self {
        let look = Look::now();
        Self::at(look, look)
    }

    fn at(look: Look, since: Look) -> Self {
        let rate = Rate::unpacked(RATE.load(Ordering::Relaxed));
        let Look { cycles, unix_ns, .. } = look;
        Self { cycles, unix_ns, rate: rate.rate, lasts: rate.lasts(), since }
    }

    /// Looks at the system's clocks again before it holds no more.
    pub(crate) fn refresh(&mut self) {
        if counter().wrapping_sub(self.cycles) >= self.lasts / 2 {
            self.renew();
        }
    }

    /// Unix nanoseconds.
    #[inline]
    pub(crate) fn time_ns(&mut self) -> u64 {
        match self.time_at(counter()) {
            Some(time_ns) => time_ns,
            None => {
                self.renew();
                self.unix_ns
            }
        }
    }

    /// `None`: it does not hold any more, or not yet, where the counter of another core is behind.
    #[inline]
    fn time_at(&self, cycles: u64) -> Option<u64> {
        let passed = cycles.wrapping_sub(self.cycles);
        let passed_ns = ((u128::from(passed) * u128::from(self.rate)) >> 32) as u64;
        (passed < self.lasts).then_some(self.unix_ns.wrapping_add(passed_ns))
    }

    /// Looks at the system's clocks again.
    #[cold]
    fn renew(&mut self) {
        if !is_trusted() {
            self.unix_ns = unix_ns();
            return;
        }
        let look = Look::now();
        if (LEAST_BASE_NS..=MOST_BASE_NS).contains(&look.since(&self.since)) {
            Rate::between(&self.since, &look).map_or_else(give_up_some_time, Rate::found);
        }
        let is_good = look.steady.saturating_duration_since(self.since.steady) >= GOOD_BASE;
        let is_better = look.took < self.since.took / 4;
        *self = Self::at(look, if is_good || is_better { look } else { self.since });
    }
}

fn unix_ns() -> u64 {
    nanoseconds(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> u64 {
    tick_counter::x86_64_tick_counter()
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    0
}

/// Whether the counter is trusted; not asked yet.
const UNKNOWN: u8 = 0;
const YES: u8 = 1;
const NO: u8 = 2;
static TRUSTED: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Whether the counter runs evenly, and alike on all cores, as far as the kernel knows: it no longer offers one of which it has seen the
/// contrary. No lock is held meanwhile, for the sake of children that are forked.
fn is_trusted() -> bool {
    match TRUSTED.load(Ordering::Relaxed) {
        UNKNOWN => {
            let is = cfg!(target_arch = "x86_64")
                && std::fs::read_to_string(OFFERED)
                    .is_ok_and(|offered| offered.split_whitespace().any(|name| name == "tsc"));
            TRUSTED.store(if is { YES } else { NO }, Ordering::Relaxed);
            is
        }
        known => known == YES,
    }
}

/// A counter or a clock that takes a call of the system is no help.
fn give_up_some_time() {
    if FAILED.fetch_add(1, Ordering::Relaxed) == ATTEMPTS && RATE.load(Ordering::Relaxed) == 0 {
        TRUSTED.store(NO, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How far a time may be from what the system says then: much more than it is.
    const SLACK_NS: u64 = 100_000;

    fn look(cycles: u64, steady: Instant, passed_ns: u64) -> Look {
        Look { cycles, took: 0, steady: steady + Duration::from_nanos(passed_ns), unix_ns: passed_ns }
    }

    #[test]
    fn a_rate_is_measured_between_looks_between_which_all_clocks_went_on() {
        let now = Instant::now();
        let first = look(u64::MAX - 10, now, 0);
        let after =
            |cycles: u64, ns: u64| Rate::between(&first, &look(first.cycles.wrapping_add(cycles), now, ns));
        // 2.5 GHz; the counter goes through zero meanwhile.
        assert_eq!(after(2_500_000, 1_000_000), Some(Rate { rate: (1 << 32) * 2 / 5, base_ms: 1 }));
        assert_eq!(after(5_000_000_000, 2_000_000_000), Some(Rate { rate: (1 << 32) * 2 / 5, base_ms: 100 }));
        assert_eq!(after(0, 1_000_000), None);
        // Eight hours of sleep, in which one of the system's clocks stood still.
        let awake = look(first.cycles.wrapping_add(2_500_000_000), now, 1_000_000_000);
        assert!(Rate::between(&first, &awake).is_some());
        let slept = Look { unix_ns: awake.unix_ns + 8 * 3_600_000_000_000, ..awake };
        assert_eq!(Rate::between(&first, &slept), None);
        assert_eq!(Rate::between(&look(9, now, 0), &look(8, now, 1_000_000)), None, "it was set back");
        let slow = |took: u64| {
            Rate::between(
                &Look { took, ..first },
                &Look { took, ..look(first.cycles.wrapping_add(2_500_000), now, 1_000_000) },
            )
        };
        assert!(slow(2500).is_some());
        assert!(slow(2502).is_none(), "1 us each");
    }

    #[test]
    fn a_rate_is_relied_upon_for_a_multiple_of_the_time_in_which_it_was_measured() {
        let rate = Rate { rate: (1 << 32) / 2, base_ms: 1 };
        assert_eq!(Rate::unpacked(rate.packed()), rate);
        assert_eq!(rate.lasts(), 2 * 16_000_000);
        assert_eq!(Rate { base_ms: 100, ..rate }.lasts(), 2 * ANCHOR_NS);
        assert_eq!(Rate::unpacked(0).lasts(), 0);
    }

    #[test]
    fn times_are_those_of_the_system() {
        let mut clock = Anchored::now();
        let (begun, mut last) = (Instant::now(), 0);
        // A rate is found by looks that nothing interrupts: on a machine that has other work that takes its time.
        let is_known = |clock: &Anchored| clock.lasts > 0 && RATE.load(Ordering::Relaxed) > 0;
        while begun.elapsed() < Duration::from_millis(150) || is_trusted() && !is_known(&clock) {
            assert!(begun.elapsed() < Duration::from_secs(300), "no rate was found");
            // However long it takes until all three are told, what is in the middle lies between.
            let before = unix_ns();
            let time_ns = clock.time_ns();
            let after = unix_ns();
            assert!(
                before <= time_ns + SLACK_NS && time_ns <= after + SLACK_NS,
                "{before} {time_ns} {after}"
            );
            assert!(time_ns + SLACK_NS >= last, "{last} {time_ns}");
            last = time_ns;
        }
        assert!(is_trusted() || (clock.lasts == 0 && RATE.load(Ordering::Relaxed) == 0));
    }

    /// What a thread says after a long silence, in which nobody swept its lane.
    #[test]
    fn an_anchor_that_is_old_is_made_anew() {
        let mut clock = Anchored { lasts: 0, ..Anchored::now() };
        let before = clock.unix_ns;
        clock.time_ns();
        assert!(clock.unix_ns > before);
        let held = Anchored { cycles: 1000, unix_ns: 7, rate: 1 << 31, lasts: 100, ..clock };
        assert_eq!(held.time_at(1099), Some(56));
        assert_eq!(held.time_at(1100), None);
        assert_eq!(held.time_at(999), None);
    }
}
