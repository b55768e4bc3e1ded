//! A graph at work.
//!
//! [`Engine::start`] binds every listener first, so that a port in use ends it before anything runs; then it starts the
//! shards, a queue for each exporter and signal, a [`Chain`] for each pipeline and shard, and last the receivers.
//! [`Engine::shutdown`] goes the same way: receivers, chains, queues.

mod door;
mod exporters;
mod stages;
mod tap;

use std::{collections::BTreeMap, fmt, io, net::SocketAddr, sync::Arc, thread, time::Instant};

use connect::{
    otlp::{Inlets, Listening, Receiver, ReceiverCounts, ReceiverSettings, receiver::BindError},
    prometheus::{Endpoint, PrometheusConfig, PrometheusExporter, Serving},
};
use otlp::Signal;
use pipeline::{
    Budget, Chain, ChainParts, ExporterQueue, Health, Inlet, Ledger, MemoryLimiter, Outlet, Shards, Stats,
    Undelivered, clock::now_ns, memory_limit,
};

pub use tap::Seen;
use tap::Tap;

use crate::{
    components::{Id, Settings},
    graph::{Graph, Plan},
    limits,
};

/// How a graph is run; nothing of it is in the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Threads that carry telemetry; 0 is one for each CPU that may be used.
    pub shards: usize,
}

/// Why a graph could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A receiver cannot listen.
    Listen {
        /// The receiver.
        receiver: Id,
        /// Why.
        source: BindError,
    },
    /// An exporter that is scraped cannot listen.
    Serve {
        /// The exporter.
        exporter: Id,
        /// Why.
        source: BindError,
    },
    /// Threads or runtimes are not to be had.
    Threads(io::Error),
    /// The memory limiter's percentages leave nothing on this machine.
    Memory {
        /// The memory limiter.
        limiter: Id,
        /// Why.
        source: memory_limit::MemoryLimitError,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen { receiver, source } => write!(f, "receiver `{receiver}`: {source}"),
            StartError::Serve { exporter, source } => write!(f, "exporter `{exporter}`: {source}"),
            StartError::Threads(source) => write!(f, "threads could not be started: {source}"),
            StartError::Memory { limiter, source } => write!(f, "memory limiter `{limiter}`: {source}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Listen { source, .. } | StartError::Serve { source, .. } => Some(source),
            StartError::Threads(source) => Some(source),
            StartError::Memory { source, .. } => Some(source),
        }
    }
}

/// An address that is listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The receiver, or the exporter that is scraped.
    pub receiver: String,
    /// The protocol: `grpc`, `http`, or `prometheus` of a scrape endpoint.
    pub protocol: &'static str,
    /// The address, with the port that the system chose where 0 was asked for.
    pub address: SocketAddr,
}

/// What a shutdown left behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrainReport {
    /// Connections that were cut off with requests in flight.
    pub connections_cut: usize,
    /// What exporters had not delivered.
    pub undelivered: Vec<Undelivered>,
    /// Exporters that did not answer in time, so that what they hold is not known.
    pub silent: usize,
    /// Records that stages still held.
    pub held: u64,
    /// Threads that did not end.
    pub threads_left: usize,
    /// What became of everything.
    pub stats: Stats,
    /// What every receiver counted.
    pub receivers: Vec<(String, ReceiverCounts)>,
    /// What the exporter `summary` knows at the end, where there is one.
    pub summary: Option<Seen>,
}

impl DrainReport {
    /// Whether everything that was accepted left.
    pub fn is_complete(&self) -> bool {
        let all_left = self.undelivered.iter().all(Undelivered::is_empty) && self.held == 0;
        all_left && self.silent == 0 && self.threads_left == 0
    }
}

