//! A graph at work.
//!
//! [`Engine::start`] binds every listener first, so that a port in use ends it before anything runs; then it starts the
//! shards, a queue for each exporter and signal, a [`pipeline::Chain`] for each pipeline and shard, and last the receivers.
//! [`Engine::shutdown`] goes the same way: receivers, chains, queues.

mod certificates;
mod door;
mod error;
pub(crate) mod exporters;
mod leaving;
pub(crate) mod memory;
mod pipelines;
mod receivers;
mod reload;
pub mod replay;
mod shutdown;
pub(crate) mod stages;
mod tap;

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use connect::{
    otlp::{Inlets, ReceiverCounts, ReceiverMeter},
    sockets::Sockets,
};
use pipeline::{Budget, Health, Ledger, MemoryLimiter, QueueGauge, Shards, Stats, Tracer, clock::now_ns};

pub use error::StartError;
use leaving::{Leaving, Left};
pub use reload::ReloadError;
pub use shutdown::{DrainReport, Loss};
pub use tap::Seen;
use tap::Tap;

use crate::{
    components::{Id, Settings},
    graph::Graph,
    telemetry::{self, Event, Names, Reloads, Sources, TelemetrySettings, Verdict},
};

/// How a graph is run; nothing of it is in the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Threads that carry telemetry; 0 is one for each CPU that may be used.
    pub shards: usize,
    /// Where the engine's own metrics are shown if `service.telemetry.metrics` does not say it; `None` is nowhere.
    pub metrics: Option<SocketAddr>,
}

/// An address that is listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The receiver, the exporter that is scraped, the extension, or `telemetry` for the engine's own metrics.
    pub receiver: String,
    /// The protocol: `grpc`, `http`, `prometheus` of a scrape endpoint, `metrics` and `health` of the engine itself.
    pub protocol: &'static str,
    /// The address, with the port that the system chose where 0 was asked for.
    pub address: SocketAddr,
}

/// What a graph is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Receivers feed it, and its time is the clock's.
    Serve,
    /// Files feed it, and the time of its processors is that of the telemetry.
    Replay,
}

/// A graph at work: everything that runs, by its name in the file.
pub struct Engine {
    /// As it is in the file.
    graph: Graph,
    shards: Shards,
    receivers: BTreeMap<Id, Arc<receivers::Running>>,
    /// Where each receiver leads, by shard.
    inlets: BTreeMap<Id, Vec<Inlets>>,
    /// What receivers counted, those that are gone too.
    books: BTreeMap<Id, ReceiverMeter>,
    limiters: BTreeMap<Id, MemoryLimiter>,
    /// Where no limiter says it.
    budget: Budget,
    pipelines: BTreeMap<String, pipelines::Running>,
    exporters: BTreeMap<Id, exporters::Running>,
    queues: pipelines::Queues,
    gaps: stages::GapMeters,
    addresses: Vec<Bound>,
    ledger: Ledger,
    health: Health,
    tap: Option<Tap>,
    own: telemetry::Running,
    /// Where own metrics are shown if the file does not say it.
    metrics: Option<SocketAddr>,
    reloads: Reloads,
    /// What earlier reloads took out.
    leaving: Vec<Leaving>,
    /// What of it did not leave.
    left: Left,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts a graph that [`crate::check`] found to be without errors.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use aldis_engine::{Engine, Options, check};
    ///
    /// let file = "
    /// receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}}}}
    /// exporters: {nop: }
    /// service: {pipelines: {traces: {receivers: [otlp], exporters: [nop]}}}
    /// ";
    /// let checked = check(file, &|name| std::env::var(name).ok());
    /// assert!(!checked.problems.has_errors());
    /// let engine = Engine::start(&checked.graph, Options::default())?;
    /// assert_eq!(engine.addresses()[0].protocol, "grpc");
    /// let report = engine.shutdown(Instant::now() + Duration::from_secs(5));
    /// assert!(report.is_complete());
    /// # Ok::<(), aldis_engine::StartError>(())
    /// ```
    ///
    /// # Errors
    /// What the system refuses: a port, a thread.
    pub fn start(graph: &Graph, options: Options) -> Result<Engine, StartError> {
        Self::start_for(graph, options, Purpose::Serve)
    }

