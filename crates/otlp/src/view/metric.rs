//! Metrics: what the data points of one have in common.

use super::text;
use crate::index::{MetricEntry, MetricKind};

/// A metric, read in place.
#[derive(Clone, Copy, Debug)]
pub struct MetricView<'a> {
    body: &'a [u8],
    kind: MetricKind,
}

impl<'a> MetricView<'a> {
    pub(super) fn new(body: &'a [u8], entry: &MetricEntry) -> Self {
        Self { body, kind: entry.kind }
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        text(self.body, 1)
    }

    /// What it measures, for people.
    pub fn description(&self) -> &'a str {
        text(self.body, 2)
    }

    /// The unit of its points.
    pub fn unit(&self) -> &'a str {
        text(self.body, 3)
    }

    /// What its points are.
    pub fn kind(&self) -> MetricKind {
        self.kind
    }
}
