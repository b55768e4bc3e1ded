//! What got lost between many collectors and here: gaps in the numbers that events and metrics carry.
//!
//! A collector numbers the events of each of its threads from 1, dropped ones included (`aldis.seq`), and says with each where it comes
//! from: host, process, thread, and an epoch that no other collector of the host has. Metrics have numbers of their own, which an exemplar
//! of each point carries. A number that never comes is a record that was lost, by the collector for want of room or by whatever is between. Of those before the first that
//! comes ([`Seen::before_first`]) it cannot be told here: they were lost, or delivered before this began to count.
//!
//! [`Gaps`] passes everything on as it is. What it counts depends neither on how records are batched nor on which shard they come to: a
//! [`GapMeter`] is one for all shards. Nor does it depend on the order in which they come, as long as none comes when the highest number of
//! its thread is [`GAP_WINDOW`](crate::limits::GAP_WINDOW) ahead. One that is later than that may be one that was missing, or come again:
//! it is counted as [late](Seen::late), and leaves the other counts as they are. Its memory is bounded by [`GapSettings::max_senders`]:
//! a sender that was forgotten and comes back is a new one.

mod meter;
mod sequence;

use otlp::{Batch, Check, Depth, Signal};

pub use self::{
    meter::{GapMeter, GapRow, GapStats},
    sequence::Seen,
};
use crate::{Operator, Output, StepContext, limits::GAP_SENDERS};

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapSettings {
    /// Threads of collectors that are told apart, of which the ones that were silent longest are forgotten: 16 at least.
    pub max_senders: usize,
}

impl Default for GapSettings {
    fn default() -> Self {
        Self { max_senders: GAP_SENDERS }
    }
}

/// Counts what is missing among events and metrics of collectors, and passes everything on. See the [module's page](self).
///
/// ```
/// use aldis_operators::{Operator, Output, StepContext, gaps::{GapMeter, GapSettings, Gaps}};
/// use otlp::{Depth, LogRecord, Signal, event::{AttributeValue, RequestBuilder}};
///
/// let meter = GapMeter::new(GapSettings::default());
/// let (mut gaps, mut out) = (Gaps::new(&meter), Output::default());
/// let mut request = RequestBuilder::new(Signal::Logs, Depth::Records);
/// for seq in [1, 2, 5] {
///     let number = |key: &str, number| (key.to_owned(), AttributeValue::Int(number));
///     let attributes = vec![number("process.pid", 7), number("aldis.lane", 1), number("aldis.seq", seq)];
///     request.push_log(&LogRecord { attributes, ..LogRecord::default() })?;
/// }
/// gaps.step(request.finish(), &StepContext::default(), &mut out);
/// assert_eq!(out.main()[0].len(), 3);
/// assert_eq!((meter.stats().rows[0].counts.received, meter.stats().rows[0].counts.missing), (3, 2));
/// # Ok::<(), otlp::event::PushError>(())
/// ```
#[derive(Debug)]
pub struct Gaps {
    meter: GapMeter,
}

impl Gaps {
    /// One that counts with a meter, as others may on other shards.
    pub fn new(meter: &GapMeter) -> Self {
        Self { meter: meter.clone() }
    }
}

impl Operator for Gaps {
    fn needs(&self) -> Depth {
        Depth::Records
    }

    fn step(&mut self, batch: Batch, _: &StepContext<'_>, out: &mut Output) {
        let is_read =
            batch.depth() >= Depth::Records && batch.checked() == Check::Full && batch.packed().is_none();
        if matches!(batch.signal(), Signal::Logs | Signal::Metrics) && is_read {
            self.meter.look(&batch);
        }
        out.emit(batch);
    }
}

#[cfg(test)]
mod tests;
