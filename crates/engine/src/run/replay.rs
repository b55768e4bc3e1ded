//! Files through a graph: as fast as it goes, on the time of the telemetry.
//!
//! Receivers stay closed; requests of files take their place. Processors are told *event time*, the latest time that has occurred in
//! the telemetry so far, so that what they do depends on the files alone. Exporters run as ever.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use connect::file::{Key, Next, ReadSettings, RecordFile, Request};
use otlp::{Batch, Check, Checker, Depth, Signal};
use pipeline::{Charge, Context, Inlet, Item, Outcome, Share};

use super::{DrainReport, Engine, Options, Purpose, StartError, door};
use crate::{
    components::Id,
    graph::{Graph, Plan},
    limits::{REPLAY_FAULTS, REPLAY_POLL, REPLAY_REQUESTS},
};

/// Which pipelines files are led into: of each signal those that are chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Route {
    /// All of them.
    #[default]
    All,
    /// The one of this name.
    Pipeline(String),
    /// Those that this receiver feeds.
    Receiver(Id),
}

impl Route {
    fn takes(&self, plan: &Plan) -> bool {
        match self {
            Route::All => true,
            Route::Pipeline(name) => plan.name == *name,
            Route::Receiver(id) => plan.receivers.contains(id),
        }
    }
}

/// What is replayed and how.
#[derive(Clone, Debug)]
pub struct ReplaySettings {
    /// The files, one behind another.
    pub files: Vec<PathBuf>,
    /// The signal of requests in protobuf whose file's name does not tell it; of JSON the only one that is taken.
    pub signal: Option<Signal>,
    /// The key of those that are sealed archives.
    pub key: Option<Key>,
    /// Where they go.
    pub into: Route,
    /// Threads that carry telemetry; 0 is one for each CPU that may be used.
    pub shards: usize,
    /// How long exporters may take for what is left at the end.
    pub drain_timeout: Duration,
}

/// What became of a replay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplayReport {
    /// Requests that were read and had a pipeline.
    pub requests: u64,
    /// Records in them.
    pub records: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Records of signals that no chosen pipeline takes.
    pub unrouted: u64,
    /// Records of requests of which a destination took a part, and refused so many for good.
    pub rejected: u64,
    /// Records of requests that were not delivered.
    pub failed: u64,
    /// Why the last of them was not.
    pub failure: Option<String>,
    /// Pieces of files that are no requests.
    pub faults: u64,
    /// The first of them, with their places.
    pub told: Vec<String>,
    /// The earliest and the latest time in the telemetry, Unix nanoseconds.
    pub event_time: Option<(u64, u64)>,
    /// How long it took.
    pub elapsed: Duration,
    /// Whether it was ended before the end of the files.
    pub is_cut_short: bool,
}

/// Why nothing, or not everything, could be replayed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplayError {
    /// The graph does not start.
    Start(StartError),
    /// Nothing in it is what was chosen.
    NoSuch(Route),
    /// A file cannot be read.
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::Start(source) => source.fmt(f),
            ReplayError::NoSuch(Route::Pipeline(name)) => write!(f, "there is no pipeline `{name}`"),
            ReplayError::NoSuch(Route::Receiver(id)) => write!(f, "no pipeline has a receiver `{id}`"),
            ReplayError::NoSuch(Route::All) => f.write_str("there is no pipeline"),
            ReplayError::File { path, source } => write!(f, "cannot read {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for ReplayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReplayError::Start(source) => Some(source),
            ReplayError::NoSuch(_) => None,
            ReplayError::File { source, .. } => Some(source),
        }
    }
}

impl Engine {
    /// Leads files through a graph that [`crate::check`] found to be without errors, and ends. `goes_on` is asked now and then, with
    /// what has been read so far; `false` ends it early. Blocks.
    ///
    /// The same files give the same records out, however they are divided into requests and among shards. In which order and in which
    /// requests they leave is free.
    ///
    /// # Errors
    /// What the system refuses, and a file that cannot be read: what was read before it is drained all the same.
    pub fn replay(
        graph: &Graph,
        settings: &ReplaySettings,
        goes_on: &mut dyn FnMut(&ReplayReport) -> bool,
    ) -> Result<(ReplayReport, DrainReport), ReplayError> {
        if !graph.pipelines.iter().any(|plan| settings.into.takes(plan)) {
            return Err(ReplayError::NoSuch(settings.into.clone()));
        }
        let begun = Instant::now();
        let options = Options { shards: settings.shards, ..Options::default() };
        let engine = Engine::start_for(graph, options, Purpose::Replay).map_err(ReplayError::Start)?;
        let mut replay = Replay::new(&engine, graph, settings);
        let mut read = Ok(());
        for path in &settings.files {
            read = replay.file(path, settings, goes_on);
            if read.is_err() || replay.report.is_cut_short {
                break;
            }
        }
        let deadline = Instant::now() + settings.drain_timeout;
        replay.finish(deadline);
        let (mut report, tally) = (replay.report, replay.tally);
        let drained = engine.shutdown(deadline);
        // What was given up in the end has been told too by now.
        tally.tell(&mut report);
        report.elapsed = begun.elapsed();
        read.map(|()| (report, drained))
    }