    fn start_for(graph: &Graph, options: Options, purpose: Purpose) -> Result<Engine, StartError> {
        let budget = Budget::new(memory::default_budget(memory::total()));
        let tap = Tap::is_wanted(graph).then(Tap::start).transpose().map_err(StartError::Threads)?;
        let (mut sockets, mut books) = (Sockets::default(), BTreeMap::new());
        let own = open_own(graph, options.metrics, purpose)?;
        let receivers = match purpose {
            Purpose::Serve => open_receivers(graph, &mut sockets, &mut books, own.tracer())?,
            Purpose::Replay => BTreeMap::new(),
        };
        let limiters = open_limiters(graph)?;
        let open = |(id, settings): (&Id, _)| {
            let budget = memory::of_exporter(id, graph, &limiters, &budget);
            let tap = tap.as_ref();
            let mut around = exporters::Surroundings { sockets: &mut sockets, budget: &budget, tap };
            Ok((id.clone(), exporters::Opened::open(id, settings, &mut around)?))
        };
        let exporters: BTreeMap<_, _> = graph.exporters.iter().map(open).collect::<Result<_, _>>()?;
        let shards = Shards::start(options.shards, "aldis").map_err(StartError::Threads)?;
        limiters.values().for_each(|limiter| shards.spawn(0, limiter.clone().watch()));
        let exporters: BTreeMap<_, _> = exporters
            .into_iter()
            .enumerate()
            .map(|(i, (id, opened))| (id, opened.start(&shards, i)))
            .collect();
        let (ledger, health, mut queues) = (Ledger::new(), Health::new(), pipelines::Queues::new());
        let mut gaps = stages::GapMeters::default();
        let mut assembly = pipelines::Assembly {
            graph,
            shards: &shards,
            ledger: &ledger,
            health: &health,
            budget: &budget,
            limiters: &limiters,
            exporters: &exporters,
            queues: &mut queues,
            gaps: &mut gaps,
            replays: purpose == Purpose::Replay,
        };
        let pipelines: BTreeMap<_, _> =
            graph.pipelines.iter().map(|plan| (plan.name.clone(), assembly.pipeline(plan))).collect();
        let ways = |id: &Id| pipelines::inlets(graph, |plan| pipelines.get(&plan.name), id, shards.count());
        let inlets: BTreeMap<Id, Vec<Inlets>> = receivers.keys().map(|id| (id.clone(), ways(id))).collect();
        let start = |(id, opened): (Id, receivers::Opened)| {
            let running = opened.start(&shards, inlets[&id].clone(), &health);
            (id, Arc::new(running))
        };
        let receivers: BTreeMap<_, _> = receivers.into_iter().map(start).collect();
        let mut engine = Engine {
            graph: graph.clone(),
            shards,
            receivers,
            inlets,
            books,
            limiters,
            budget,
            pipelines,
            exporters,
            queues,
            gaps,
            addresses: Vec::new(),
            ledger,
            health,
            tap,
            own: own.start(),
            metrics: options.metrics,
            reloads: Reloads::since(now_ns()),
            leaving: Vec::new(),
            left: Left::default(),
        };
        engine.begin();
        Ok(engine)
    }

    /// Tells of itself, now that everything runs.
    fn begin(&mut self) {
        let health = &self.health;
        self.receivers.iter().for_each(|(id, running)| certificates::watch_receiver(health, id, running));
        self.exporters.iter().for_each(|(id, running)| certificates::watch_exporter(health, id, running));
        self.exporters.iter().for_each(|(id, running)| running.watch_seals(health, id));
        certificates::watch_own(health, &self.own);
        self.own.observe(self.sources());
        self.note_addresses();
        self.tell_start();
    }

    /// What there is to read of what runs.
    fn sources(&self) -> Sources {
        let limiters: Vec<_> =
            self.limiters.iter().map(|(id, limiter)| (id.to_string(), limiter.clone())).collect();
        let limited = limiters.iter().map(|(name, limiter)| (name.clone(), limiter.budget().clone()));
        let queues = self.queues.iter();
        let remote_write =
            |(id, running): (&Id, &exporters::Running)| Some((id.to_string(), running.remote_write.clone()?));
        let seals =
            |(id, running): (&Id, &exporters::Running)| Some((id.to_string(), running.seals.clone()?));
        let gauge = |((id, signal), gauge): &((Id, _), QueueGauge)| (id.to_string(), *signal, gauge.clone());
        Sources {
            ledger: self.ledger.clone(),
            health: self.health.clone(),
            receivers: self.books.iter().map(|(id, meter)| (id.to_string(), meter.clone())).collect(),
            queues: queues.map(|((id, signal), queue)| (id.to_string(), *signal, queue.clone())).collect(),
            leaving: self.leaving.iter().flat_map(|leaving| leaving.queues().iter().map(gauge)).collect(),
            budgets: [("default".to_owned(), self.budget.clone())].into_iter().chain(limited).collect(),
            limiters,
            gaps: self.gaps.all(),
            remote_writes: self.exporters.iter().filter_map(remote_write).collect(),
            seals: self.exporters.iter().filter_map(seals).collect(),
            traces: self.own.trace_meter(),
            certificates: self.shown_certificates(),
            reloads: self.reloads.clone(),
            shards: self.shards.count(),
            names: Names::of(&self.graph),
        }
    }

