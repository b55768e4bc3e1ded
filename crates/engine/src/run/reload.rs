//! Another graph in the place of the one that runs.
//!
//! First everything that may fail, while nothing is touched: ports, threads, limits ([`Engine::prepare`]). Then, what cannot
//! fail: exporters take over queues, new chains are put together, receivers are led to them, and what is left over is seen
//! out ([`Engine::take_over`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use connect::sockets::Sockets;
use otlp::Signal;
use pipeline::{Chain, ExporterQueue, MemoryLimiter, clock::now_ns};

use super::{
    Engine, StartError, certificates, exporters,
    leaving::{Gone, Leavers, Usher},
    memory, pipelines, receivers, stages,
    tap::Tap,
    wanted,
};
use crate::{
    changes::{Changes, Fate},
    components::Id,
    graph::{Graph, Plan},
    limits,
    telemetry::{self, Event},
};

/// Why an engine runs on as it did.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReloadError {
    /// Something that the new graph needs is not to be had.
    Start(StartError),
    /// Which of the engine's requests are traced would change, which it cannot while it runs: restart it.
    Traces,
    /// Too much of what earlier reloads removed is still being delivered: try again when it has left.
    Busy {
        /// Reloads that have not come to their end.
        leaving: usize,
    },
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReloadError::Start(source) => source.fmt(f),
            ReloadError::Traces => f.write_str("`service.telemetry.traces` only changes with a restart"),
            ReloadError::Busy { leaving } => {
                write!(f, "what {leaving} earlier reloads took out is still being delivered; try again later")
            }
        }
    }
}

impl std::error::Error for ReloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReloadError::Start(source) => source.source(),
            ReloadError::Traces | ReloadError::Busy { .. } => None,
        }
    }
}

/// What was made before anything was touched.
struct Prepared {
    receivers: BTreeMap<Id, receivers::Opened>,
    exporters: BTreeMap<Id, exporters::Opened>,
    limiters: BTreeMap<Id, MemoryLimiter>,
    own: Option<telemetry::Opened>,
    usher: Usher,
}

impl Engine {
    /// Runs another graph that [`crate::check`] found to be without errors in the place of this one.
    ///
    /// What has the same name and equal settings stays as it is: sockets, connections, queues, what processors hold. A queue
    /// stays when its exporter's settings change, a socket when a receiver's do. What is taken out delivers what it has, for as
    /// long as `patience` lasts. Nothing that was acknowledged is lost, and nobody who connects is refused.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use aldis_engine::{Engine, Options, check};
    ///
    /// let graph = |processors: &str| {
    ///     let file = format!(
    ///         "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0'}}}}}}}}
    /// processors: {{batch: }}
    /// exporters: {{nop: }}
    /// service: {{pipelines: {{traces: {{receivers: [otlp], processors: [{processors}], exporters: [nop]}}}}}}"
    ///     );
    ///     check(&file, &|_| None).graph
    /// };
    /// let mut engine = Engine::start(&graph(""), Options::default())?;
    /// let address = engine.addresses()[0].address;
    /// let changes = engine.reload(&graph("batch"), Duration::from_secs(5))?;
    /// assert_eq!(changes.to_string(), "processors: added batch; pipelines: changed traces");
    /// assert_eq!(engine.addresses()[0].address, address);
    /// engine.shutdown(Instant::now() + Duration::from_secs(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What the system refuses, a port above all. Then everything runs on as it did.
    pub fn reload(&mut self, graph: &Graph, patience: Duration) -> Result<Changes, ReloadError> {
        let reloaded = self.try_reload(graph, patience);
        self.note_reload(match &reloaded {
            Ok(changes) => Ok(changes),
            Err(error) => Err(error.to_string()),
        });
        reloaded
    }

    /// Counts and logs a reload that did not come as far as a graph: why.
    pub fn note_failed_reload(&self, error: &str) {
        self.note_reload(Err(error.to_owned()));
    }

    fn note_reload(&self, reloaded: Result<&Changes, String>) {
        self.reloads.count(reloaded.is_ok());
        self.own.tell(&match reloaded {
            Ok(changes) => Event::Reloaded { changes: changes.to_string() },
            Err(error) => Event::NotReloaded { error },
        });
    }