/// A graph at work.
pub struct Engine {
    shards: Shards,
    listening: Vec<(String, Listening)>,
    /// Scrape endpoints: they answer until the end.
    _serving: Vec<Serving>,
    addresses: Vec<Bound>,
    chains: Vec<Arc<Chain>>,
    queues: Vec<ExporterQueue>,
    ledger: Ledger,
    health: Health,
    tap: Option<Tap>,
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
        let mut bound = Vec::new();
        for (id, settings) in &graph.receivers {
            if let Settings::OtlpReceiver(settings) = settings {
                let settings =
                    ReceiverSettings { name: id.to_string().into(), ..ReceiverSettings::clone(settings) };
                let source = |source| StartError::Listen { receiver: id.clone(), source };
                bound.push((id, Receiver::bind(settings).map_err(source)?));
            }
        }
        let budget = Budget::new(default_budget());
        let (scraped, endpoints) = scraped(graph, &budget)?;
        let shards = Shards::start(options.shards, "aldis").map_err(StartError::Threads)?;
        let mut builder = Builder { budget, scraped, ..Builder::new(graph, &shards)? };
        builder.build();
        let Builder { ledger, health, queues, chains, doors, tap, .. } = builder;
        let mut addresses = Vec::new();
        let mut listening = Vec::new();
        for (id, receiver) in bound {
            let name = id.to_string();
            for (protocol, address) in [("grpc", receiver.grpc_addr()), ("http", receiver.http_addr())] {
                addresses.extend(address.map(|address| Bound { receiver: name.clone(), protocol, address }));
            }
            let inlets = (0..shards.count()).map(|shard| inlets(graph, &doors, id, shard)).collect();
            listening.push((name, receiver.start(&shards, inlets)));
        }
        let mut serving = Vec::new();
        for (i, (id, endpoint)) in endpoints.into_iter().enumerate() {
            let address = endpoint.address();
            addresses.push(Bound { receiver: id.to_string(), protocol: "prometheus", address });
            serving.push(endpoint.start(&shards, i));
        }
        let queues = queues.into_values().collect();
        Ok(Engine { shards, listening, _serving: serving, addresses, chains, queues, ledger, health, tap })
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

    /// What every receiver counted so far.
    pub fn receivers(&self) -> Vec<(String, ReceiverCounts)> {
        self.listening.iter().map(|(name, listening)| (name.clone(), listening.counts())).collect()
    }

    /// What the exporter `summary` knows so far; `None` where no pipeline leads to one.
    pub fn summary(&self) -> Option<Seen> {
        self.tap.as_ref().map(|tap| tap.seen(now_ns()))
    }

    /// What is wrong right now.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Takes nothing new, lets what was accepted leave until `deadline`, and says what did not. Blocks.
    ///
    /// Requests in flight have half of that time: what was acknowledged must not run out of it because somebody stalls in the
    /// middle of a body.
    pub fn shutdown(self, deadline: Instant) -> DrainReport {
        let mut report = DrainReport::default();
        self.queues.iter().for_each(ExporterQueue::hurry);
        let now = Instant::now();
        let for_requests = now + deadline.saturating_duration_since(now) / 2;
        // A chain is made after those that it leads to: backwards, what one lets go finds the next one open.
        let chains = || self.chains.iter().rev();
        let counters: Vec<_> = self.listening.iter().map(|(name, _)| name.clone()).collect();
        // Requests in flight wait for batches that linger: those are sent on while the receivers stop.
        let stopping: Vec<_> = self
            .listening
            .into_iter()
            .map(|(_, listening)| {
                thread::spawn(move || {
                    let cut = listening.drain(for_requests);
                    (cut, listening.counts())
                })
            })
            .collect();
        while stopping.iter().any(|thread| !thread.is_finished()) {
            chains().for_each(|chain| chain.flush(now_ns()));
            thread::sleep(limits::DRAIN_STEP);
        }
        for (name, thread) in counters.into_iter().zip(stopping) {
            if let Ok((cut, counts)) = thread.join() {
                report.connections_cut += cut;
                report.receivers.push((name, counts));
            }
        }
        report.held = chains().map(|chain| chain.close(now_ns())).sum();
        report.undelivered = drain(&self.queues, &self.shards, deadline);
        report.silent = self.queues.len() - report.undelivered.len();
        // Nothing that could still leave is left: what runs on (looking at memory, say) is not waited for.
        report.threads_left = self.shards.stop(Instant::now());
        report.stats = self.ledger.stats();
        report.summary = self.tap.map(|tap| tap.close(now_ns()));
        report
    }
}

