//! The time of day for the parts that wait. The pure parts get it as an argument.

use std::{
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    retry::nanoseconds,
    sync::time::{self, Instant},
};

/// Unix nanoseconds. Never goes back: the wall clock is read once per process, a steady one counts from there (and stands
/// still where a test pauses tokio's time).
pub fn now_ns() -> u64 {
    let (wall_ns, steady) = anchor();
    wall_ns.saturating_add(nanoseconds(time::now().saturating_duration_since(*steady)))
}

/// The moment that is `ns` by [`now_ns`].
pub(crate) fn instant(ns: u64) -> Instant {
    let (wall_ns, steady) = anchor();
    *steady + std::time::Duration::from_nanos(ns.saturating_sub(*wall_ns).min(FAR_NS))
}

/// A year: timers beyond that are as good as none, and an `Instant` cannot hold every `u64`.
const FAR_NS: u64 = 365 * 24 * 3600 * 1_000_000_000;

fn anchor() -> &'static (u64, Instant) {
    static ANCHOR: OnceLock<(u64, Instant)> = OnceLock::new();
    ANCHOR.get_or_init(|| {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (nanoseconds(wall), time::now())
    })
}
