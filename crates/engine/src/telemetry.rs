//! What the engine tells of itself: metrics, health, a log.
//!
//! A running graph is read through handles (`sources`) by one thread of its own, so that looking costs those that carry
//! telemetry nothing and goes on when they are stuck. At a scrape `collect` makes points of counters, by the rows of
//! [`table::METRICS`]; they are a batch like any other and are rendered by the exporter that renders everybody's. Whether all
//! is well is decided by [`health`], which is told the time.

mod collect;
mod desk;
pub mod health;
mod lifetime;
pub mod logs;
mod pages;
mod points;
mod process;
pub mod settings;
mod sources;
pub mod table;
mod time;
mod traces;

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Instant};

use connect::{
    limits::PAGE_END_GRACE,
    otlp::receiver::BindError,
    page::{self, PageSettings},
    sockets::{Listener, Sockets},
    tls::ServerTls,
};
use pipeline::{Shards, Tracer};

pub use health::Verdict;
pub(crate) use lifetime::{Certificate, Reloads, ending};
pub use logs::Event;
pub use settings::TelemetrySettings;
pub(crate) use sources::{FarEnd, Names, Sources};
pub(crate) use traces::TraceMeter;

use crate::components::health_check::HealthCheckSettings;
use desk::Desk;
use pages::{HealthPage, MetricsPage};
use settings::Reader;
use traces::{Sending, Traces};

/// Why the engine cannot tell of itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum TelemetryError {
    /// An address is not to be had.
    Listen {
        /// The key in the configuration.
        key: String,
        /// Why.
        source: BindError,
    },
    /// The log's file cannot be opened.
    Log {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// No thread.
    Thread(io::Error),
}

impl std::fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TelemetryError::Listen { key, source } if key == METRICS_KEY => write!(
                f,
                "`{key}`: {source}; name another port under `readers`, or write `level: none` to do without"
            ),
            TelemetryError::Listen { key, source } => write!(f, "`{key}`: {source}"),
            TelemetryError::Log { path, source } => {
                write!(f, "`service.telemetry.logs`: {path} cannot be written: {source}")
            }
            TelemetryError::Thread(source) => write!(f, "a thread could not be started: {source}"),
        }
    }
}

impl std::error::Error for TelemetryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TelemetryError::Listen { source, .. } => Some(source),
            TelemetryError::Log { source, .. } | TelemetryError::Thread(source) => Some(source),
        }
    }
}

const METRICS_KEY: &str = "service.telemetry.metrics";

/// Sockets and files that are there, and nothing to tell yet.
pub(crate) struct Opened {
    settings: TelemetrySettings,
    desk: Arc<Desk>,
    endpoints: Vec<(String, &'static str, page::Endpoint)>,
    /// Where another runs with traces, those go on.
    traces: Option<Traces>,
    /// Where nobody listens and nothing is logged or sent there is no thread.
    shards: Option<Shards>,
}

/// What tells of a running engine. It ends when this is dropped.
pub(crate) struct Running {
    settings: TelemetrySettings,
    desk: Arc<Desk>,
    serving: Vec<(String, &'static str, page::Serving)>,
    traces: Option<Sending>,
    shards: Option<Shards>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.clear();
        if let Some(shards) = &self.shards {
            // Whoever is reading a page may read on.
            shards.stop(Instant::now() + PAGE_END_GRACE);
        }
    }
}

/// What the engine is told about what it is to tell.
#[derive(PartialEq)]
pub(crate) struct Wanted<'a> {
    pub(crate) settings: &'a TelemetrySettings,
    /// Where metrics are shown if the settings do not say it.
    pub(crate) metrics: Option<SocketAddr>,
    /// Health pages, by name.
    pub(crate) health: Vec<(String, &'a HealthCheckSettings)>,
}

impl Opened {
    /// Takes what it needs from the system: in the place of one that runs, on its thread, or for an engine that is to start.
    pub(crate) fn open(
        wanted: &Wanted<'_>,
        before: Option<&Running>,
        sockets: &mut Sockets,
    ) -> Result<Opened, TelemetryError> {
        let settings = wanted.settings;
        let desk = Arc::new(desk(settings, before)?);
        let mut endpoints = Vec::new();
        let unsaid = || wanted.metrics.map(|address| Reader::at(address.to_string())).into_iter().collect();
        for reader in &settings.readers.clone().unwrap_or_else(unsaid) {
            let page = Arc::new(MetricsPage::new(desk.clone(), settings.level, reader));
            let source = |source| TelemetryError::Listen { key: METRICS_KEY.to_owned(), source };
            let at = PageSettings::at(&reader.endpoint);
            let endpoint = page::Endpoint::bind_over(page, METRICS_KEY, &at, sockets).map_err(source)?;
            endpoints.push(("telemetry".to_owned(), "metrics", endpoint));
        }
        for (name, settings) in &wanted.health {
            let page = Arc::new(HealthPage::new(desk.clone(), (*settings).clone()));
            let source = |source| TelemetryError::Listen { key: format!("extensions.{name}"), source };
            let endpoint =
                page::Endpoint::bind_over(page, name, &settings.server, sockets).map_err(source)?;
            endpoints.push((name.clone(), "health", endpoint));
        }
        let traces = match before {
            None => settings.traces.clone().map(|traces| Traces::new(traces, desk.resource.clone())),
            Some(_) => None,
        };
        let is_idle = endpoints.is_empty() && desk.log().is_none() && settings.traces.is_none();
        let shards = match before.and_then(|before| before.shards.clone()) {
            _ if is_idle => None,
            Some(shards) => Some(shards),
            None => Some(Shards::start(1, "aldis-own").map_err(TelemetryError::Thread)?),
        };
        Ok(Opened { settings: settings.clone(), desk, endpoints, traces, shards })
    }

