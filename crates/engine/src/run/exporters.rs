//! Exporters of a graph, and the queues in front of them: an arm for each component in `open`, one in `queue` where its queue
//! is not that of an exporter which never waits.

use std::sync::Arc;

use connect::{
    debug::{DebugConfig, DebugExporter},
    file::{FileConfig, FileExporter, Seals},
    limits::{FILE_SENDS, FILE_TIMEOUT},
    otlp::OtlpExporter,
    prometheus::{
        Endpoint, PrometheusConfig, PrometheusExporter, RemoteWriteConfig, RemoteWriteExporter, Serving,
    },
    sockets::{Listener, Sockets},
    tls::ClientTls,
};
use pipeline::{
    Acknowledge, BatcherSettings, Budget, Exporter, ExporterSettings, Health, Item, Outcome, RetrySettings,
    Sender, Shards,
    exporter::BoxFuture,
    queue::{Bounds, Policy, Sizer},
};

use super::{Bound, StartError, certificates::Certificates, tap::Tap};
use crate::{
    components::{
        Id, Settings,
        delivery::{self, DeliverySettings},
        prometheus_remote_write::RemoteWriteSettings,
    },
    limits::{DIRECT_SENDS, FILE_RETRY, NO_TIMEOUT, NOP_SENDS},
};

/// What exporters are given besides their settings.
pub(super) struct Surroundings<'a> {
    /// Sockets that may be taken over.
    pub(super) sockets: &'a mut Sockets,
    /// What they keep is charged to it.
    pub(super) budget: &'a Budget,
    /// What all exporters `summary` feed.
    pub(super) tap: Option<&'a Tap>,
}

/// An exporter that has what it needs from the system, and does nothing yet.
pub(super) struct Opened {
    exporter: Arc<dyn Exporter>,
    tls: Option<ClientTls>,
    remote_write: Option<RemoteWriteExporter>,
    seals: Option<Seals>,
    waits: Waits,
}

/// What an exporter does not begin with before everything is there that is needed.
enum Waits {
    /// Nothing: it sends.
    None,
    /// To answer a Prometheus server that scrapes it.
    Prometheus(Box<Endpoint>),
    /// To write a file anew.
    File(FileExporter),
}

/// An exporter at work: its queues open what sends.
pub(super) struct Running {
    /// What its queues lead to, whatever the signal.
    pub(super) exporter: Arc<dyn Exporter>,
    tls: Option<ClientTls>,
    /// The same, where it has numbers of its own.
    pub(super) remote_write: Option<RemoteWriteExporter>,
    /// The same of files that are sealed.
    pub(super) seals: Option<Seals>,
    service: Service,
}

/// What answers in its name.
enum Service {
    None,
    Prometheus(Serving),
}

impl Opened {
    /// Takes what it needs from the system.
    pub(super) fn open(
        id: &Id,
        settings: &Settings,
        around: &mut Surroundings<'_>,
    ) -> Result<Opened, StartError> {
        let name = id.to_string();
        Ok(match settings {
            Settings::OtlpExporter(settings) => {
                let exporter = OtlpExporter::new(settings.named(&name));
                Opened { tls: exporter.tls().cloned(), ..Opened::sends(Arc::new(exporter)) }
            }
            Settings::Prometheus(settings) => {
                let config = PrometheusConfig { name, ..settings.config.clone() };
                let exporter = PrometheusExporter::with_budget(config, around.budget.clone());
                let source = |source| StartError::Serve { exporter: id.clone(), source };
                let endpoint =
                    Endpoint::bind_over(&exporter, &settings.server, around.sockets).map_err(source)?;
                Opened { waits: Waits::Prometheus(Box::new(endpoint)), ..Opened::sends(Arc::new(exporter)) }
            }
            Settings::RemoteWrite(settings) => {
                let config = RemoteWriteConfig { name, ..settings.config.clone() };
                let exporter = RemoteWriteExporter::new(config);
                let (tls, remote_write) = (exporter.tls().cloned(), Some(exporter.clone()));
                Opened { tls, remote_write, ..Opened::sends(Arc::new(exporter)) }
            }
            Settings::FileExporter(settings) => {
                let config = FileConfig { name, ..FileConfig::clone(settings) };
                let source = |source| StartError::Open { exporter: id.clone(), source };
                let exporter = FileExporter::open(config).map_err(source)?;
                let seals = exporter.seals().cloned();
                Opened { seals, waits: Waits::File(exporter.clone()), ..Opened::sends(Arc::new(exporter)) }
            }
            Settings::Debug(settings) => {
                let config = DebugConfig { name, ..settings.clone() };
                let source = |source| StartError::Open { exporter: id.clone(), source };
                Opened::sends(Arc::new(DebugExporter::start(&config).map_err(source)?))
            }
            Settings::Summary if let Some(tap) = around.tap => Opened::sends(tap.exporter(name)),
            _ => Opened::sends(Arc::new(Nowhere { name })),
        })
    }

    fn sends(exporter: Arc<dyn Exporter>) -> Opened {
        Opened { exporter, tls: None, remote_write: None, seals: None, waits: Waits::None }
    }

    /// Begins: to answer, on one of these shards, where it is asked.
    pub(super) fn start(self, shards: &Shards, shard: usize) -> Running {
        let service = match self.waits {
            Waits::None => Service::None,
            Waits::Prometheus(endpoint) => Service::Prometheus(endpoint.start(shards, shard)),
            Waits::File(exporter) => {
                exporter.begin();
                Service::None
            }
        };
        let Opened { exporter, tls, remote_write, seals, .. } = self;
        Running { exporter, tls, remote_write, seals, service }
    }
}

