//! The operator that changes nothing.

use otlp::{Batch, Depth};

use crate::{Operator, Output, StepContext};

/// Hands every batch on as it came: what an empty plan compiles to, and the smallest example of an [`Operator`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Pass;

impl Operator for Pass {
    fn needs(&self) -> Depth {
        Depth::Counts
    }

    fn step(&mut self, batch: Batch, _context: &StepContext<'_>, out: &mut Output) {
        out.emit(batch);
    }
}
