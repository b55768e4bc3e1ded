//! Exporters of a graph, and the queues in front of them.

use std::sync::Arc;

use connect::otlp::OtlpExporter;
use pipeline::{
    Acknowledge, Batcher, BatcherSettings, Budget, Exporter, ExporterSettings, Item, Outcome, Sender, Step,
    exporter::BoxFuture,
    queue::{Bounds, Policy, Sizer},
};

use crate::{
    components::{
        Id, Settings,
        delivery::{self, DeliverySettings},
    },
    limits::{DIRECT_SENDS, NOP_SENDS},
};

use super::tap::Tap;

/// An exporter of this name.
pub(super) fn exporter(id: &Id, settings: &Settings, tap: Option<&Tap>) -> Arc<dyn Exporter> {
    match settings {
        Settings::OtlpExporter(settings) => Arc::new(OtlpExporter::new(settings.named(&id.to_string()))),
        Settings::Summary if let Some(tap) = tap => tap.exporter(id.to_string()),
        _ => Arc::new(Nowhere { name: id.to_string() }),
    }
}

/// How its queue works.
pub(super) fn queue(settings: &Settings, budget: &Budget) -> ExporterSettings {
    match settings {
        Settings::OtlpExporter(settings) => delivered(&settings.delivery, settings.config.timeout, budget),
        // Taking points is a matter of memory: nobody waits for long, and nobody is refused for coming at the same time.
        Settings::Prometheus(_) => {
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

/// What joins requests in front of its queue (`sending_queue.batch`).
pub(super) fn batcher(settings: &Settings) -> Option<Step> {
    let Settings::OtlpExporter(settings) = settings else { return None };
    let batch = settings.delivery.queue.as_ref()?.batch.as_ref()?;
    let by_bytes = batch.sizer == delivery::Sizer::Bytes;
    let of = |wanted: bool, size: usize| if wanted { size } else { 0 };
    Some(Step::Batcher(Batcher::new(BatcherSettings {
        min_records: of(!by_bytes, batch.min_size),
        max_records: of(!by_bytes, batch.max_size),
        min_bytes: of(by_bytes, batch.min_size),
        max_bytes: of(by_bytes, batch.max_size),
        flush_interval: batch.flush_timeout,
        ..BatcherSettings::default()
    })))
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
