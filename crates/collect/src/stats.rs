//! Where every record is.

use std::fmt;

/// Records that were dropped, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// There was no room, and it was the newest.
    pub queue_full: u64,
    /// It made room for a newer one.
    pub displaced: u64,
    /// It was larger than a record, or the buffer, may be, or its values lay deeper.
    pub too_large: u64,
    /// The collector was closed.
    pub after_close: u64,
    /// The storage failed or panicked.
    pub storage_error: u64,
    /// A storage recorded it in the collector that it stores for.
    pub suppressed: u64,
}

impl Dropped {
    /// Each reason's name and count.
    pub fn by_reason(&self) -> [(&'static str, u64); 6] {
        [
            ("queue_full", self.queue_full),
            ("displaced", self.displaced),
            ("too_large", self.too_large),
            ("after_close", self.after_close),
            ("storage_error", self.storage_error),
            ("suppressed", self.suppressed),
        ]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.by_reason().iter().map(|(_, count)| count).sum()
    }
}

/// What has become of everything that was recorded, at one instant.
///
/// ```
/// use aldis_collect::{EventType, TelemetryCollector, TelemetryConfig};
///
/// let config = TelemetryConfig { buffer_size: 2, ..TelemetryConfig::default() };
/// let collector = TelemetryCollector::new(config)?;
/// for _ in 0..3 {
///     collector.collect_event("app", "tick", EventType::Info, &[]);
/// }
/// let stats = collector.stats();
/// assert_eq!((stats.emitted, stats.buffered, stats.dropped.displaced), (3, 2, 1));
/// assert!(stats.is_closed_sum());
/// # Ok::<(), aldis_collect::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectorStats {
    /// Records offered to the collector.
    pub emitted: u64,
    /// Records stored, or handed out by `flush`.
    pub delivered: u64,
    /// Events left out of storage by sampling.
    pub sampled_out: u64,
    /// Measurements that were stored as part of an aggregate.
    pub aggregated: u64,
    /// Records dropped.
    pub dropped: Dropped,
    /// Records waiting, being stored, or in open aggregates.
    pub buffered: u64,
    /// Records that went by before a listener in real time could be shown them. They are no loss: they are counted above.
    pub unseen: u64,
    /// Whether listeners are called: not without [`crate::TelemetryConfig::realtime_mode`].
    pub listeners_active: bool,
}

impl CollectorStats {
    /// Whether every record is in exactly one place: emitted = delivered + sampled out + aggregated + dropped + buffered. It is,
    /// at any instant.
    pub fn is_closed_sum(&self) -> bool {
        let places = [self.delivered, self.sampled_out, self.aggregated, self.dropped.total(), self.buffered];
        self.emitted == places.iter().sum::<u64>()
    }
}

impl fmt::Display for CollectorStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "emitted {} = delivered {} + sampled out {} + aggregated {} + buffered {}",
            self.emitted, self.delivered, self.sampled_out, self.aggregated, self.buffered
        )?;
        for (reason, count) in self.dropped.by_reason().into_iter().filter(|(_, count)| *count > 0) {
            write!(f, " + {reason} {count}")?;
        }
        Ok(())
    }
}

/// What has become of the records shown to one listener or consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriberStats {
    /// Records that it was to see.
    pub offered: u64,
    /// Records that it took.
    pub delivered: u64,
    /// Records of calls that returned an error.
    pub failed: u64,
    /// Records of calls that panicked.
    pub panicked: u64,
    /// Records that it missed because it was too slow.
    pub lagged: u64,
    /// Records that wait for it, or that it is being shown.
    pub pending: u64,
}

impl SubscriberStats {
    /// Whether every record is in exactly one place: offered = delivered + failed + panicked + lagged + pending.
    pub fn is_closed_sum(&self) -> bool {
        self.offered == self.delivered + self.failed + self.panicked + self.lagged + self.pending
    }
}
