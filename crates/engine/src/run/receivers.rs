//! Receivers of a graph: an arm for each component in three places.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use connect::{
    file::{FileReceiver, FileReceiverConfig, Follows},
    otlp::{Inlets, Listening, Receiver, ReceiverCounts, ReceiverMeter, ReceiverSettings},
    sockets::{Listener, Sockets},
};
use pipeline::{Health, Shards, Tracer};

use super::{Bound, StartError, certificates::Certificates};
use crate::components::{Id, Settings};

/// What receivers are given besides their settings.
pub(super) struct Surroundings<'a> {
    /// Sockets that may be taken over.
    pub(super) sockets: &'a mut Sockets,
    /// What is counted in, whoever has the name.
    pub(super) books: &'a mut BTreeMap<Id, ReceiverMeter>,
    /// Those that run: whoever has the name of one takes its place.
    pub(super) running: &'a BTreeMap<Id, Arc<Running>>,
    /// What chooses the requests that are traced.
    pub(super) tracer: Option<&'a Tracer>,
}

/// A receiver that has what it needs from the system (its ports, say), and does nothing yet.
pub(super) enum Opened {
    /// `otlp`.
    Otlp(Box<Receiver>),
    /// `otlpjsonfile`.
    File(Box<FileReceiver>),
    /// One that takes nothing in.
    Nop,
}

/// A receiver at work.
pub(super) enum Running {
    /// `otlp`.
    Otlp(Listening),
    /// `otlpjsonfile`.
    File(Follows),
    /// One that takes nothing in.
    Nop,
}

impl Opened {
    /// Takes what it needs from the system.
    pub(super) fn open(
        id: &Id,
        settings: &Settings,
        around: &mut Surroundings<'_>,
    ) -> Result<Opened, StartError> {
        Ok(match settings {
            Settings::OtlpReceiver(settings) => {
                let named =
                    ReceiverSettings { name: id.to_string().into(), ..ReceiverSettings::clone(settings) };
                let source = |source| StartError::Listen { receiver: id.clone(), source };
                let receiver = Receiver::bind_over(named, around.sockets).map_err(source)?;
                let books = around.books.entry(id.clone()).or_default().clone();
                Opened::Otlp(Box::new(receiver.counting_in(books).traced_by(around.tracer.cloned())))
            }
            Settings::FileReceiver(settings) => {
                let named =
                    FileReceiverConfig { name: id.to_string(), ..FileReceiverConfig::clone(settings) };
                let source = |source| StartError::OpenReceiver { receiver: id.clone(), source };
                let before = around.running.get(id).and_then(|running| running.follows());
                let receiver = FileReceiver::open_over(named, before).map_err(source)?;
                let books = around.books.entry(id.clone()).or_default().clone();
                Opened::File(Box::new(receiver.counting_in(books)))
            }
            _ => Opened::Nop,
        })
    }

    /// Begins to lead what comes into these inlets, one set for each shard.
    pub(super) fn start(self, shards: &Shards, inlets: Vec<Inlets>, health: &Health) -> Running {
        match self {
            Opened::Otlp(receiver) => Running::Otlp(receiver.start(shards, inlets)),
            Opened::File(receiver) => Running::File(receiver.start(shards, inlets, health)),
            Opened::Nop => Running::Nop,
        }
    }
}

impl Running {
    /// The files that it follows.
    fn follows(&self) -> Option<&Follows> {
        match self {
            Running::File(follows) => Some(follows),
            Running::Otlp(_) | Running::Nop => None,
        }
    }

    /// The addresses that it listens on.
    pub(super) fn addresses(&self, id: &Id) -> Vec<Bound> {
        let bound = match self {
            Running::Otlp(listening) => {
                vec![("grpc", listening.grpc_addr()), ("http", listening.http_addr())]
            }
            Running::File(_) | Running::Nop => Vec::new(),
        };
        let of = |(protocol, address): (_, Option<_>)| {
            address.map(|address| Bound { receiver: id.to_string(), protocol, address })
        };
        bound.into_iter().filter_map(of).collect()
    }

    /// The TLS of what it listens on, by protocol.
    pub(super) fn certificates(&self) -> impl Iterator<Item = (&'static str, Certificates<'_>)> {
        let listening = match self {
            Running::Otlp(listening) => Some(listening),
            Running::File(_) | Running::Nop => None,
        };
        let tls = listening.into_iter().flat_map(|listening| listening.tls_by_protocol());
        tls.map(|(protocol, tls)| (protocol, Certificates::Listening(tls)))
    }

    /// What it counted so far, where it counts more than what is in its books.
    pub(super) fn counts(&self) -> Option<ReceiverCounts> {
        match self {
            Running::Otlp(listening) => Some(listening.counts()),
            Running::File(_) | Running::Nop => None,
        }
    }

    /// What it listens on, for another to take over.
    pub(super) fn sockets(&self) -> Vec<Arc<Listener>> {
        match self {
            Running::Otlp(listening) => listening.sockets(),
            Running::File(_) | Running::Nop => Vec::new(),
        }
    }

    /// Stops listening, and has those who send go to who takes its place once they have their answers.
    pub(super) fn leave(&self) {
        match self {
            Running::Otlp(listening) => listening.leave(),
            Running::File(follows) => follows.leave(),
            Running::Nop => {}
        }
    }

    /// Waits until `deadline` for all who send to be gone, which they were told. Blocks.
    pub(super) fn wait_for_none(&self, deadline: Instant) {
        match self {
            Running::Otlp(listening) => listening.wait_for_none(deadline),
            Running::File(follows) => drop(follows.stop(deadline)),
            Running::Nop => {}
        }
    }

    /// Takes nothing new, waits until `deadline` for what it is in the middle of, and ends. Returns how many connections had to
    /// be cut off. Blocks, so it must not be called on a shard.
    pub(super) fn stop(&self, deadline: Instant) -> usize {
        match self {
            Running::Otlp(listening) => listening.drain(deadline),
            Running::File(follows) => {
                // What it had no answer for is read again after the next start: nothing is cut off.
                follows.stop(deadline);
                0
            }
            Running::Nop => 0,
        }
    }
}
