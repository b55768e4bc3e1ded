//! A look at a queue.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use super::{QueueFill, state::Shared};

/// Looks at a queue, and keeps neither it nor what it leads to.
#[derive(Clone)]
pub struct QueueGauge(Weak<Shared>);

impl QueueGauge {
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        Self(Arc::downgrade(shared))
    }

    /// How full it is; `None` once it is gone.
    pub fn fill(&self) -> Option<QueueFill> {
        self.0.upgrade().map(|shared| shared.fill())
    }
}

impl fmt::Debug for QueueGauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QueueGauge").field(&self.fill()).finish()
    }
}