/// Lets every queue run empty, all at once.
fn drain(queues: &[ExporterQueue], shards: &Shards, deadline: Instant) -> Vec<Undelivered> {
    let (tell, told) = std::sync::mpsc::sync_channel(queues.len());
    for (i, queue) in queues.iter().enumerate() {
        let (queue, tell) = (queue.clone(), tell.clone());
        shards.spawn(i, async move {
            let undelivered = queue.drain(deadline.into()).await;
            // Nobody listens any more only if the drain took longer than it may.
            let _ = tell.send(undelivered);
        });
    }
    drop(tell);
    let give_up = deadline.max(Instant::now()) + limits::STOP_GRACE;
    let next = || told.recv_timeout(give_up.saturating_duration_since(Instant::now())).ok();
    std::iter::from_fn(next).take(queues.len()).collect()
}

/// Exporters that are scraped, by name.
type Scraped = BTreeMap<Id, PrometheusExporter>;

/// Makes the exporters that are scraped, and binds their sockets.
fn scraped(graph: &Graph, budget: &Budget) -> Result<(Scraped, Vec<(Id, Endpoint)>), StartError> {
    let (mut exporters, mut endpoints) = (Scraped::new(), Vec::new());
    for (id, settings) in &graph.exporters {
        if let Settings::Prometheus(settings) = settings {
            let config = PrometheusConfig { name: id.to_string(), ..settings.config.clone() };
            let exporter = PrometheusExporter::with_budget(config, budget.clone());
            let source = |source| StartError::Serve { exporter: id.clone(), source };
            endpoints.push((id.clone(), Endpoint::bind(&exporter, &settings.endpoint).map_err(source)?));
            exporters.insert(id.clone(), exporter);
        }
    }
    Ok((exporters, endpoints))
}

fn limiters(graph: &Graph) -> Result<BTreeMap<Id, MemoryLimiter>, StartError> {
    let total = memory_limit::total_memory().unwrap_or(limits::UNKNOWN_MEMORY_BYTES);
    let make = |(id, settings): (&Id, _)| {
        let limiter = MemoryLimiter::new(settings, total);
        let limiter = limiter.map_err(|source| StartError::Memory { limiter: id.clone(), source })?;
        Ok((id.clone(), limiter))
    };
    graph.limiters.iter().map(make).collect()
}

/// Bytes that bodies and batches may take up where no memory limiter says it.
fn default_budget() -> usize {
    let total = memory_limit::total_memory().unwrap_or(limits::UNKNOWN_MEMORY_BYTES);
    usize::try_from(total / 100 * limits::DEFAULT_BUDGET_PERCENT).unwrap_or(usize::MAX)
}

/// The summary, where an exporter wants one.
fn tap(graph: &Graph) -> Result<Option<Tap>, StartError> {
    let wanted = graph.exporters.values().any(|settings| *settings == Settings::Summary);
    wanted.then(Tap::start).transpose().map_err(StartError::Threads)
}

struct Builder<'a> {
    graph: &'a Graph,
    shards: &'a Shards,
    limiters: BTreeMap<Id, MemoryLimiter>,
    budget: Budget,
    scraped: Scraped,
    ledger: Ledger,
    health: Health,
    /// One for each exporter and signal, so that a flood of one signal cannot starve another.
    queues: BTreeMap<(Id, Signal), ExporterQueue>,
    chains: Vec<Arc<Chain>>,
    /// What all exporters `summary` feed.
    tap: Option<Tap>,
    /// By pipeline and shard.
    doors: BTreeMap<(String, usize), Arc<dyn Inlet>>,
}

