//! What was measured at one moment.

use std::fmt;

use crate::{
    id::EpisodeId,
    limits::{MAX_FRAME_BYTES, MAX_FRAME_NS},
    stats::MetricSource,
};

/// How a frame came about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "the specification's shape")]
pub struct O11yFlags {
    /// Taken at a quarter of the period, as a budget is nearly used up.
    pub high_frequency: bool,
    /// A trigger had the frames until this one written to the recorder's file.
    pub promoted: bool,
    /// A metric came from the fallback, or from nowhere.
    pub degraded: bool,
    /// The first of its episode.
    pub initial: bool,
    /// The last of its episode.
    pub terminal: bool,
}

/// One measurement of an episode.
///
/// CPU time and bytes are totals since the episode began, so that whoever misses a frame misses nothing of them; memory is as it is.
///
/// - INV-TL01: `seq` increases by one from frame to frame of an episode.
/// - INV-TL02: no time is above [`MAX_FRAME_NS`], no bytes are above [`MAX_FRAME_BYTES`].
/// - INV-TL03: `ts_mono` never falls; it is that of `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelemetryFrame {
    /// The episode.
    pub episode_id: EpisodeId,
    /// The number of the frame in its episode, from 0.
    pub seq: u64,
    /// When it was taken, in nanoseconds of `CLOCK_MONOTONIC`.
    pub ts_mono: u64,
    /// Nanoseconds of CPU time since the episode began.
    pub cpu_ns: u64,
    /// Of these in user mode.
    pub cpu_user_ns: u64,
    /// Of these in the kernel.
    pub cpu_system_ns: u64,
    /// Bytes of anonymous and shared memory.
    pub mem_rss_bytes: u64,
    /// The most bytes that were charged at once, page cache included: not comparable with `mem_rss_bytes`.
    pub mem_peak_bytes: u64,
    /// Bytes read from devices since the episode began.
    pub io_read_bytes: u64,
    /// Bytes written to devices since the episode began.
    pub io_write_bytes: u64,
    /// Where the numbers came from, all together. That of each is in [`ResourceStats`](crate::ResourceStats).
    pub source: MetricSource,
    /// How it came about.
    pub o11y_flags: O11yFlags,
}

impl TelemetryFrame {
    /// Begins a frame of which all numbers are 0.
    #[must_use]
    pub fn builder(episode_id: EpisodeId, seq: u64) -> TelemetryFrameBuilder {
        TelemetryFrameBuilder::new(episode_id, seq)
    }
}

/// The frame as an object of JSON, in one line, with the names of the fields.
impl fmt::Display for TelemetryFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { episode_id, seq, ts_mono, source, o11y_flags: flags, .. } = self;
        write!(f, r#"{{"episode_id":"{episode_id}","seq":{seq},"ts_mono":{ts_mono}"#)?;
        for (name, value) in [
            ("cpu_ns", self.cpu_ns),
            ("cpu_user_ns", self.cpu_user_ns),
            ("cpu_system_ns", self.cpu_system_ns),
            ("mem_rss_bytes", self.mem_rss_bytes),
            ("mem_peak_bytes", self.mem_peak_bytes),
            ("io_read_bytes", self.io_read_bytes),
            ("io_write_bytes", self.io_write_bytes),
        ] {
            write!(f, r#","{name}":{value}"#)?;
        }
        let O11yFlags { high_frequency, promoted, degraded, initial, terminal } = flags;
        write!(
            f,
            r#","source":"{source}","o11y_flags":{{"high_frequency":{high_frequency},"promoted":{promoted},"degraded":{degraded},"initial":{initial},"terminal":{terminal}}}}}"#
        )
    }
}

/// Makes a [`TelemetryFrame`]. What is above a bound is set to it, and counted (INV-TL02).
///
/// ```
/// use aldis_host::{EpisodeId, MetricSource, TelemetryFrame, limits::MAX_FRAME_NS};
///
/// let builder = TelemetryFrame::builder(EpisodeId::from_u128(1), 0)
///     .ts_mono(5)
///     .cpu(u64::MAX, 20, 10)
///     .memory(4096, 8192)
///     .io(0, 512)
///     .source(MetricSource::Cgroup);
/// assert_eq!(builder.clamped(), 1);
/// assert_eq!(builder.build().cpu_ns, MAX_FRAME_NS);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TelemetryFrameBuilder {
    frame: TelemetryFrame,
    clamped: u32,
}

impl TelemetryFrameBuilder {
    /// Begins a frame of which all numbers are 0.
    #[must_use]
    pub fn new(episode_id: EpisodeId, seq: u64) -> Self {
        let frame = TelemetryFrame {
            episode_id,
            seq,
            ts_mono: 0,
            cpu_ns: 0,
            cpu_user_ns: 0,
            cpu_system_ns: 0,
            mem_rss_bytes: 0,
            mem_peak_bytes: 0,
            io_read_bytes: 0,
            io_write_bytes: 0,
            source: MetricSource::Unavailable,
            o11y_flags: O11yFlags::default(),
        };
        Self { frame, clamped: 0 }
    }

