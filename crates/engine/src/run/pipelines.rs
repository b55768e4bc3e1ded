//! Pipelines of a graph: a chain on every shard, and the queues that they lead to.

use std::{collections::BTreeMap, sync::Arc};

use connect::otlp::Inlets;
use otlp::Signal;
use pipeline::{
    Acknowledge, Batcher, Budget, Chain, ChainParts, ExporterQueue, Health, Inlet, Ledger, MemoryLimiter,
    Outlet, Shards, Step, queue::Bounds,
};

use super::{door, exporters, stages};
use crate::{
    components::Id,
    graph::{Graph, Plan},
};

/// One for each exporter and signal, so that a flood of one signal cannot starve another.
pub(super) type Queues = BTreeMap<(Id, Signal), ExporterQueue>;

/// A pipeline at work. Clones are the same.
#[derive(Clone)]
pub(super) struct Running {
    /// Each behind those that it leads to.
    chains: Vec<Arc<Chain>>,
    doors: Vec<Arc<dyn Inlet>>,
}

impl Running {
    /// Its chains, each before those that it leads to: what one lets go of in this order finds the next one open.
    pub(super) fn front_to_back(&self) -> impl Iterator<Item = &Arc<Chain>> {
        self.chains.iter().rev()
    }

    /// The ways in, by shard.
    pub(super) fn doors(&self) -> &[Arc<dyn Inlet>] {
        &self.doors
    }
}

/// What pipelines are put together from.
pub(super) struct Assembly<'a> {
    pub(super) graph: &'a Graph,
    pub(super) shards: &'a Shards,
    pub(super) ledger: &'a Ledger,
    pub(super) health: &'a Health,
    /// Where no limiter says it.
    pub(super) budget: &'a Budget,
    pub(super) limiters: &'a BTreeMap<Id, MemoryLimiter>,
    pub(super) exporters: &'a BTreeMap<Id, exporters::Running>,
    pub(super) queues: &'a mut Queues,
    pub(super) gaps: &'a mut stages::GapMeters,
    /// Whether chains are told the time, and nothing is refused for want of room.
    pub(super) replays: bool,
}

impl Assembly<'_> {
    /// Starts a pipeline, and the queues that it leads to and that are not there yet.
    pub(super) fn pipeline(&mut self, plan: &Plan) -> Running {
        let mut running = Running { chains: Vec::new(), doors: Vec::new() };
        for shard in 0..self.shards.count() {
            let chain = self.chain(plan, shard, &mut running.chains);
            running.doors.push(door::prune(chain, plan));
        }
        running
    }

    fn chain(&mut self, plan: &Plan, shard: usize, chains: &mut Vec<Arc<Chain>>) -> Arc<Chain> {
        let limiter = plan.limiter.as_ref().and_then(|id| self.limiters.get(id)).cloned();
        let budget = limiter.as_ref().map_or(self.budget, MemoryLimiter::budget).clone();
        // A replay waits for room; the limiter's refusals are for senders that come again.
        let limiter = limiter.filter(|_| !self.replays);
        let step = |stage| stages::step(stage, plan, self.ledger, self.health, self.gaps);
        let steps = plan.stages.iter().map(step).collect();
        let outlets = plan.exporters.iter().map(|id| self.outlet(id, plan, shard, chains)).collect();
        let parts = ChainParts { steps, outlets, budget, limiter, ..parts_of(plan, shard, self.budget) };
        self.place(parts, chains)
    }

    fn outlet(&mut self, id: &Id, plan: &Plan, shard: usize, chains: &mut Vec<Arc<Chain>>) -> Outlet {
        let outlet = Outlet::Exporter { queue: self.queue(id, plan.signal), required: true };
        let Some(batcher) = exporters::batcher(&self.graph.exporters[id]) else { return outlet };
        // Its batches are of this exporter alone, whatever the pipeline's other exporters take.
        let parts = ChainParts {
            name: format!("{}:{id}", plan.name),
            steps: vec![Step::Batcher(Batcher::new(batcher))],
            outlets: vec![outlet],
            ..parts_of(plan, shard, self.budget)
        };
        Outlet::Inlet(self.place(parts, chains))
    }

    fn queue(&mut self, id: &Id, signal: Signal) -> ExporterQueue {
        let start = || {
            let mut settings = exporters::queue(&self.graph.exporters[id], self.budget);
            if self.replays {
                // Nobody comes again with what is refused: what is on its way is bounded where it is let in.
                settings.acknowledge = Acknowledge::Exported;
                settings.bounds = Bounds { items: u64::MAX, bytes: u64::MAX, ..settings.bounds };
            }
            let exporter = self.exporters[id].exporter.clone();
            let component = format!("{id} ({signal})");
            ExporterQueue::start_as(component, exporter, settings, self.shards, self.ledger, self.health)
        };
        self.queues.entry((id.clone(), signal)).or_insert_with(start).clone()
    }

    /// Puts a chain together and runs it on its shard.
    fn place(&self, parts: ChainParts, chains: &mut Vec<Arc<Chain>>) -> Arc<Chain> {
        let shard = parts.shard;
        let chain = Chain::new(parts, self.ledger);
        if !self.replays {
            self.shards.spawn(shard, chain.clone().run());
        }
        chains.push(chain.clone());
        chain
    }
}

/// A chain of a plan on a shard that has no steps and leads nowhere yet.
fn parts_of(plan: &Plan, shard: usize, budget: &Budget) -> ChainParts {
    ChainParts {
        name: plan.name.clone(),
        signal: plan.signal,
        shard,
        steps: Vec::new(),
        outlets: Vec::new(),
        depth: plan.depth,
        budget: budget.clone(),
        limiter: None,
        compressor: None,
    }
}

/// A receiver's ways into pipelines, one set for each of so many shards.
pub(super) fn inlets<'a>(
    graph: &Graph,
    running: impl Fn(&Plan) -> Option<&'a Running> + Copy,
    receiver: &Id,
    shards: usize,
) -> Vec<Inlets> {
    let on = |shard: usize| {
        let way = |signal| {
            let ways = graph.fed_by(receiver, signal).filter_map(running);
            Some((signal, door::to_all(ways.map(|running| running.doors()[shard].clone()).collect())?))
        };
        let ways = Signal::ALL.into_iter().filter_map(way);
        ways.fold(Inlets::new(), |inlets, (signal, way)| inlets.with(signal, way))
    };
    (0..shards).map(on).collect()
}
