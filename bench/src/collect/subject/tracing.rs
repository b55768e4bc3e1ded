//! `tracing` events: as lines of JSON by `tracing-subscriber`, and into a collector.

use std::io::{self, Write};

use collect::{TelemetryCollector, TracingLayer};
use tracing::{Dispatch, dispatcher::DefaultGuard};
use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt as _};

use super::{
    Gate, Order, Subject,
    aldis::{Aldis, WAITS},
    items, total,
};

/// Keeps nothing. Each event is one write.
struct Nowhere(Gate);

impl Write for &Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.pass(bytes.iter().filter(|byte| **byte == b'\n').count() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Nowhere {
    type Writer = &'a Nowhere;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// A subscriber for this thread, and what is behind it.
pub(super) struct Tracing<B> {
    _guard: DefaultGuard,
    behind: B,
}

pub(super) fn json(order: &Order) -> Result<Tracing<Gate>, String> {
    let gate = order.gate();
    let subscriber = tracing_subscriber::fmt().json().with_writer(Nowhere(gate.clone())).finish();
    Ok(Tracing { _guard: tracing::dispatcher::set_default(&Dispatch::new(subscriber)), behind: gate })
}

type Silent = Aldis<fn(&TelemetryCollector, usize)>;

pub(super) fn layer(order: &Order) -> Result<Tracing<Silent>, String> {
    let nothing: fn(&TelemetryCollector, usize) = |_, _| ();
    let behind = Aldis::new(order, WAITS, nothing)?;
    let subscriber = tracing_subscriber::registry().with(TracingLayer::new(behind.collector()));
    Ok(Tracing { _guard: tracing::dispatcher::set_default(&Dispatch::new(subscriber)), behind })
}

fn say(number: usize) {
    tracing::info!(target: "shop", user = "ada", items = items(number), total = total(number), "order placed");
}

impl Subject for Tracing<Gate> {
    fn record(&mut self, number: usize) {
        say(number);
    }

    fn finish(self) -> Result<u64, String> {
        Ok(self.behind.through())
    }
}

impl Subject for Tracing<Silent> {
    fn record(&mut self, number: usize) {
        say(number);
    }

    fn finish(self) -> Result<u64, String> {
        self.behind.finish()
    }
}
