//! How much a peer may send on one HTTP/2 connection before any of it was read: a grant from the memory budget.
//!
//! Granted are the window of the connection, which bounds what all its streams may hold together, whatever theirs are, and the
//! longest frame: as long as it is not whole it is kept besides, and no window counts it. It is as long as the window at most. A
//! connection begins with what the protocol gives everybody, which can neither be refused to a peer nor taken back, and
//! widens in steps while its peer fills it in less than a second: there the window is what the peer waits for. A window does not
//! shrink: HTTP/2 has no frame that takes back what the peer was told it may send.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use pipeline::{Budget, Charge};

use super::WindowSettings;
use crate::limits::{FIRST_WINDOW_BYTES, WIDENING_DIVISOR, WINDOWS_DIVISOR};

/// A window that is filled in this time is widened.
const FILLED_WITHIN: Duration = Duration::from_secs(1);
/// How many times as wide it gets.
const STEP: u32 = 4;

/// What one connection was granted.
#[derive(Debug)]
pub(super) struct Window {
    budget: Budget,
    bytes: u32,
    most: u32,
    /// The longest frame, however wide the window.
    frame: u32,
    /// What was granted for the first window and its frame, then for each widening.
    charges: Vec<Charge>,
    read: Arc<Read>,
    /// What was read when it was last filled, and when that was.
    filled: (u64, Instant),
}

/// What those who read from one connection tell the window, and are told by it.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Bytes of request bodies that were read.
    bytes: AtomicU64,
    /// Bytes of the longest frame that is paid for.
    longest_frame: AtomicU32,
}

impl Read {
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    pub(super) fn longest_frame(&self) -> usize {
        self.longest_frame.load(Relaxed) as usize
    }
}

impl Window {
    /// The window of a new connection, which will not grow beyond `connection_bytes`; `None` if the budget cannot pay it.
    pub(super) fn open(budget: &Budget, settings: &WindowSettings, now: Instant) -> Option<Self> {
        let (most, frame) = (settings.connection_bytes, settings.frame_bytes);
        let bytes = FIRST_WINDOW_BYTES;
        let charge = budget.try_reserve(granted(bytes, frame), WINDOWS_DIVISOR)?;
        let read =
            Arc::new(Read { bytes: AtomicU64::new(0), longest_frame: AtomicU32::new(bytes.min(frame)) });
        Some(Self {
            budget: budget.clone(),
            bytes,
            most,
            frame,
            charges: vec![charge],
            read,
            filled: (0, now),
        })
    }

    pub(super) fn read(&self) -> &Arc<Read> {
        &self.read
    }

    /// The new width, where it is time for one and the budget can pay it. No connection gets more than half of what the others
    /// leave, so that the next one finds something too.
    pub(super) fn widen(&mut self, now: impl FnOnce() -> Instant) -> Option<u32> {
        let read = self.read.bytes();
        if self.bytes >= self.most || read - self.filled.0 < u64::from(self.bytes) {
            return None;
        }
        let now = now();
        let took = now.saturating_duration_since(self.filled.1);
        self.filled = (read, now);
        if took > FILLED_WITHIN {
            return None;
        }
        let has = granted(self.bytes, self.frame);
        let others = self.budget.reserved().saturating_sub(has);
        let left = (self.budget.limit() / WIDENING_DIVISOR).saturating_sub(others);
        let share = u32::try_from(left / 2).unwrap_or(u32::MAX);
        // The widest whose frame fits into the share beside it.
        let share = (share / 2).max(share.saturating_sub(self.frame));
        let bytes = self.bytes.saturating_mul(STEP).min(self.most).min(share);
        if bytes.saturating_sub(self.bytes) < FIRST_WINDOW_BYTES.min(self.most - self.bytes) {
            return None;
        }
        self.charges.push(self.budget.try_reserve(granted(bytes, self.frame) - has, WIDENING_DIVISOR)?);
        self.bytes = bytes;
        self.read.longest_frame.store(bytes.min(self.frame), Relaxed);
        Some(bytes)
    }
}

/// Bytes that a connection can hold with a window so wide and frames of at most so many bytes.
fn granted(window: u32, frame: u32) -> usize {
    window as usize + window.min(frame) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(budget: &Budget, most: u32, now: Instant) -> Option<Window> {
        let settings = WindowSettings { connection_bytes: most, ..WindowSettings::default() };
        Window::open(budget, &settings, now)
    }

    fn filled(window: &mut Window, at: Instant) -> Option<u32> {
        window.read.add(window.bytes as usize);
        window.widen(|| at)
    }

    #[test]
    fn a_window_that_is_filled_fast_widens_up_to_its_most() {
        let (budget, now) = (Budget::new(1 << 30), Instant::now());
        let mut window = open(&budget, 1 << 20, now).unwrap();
        assert_eq!(window.widen(|| now), None, "nothing was read");
        assert_eq!(filled(&mut window, now + Duration::from_secs(2)), None, "the peer is slow");
        let at = now + Duration::from_secs(3);
        let widths: Vec<_> = std::iter::from_fn(|| filled(&mut window, at)).collect();
        assert_eq!(widths, [4 * 65_535, 16 * 65_535, 1 << 20]);
        assert_eq!((budget.used(), budget.reserved()), (2 << 20, 2 << 20), "it and a frame of that length");
        assert_eq!(window.read().longest_frame(), 1 << 20);
        drop(window);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn windows_stay_within_their_part_and_leave_some_for_the_next() {
        let (budget, now) = (Budget::new(16 << 20), Instant::now());
        let open = || super::tests::open(&budget, 16 << 20, now);
        let widest = |window: &mut Window| while filled(window, now).is_some() {};
        let mut first = open().unwrap();
        widest(&mut first);
        let mut second = open().unwrap();
        widest(&mut second);
        let quarter: u32 = 4 << 20;
        let held = granted(first.bytes, first.frame);
        let half = quarter as usize / 2;
        assert!(held <= half && held > half - FIRST_WINDOW_BYTES as usize, "{held}");
        // Steps that would be smaller than a first window are not taken.
        assert!(second.bytes.abs_diff(quarter / 8) < FIRST_WINDOW_BYTES, "{}", second.bytes);
        let mut crowd: Vec<Window> = std::iter::from_fn(open).collect();
        assert!(crowd.len() > 32, "{}", crowd.len());
        assert!(budget.used() <= 8 << 20, "half of it is for bodies");
        crowd.iter_mut().for_each(widest);
        assert!(
            crowd.iter().all(|window| window.bytes == FIRST_WINDOW_BYTES),
            "there is nothing to widen with"
        );
    }

    #[test]
    fn bodies_come_before_windows() {
        let (budget, now) = (Budget::new(16 << 20), Instant::now());
        let mut window = open(&budget, 16 << 20, now).unwrap();
        let bodies = budget.try_charge((16 << 20) - (128 << 10)).unwrap();
        assert_eq!(filled(&mut window, now), None);
        assert!(open(&budget, 16 << 20, now).is_none() || budget.used() <= 16 << 20);
        drop(bodies);
        assert!(filled(&mut window, now).is_some());
    }
}