    fn try_reload(&mut self, graph: &Graph, patience: Duration) -> Result<Changes, ReloadError> {
        if self.graph.telemetry.traces != graph.telemetry.traces {
            return Err(ReloadError::Traces);
        }
        let changes = Changes::between(&self.graph, graph);
        self.note_what_left();
        if !changes.any() {
            return Ok(changes);
        }
        if self.leaving.len() >= limits::MAX_LEAVING {
            return Err(ReloadError::Busy { leaving: self.leaving.len() });
        }
        let prepared = self.prepare(graph, &changes).map_err(ReloadError::Start)?;
        self.take_over(graph, &changes, prepared, patience);
        Ok(changes)
    }

    /// Makes all that is new, on sockets of what leaves where it wants those.
    fn prepare(&mut self, graph: &Graph, changes: &Changes) -> Result<Prepared, StartError> {
        let leaves = |fate: Option<&Fate>| matches!(fate, Some(Fate::Changed | Fate::Removed));
        let of_receivers = self.receivers.iter().filter(|(id, _)| leaves(changes.receivers.get(id)));
        let of_exporters = self.exporters.iter().filter(|(id, _)| leaves(changes.exporters.get(id)));
        let free = of_receivers.flat_map(|(_, running)| running.sockets());
        let free = free.chain(of_exporters.filter_map(|(_, running)| running.socket()));
        // The same but for their receivers and exporters are those who tell of them.
        let other_own = wanted(&self.graph, self.metrics) != wanted(graph, self.metrics);
        let of_own = other_own.then(|| self.own.sockets()).into_iter().flatten();
        let mut sockets = Sockets::of(free.chain(of_own));
        if self.tap.is_none() && Tap::is_wanted(graph) {
            self.tap = Some(Tap::start().map_err(StartError::Threads)?);
        }
        let comes = |fate: Option<&Fate>| matches!(fate, Some(Fate::Changed | Fate::Added));
        let (books, running) = (&mut self.books, &self.receivers);
        let mut around =
            receivers::Surroundings { sockets: &mut sockets, books, running, tracer: self.own.tracer() };
        let mut receivers = BTreeMap::new();
        for (id, settings) in graph.receivers.iter().filter(|(id, _)| comes(changes.receivers.get(id))) {
            receivers.insert(id.clone(), receivers::Opened::open(id, settings, &mut around)?);
        }
        let mut limiters = BTreeMap::new();
        for (id, settings) in &graph.limiters {
            let same = self.limiters.get(id).filter(|_| self.graph.limiters.get(id) == Some(settings));
            let limiter = same.cloned().map_or_else(|| memory::limiter(id, settings, memory::total()), Ok)?;
            limiters.insert(id.clone(), limiter);
        }
        let mut exporters = BTreeMap::new();
        for (id, settings) in graph.exporters.iter().filter(|(id, _)| comes(changes.exporters.get(id))) {
            let budget = memory::of_exporter(id, graph, &limiters, &self.budget);
            let (budget, tap) = (&budget, self.tap.as_ref());
            let mut around = exporters::Surroundings { sockets: &mut sockets, budget, tap };
            exporters.insert(id.clone(), exporters::Opened::open(id, settings, &mut around)?);
        }
        let open = || telemetry::Opened::open(&wanted(graph, self.metrics), Some(&self.own), &mut sockets);
        let own = other_own.then(open).transpose().map_err(StartError::Telemetry)?;
        let usher = Usher::start(&self.shards).map_err(StartError::Threads)?;
        Ok(Prepared { receivers, exporters, limiters, own, usher })
    }

