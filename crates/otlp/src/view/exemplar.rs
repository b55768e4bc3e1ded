//! Single measurements that a data point keeps.

use super::{Attributes, NumberView, fixed64, id};
use crate::wire::{self, Fields};
use crate::{SpanId, TraceId};

/// The exemplars of a data point.
#[derive(Clone, Copy, Debug)]
pub struct Exemplars<'a> {
    ahead: Fields<'a>,
    /// The point's field that holds them.
    number: u32,
}

impl<'a> Exemplars<'a> {
    pub(super) fn new(body: &'a [u8], number: u32) -> Self {
        Self { ahead: wire::fields(body), number }
    }
}

impl<'a> Iterator for Exemplars<'a> {
    type Item = ExemplarView<'a>;

    fn next(&mut self) -> Option<ExemplarView<'a>> {
        super::next_message(&mut self.ahead, self.number).map(|body| ExemplarView { body })
    }
}

/// One measurement and the span it was made in, read in place.
#[derive(Clone, Copy, Debug)]
pub struct ExemplarView<'a> {
    body: &'a [u8],
}

impl<'a> ExemplarView<'a> {
    /// When it was made, Unix nanoseconds.
    pub fn time_ns(&self) -> u64 {
        fixed64(self.body, 2)
    }

    /// What was measured; `None` where nothing is said.
    pub fn number(&self) -> Option<NumberView> {
        NumberView::of(self.body, 3, 6)
    }

    /// The span it was made in; zero where nothing is said.
    pub fn span_id(&self) -> SpanId {
        SpanId(id(self.body, 4))
    }

    /// The trace it was made in; zero where nothing is said.
    pub fn trace_id(&self) -> TraceId {
        TraceId(id(self.body, 5))
    }

    /// Attributes of the measurement that the point leaves out.
    pub fn filtered_attributes(&self) -> Attributes<'a> {
        Attributes::new(self.body, 7)
    }
}