    /// When it was taken, in nanoseconds of `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn ts_mono(mut self, ns: u64) -> Self {
        self.frame.ts_mono = self.bounded(ns, MAX_FRAME_NS);
        self
    }

    /// Nanoseconds of CPU time: all, in user mode, in the kernel.
    #[must_use]
    pub fn cpu(mut self, ns: u64, user_ns: u64, system_ns: u64) -> Self {
        self.frame.cpu_ns = self.bounded(ns, MAX_FRAME_NS);
        self.frame.cpu_user_ns = self.bounded(user_ns, MAX_FRAME_NS);
        self.frame.cpu_system_ns = self.bounded(system_ns, MAX_FRAME_NS);
        self
    }

    /// Bytes of memory: now, and the most at once.
    #[must_use]
    pub fn memory(mut self, rss_bytes: u64, peak_bytes: u64) -> Self {
        self.frame.mem_rss_bytes = self.bounded(rss_bytes, MAX_FRAME_BYTES);
        self.frame.mem_peak_bytes = self.bounded(peak_bytes, MAX_FRAME_BYTES);
        self
    }

    /// Bytes read and written.
    #[must_use]
    pub fn io(mut self, read_bytes: u64, write_bytes: u64) -> Self {
        self.frame.io_read_bytes = self.bounded(read_bytes, MAX_FRAME_BYTES);
        self.frame.io_write_bytes = self.bounded(write_bytes, MAX_FRAME_BYTES);
        self
    }

    /// Where the numbers came from.
    #[must_use]
    pub fn source(mut self, source: MetricSource) -> Self {
        self.frame.source = source;
        self
    }

    /// How it came about.
    #[must_use]
    pub fn flags(mut self, flags: O11yFlags) -> Self {
        self.frame.o11y_flags = flags;
        self
    }

    /// Values that were above their bound until now.
    #[must_use]
    pub fn clamped(&self) -> u32 {
        self.clamped
    }

    /// The frame.
    #[must_use]
    pub fn build(self) -> TelemetryFrame {
        self.frame
    }

    fn bounded(&mut self, value: u64, max: u64) -> u64 {
        self.clamped += u32::from(value > max);
        value.min(max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// INV-TL02: every value is bounded, and any two can be added.
        #[test]
        fn inv_tl02_values_are_bounded(values: [u64; 8]) {
            let [ts, cpu, user, system, rss, peak, read, written] = values;
            let builder = TelemetryFrame::builder(EpisodeId::from_u128(1), u64::MAX)
                .ts_mono(ts).cpu(cpu, user, system).memory(rss, peak).io(read, written);
            let frame = builder.build();
            for (value, given) in [(frame.ts_mono, ts), (frame.cpu_ns, cpu), (frame.cpu_user_ns, user), (frame.cpu_system_ns, system)] {
                prop_assert_eq!(value, given.min(MAX_FRAME_NS));
            }
            for (value, given) in [(frame.mem_rss_bytes, rss), (frame.mem_peak_bytes, peak), (frame.io_read_bytes, read), (frame.io_write_bytes, written)] {
                prop_assert_eq!(value, given.min(MAX_FRAME_BYTES));
            }
            let above = values.iter().filter(|value| **value > MAX_FRAME_NS).count();
            prop_assert_eq!(builder.clamped() as usize, above, "both bounds are one number");
            prop_assert!(MAX_FRAME_NS.checked_add(MAX_FRAME_NS).is_some());
        }
    }

    #[test]
    fn a_line_of_json_has_every_field() {
        let flags = O11yFlags { promoted: true, terminal: true, ..O11yFlags::default() };
        let frame = TelemetryFrame::builder(EpisodeId::from_u128(7), 3)
            .ts_mono(1)
            .cpu(2, 3, 4)
            .memory(5, 6)
            .io(7, 8)
            .source(MetricSource::Mixed)
            .flags(flags)
            .build();
        let expected = concat!(
            r#"{"episode_id":"00000000-0000-0000-0000-000000000007","seq":3,"ts_mono":1,"cpu_ns":2,"cpu_user_ns":3,"#,
            r#""cpu_system_ns":4,"mem_rss_bytes":5,"mem_peak_bytes":6,"io_read_bytes":7,"io_write_bytes":8,"source":"mixed","#,
            r#""o11y_flags":{"high_frequency":false,"promoted":true,"degraded":false,"initial":false,"terminal":true}}"#
        );
        assert_eq!(frame.to_string(), expected);
        let nothing = TelemetryFrameBuilder::new(frame.episode_id, 4).build();
        let without_numbers =
            TelemetryFrame { seq: 4, ..TelemetryFrame::builder(frame.episode_id, 0).build() };
        assert_eq!(nothing, without_numbers);
        assert_eq!((nothing.source, nothing.o11y_flags), (MetricSource::Unavailable, O11yFlags::default()));
    }
}
