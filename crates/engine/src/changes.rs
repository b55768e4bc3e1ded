//! What is different between two graphs, as values.
//!
//! A component whose name and settings are equal in both is the same one: it stays as it is, whatever happens around it. What
//! a running engine does about the rest is in `run::reload`; here is only what is to be done.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use pipeline::MemoryLimitSettings;

use crate::{
    components::{Id, Settings, delivery::QueueBatchSettings},
    graph::{Graph, Plan, Stage},
};

/// What becomes of something that has a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is in both, and equal.
    #[default]
    Kept,
    /// It is new.
    Added,
    /// It is in both, and not equal.
    Changed,
    /// It is gone.
    Removed,
}

impl Fate {
    /// Every fate.
    pub const ALL: [Fate; 4] = [Fate::Added, Fate::Changed, Fate::Removed, Fate::Kept];

    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Fate::Kept => "kept",
            Fate::Added => "added",
            Fate::Changed => "changed",
            Fate::Removed => "removed",
        }
    }
}

/// What becomes of every part of a graph when another takes its place.
///
/// ```
/// use aldis_engine::{Changes, check};
///
/// let graph = |port: u16| {
///     let file = format!(
///         "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{port}'}}}}}}}}
/// exporters: {{nop: }}
/// service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [nop]}}}}}}"
///     );
///     check(&file, &|_| None).graph
/// };
/// let changes = Changes::between(&graph(4317), &graph(4317));
/// assert_eq!(changes.to_string(), "nothing has changed");
/// let changes = Changes::between(&graph(4317), &graph(5317));
/// assert_eq!(changes.to_string(), "receivers: changed otlp");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// By name.
    pub extensions: BTreeMap<Id, Fate>,
    /// By name.
    pub receivers: BTreeMap<Id, Fate>,
    /// By name, memory limiters included.
    pub processors: BTreeMap<Id, Fate>,
    /// By name.
    pub exporters: BTreeMap<Id, Fate>,
    /// What the engine tells of itself: `service.telemetry`.
    pub telemetry: Fate,
    /// By name. One that is kept keeps its state: what its processors hold, and what they know.
    pub pipelines: BTreeMap<String, Fate>,
    /// Of the pipelines that are in both, those whose state is kept: of what is called changed, they are those with other
    /// receivers only.
    pub(crate) same_chains: BTreeSet<String>,
}

impl Changes {
    /// What is different in `after`.
    pub fn between(before: &Graph, after: &Graph) -> Changes {
        let (plans_before, plans_after) = (plans(before), plans(after));
        let same_chains: BTreeSet<String> = plans_after
            .iter()
            .filter(|(name, plan)| {
                plans_before.get(*name).is_some_and(|old| Fixed::of(before, old) == Fixed::of(after, plan))
            })
            .map(|(name, _)| (*name).clone())
            .collect();
        let pipelines = fates(&plans_before, &plans_after, |name, before, after| {
            same_chains.contains(*name) && before.receivers == after.receivers
        });
        Changes {
            extensions: fates(&before.extensions, &after.extensions, |_, before, after| before == after),
            receivers: fates(&before.receivers, &after.receivers, |_, before, after| before == after),
            processors: fates(&processors(before), &processors(after), |_, before, after| before == after),
            exporters: fates(&before.exporters, &after.exporters, |_, before, after| before == after),
            telemetry: if before.telemetry == after.telemetry { Fate::Kept } else { Fate::Changed },
            pipelines: pipelines.into_iter().map(|(name, fate)| (name.clone(), fate)).collect(),
            same_chains,
        }
    }

    /// Whether anything is different.
    pub fn any(&self) -> bool {
        self.rows().into_iter().any(|(_, names)| names.iter().any(|(_, fate)| *fate != Fate::Kept))
    }

