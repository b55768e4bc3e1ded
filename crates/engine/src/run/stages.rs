//! Stages of a plan as steps of a chain.

use std::collections::BTreeMap;

use operators::{
    Operator, Pass,
    filter::Filter,
    gaps::{GapMeter, GapSettings, Gaps},
};
use pipeline::{Batcher, BatcherSettings, Health, Ledger, Step};

use crate::{
    components::{batch::BatchSettings, edits},
    graph::{Graph, Plan, Stage},
};

/// What stages `gaps` have counted, by the stage's name: one for all shards, and for as long as its settings stay.
#[derive(Clone, Debug, Default)]
pub(super) struct GapMeters(BTreeMap<String, (GapSettings, GapMeter)>);

impl GapMeters {
    /// That of a stage.
    fn of(&mut self, stage: String, settings: GapSettings) -> GapMeter {
        let new = || (settings, GapMeter::new(settings));
        let entry = self.0.entry(stage).or_insert_with(new);
        if entry.0 != settings {
            *entry = new();
        }
        entry.1.clone()
    }

    /// Forgets those of stages that are not in a graph.
    pub(super) fn keep_those_of(&mut self, graph: &Graph) {
        self.0.retain(|stage, _| {
            graph.pipelines.iter().any(|plan| plan.stages.iter().any(|other| name(other, plan) == *stage))
        });
    }

    /// All, by the stage's name.
    pub(super) fn all(&self) -> Vec<(String, GapMeter)> {
        self.0.iter().map(|(stage, (_, meter))| (stage.clone(), meter.clone())).collect()
    }
}

/// A step on one shard.
pub(super) fn step(
    stage: &Stage,
    plan: &Plan,
    ledger: &Ledger,
    health: &Health,
    meters: &mut GapMeters,
) -> Step {
    let signal = plan.signal;
    let make: pipeline::stage::MakeOperator = match stage.clone() {
        Stage::Batch { id, settings } => {
            let counters = ledger.batcher(&id.to_string(), signal);
            return Step::Batcher(Batcher::counted(batcher(&settings), counters));
        }
        Stage::Filter { settings, .. } => Box::new(move || {
            checked(Filter::new(signal, settings.of(signal)).ok().map(|filter| Box::new(filter) as _))
        }),
        Stage::Gaps { settings, .. } => {
            let meter = meters.of(name(stage, plan), settings);
            Box::new(move || Box::new(Gaps::new(&meter)))
        }
        Stage::Edit { settings, .. } => {
            Box::new(move || checked(edits::fused(signal, &settings).map(|plan| Box::new(plan) as _)))
        }
    };
    Step::Stage(pipeline::Stage::new(&name(stage, plan), signal, make, ledger, health))
}

/// What a step is called in counters and in what is wrong with it.
pub(super) fn name(stage: &Stage, plan: &Plan) -> String {
    format!("{}:{}", plan.name, stage.name())
}

/// How a processor `batch` works.
pub(crate) fn batcher(settings: &BatchSettings) -> BatcherSettings {
    BatcherSettings {
        min_records: settings.send_batch_size,
        max_records: settings.send_batch_max_size,
        min_bytes: 0,
        max_bytes: 0,
        flush_interval: settings.timeout,
        eager: settings.eager,
        max_groups: settings.metadata_cardinality_limit,
    }
}

/// An operator whose settings were found right when the file was checked.
fn checked(operator: Option<Box<dyn Operator>>) -> Box<dyn Operator> {
    operator.unwrap_or_else(|| {
        debug_assert!(false, "settings that were checked are wrong");
        Box::new(Pass)
    })
}
