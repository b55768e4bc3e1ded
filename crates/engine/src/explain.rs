//! What a graph becomes when it runs, in numbers: bounds, memory, who is answered when.
//!
//! Every number is asked of what builds the running graph; nothing is said twice.

use std::{collections::BTreeSet, time::Duration};

use connect::{
    auth::ClientAuthSettings, otlp::OtlpConfig, prometheus::RemoteWriteConfig, tls::TlsClientSettings,
};
use otlp::{Depth, Signal};
use pipeline::{BatcherSettings, Budget, ExporterSettings};

use crate::{
    components::{
        Id, Settings,
        listeners::{Listener, Transport, listeners},
    },
    graph::{Graph, Plan, Stage},
    run::{StartError, exporters, memory, stages},
    telemetry::{
        TelemetrySettings,
        settings::{Level, Reader},
    },
};

/// A graph, explained.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Bytes of memory that this process may use: the cgroup's or the machine's.
    pub machine_bytes: u64,
    /// Bytes that telemetry may take up where no memory limiter says it.
    pub budget_bytes: usize,
    /// The receivers, by name.
    pub receivers: Vec<Source>,
    /// The pipelines, in the order of the file.
    pub pipelines: Vec<Pipe>,
    /// The extensions, by name.
    pub extensions: Vec<Extension>,
    /// What the engine tells of itself.
    pub own: Own,
}

/// An extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its name.
    pub id: Id,
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// What it is for, where it does not listen.
    pub purpose: &'static str,
}

/// What the engine tells of itself (`service.telemetry`).
#[derive(Clone, Debug, PartialEq)]
pub struct Own {
    /// Which metrics there are.
    pub level: &'static str,
    /// Where they are shown; `None` where whoever starts it says so.
    pub metrics: Option<Vec<Listener>>,
    /// Where the log goes; nothing, where there is none.
    pub log: Vec<String>,
    /// Where spans of its own work go, and of how many requests in a second there are some at the most.
    pub spans: Option<(Destination, u32)>,
}

/// A receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its name.
    pub id: Id,
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// Where its signals go.
    pub feeds: Vec<Feed>,
}

/// Where a receiver's telemetry of one signal goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// The signal.
    pub signal: Signal,
    /// The pipelines. All get everything.
    pub pipelines: Vec<String>,
    /// How deep requests are indexed as they arrive.
    pub depth: Depth,
    /// The memory limiters that requests are charged to; none is the process's own budget. Requests must fit into all.
    pub charged: Vec<Option<Id>>,
}

/// A pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipe {
    /// Its name.
    pub name: String,
    /// What it carries.
    pub signal: Signal,
    /// Its receivers.
    pub receivers: Vec<Id>,
    /// Its memory limiter.
    pub limiter: Option<Limit>,
    /// How deep it needs requests to be indexed.
    pub depth: Depth,
    /// Request headers that travel with its telemetry, because a stage uses them.
    pub headers: Vec<String>,
    /// Its stages, in order.
    pub steps: Vec<Step>,
    /// Its exporters. All get everything.
    pub leads: Vec<Lead>,
}

/// A memory limiter, on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub id: Id,
    /// Bytes that bodies, batches and what stages hold may take up together; what does not fit is refused unread.
    pub budget_bytes: usize,
    /// Bytes of the whole process above which everything is refused.
    pub limit_bytes: u64,
    /// How often the process is looked at.
    pub check_interval: std::time::Duration,
}

/// A stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The processors in it, joined: `attributes+resource`.
    pub name: String,
    /// How deep it needs requests to be indexed.
    pub depth: Depth,
    /// What it does.
    pub does: Does,
}

/// What a stage does.
#[derive(Clone, Debug, PartialEq)]
pub enum Does {
    /// Changes attributes; so many processors in one copy.
    Edit(usize),
    /// Takes records out; so many conditions.
    Filter(usize),
    /// Counts gaps in the numbers of so many senders.
    Gaps(usize),
    /// Joins and splits requests within these bounds.
    Batch(BatcherSettings),
}

/// The way from a pipeline to an exporter.
#[derive(Clone, Debug, PartialEq)]
pub struct Lead {
    /// The exporter.
    pub exporter: Id,
    /// Where it sends.
    pub destination: Option<Destination>,
    /// Where it is asked.
    pub listener: Option<Listener>,
    /// How deep it needs requests to be indexed.
    pub depth: Depth,
    /// What joins requests in front of its queue.
    pub joins: Option<BatcherSettings>,
    /// Its queue, one for each signal, and how it sends.
    pub queue: ExporterSettings,
    /// What it sends of an item, where that is several requests.
    pub requests: Option<Requests>,
    /// Bytes that the queue can hold: its own bound, or what whoever is charged for what it holds gives out, if that is less.
    pub queue_bytes: u64,
    /// The memory limiters that are charged for what it holds, those of all pipelines of the signal that lead to it; none is the
    /// process's own budget.
    pub charged: Vec<Option<Id>>,
    /// Whether senders have their answer from the far side; otherwise once this process's memory has the telemetry.
    pub exported: bool,
}