    /// What each section has, by name.
    pub fn rows(&self) -> [(&'static str, Vec<(String, Fate)>); 6] {
        let names =
            |fates: &BTreeMap<Id, Fate>| fates.iter().map(|(id, fate)| (id.to_string(), *fate)).collect();
        [
            ("extensions", names(&self.extensions)),
            ("receivers", names(&self.receivers)),
            ("processors", names(&self.processors)),
            ("exporters", names(&self.exporters)),
            ("pipelines", self.pipelines.iter().map(|(name, fate)| (name.clone(), *fate)).collect()),
            ("service", vec![("telemetry".to_owned(), self.telemetry)]),
        ]
    }
}

/// What is different, in a line.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.any() {
            return f.write_str("nothing has changed");
        }
        let mut sections = Vec::new();
        for (section, names) in self.rows() {
            let of = |fate: Fate| {
                let names: Vec<&str> =
                    names.iter().filter(|(_, of)| *of == fate).map(|(name, _)| name.as_str()).collect();
                (!names.is_empty()).then(|| format!("{} {}", fate.name(), names.join(", ")))
            };
            let told: Vec<String> =
                [Fate::Added, Fate::Changed, Fate::Removed].into_iter().filter_map(of).collect();
            if !told.is_empty() {
                sections.push(format!("{section}: {}", told.join(", ")));
            }
        }
        f.write_str(&sections.join("; "))
    }
}

/// All that is fixed in a pipeline's chains while they run. Its exporters are not: they may change behind their queues.
#[derive(PartialEq)]
struct Fixed<'a> {
    plan: Plan,
    limiter: Option<&'a MemoryLimitSettings>,
    /// What joins requests in front of an exporter's queue.
    batches: Vec<Option<&'a QueueBatchSettings>>,
}

impl<'a> Fixed<'a> {
    fn of(graph: &'a Graph, plan: &Plan) -> Fixed<'a> {
        let batch = |id: &Id| graph.exporters.get(id).and_then(Settings::queue_batch);
        Fixed {
            // Receivers lead to it; it does not know them.
            plan: Plan { receivers: Vec::new(), ..plan.clone() },
            limiter: plan.limiter.as_ref().and_then(|id| graph.limiters.get(id)),
            batches: plan.exporters.iter().map(batch).collect(),
        }
    }
}

fn plans(graph: &Graph) -> BTreeMap<&String, &Plan> {
    graph.pipelines.iter().map(|plan| (&plan.name, plan)).collect()
}

/// What a processor does.
#[derive(PartialEq)]
enum Work {
    Limit(MemoryLimitSettings),
    Stage(Stage),
}

fn processors(graph: &Graph) -> BTreeMap<Id, Work> {
    let limiters = graph.limiters.iter().map(|(id, settings)| (id.clone(), Work::Limit(*settings)));
    let alone = |stage: &Stage| match stage {
        // Which edits stand beside it is the pipeline's.
        Stage::Edit { ids, settings } => ids
            .iter()
            .zip(settings)
            .map(|(id, own)| (id.clone(), Stage::Edit { ids: vec![id.clone()], settings: vec![own.clone()] }))
            .collect(),
        Stage::Filter { id, .. } | Stage::Gaps { id, .. } | Stage::Batch { id, .. } => {
            vec![(id.clone(), stage.clone())]
        }
    };
    let stages = graph.pipelines.iter().flat_map(|plan| &plan.stages).flat_map(alone);
    limiters.chain(stages.map(|(id, stage)| (id, Work::Stage(stage)))).collect()
}

fn fates<K: Ord + Clone, V>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
    is_equal: impl Fn(&K, &V, &V) -> bool,
) -> BTreeMap<K, Fate> {
    let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), Fate::Removed));
    let fate = |(key, value): (&K, &V)| {
        let fate = match before.get(key) {
            None => Fate::Added,
            Some(old) if is_equal(key, old, value) => Fate::Kept,
            Some(_) => Fate::Changed,
        };
        (key.clone(), fate)
    };
    after.iter().map(fate).chain(gone).collect()
}

#[cfg(test)]
mod tests;