    fn chains(&self) -> impl Iterator<Item = &Arc<pipeline::Chain>> {
        self.pipelines.values().flat_map(|running| running.front_to_back())
    }
}

/// What was told of requests on their way.
#[derive(Debug, Default)]
struct Tally {
    open: AtomicUsize,
    rejected: AtomicU64,
    failed: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Tally {
    fn note(&self, records: u64, outcome: Outcome) {
        match outcome {
            Outcome::Delivered { rejected } => drop(self.rejected.fetch_add(rejected, Relaxed)),
            Outcome::Removed => {}
            Outcome::Retry { reason, .. } | Outcome::Permanent { reason, .. } => {
                self.failed.fetch_add(records, Relaxed);
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
            }
        }
        self.open.fetch_sub(1, Relaxed);
    }

    fn tell(&self, report: &mut ReplayReport) {
        report.rejected = self.rejected.load(Relaxed);
        report.failed = self.failed.load(Relaxed);
        report.failure.clone_from(&self.failure.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A replay under way.
struct Replay<'a> {
    engine: &'a Engine,
    /// By signal and shard.
    ways: [Vec<Option<Arc<dyn Inlet>>>; Signal::ALL.len()],
    /// By signal.
    checkers: [Checker; Signal::ALL.len()],
    /// By shard, each before those that it leads to.
    chains: Vec<Vec<Arc<pipeline::Chain>>>,
    next_shard: usize,
    event_ns: u64,
    tally: Arc<Tally>,
    report: ReplayReport,
}

impl<'a> Replay<'a> {
    fn new(engine: &'a Engine, graph: &Graph, settings: &ReplaySettings) -> Self {
        let shards = engine.shards.count();
        let way = |signal, shard: usize| {
            let plans =
                graph.pipelines.iter().filter(|plan| plan.signal == signal && settings.into.takes(plan));
            let running = plans.filter_map(|plan| engine.pipelines.get(&plan.name));
            door::to_all(running.map(|running| running.doors()[shard].clone()).collect())
        };
        let ways = Signal::ALL.map(|signal| (0..shards).map(|shard| way(signal, shard)).collect::<Vec<_>>());
        let checkers = Signal::ALL.map(|signal| {
            let depth = ways[signal as usize].first().and_then(Option::as_ref).map(|way| way.depth());
            // Times of records are read here.
            let depth = depth.map_or(Depth::Counts, |depth| depth.max(Depth::Records));
            Checker::new(signal, Check::Full, depth)
        });
        let on = |shard| engine.chains().filter(|chain| chain.shard() == shard).cloned().collect();
        Self {
            engine,
            ways,
            checkers,
            chains: (0..shards).map(on).collect(),
            next_shard: 0,
            event_ns: 0,
            tally: Arc::default(),
            report: ReplayReport::default(),
        }
    }

    fn file(
        &mut self,
        path: &Path,
        settings: &ReplaySettings,
        goes_on: &mut dyn FnMut(&ReplayReport) -> bool,
    ) -> Result<(), ReplayError> {
        let (signal, key) = (settings.signal, settings.key.as_ref());
        let failed = |source| ReplayError::File { path: path.to_owned(), source };
        let settings = ReadSettings { signal, ..ReadSettings::default() };
        let mut records = RecordFile::open_with_key(path, settings, key.cloned()).map_err(failed)?;
        loop {
            let offered = match records.read().map_err(failed)? {
                Next::Record(record) if signal.is_some_and(|only| only != record.request.signal) => Ok(None),
                Next::Record(record) => {
                    let offered = self.offer(record.request, goes_on).map(Some);
                    offered.map_err(|error| (record.at, error.to_string()))
                }
                Next::Fault(at, fault) => Err((at, fault.to_string())),
                Next::Waiting | Next::End => return Ok(()),
            };
            let asked = offered.unwrap_or_else(|(at, fault)| {
                self.report.faults += 1;
                if self.report.told.len() < REPLAY_FAULTS {
                    self.report.told.push(format!("{}: {at}: {fault}", path.display()));
                }
                None
            });
            // A file may hold nothing that is offered.
            if !asked.unwrap_or_else(|| goes_on(&self.report)) {
                self.report.is_cut_short = true;
                return Ok(());
            }
        }
    }

    /// Sends a request on its way, once there is room; `false` if the replay is to end.
    fn offer(
        &mut self,
        request: Request,
        goes_on: &mut dyn FnMut(&ReplayReport) -> bool,
    ) -> Result<bool, otlp::WireError> {
        let shard = self.next_shard;
        self.next_shard = (shard + 1) % self.chains.len();
        let checker = &mut self.checkers[request.signal as usize];
        let Some(way) = self.ways[request.signal as usize][shard].clone() else {
            self.report.unrouted += checker.check(request.wire)?.len() as u64;
            return Ok(goes_on(&self.report));
        };
        let bytes = request.wire.len();
        let needed = checker.needed_bytes(&request.wire)? + bytes;
        let Some(mut charge) = self.room(&*way, needed, goes_on) else { return Ok(false) };
        let batch = self.checkers[request.signal as usize].check(request.wire)?;
        charge.settle(batch.memory_bytes());
        let records = batch.len() as u64;
        self.report.requests += 1;
        self.report.records += records;
        self.report.bytes += bytes as u64;
        if records > 0 {
            self.note_time(&batch);
            self.send(shard, way, batch, charge);
        }
        Ok(goes_on(&self.report))
    }

    /// Memory for a request; `None` if the replay is to end. While there is none, what lingers is sent on.
    fn room(
        &self,
        way: &dyn Inlet,
        needed: usize,
        goes_on: &mut dyn FnMut(&ReplayReport) -> bool,
    ) -> Option<Charge> {
        loop {
            if self.tally.open.load(Relaxed) < REPLAY_REQUESTS
                && let Some(charge) = way.budget().try_charge(needed)
            {
                return Some(charge);
            }
            if !goes_on(&self.report) {
                return None;
            }
            self.engine.chains().for_each(|chain| chain.flush(self.event_ns));
            thread::sleep(REPLAY_POLL);
        }
    }

    /// Event time goes on to the end of the latest record.
    fn note_time(&mut self, batch: &Batch) {
        let records = &batch.index().records;
        let times = || records.time_ns.iter().chain(&records.end_ns).copied().filter(|ns| *ns > 0);
        if let (Some(first), Some(last)) = (times().min(), times().max()) {
            let (earliest, latest) = self.report.event_time.unwrap_or((first, last));
            self.report.event_time = Some((earliest.min(first), latest.max(last)));
            self.event_ns = self.event_ns.max(last);
        }
    }

    fn send(&self, shard: usize, way: Arc<dyn Inlet>, batch: Batch, charge: Charge) {
        let (records, now_ns) = (batch.len() as u64, self.event_ns);
        let tally = self.tally.clone();
        tally.open.fetch_add(1, Relaxed);
        let share = Share::listened(records, Arc::new(move |outcome| tally.note(records, outcome)));
        let context =
            Context { received_ns: now_ns, shares: vec![share], charges: vec![charge], ..Context::default() };
        let chains = self.chains[shard].clone();
        // A shard's tasks begin in the order in which they come, so that its time never goes back.
        self.engine.shards.spawn(shard, async move {
            chains.iter().for_each(|chain| chain.advance(now_ns));
            way.offer(Item { batch, context }, now_ns);
        });
    }

    /// Lets go of what processors hold, at event time, and waits until exporters have answered for all of it.
    fn finish(&mut self, deadline: Instant) {
        // What has been sent to shards is in the chains once their tasks are through.
        let (tell, told) = std::sync::mpsc::sync_channel(self.chains.len());
        for shard in 0..self.chains.len() {
            let tell = tell.clone();
            self.engine.shards.spawn(shard, async move {
                // As many as there is room for.
                let _ = tell.try_send(());
            });
        }
        drop(tell);
        while told.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {}
        for chain in self.engine.chains() {
            // What stages do not let go of is told by the shutdown that follows.
            let _ = chain.close(self.event_ns);
        }
        while self.tally.open.load(Relaxed) > 0 && Instant::now() < deadline {
            thread::sleep(REPLAY_POLL);
        }
    }
}
