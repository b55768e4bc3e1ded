//! Stages of a plan as steps of a chain.

use operators::{Operator, Pass, filter::Filter};
use pipeline::{Batcher, BatcherSettings, Health, Ledger, Step};

use crate::{
    components::edits,
    graph::{Plan, Stage},
};

/// A step on one shard.
pub(super) fn step(stage: &Stage, plan: &Plan, ledger: &Ledger, health: &Health) -> Step {
    let signal = plan.signal;
    let make: pipeline::stage::MakeOperator = match stage.clone() {
        Stage::Batch { settings, .. } => {
            return Step::Batcher(Batcher::new(BatcherSettings {
                min_records: settings.send_batch_size,
                max_records: settings.send_batch_max_size,
                min_bytes: 0,
                max_bytes: 0,
                flush_interval: settings.timeout,
                eager: settings.eager,
                max_groups: settings.metadata_cardinality_limit,
            }));
        }
        Stage::Filter { settings, .. } => Box::new(move || {
            checked(Filter::new(signal, settings.of(signal)).ok().map(|filter| Box::new(filter) as _))
        }),
        Stage::Edit { settings, .. } => {
            Box::new(move || checked(edits::fused(signal, &settings).map(|plan| Box::new(plan) as _)))
        }
    };
    Step::Stage(pipeline::Stage::new(
        &format!("{}:{}", plan.name, stage.name()),
        signal,
        make,
        ledger,
        health,
    ))
}

/// An operator whose settings were found right when the file was checked.
fn checked(operator: Option<Box<dyn Operator>>) -> Box<dyn Operator> {
    operator.unwrap_or_else(|| {
        debug_assert!(false, "settings that were checked are wrong");
        Box::new(Pass)
    })
}
