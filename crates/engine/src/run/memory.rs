//! How much memory telemetry may take up.

use std::collections::BTreeMap;

use pipeline::{Budget, MemoryLimitSettings, MemoryLimiter, memory_limit};

use super::StartError;
use crate::{
    components::Id,
    graph::{Graph, Plan},
    limits,
};

/// A limiter, where this process may use so much memory.
pub(crate) fn limiter(
    id: &Id,
    settings: &MemoryLimitSettings,
    total_bytes: u64,
) -> Result<MemoryLimiter, StartError> {
    MemoryLimiter::new(settings, total_bytes)
        .map_err(|source| StartError::Memory { limiter: id.clone(), source })
}

/// Bytes that bodies and batches may take up where no memory limiter says it, of so much memory that this process may use.
pub(crate) fn default_budget(total_bytes: u64) -> usize {
    usize::try_from(total_bytes / 100 * limits::DEFAULT_BUDGET_PERCENT).unwrap_or(usize::MAX)
}

/// What an exporter keeps is charged to the pipelines that lead to it: to their limiters, or to `general` where they have none.
pub(super) fn of_exporter(
    exporter: &Id,
    graph: &Graph,
    limiters: &BTreeMap<Id, MemoryLimiter>,
    general: &Budget,
) -> Budget {
    let limiter = |plan: &Plan| plan.limiter.as_ref().and_then(|id| limiters.get(id));
    let budget = |plan: &Plan| limiter(plan).map_or(general, MemoryLimiter::budget).clone();
    let plans = graph.pipelines.iter().filter(|plan| plan.exporters.contains(exporter));
    Budget::of_all(plans.map(budget)).unwrap_or_else(|| general.clone())
}

/// Bytes that this process may use.
pub(crate) fn total() -> u64 {
    memory_limit::total_memory().unwrap_or(limits::UNKNOWN_MEMORY_BYTES)
}