    fn take_over(&mut self, graph: &Graph, changes: &Changes, prepared: Prepared, patience: Duration) {
        let Prepared { receivers, exporters, limiters, own, usher } = prepared;
        self.take_limiters(graph, limiters);
        let mut leavers = Leavers::default();
        self.take_exporters(graph, exporters);
        let (replaced, removed) = self.take_pipelines(graph, changes);
        leavers.astray.receivers = self.part_receivers(graph);
        self.lead_receivers(graph, &leavers.astray.receivers, &removed);
        // Nobody leads to these any more, and nobody is inside.
        let close = |chain: &Arc<Chain>| chain.close(now_ns());
        self.left.held += replaced.iter().flat_map(pipelines::Running::front_to_back).map(close).sum::<u64>();
        self.take_receivers(receivers, &mut leavers);
        let earlier: Vec<_> = self.leaving.iter().flat_map(|leaving| leaving.astray().receivers).collect();
        let behind = earlier.iter().filter(|gone| gone.leads_to(&removed));
        leavers.before = behind.flat_map(|gone| gone.running.clone()).collect();
        if leavers.astray.receivers.is_empty() && leavers.before.is_empty() {
            let chains = removed.values().flat_map(pipelines::Running::front_to_back);
            self.left.held += chains.map(close).sum::<u64>();
        } else {
            leavers.astray.pipelines = removed;
        }
        self.release_queues(graph, &mut leavers);
        if !leavers.queues.is_empty() {
            // Pipelines that earlier reloads took out may lead to these too.
            leavers.before = earlier.into_iter().flat_map(|gone| gone.running).collect();
        }
        self.forget_stages(changes);
        self.leaving.extend(usher.take(leavers, patience));
        self.gaps.keep_those_of(graph);
        self.graph = graph.clone();
        if let Some(own) = own {
            certificates::forget_own(&self.health, &self.own);
            self.own.become_as(own);
            certificates::watch_own(&self.health, &self.own);
        }
        self.note_addresses();
        self.own.observe(self.sources());
    }

    /// The tasks that watch those that are gone end when nobody holds them any more.
    fn take_limiters(&mut self, graph: &Graph, limiters: BTreeMap<Id, MemoryLimiter>) {
        let is_new = |id: &Id| self.graph.limiters.get(id) != graph.limiters.get(id);
        for (_, limiter) in limiters.iter().filter(|(id, _)| is_new(id)) {
            self.shards.spawn(0, limiter.clone().watch());
        }
        self.limiters = limiters;
    }

    /// Exporters take over the queues of those of their name.
    fn take_exporters(&mut self, graph: &Graph, exporters: BTreeMap<Id, exporters::Opened>) {
        let gone = |id: &Id| !graph.exporters.contains_key(id);
        let changed = |id: &Id| gone(id) || exporters.contains_key(id);
        self.exporters
            .keys()
            .filter(|id| changed(id))
            .for_each(|id| certificates::forget_exporter(&self.health, id));
        self.exporters.retain(|id, _| !gone(id));
        for (i, (id, opened)) in exporters.into_iter().enumerate() {
            let running = opened.start(&self.shards, i);
            certificates::watch_exporter(&self.health, &id, &running);
            running.watch_seals(&self.health, &id);
            let settings = exporters::queue(&graph.exporters[&id], &self.budget);
            let signals = Signal::ALL.map(|signal| (id.clone(), signal));
            for queue in signals.iter().filter_map(|key| self.queues.get(key)) {
                queue.replace(running.exporter.clone(), settings, &self.shards);
            }
            self.exporters.insert(id, running);
        }
    }

    /// Makes the chains of pipelines that are new or not the same any more, and the queues that they lead to. Returns those that
    /// others have taken the place of, and those that are gone.
    fn take_pipelines(
        &mut self,
        graph: &Graph,
        changes: &Changes,
    ) -> (Vec<pipelines::Running>, BTreeMap<String, pipelines::Running>) {
        let mut assembly = pipelines::Assembly {
            graph,
            shards: &self.shards,
            ledger: &self.ledger,
            health: &self.health,
            budget: &self.budget,
            limiters: &self.limiters,
            exporters: &self.exporters,
            queues: &mut self.queues,
            gaps: &mut self.gaps,
            replays: false,
        };
        let mut before = std::mem::take(&mut self.pipelines);
        let mut replaced = Vec::new();
        for plan in &graph.pipelines {
            let same = before.remove(&plan.name);
            let running = match same {
                Some(running) if changes.same_chains.contains(&plan.name) => running,
                other => {
                    replaced.extend(other);
                    assembly.pipeline(plan)
                }
            };
            self.pipelines.insert(plan.name.clone(), running);
        }
        (replaced, before)
    }