impl Lead {
    /// Whether it waits to be asked instead of sending.
    pub fn is_asked(&self) -> bool {
        self.destination.is_none() && self.listener.is_some()
    }
}

/// An item that is sent as several requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requests {
    /// So many are under way at once.
    pub at_once: usize,
    /// How long each may take.
    pub timeout: Duration,
}

/// Where an exporter sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Host and port, or a URL, as configured.
    pub endpoint: String,
    /// What it is spoken over.
    pub transport: Transport,
    /// By what it makes itself known, besides a certificate and its `headers`.
    pub credentials: Option<&'static str>,
}

/// Explains a graph that [`crate::check`] found to be without errors, on a machine with so many bytes of memory
/// ([`memory_bytes`] are this one's).
///
/// # Errors
/// As [`crate::Engine::start`], where the memory is too small for a limiter's percentages.
pub fn explain(graph: &Graph, machine_bytes: u64) -> Result<Explanation, StartError> {
    let budget_bytes = memory::default_budget(machine_bytes);
    let explaining = Explaining { graph, machine_bytes, budget: Budget::new(budget_bytes) };
    let receivers = graph.receivers.iter().map(|(id, settings)| explaining.source(id, settings));
    let pipelines = graph.pipelines.iter().map(|plan| explaining.pipe(plan));
    Ok(Explanation {
        machine_bytes,
        budget_bytes,
        receivers: receivers.collect(),
        pipelines: pipelines.collect::<Result<_, _>>()?,
        extensions: graph.extensions.iter().map(extension).collect(),
        own: own(&graph.telemetry),
    })
}

fn extension((id, settings): (&Id, &Settings)) -> Extension {
    let purpose = match settings {
        Settings::HealthCheck(_) => "tells whether the engine is well",
        Settings::BearerAuth(_) => {
            "a token, for who names it: receivers know senders by it, exporters send it"
        }
        Settings::BasicServerAuth(_) => "names and passwords, by which receivers that name it know senders",
        _ => "name and password, which exporters that name it send",
    };
    Extension { id: id.clone(), listeners: listeners(settings), purpose }
}

fn own(telemetry: &TelemetrySettings) -> Own {
    let page = |endpoint: &str| Listener {
        protocol: "metrics",
        endpoint: endpoint.to_owned(),
        transport: Transport::Plain,
        senders: None,
        largest_bytes: None,
    };
    let shown = |readers: &Vec<Reader>| readers.iter().map(|reader| page(&reader.endpoint)).collect();
    let metrics = match telemetry.level {
        Level::None => Some(Vec::new()),
        _ => telemetry.readers.as_ref().map(shown),
    };
    let spans = telemetry
        .traces
        .as_ref()
        .map(|traces| (otlp_destination(&traces.exporter, Signal::Traces), traces.requests_per_second));
    let log = telemetry.logs.iter().flat_map(|logs| logs.output_paths.clone()).collect();
    Own { level: telemetry.level.name(), metrics, log, spans }
}

/// Bytes of memory that this process may use.
pub fn memory_bytes() -> u64 {
    memory::total()
}

struct Explaining<'a> {
    graph: &'a Graph,
    machine_bytes: u64,
    budget: Budget,
}

