//! Metrics: what the points of one series have in common.

use super::{Attributes, text, varint};
use crate::index::MetricKind;

/// A metric, read in place: what its points have in common.
#[derive(Clone, Copy, Debug)]
pub struct MetricView<'a> {
    body: &'a [u8],
    kind: MetricKind,
    /// The body of its `Gauge`, `Sum`, ….
    data: &'a [u8],
}

impl<'a> MetricView<'a> {
    pub(super) fn new(body: &'a [u8], kind: MetricKind, data: &'a [u8]) -> Self {
        Self { body, kind, data }
    }

    /// What is measured.
    pub fn name(&self) -> &'a str {
        text(self.body, 1)
    }

    /// What that means.
    pub fn description(&self) -> &'a str {
        text(self.body, 2)
    }

    /// The unit, as UCUM writes it.
    pub fn unit(&self) -> &'a str {
        text(self.body, 3)
    }

    /// What its points are.
    pub fn kind(&self) -> MetricKind {
        self.kind
    }

    /// 0 unspecified, 1 delta, 2 cumulative; 0 for gauges and summaries, which have none.
    pub fn temporality(&self) -> i32 {
        match self.kind {
            MetricKind::Sum | MetricKind::Histogram | MetricKind::ExponentialHistogram => {
                varint(self.data, 2) as i32
            }
            MetricKind::None | MetricKind::Gauge | MetricKind::Summary => 0,
        }
    }

    /// Whether it is a sum that never falls.
    pub fn is_monotonic(&self) -> bool {
        self.kind == MetricKind::Sum && varint(self.data, 3) != 0
    }

    /// Key-values about the metric that do not identify it.
    pub fn metadata(&self) -> Attributes<'a> {
        Attributes::new(self.body, 12)
    }
}