    fn tell_start(&self) {
        for bound in &self.addresses {
            self.own.tell(&Event::Listening {
                component: bound.receiver.clone(),
                protocol: bound.protocol.to_owned(),
                address: bound.address.to_string(),
            });
        }
        self.own.tell(&Event::Started { version: env!("CARGO_PKG_VERSION"), shards: self.shards() });
    }

    fn note_addresses(&mut self) {
        let receivers = self.receivers.iter().flat_map(|(id, running)| running.addresses(id));
        let exporters = self.exporters.iter().filter_map(|(id, running)| running.address(id));
        let own = self.own.addresses().map(|(name, protocol, address)| {
            let receiver = name.to_owned();
            Bound { receiver, protocol, address }
        });
        self.addresses = receivers.chain(exporters).chain(own).collect();
    }

    /// The addresses that are listened on.
    pub fn addresses(&self) -> &[Bound] {
        &self.addresses
    }

    /// How many threads carry telemetry.
    pub fn shards(&self) -> usize {
        self.shards.count()
    }

    /// What became of all records so far.
    pub fn stats(&self) -> Stats {
        self.ledger.stats()
    }

    /// What every receiver counted so far, those among them that are not in the graph any more.
    pub fn receivers(&self) -> Vec<(String, ReceiverCounts)> {
        let counts = |(id, books): (&Id, &ReceiverMeter)| {
            let counts = self.receivers.get(id).and_then(|running| running.counts());
            (id.to_string(), counts.unwrap_or_else(|| books.counts()))
        };
        self.books.iter().map(counts).collect()
    }

    /// What the exporter `summary` knows so far; `None` where no pipeline leads to one.
    pub fn summary(&self) -> Option<Seen> {
        let tap = self.tap.as_ref().filter(|_| Tap::is_wanted(&self.graph));
        tap.map(|tap| tap.seen(now_ns()))
    }

    /// Whether it should be sent telemetry, and why not: what its health page says, whether or not there is one.
    pub fn verdict(&self) -> Verdict {
        self.own.verdict()
    }

    /// Whether it writes a log of its own.
    pub fn has_log(&self) -> bool {
        self.graph.telemetry.logs.is_some()
    }

    /// What is wrong right now.
    pub fn health(&self) -> &Health {
        &self.health
    }
}

fn open_limiters(graph: &Graph) -> Result<BTreeMap<Id, MemoryLimiter>, StartError> {
    let make = |(id, settings): (&Id, _)| Ok((id.clone(), memory::limiter(id, settings, memory::total())?));
    graph.limiters.iter().map(make).collect()
}

fn open_receivers(
    graph: &Graph,
    sockets: &mut Sockets,
    books: &mut BTreeMap<Id, ReceiverMeter>,
    tracer: Option<&Tracer>,
) -> Result<BTreeMap<Id, receivers::Opened>, StartError> {
    let mut around = receivers::Surroundings { sockets, books, running: &BTreeMap::new(), tracer };
    let open =
        |(id, settings): (&Id, _)| Ok((id.clone(), receivers::Opened::open(id, settings, &mut around)?));
    graph.receivers.iter().map(open).collect()
}

/// What the engine tells of itself. A replay shows no pages: their ports are those of an engine that runs.
fn open_own(
    graph: &Graph,
    metrics: Option<SocketAddr>,
    purpose: Purpose,
) -> Result<telemetry::Opened, StartError> {
    let unseen = TelemetrySettings { readers: Some(Vec::new()), traces: None, ..graph.telemetry.clone() };
    let wanted = match purpose {
        Purpose::Serve => wanted(graph, metrics),
        Purpose::Replay => telemetry::Wanted { settings: &unseen, metrics: None, health: Vec::new() },
    };
    telemetry::Opened::open(&wanted, None, &mut Sockets::default()).map_err(StartError::Telemetry)
}

/// What a graph wants to be told of it.
fn wanted(graph: &Graph, metrics: Option<SocketAddr>) -> telemetry::Wanted<'_> {
    let health = graph.extensions.iter().filter_map(|(id, settings)| match settings {
        Settings::HealthCheck(settings) => Some((id.to_string(), settings.as_ref())),
        _ => None,
    });
    telemetry::Wanted { settings: &graph.telemetry, metrics, health: health.collect() }
}

#[cfg(test)]
mod tests;
