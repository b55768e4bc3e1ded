//! Settings of a pipeline, and how it is put together.

use std::{array, sync::Arc, time::Duration};

use otlp::Depth;

use super::{
    BuildError, Core, RECORDED, TelemetryPipeline,
    intake::{Intake, IntakeSettings},
    statistics::Fates,
    stream::Tap,
    worker::{self, Barrier},
};
use crate::{
    Acknowledge, Batcher, BatcherSettings, Budget, Chain, ChainParts, Compressor, Exporter, ExporterQueue,
    ExporterSettings, Health, Ledger, Outlet, Shards, Step,
    exporter::NullExporter,
    limits,
    queue::{Bounds, Policy, Size, Sizer},
    sync::watch,
};

/// What happens when records come faster than they leave and the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackpressureStrategy {
    /// The oldest make room: recent data stays.
    #[default]
    DropOldest,
    /// The newest are not taken: what came first stays.
    DropNewest,
    /// Spans and log records are sampled more and more thinly as the queue fills: by their trace id, so that a trace and
    /// its logs stay together, or by a hash of themselves where they have none. What stays says by which threshold (the
    /// trace state of a span, the attribute `sampling.threshold` of a log record), so that counts stay unbiased. Data
    /// points are never sampled, since a sum without some of its points is wrong: they, and what does not fit all the
    /// same, are dropped when the queue is full.
    AdaptiveSampling,
    /// Whoever records waits.
    Block,
}

/// Requests that one worker hands to an exporter's queue at most between two looks at its room: what a batcher had, what
/// came, and the rests of three signals whose time is over.
const REQUESTS_AT_ONCE: u64 = 8;

/// Settings of a [`TelemetryPipeline`].
pub struct TelemetryPipelineBuilder {
    batch_size: usize,
    flush_interval: Duration,
    channel_capacity: usize,
    channel_bytes: usize,
    stream_bytes: usize,
    compression: bool,
    compressor: Option<Arc<dyn Compressor>>,
    strategy: BackpressureStrategy,
    exporters: Vec<Arc<dyn Exporter>>,
    exporter_settings: ExporterSettings,
    shards: usize,
}

impl Default for TelemetryPipelineBuilder {
    fn default() -> Self {
        Self {
            batch_size: limits::DEFAULT_BATCH_SIZE,
            flush_interval: limits::DEFAULT_FLUSH_INTERVAL,
            channel_capacity: limits::DEFAULT_CHANNEL_CAPACITY,
            channel_bytes: limits::DEFAULT_CHANNEL_BYTES,
            stream_bytes: limits::DEFAULT_STREAM_BYTES,
            compression: false,
            compressor: None,
            strategy: BackpressureStrategy::default(),
            exporters: Vec::new(),
            exporter_settings: ExporterSettings::default(),
            shards: 0,
        }
    }
}

impl TelemetryPipelineBuilder {
    /// At most so many records in a batch. At least 1.
    pub fn with_batch_size(mut self, records: usize) -> Self {
        self.batch_size = records;
        self
    }