impl Running {
    /// Has it tell when files cannot be sealed.
    pub(super) fn watch_seals(&self, health: &Health, id: &Id) {
        self.seals.iter().for_each(|seals| seals.tell(health.clone(), format!("exporter {id} sealing")));
    }

    /// The TLS of what it sends over, or is asked over.
    pub(super) fn certificates(&self) -> impl Iterator<Item = Certificates<'_>> {
        let asked = match &self.service {
            Service::None => None,
            Service::Prometheus(serving) => serving.tls(),
        };
        self.tls.iter().map(Certificates::Connecting).chain(asked.map(Certificates::Listening))
    }

    /// What it listens on, for another to take over.
    pub(super) fn socket(&self) -> Option<Arc<Listener>> {
        match &self.service {
            Service::None => None,
            Service::Prometheus(serving) => Some(serving.socket()),
        }
    }

    /// The address that it listens on.
    pub(super) fn address(&self, id: &Id) -> Option<Bound> {
        match &self.service {
            Service::None => None,
            Service::Prometheus(serving) => {
                let address = serving.address();
                Some(Bound { receiver: id.to_string(), protocol: "prometheus", address })
            }
        }
    }
}

/// How its queue works.
pub(crate) fn queue(settings: &Settings, budget: &Budget) -> ExporterSettings {
    match settings {
        Settings::OtlpExporter(settings) => delivered(&settings.delivery, settings.config.timeout, budget),
        Settings::RemoteWrite(settings) => written(settings, budget),
        // Taking points is a matter of memory: nobody waits for long, and nobody is refused for coming at the same time.
        Settings::Prometheus(_) => {
            ExporterSettings { policy: Policy::Block, ..ExporterSettings::direct(DIRECT_SENDS) }
        }
        Settings::FileExporter(_) => ExporterSettings {
            policy: Policy::Block,
            timeout: FILE_TIMEOUT,
            retry: RetrySettings { initial_interval: FILE_RETRY, ..RetrySettings::default() },
            ..ExporterSettings::direct(FILE_SENDS)
        },
        Settings::Debug(_) => {
            ExporterSettings { policy: Policy::Block, ..ExporterSettings::direct(DIRECT_SENDS) }
        }
        _ => ExporterSettings::direct(NOP_SENDS),
    }
}

fn delivered(delivery: &DeliverySettings, timeout: std::time::Duration, budget: &Budget) -> ExporterSettings {
    let Some(queue) = &delivery.queue else {
        let direct = ExporterSettings::direct(DIRECT_SENDS);
        return ExporterSettings { policy: Policy::Block, retry: delivery.retry, timeout, ..direct };
    };
    let size = queue.queue_size as u64;
    let memory = budget.limit() as u64;
    ExporterSettings {
        consumers: queue.num_consumers,
        bounds: match queue.sizer {
            delivery::Sizer::Requests => Bounds { items: size, sizer: Sizer::Requests, bytes: memory },
            delivery::Sizer::Items => Bounds { items: size, sizer: Sizer::Records, bytes: memory },
            delivery::Sizer::Bytes => Bounds { items: u64::MAX, sizer: Sizer::Requests, bytes: size },
        },
        policy: if queue.block_on_overflow { Policy::Block } else { Policy::Refuse },
        acknowledge: if queue.wait_for_result { Acknowledge::Exported } else { Acknowledge::Accepted },
        retry: delivery.retry,
        timeout,
    }
}

/// Items leave one after the other, each as several requests that have their own timeout.
fn written(settings: &RemoteWriteSettings, budget: &Budget) -> ExporterSettings {
    let waiting = match settings.queue_size {
        None => ExporterSettings { policy: Policy::Block, ..ExporterSettings::direct(DIRECT_SENDS) },
        Some(size) => {
            let bounds = Bounds { items: size as u64, sizer: Sizer::Requests, bytes: budget.limit() as u64 };
            ExporterSettings { bounds, ..ExporterSettings::default() }
        }
    };
    ExporterSettings { consumers: 1, retry: settings.retry, timeout: NO_TIMEOUT, ..waiting }
}

/// What joins requests in front of its queue (`sending_queue.batch`).
pub(crate) fn batcher(settings: &Settings) -> Option<BatcherSettings> {
    let batch = settings.queue_batch()?;
    let by_bytes = batch.sizer == delivery::Sizer::Bytes;
    let of = |wanted: bool, size: usize| if wanted { size } else { 0 };
    Some(BatcherSettings {
        min_records: of(!by_bytes, batch.min_size),
        max_records: of(!by_bytes, batch.max_size),
        min_bytes: of(by_bytes, batch.min_size),
        max_bytes: of(by_bytes, batch.max_size),
        flush_interval: batch.flush_timeout,
        ..BatcherSettings::default()
    })
}

/// Delivers everything to nowhere.
struct Nowhere {
    name: String,
}

impl Exporter for Nowhere {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&self) -> Box<dyn Sender> {
        Box::new(Forget)
    }
}

struct Forget;

impl Sender for Forget {
    fn send<'a>(&'a self, _item: &'a Item) -> BoxFuture<'a, Outcome> {
        Box::pin(async { Outcome::DELIVERED })
    }
}
