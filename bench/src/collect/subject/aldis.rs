//! The crate `collect`.

use std::{sync::Arc, time::Duration};

use collect::{
    Counter, EventType, Overflow, StorageError, TelemetryCollector, TelemetryConfig, TelemetryData,
    TelemetryStorage, TelemetryStream,
};

use super::{Gate, Order, Subject, items, total};

/// Whoever records waits for room.
pub(super) const WAITS: Overflow = Overflow::Block(Duration::from_secs(60));
/// The buffer is a ring.
pub(super) const DROPS: Overflow = Overflow::DropOldest;

/// Keeps nothing.
struct Nowhere(Gate);

impl TelemetryStorage for Nowhere {
    fn store(&self, data: &TelemetryData) -> Result<(), StorageError> {
        self.0.pass(data.len() as u64);
        Ok(())
    }

    fn retrieve(
        &self,
        _: Option<u64>,
        _: Option<u64>,
        _: Option<usize>,
    ) -> Result<TelemetryData, StorageError> {
        Ok(TelemetryData::default())
    }
}

/// A collector with its stream, and what is recorded in it.
pub(super) struct Aldis<R> {
    collector: TelemetryCollector,
    stream: TelemetryStream,
    gate: Gate,
    record: R,
}

impl<R: Fn(&TelemetryCollector, usize)> Aldis<R> {
    /// The bounds are the default ones: 131072 records, 16 MiB.
    pub(super) fn new(order: &Order, overflow: Overflow, record: R) -> Result<Self, String> {
        let config = TelemetryConfig { overflow, buffer_size: 8192, ..TelemetryConfig::default() };
        let collector = TelemetryCollector::new(config).map_err(|error| error.to_string())?;
        let gate = order.gate();
        let stream = TelemetryStream::new(&collector, Arc::new(Nowhere(gate.clone())));
        stream.start().map_err(|error| error.to_string())?;
        Ok(Self { collector, stream, gate, record })
    }

    pub(super) fn collector(&self) -> &TelemetryCollector {
        &self.collector
    }
}

impl<R: Fn(&TelemetryCollector, usize)> Subject for Aldis<R> {
    fn record(&mut self, number: usize) {
        (self.record)(&self.collector, number);
    }

    fn finish(self) -> Result<u64, String> {
        self.stream.stop().map_err(|error| error.to_string())?;
        let stats = self.collector.stats();
        let is_whole = stats.is_closed_sum() && stats.delivered == self.gate.through();
        if is_whole { Ok(stats.delivered) } else { Err(format!("records are missing: {stats}")) }
    }
}

pub(super) fn events(order: &Order, overflow: Overflow) -> Result<impl Subject, String> {
    Aldis::new(order, overflow, |collector, number| {
        let metadata =
            [("user", "ada".into()), ("items", items(number).into()), ("total", total(number).into())];
        collector.collect_event("shop", "order placed", EventType::Info, &metadata);
    })
}

pub(super) fn metrics(order: &Order) -> Result<impl Subject, String> {
    Aldis::new(order, WAITS, |collector, number| {
        collector.collect_metric("cpu", total(number), "percent", &[("core", "0")]);
    })
}

/// A handle: what is added is one number until the next flush.
pub(super) struct Handle<R> {
    aldis: Aldis<R>,
    counter: Counter,
    added: u64,
}

pub(super) fn counter(order: &Order) -> Result<impl Subject, String> {
    let aldis = Aldis::new(order, WAITS, |_, _| ())?;
    let tags = [("method", "GET"), ("status", "200"), ("path", "/orders")];
    let counter = aldis.collector.counter("orders", "", &tags);
    Ok(Handle { aldis, counter, added: 0 })
}

impl<R: Fn(&TelemetryCollector, usize)> Subject for Handle<R> {
    fn record(&mut self, _: usize) {
        self.counter.add(1);
        self.added += 1;
    }

    fn finish(self) -> Result<u64, String> {
        self.aldis.finish()?;
        Ok(self.added - self.counter.pending())
    }
}