    /// No record waits longer than this for others to travel with. A batch leaves earlier when it is full, or when an
    /// exporter has nothing to do.
    pub fn with_flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = interval;
        self
    }

    /// At most so many records wait between those who record and the exporters. At least 1.
    pub fn with_channel_capacity(mut self, records: usize) -> Self {
        self.channel_capacity = records;
        self
    }

    /// At most so many bytes wait there. At least 1; one request may always pass, however large.
    pub fn with_channel_bytes(mut self, bytes: usize) -> Self {
        self.channel_bytes = bytes;
        self
    }

    /// Compresses requests once, before they enter the queues of the exporters, as the first exporter that compresses
    /// does it ([`Exporter::compressor`]), or as [`TelemetryPipelineBuilder::with_compressor`] says.
    pub fn with_compression(mut self, compress: bool) -> Self {
        self.compression = compress;
        self
    }

    /// What compresses when [`TelemetryPipelineBuilder::with_compression`] is on.
    pub fn with_compressor(mut self, compressor: Arc<dyn Compressor>) -> Self {
        self.compressor = Some(compressor);
        self
    }

    /// What happens when the queue is full.
    pub fn with_backpressure_strategy(mut self, strategy: BackpressureStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Adds a destination. Every record goes to each that takes its signal ([`Exporter::takes`]). Where there is none, records
    /// are counted and end there.
    pub fn with_exporter(mut self, exporter: Arc<dyn Exporter>) -> Self {
        self.exporters.push(exporter);
        self
    }

    /// Concurrency, timeout and retries of each exporter; bounds, policy and acknowledgement follow from the pipeline's own
    /// settings.
    pub fn with_exporter_settings(mut self, settings: ExporterSettings) -> Self {
        self.exporter_settings = settings;
        self
    }

    /// Worker threads; 0 (the default) is as many as there are CPUs to use.
    pub fn with_shards(mut self, threads: usize) -> Self {
        self.shards = threads;
        self
    }

    /// Bytes of recent batches kept for [`TelemetryPipeline::event_stream`]; 0 keeps none.
    pub fn with_event_stream_bytes(mut self, bytes: usize) -> Self {
        self.stream_bytes = bytes;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When a setting is out of range, or the system refuses threads.
    pub fn build(self) -> Result<TelemetryPipeline, BuildError> {
        let at_least_one = [
            ("with_batch_size", self.batch_size),
            ("with_channel_capacity", self.channel_capacity),
            ("with_channel_bytes", self.channel_bytes),
        ];
        if let Some((name, _)) = at_least_one.iter().find(|(_, value)| *value == 0) {
            return Err(BuildError::Setting { name, expected: "at least 1" });
        }
        let shards = Shards::start(self.shards, "aldis").map_err(BuildError::Threads)?;
        let (ledger, health) = (Ledger::new(), Health::new());
        let queues = self.start_exporters(&shards, &ledger, &health);
        let chains: Vec<_> =
            (0..shards.count()).map(|shard| self.chains_of(shard, &queues, &ledger)).collect();
        for (shard, chain) in
            chains.iter().enumerate().flat_map(|(i, chains)| chains.iter().map(move |c| (i, c)))
        {
            shards.spawn(shard, chain.clone().run());
        }
        let settings = IntakeSettings {
            records: self.channel_capacity,
            bytes: self.channel_bytes,
            batch_size: self.batch_size,
            strategy: self.strategy,
            depth: chains[0]
                .iter()
                .map(|chain| crate::Inlet::depth(&**chain))
                .fold(Depth::Records, Depth::max),
            workers: shards.count(),
        };
        let core = Arc::new(Core {
            intake: Intake::new(&settings),
            tap: Arc::new(Tap::new(self.stream_bytes)),
            barrier: Barrier::new(shards.count()),
            fates: Arc::new(Fates::default()),
            queues,
            chains,
            blocks: self.strategy == BackpressureStrategy::Block,
            ask: self.ask(shards.count()),
            flush_interval: self.flush_interval,
            ledger,
            health,
            working: watch::Sender::new(shards.count()),
            shards,
        });
        for shard in 0..core.shards.count() {
            core.shards.spawn(shard, worker::run(core.clone(), shard));
        }
        Ok(TelemetryPipeline { core })
    }

    fn start_exporters(&self, shards: &Shards, ledger: &Ledger, health: &Health) -> Vec<ExporterQueue> {
        // The pipeline's own queue is the buffer; an exporter's holds what its consumers need not to wait.
        let waiting = self.exporter_settings.consumers.max(1) as u64 * 2;
        let ask = self.ask(shards.count());
        let settings = ExporterSettings {
            bounds: Bounds {
                items: waiting * 2 + ask.requests,
                sizer: Sizer::Requests,
                bytes: self.channel_bytes as u64 + ask.bytes,
            },
            policy: match self.strategy {
                BackpressureStrategy::DropOldest => Policy::DropOldest,
                BackpressureStrategy::DropNewest | BackpressureStrategy::AdaptiveSampling => {
                    Policy::DropNewest
                }
                BackpressureStrategy::Block => Policy::Block,
            },
            acknowledge: Acknowledge::Exported,
            ..self.exporter_settings
        };
        let start =
            |exporter: Arc<dyn Exporter>| ExporterQueue::start(exporter, settings, shards, ledger, health);
        if self.exporters.is_empty() {
            return vec![start(Arc::new(NullExporter))];
        }
        self.exporters.iter().cloned().map(start).collect()
    }

    /// The room that a worker asks for before it takes a request out of the intake: for what all workers may hand over
    /// between asking and doing it, lest they drop what had room in the intake.
    fn ask(&self, workers: usize) -> Size {
        Size { requests: workers as u64 * REQUESTS_AT_ONCE, records: 0, bytes: self.channel_bytes as u64 }
    }

    fn chains_of(
        &self,
        shard: usize,
        queues: &[ExporterQueue],
        ledger: &Ledger,
    ) -> [Arc<Chain>; RECORDED.len()] {
        let compressor = if self.compression {
            let own = || self.exporters.iter().find_map(|exporter| exporter.compressor());
            self.compressor.clone().or_else(own)
        } else {
            None
        };
        array::from_fn(|i| {
            let batcher = Batcher::new(BatcherSettings {
                min_records: self.batch_size,
                max_records: self.batch_size,
                flush_interval: self.flush_interval,
                ..BatcherSettings::default()
            });
            let parts = ChainParts {
                name: RECORDED[i].name().to_owned(),
                signal: RECORDED[i],
                shard,
                steps: vec![Step::Batcher(batcher)],
                outlets: queues
                    .iter()
                    .filter(|queue| queue.takes(RECORDED[i]))
                    .map(|queue| Outlet::Exporter { queue: queue.clone(), required: true })
                    .collect(),
                depth: Depth::Records,
                budget: Budget::new(self.channel_bytes),
                limiter: None,
                compressor: compressor.clone(),
            };
            Chain::new(parts, ledger)
        })
    }
}