    /// What chooses the requests that are traced.
    pub(crate) fn tracer(&self) -> Option<&Tracer> {
        self.traces.as_ref().map(Traces::tracer)
    }

    /// Tells of what it is told to observe.
    pub(crate) fn start(self) -> Running {
        let Opened { settings, desk, endpoints, traces, shards } = self;
        let (mut serving, mut sending) = (Vec::new(), None);
        if let Some(shards) = &shards {
            let watch = Desk::watch(Arc::downgrade(&desk));
            // A task that nobody waits for at the end.
            shards.spawn(0, async { drop(tokio::spawn(watch)) });
            let serve = |(name, protocol, endpoint): (_, _, page::Endpoint)| {
                (name, protocol, endpoint.start(shards, 0))
            };
            serving = endpoints.into_iter().map(serve).collect();
            sending = traces.map(|traces| traces.start(shards));
        }
        Running { settings, desk, serving, traces: sending, shards }
    }
}

/// A log that is the same, with the same fields, is not opened again: what it counted for its sampling goes on.
fn desk(settings: &TelemetrySettings, before: Option<&Running>) -> Result<Desk, TelemetryError> {
    let log = || {
        let said = settings.resource.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
        let fields: BTreeMap<String, String> = said.collect();
        let log = settings.logs.clone().map(|logs| logs::Log::open(logs, fields)).transpose();
        let log = log.map_err(|(path, source)| TelemetryError::Log { path, source })?;
        Ok(log.map(Arc::new))
    };
    Ok(match before {
        None => Desk::new(&settings.resource, log()?),
        Some(before) => {
            let is_same =
                before.settings.logs == settings.logs && before.settings.resource == settings.resource;
            let log = if is_same { before.desk.log().cloned() } else { log()? };
            before.desk.telling(&settings.resource, log)
        }
    })
}

impl Running {
    /// From now on tells what this does. Its pages are there before those that were are gone.
    pub(crate) fn become_as(&mut self, opened: Opened) {
        let mut before = std::mem::replace(self, opened.start());
        self.traces = before.traces.take();
        self.traces.iter().for_each(|traces| traces.describe(&self.desk.resource));
        if self.shards.is_some() {
            // They are the same, if there were any.
            before.shards = None;
        }
    }

    /// What it listens on, for another to take over.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = Arc<Listener>> {
        self.serving.iter().map(|(_, _, serving)| serving.socket())
    }

    /// The TLS of its pages, by name.
    pub(crate) fn tls(&self) -> impl Iterator<Item = (&str, &ServerTls)> {
        self.serving.iter().filter_map(|(name, _, serving)| Some((name.as_str(), serving.tls()?)))
    }

    /// Tells of what runs now.
    pub(crate) fn observe(&self, sources: Sources) {
        self.desk.observe(sources);
    }

    /// Where it listens: name, protocol, address.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&str, &'static str, SocketAddr)> {
        self.serving.iter().map(|(name, protocol, serving)| (name.as_str(), *protocol, serving.address()))
    }

    /// Writes an event to the log, where there is one.
    pub(crate) fn tell(&self, event: &Event) {
        self.desk.tell(event);
    }

    /// Whether the engine is well, as its health page says it.
    pub(crate) fn verdict(&self) -> Verdict {
        self.desk.look(pipeline::clock::now_ns());
        self.desk.verdict()
    }

    /// What chooses the requests that are traced.
    pub(crate) fn tracer(&self) -> Option<&Tracer> {
        self.traces.as_ref().map(Sending::tracer)
    }

    /// What counts own spans, where there are any.
    pub(crate) fn trace_meter(&self) -> Option<TraceMeter> {
        self.traces.as_ref().map(Sending::meter)
    }

    /// Sends the last spans, now that nothing else is left to be done. Blocks, for a moment at the most.
    pub(crate) fn finish_traces(&self, deadline: Instant) {
        if let (Some(traces), Some(shards)) = (&self.traces, &self.shards) {
            traces.finish(shards, deadline);
        }
    }

    /// Says from now on that the engine is shutting down.
    pub(crate) fn drain(&self) {
        self.desk.drain();
    }
}