impl Explaining<'_> {
    fn source(&self, id: &Id, settings: &Settings) -> Source {
        let feed = |signal| {
            let plans: Vec<&Plan> = self.graph.fed_by(id, signal).collect();
            let mut charged: Vec<Option<Id>> = plans.iter().map(|plan| plan.limiter.clone()).collect();
            charged.sort();
            charged.dedup();
            let depth = self.graph.depth(id, signal)?;
            Some(Feed {
                signal,
                pipelines: plans.iter().map(|plan| plan.name.clone()).collect(),
                depth,
                charged,
            })
        };
        let feeds = Signal::ALL.into_iter().filter_map(feed).collect();
        Source { id: id.clone(), listeners: listeners(settings), feeds }
    }

    fn pipe(&self, plan: &Plan) -> Result<Pipe, StartError> {
        let limiter = plan.limiter.as_ref().and_then(|id| Some((id, self.graph.limiters.get(id)?)));
        let limiter = limiter.map(|(id, settings)| {
            let limiter = memory::limiter(id, settings, self.machine_bytes)?;
            Ok(Limit {
                id: id.clone(),
                budget_bytes: limiter.budget().limit(),
                limit_bytes: limiter.limit_bytes(),
                check_interval: settings.check_interval,
            })
        });
        let step = |stage: &Stage| Step {
            name: stage.name(),
            depth: stage.needs(plan.signal),
            does: match stage {
                Stage::Edit { ids, .. } => Does::Edit(ids.len()),
                Stage::Filter { settings, .. } => Does::Filter(settings.of(plan.signal).len()),
                Stage::Gaps { settings, .. } => Does::Gaps(settings.max_senders),
                Stage::Batch { settings, .. } => Does::Batch(stages::batcher(settings)),
            },
        };
        Ok(Pipe {
            name: plan.name.clone(),
            signal: plan.signal,
            receivers: plan.receivers.clone(),
            limiter: limiter.transpose()?,
            depth: plan.depth,
            headers: plan.headers(),
            steps: plan.stages.iter().map(step).collect(),
            leads: plan
                .exporters
                .iter()
                .filter_map(|id| self.lead(id, plan).transpose())
                .collect::<Result<_, _>>()?,
        })
    }

    fn lead(&self, id: &Id, plan: &Plan) -> Result<Option<Lead>, StartError> {
        let Some(settings) = self.graph.exporters.get(id) else { return Ok(None) };
        let queue = exporters::queue(settings, &self.budget);
        let leading = self.graph.pipelines.iter();
        let leading = leading.filter(|other| other.signal == plan.signal && other.exporters.contains(id));
        let charged: BTreeSet<Option<Id>> = leading.map(|plan| plan.limiter.clone()).collect();
        let mut given_out = 0_u64;
        for limiter in &charged {
            let settings = limiter.as_ref().and_then(|id| Some((id, self.graph.limiters.get(id)?)));
            let budget = match settings {
                None => self.budget.limit(),
                Some((id, settings)) => memory::limiter(id, settings, self.machine_bytes)?.budget().limit(),
            };
            given_out = given_out.saturating_add(budget as u64);
        }
        Ok(Some(Lead {
            exporter: id.clone(),
            destination: destination(settings, plan.signal),
            listener: listeners(settings).into_iter().next(),
            depth: self.graph.needs(id),
            requests: match settings {
                Settings::RemoteWrite(settings) => {
                    let RemoteWriteConfig { requests_at_once: at_once, timeout, .. } = settings.config;
                    Some(Requests { at_once, timeout })
                }
                _ => None,
            },
            joins: exporters::batcher(settings),
            queue_bytes: queue.bounds.bytes.min(given_out),
            queue,
            charged: charged.into_iter().collect(),
            exported: self.graph.answers(id),
        }))
    }
}

/// Where an exporter sends records of a signal.
pub(crate) fn destination(settings: &Settings, signal: Signal) -> Option<Destination> {
    match settings {
        Settings::OtlpExporter(settings) => Some(otlp_destination(&settings.config, signal)),
        Settings::RemoteWrite(settings) => {
            let config = &settings.config;
            Some(reached(config.endpoint.clone(), &config.tls, config.auth.as_ref(), config.speaks_tls()))
        }
        _ => None,
    }
}

fn otlp_destination(config: &OtlpConfig, signal: Signal) -> Destination {
    let OtlpConfig { tls, auth, protocol, .. } = config;
    let endpoint = config.own_endpoint(signal).unwrap_or(&config.endpoint).to_owned();
    let alone = OtlpConfig { endpoint, tls: tls.clone(), protocol: *protocol, ..OtlpConfig::default() };
    let is_tls = alone.speaks_tls();
    reached(alone.endpoint, tls, auth.as_ref(), is_tls)
}

fn reached(
    endpoint: String,
    tls: &TlsClientSettings,
    auth: Option<&ClientAuthSettings>,
    is_tls: bool,
) -> Destination {
    let has_certificate = tls.common.cert_file.is_some() || tls.common.cert_pem.is_some();
    let transport = match (is_tls, has_certificate) {
        (false, _) => Transport::Plain,
        (true, false) => Transport::Tls,
        (true, true) => Transport::MutualTls,
    };
    let credentials = auth.map(|auth| match auth {
        ClientAuthSettings::Bearer(_) => "a token",
        ClientAuthSettings::Basic(_) => "name and password",
    });
    Destination { endpoint, transport, credentials }
}

#[cfg(test)]
mod tests;