    /// Takes out the receivers that are gone, and those that they had taken the place of and that are not.
    fn part_receivers(&mut self, graph: &Graph) -> Vec<Gone> {
        let before = Arc::new(self.graph.clone());
        let gone = self.receivers.extract_if(.., |id, _| !graph.receivers.contains_key(id));
        gone.map(|(id, running)| {
            certificates::forget_receiver(&self.health, &id, &running);
            let replaced = self.leaving.iter().flat_map(|leaving| leaving.replaced(&id)).cloned();
            let running = replaced.chain([running.clone()]).collect();
            let inlets = self.inlets.remove(&id).unwrap_or_default();
            Gone { id, graph: before.clone(), inlets, running }
        })
        .collect()
    }

    /// Leads what comes into the pipelines as they are now. Receivers that are gone, now or by an earlier reload, lead on for what
    /// they are in the middle of, even into a pipeline that is.
    fn lead_receivers(
        &mut self,
        graph: &Graph,
        gone: &[Gone],
        removed: &BTreeMap<String, pipelines::Running>,
    ) {
        let earlier: Vec<_> = self.leaving.iter().map(super::leaving::Leaving::astray).collect();
        let anywhere = |plan: &Plan| {
            let mut pipelines = [&self.pipelines, removed].into_iter();
            let now = pipelines.find_map(|pipelines| pipelines.get(&plan.name));
            // The latest of its name.
            now.or_else(|| earlier.iter().rev().find_map(|astray| astray.pipelines.get(&plan.name)))
        };
        earlier.iter().flat_map(|astray| &astray.receivers).chain(gone).for_each(|gone| gone.lead(anywhere));
        let shards = self.shards.count();
        let running = |plan: &Plan| self.pipelines.get(&plan.name);
        for (id, inlets) in &self.inlets {
            let ways = pipelines::inlets(graph, running, id, shards);
            inlets.iter().zip(&ways).for_each(|(inlets, ways)| inlets.lead_as(ways));
        }
        for id in graph.receivers.keys().filter(|id| !self.receivers.contains_key(id)) {
            self.inlets.insert(id.clone(), pipelines::inlets(graph, running, id, shards));
        }
    }

    /// Starts receivers behind the inlets of those of their name, whose connections have what is in flight finished.
    fn take_receivers(&mut self, receivers: BTreeMap<Id, receivers::Opened>, leavers: &mut Leavers) {
        for (id, opened) in receivers {
            if let Some(before) = self.receivers.get(&id) {
                certificates::forget_receiver(&self.health, &id, before);
            }
            let running = opened.start(&self.shards, self.inlets[&id].clone(), &self.health);
            certificates::watch_receiver(&self.health, &id, &running);
            if let Some(before) = self.receivers.insert(id.clone(), Arc::new(running)) {
                before.leave();
                leavers.replaced.push((id, before));
            }
        }
        leavers.astray.receivers.iter().flat_map(|gone| &gone.running).for_each(|gone| gone.leave());
    }

    fn release_queues(&mut self, graph: &Graph, leavers: &mut Leavers) {
        let led_to = |plan: &Plan| {
            let signal = plan.signal;
            plan.exporters.iter().map(move |id| (id.clone(), signal)).collect::<Vec<_>>()
        };
        let used: BTreeSet<(Id, Signal)> = graph.pipelines.iter().flat_map(led_to).collect();
        leavers.queues = self.queues.extract_if(.., |key, _| !used.contains(key)).collect();
        leavers.queues.values().for_each(ExporterQueue::leave);
    }

    /// Nothing is wrong any more with stages that are gone, nor with those that others of their name have taken the place of.
    fn forget_stages(&self, changes: &Changes) {
        let is_gone = |plan: &&Plan| !changes.same_chains.contains(&plan.name);
        let names = self
            .graph
            .pipelines
            .iter()
            .filter(is_gone)
            .flat_map(|plan| plan.stages.iter().map(|stage| stages::name(stage, plan)));
        names.for_each(|name| self.health.forget(&name));
    }

    /// What earlier reloads took out and that is gone now.
    pub(super) fn note_what_left(&mut self) {
        let over = |leaving: &mut super::leaving::Leaving| leaving.is_over();
        for gone in self.leaving.extract_if(.., over) {
            self.left.add(gone.join());
        }
    }
}
