//! What empties a queue at present: an exporter, how it is driven, and what its consumers share. Another one may take its place
//! while the queue, and what it holds, stays.

use std::sync::{Arc, PoisonError};

use otlp::Codec;

use super::ExporterSettings;
use crate::{
    Exporter, Sender,
    exporter::Packing,
    sync::{
        Mutex, MutexGuard, Notify,
        atomic::{AtomicUsize, Ordering},
    },
};

pub(super) struct Drive {
    pub(super) exporter: Arc<dyn Exporter>,
    pub(super) settings: ExporterSettings,
    /// The connection of each shard; its consumers send on it at once.
    senders: Vec<Mutex<Option<Arc<dyn Sender>>>>,
    /// One for each consumer.
    pub(super) wake: Vec<Arc<Notify>>,
}

impl Drive {
    pub(super) fn new(exporter: Arc<dyn Exporter>, settings: ExporterSettings, shards: usize) -> Self {
        let consumers = if exporter.in_order() { 1 } else { settings.consumers.max(1) };
        Self {
            exporter,
            settings,
            senders: (0..shards).map(|_| Mutex::new(None)).collect(),
            wake: (0..consumers).map(|_| Arc::new(Notify::new())).collect(),
        }
    }

    pub(super) fn consumers(&self) -> usize {
        self.wake.len()
    }

    /// The sender of a consumer's shard. Locked by that shard only.
    pub(super) fn sender(&self, consumer: usize) -> MutexGuard<'_, Option<Arc<dyn Sender>>> {
        self.senders[consumer % self.senders.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses a sender no more, unless another has taken its place: its state cannot be trusted after a panic.
    pub(super) fn close(&self, consumer: usize, sender: &Arc<dyn Sender>) {
        let mut slot = self.sender(consumer);
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, sender)) {
            *slot = None;
        }
    }
}

/// A [`Packing`] that is read without a lock. Whoever reads the one before packs for the exporter before, as those did
/// whose items wait already: senders unpack what is packed otherwise than they like.
pub(super) struct SharedPacking(AtomicUsize);

impl SharedPacking {
    pub(super) fn new(packing: Packing) -> Self {
        Self(AtomicUsize::new(number(packing)))
    }

    pub(super) fn set(&self, packing: Packing) {
        self.0.store(number(packing), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Packing {
        let number_now = self.0.load(Ordering::Relaxed);
        ALL.into_iter().find(|packing| number(*packing) == number_now).unwrap_or_default()
    }
}

const ALL: [Packing; 4] =
    [Packing::Never, Packing::Any, Packing::Only(Codec::Gzip), Packing::Only(Codec::Zstd)];

fn number(packing: Packing) -> usize {
    match packing {
        Packing::Never => 0,
        Packing::Any => 1,
        Packing::Only(Codec::Gzip) => 2,
        Packing::Only(Codec::Zstd) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packing_is_read_as_it_was_set() {
        let shared = SharedPacking::new(Packing::Never);
        for packing in ALL {
            shared.set(packing);
            assert_eq!(shared.get(), packing);
        }
    }
}
