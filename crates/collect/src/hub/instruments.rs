//! From counters and gauges to records.

use std::sync::Arc;

use super::{Bounds, State};
use crate::{
    chunk::Size,
    instrument::Cell,
    lane::Inside,
    limits::MAX_RECORD_BYTES,
    record::{Body, MetricBody},
};

/// Instruments before those that count no further are first looked for.
const FORGET_AT: usize = 16;

impl State {
    pub(super) fn add_instrument(&mut self, cell: Arc<Cell>) {
        if self.instruments.len() >= self.forget_at {
            self.forget_instruments();
        }
        self.instruments.push(cell);
    }

    /// A handle that nobody has any more counts no further.
    fn forget_instruments(&mut self) {
        self.instruments.retain(|cell| Arc::strong_count(cell) > 1 || cell.is_left_pending());
        self.forget_at = FORGET_AT.max(2 * self.instruments.len());
    }

    /// Records what counters and gauges hold; what there is no room for stays with them.
    pub(super) fn read_instruments(&mut self, bounds: &Bounds) {
        // A ring drops nothing for them, which stay where they are.
        let bounds = Bounds { slack: 0, ..*bounds };
        self.owes_instruments =
            !self.try_read_instruments(|state, inside, len| state.grant(&bounds, inside, len));
    }

    /// Records what counters and gauges hold, be there room or not: a flush whose records are stored had no room for them.
    pub(super) fn read_instruments_owed(&mut self) {
        self.try_read_instruments(|state, inside, len| {
            state.take_back(inside);
            state.give(inside, Size { items: 1, bytes: len });
            true
        });
    }

    /// Says whether there was room for all.
    fn try_read_instruments(&mut self, grant: impl Fn(&mut Self, &mut Inside, usize) -> bool) -> bool {
        let instruments = std::mem::take(&mut self.instruments);
        let lane = self.lanes[0].clone();
        let mut is_all = true;
        for cell in &instruments {
            let mut inside = lane.lock();
            cell.read(|body| {
                let Some(len) = body.len().filter(|len| *len <= MAX_RECORD_BYTES) else {
                    // There never will be room for it.
                    self.refuse::<MetricBody<'_>>(&mut inside, |dropped| &mut dropped.too_large);
                    return true;
                };
                let has_room = grant(self, &mut inside, len);
                if has_room {
                    inside.write(lane.number(), len, body, false);
                }
                is_all &= has_room;
                has_room
            });
        }
        self.instruments = instruments;
        self.forget_instruments();
        is_all
    }
}

#[cfg(test)]
mod tests {
    use super::super::Hub;
    use crate::{TelemetryCollector, TelemetryConfig};

    impl Hub {
        pub(crate) fn instruments(&self) -> usize {
            self.lock().instruments.len()
        }
    }

    #[test]
    fn an_instrument_whose_handles_are_gone_is_forgotten_once_it_was_read() {
        let collector = TelemetryCollector::new(TelemetryConfig::default()).unwrap();
        let kept = collector.counter("kept", "", &[]);
        for _ in 0..100 {
            collector.counter("of a moment", "", &[]).add(1);
        }
        assert_eq!(collector.instruments(), (101, 101));
        assert_eq!(collector.flush().unwrap().len(), 100);
        assert_eq!(collector.instruments().0, 1);
        // Nor do those wait for a flush that nobody used.
        (0..1000).for_each(|_| drop(collector.counter("of a moment", "", &[])));
        let (known, of_children) = collector.instruments();
        assert!(known <= 16 && of_children <= 2 * 101, "{known}, {of_children}");
        kept.add(1);
        assert_eq!(collector.flush().unwrap().len(), 1);
    }
}