impl<'a> Builder<'a> {
    fn new(graph: &'a Graph, shards: &'a Shards) -> Result<Self, StartError> {
        Ok(Self {
            graph,
            shards,
            limiters: limiters(graph)?,
            budget: Budget::new(default_budget()),
            scraped: Scraped::new(),
            ledger: Ledger::new(),
            health: Health::new(),
            queues: BTreeMap::new(),
            chains: Vec::new(),
            tap: tap(graph)?,
            doors: BTreeMap::new(),
        })
    }

    fn build(&mut self) {
        for limiter in self.limiters.values() {
            self.shards.spawn(0, limiter.clone().watch());
        }
        for plan in &self.graph.pipelines {
            for shard in 0..self.shards.count() {
                let chain = self.chain(plan, shard);
                self.doors.insert((plan.name.clone(), shard), door::prune(chain, plan));
            }
        }
    }

    fn chain(&mut self, plan: &Plan, shard: usize) -> Arc<Chain> {
        let limiter = plan.limiter.as_ref().and_then(|id| self.limiters.get(id)).cloned();
        let budget = limiter.as_ref().map_or(&self.budget, MemoryLimiter::budget).clone();
        let parts = ChainParts {
            name: plan.name.clone(),
            signal: plan.signal,
            shard,
            steps: plan
                .stages
                .iter()
                .map(|stage| stages::step(stage, plan, &self.ledger, &self.health))
                .collect(),
            outlets: plan.exporters.iter().map(|id| self.outlet(id, plan, shard)).collect(),
            depth: plan.depth,
            budget,
            limiter,
            compressor: None,
        };
        self.place(parts)
    }

    /// Puts a chain together and runs it on its shard.
    fn place(&mut self, parts: ChainParts) -> Arc<Chain> {
        let shard = parts.shard;
        let chain = Chain::new(parts, &self.ledger);
        self.shards.spawn(shard, chain.clone().run());
        self.chains.push(chain.clone());
        chain
    }

    fn outlet(&mut self, id: &Id, plan: &Plan, shard: usize) -> Outlet {
        let settings = &self.graph.exporters[id];
        let key = (id.clone(), plan.signal);
        if !self.queues.contains_key(&key) {
            let exporter = match self.scraped.get(id) {
                Some(exporter) => Arc::new(exporter.clone()),
                None => exporters::exporter(id, settings, self.tap.as_ref()),
            };
            let settings = exporters::queue(settings, &self.budget);
            let queue = ExporterQueue::start(exporter, settings, self.shards, &self.ledger, &self.health);
            self.queues.insert(key.clone(), queue);
        }
        let outlet = Outlet::Exporter { queue: self.queues[&key].clone(), required: true };
        let Some(batcher) = exporters::batcher(settings) else { return outlet };
        // Its batches are of this exporter alone, whatever the pipeline's other exporters take.
        let parts = ChainParts {
            name: format!("{}:{id}", plan.name),
            signal: plan.signal,
            shard,
            steps: vec![batcher],
            outlets: vec![outlet],
            depth: plan.depth,
            budget: self.budget.clone(),
            limiter: None,
            compressor: None,
        };
        Outlet::Inlet(self.place(parts))
    }
}

/// A receiver's ways in on one shard.
fn inlets(graph: &Graph, doors: &BTreeMap<(String, usize), Arc<dyn Inlet>>, id: &Id, shard: usize) -> Inlets {
    let mut inlets = Inlets::new();
    for signal in Signal::ALL {
        let ways: Vec<_> = graph
            .fed_by(id, signal)
            .filter_map(|plan| doors.get(&(plan.name.clone(), shard)).cloned())
            .collect();
        if let Some(way) = door::to_all(ways) {
            inlets = inlets.with(signal, way);
        }
    }
    inlets
}

#[cfg(test)]
mod tests;
