//! The instruments of the semantic conventions that measure operations.

use crate::list::List;
use crate::model::{Endpoint, Entry, FAILURES, Failure, Leaf, LeafKind, Library, Operation};
use crate::shop::services::KAFKA;
use crate::shop::{PEERS, SERVICES};

use super::TIMED_OUT;

/// A histogram of durations in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instrument {
    HttpServer,
    HttpClient,
    RpcServer,
    RpcClient,
    Database,
    Send,
    Process,
}

pub(super) const INSTRUMENTS: [Instrument; 7] = [
    Instrument::HttpServer,
    Instrument::HttpClient,
    Instrument::RpcServer,
    Instrument::RpcClient,
    Instrument::Database,
    Instrument::Send,
    Instrument::Process,
];

/// The bounds that the conventions advise for requests and messages.
const REQUEST_BOUNDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The bounds that the conventions advise for databases.
const DATABASE_BOUNDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

impl Instrument {
    /// The one that measures this operation, if any does.
    pub(super) fn of(operation: Operation) -> Option<Self> {
        Some(match operation {
            Operation::Serve(Endpoint { entry, .. }) => match entry {
                Entry::Http { .. } => Instrument::HttpServer,
                Entry::Rpc(_) => Instrument::RpcServer,
                Entry::Message { .. } => Instrument::Process,
            },
            Operation::Call(_, Endpoint { entry: Entry::Http { .. }, .. }) => Instrument::HttpClient,
            Operation::Call(..) => Instrument::RpcClient,
            Operation::Leaf(_, leaf) => match leaf.kind {
                LeafKind::Http { .. } => Instrument::HttpClient,
                LeafKind::Sql { .. } | LeafKind::Redis { .. } => Instrument::Database,
            },
            Operation::Publish(..) => Instrument::Send,
            Operation::Block(..) => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Instrument::HttpServer => "http.server.request.duration",
            Instrument::HttpClient => "http.client.request.duration",
            Instrument::RpcServer => "rpc.server.call.duration",
            Instrument::RpcClient => "rpc.client.call.duration",
            Instrument::Database => "db.client.operation.duration",
            Instrument::Send => "messaging.client.operation.duration",
            Instrument::Process => "messaging.process.duration",
        }
    }

    pub(super) fn description(self) -> &'static str {
        match self {
            Instrument::HttpServer => "Duration of HTTP server requests.",
            Instrument::HttpClient => "Duration of HTTP client requests.",
            Instrument::RpcServer => "Duration of inbound remote procedure calls.",
            Instrument::RpcClient => "Duration of outbound remote procedure calls.",
            Instrument::Database => "Duration of database client operations.",
            Instrument::Send => "Duration of messaging operations initiated by a client.",
            Instrument::Process => "Duration of processing operations.",
        }
    }

    pub(super) fn bounds(self) -> &'static [f64] {
        match self {
            Instrument::Database => &DATABASE_BOUNDS,
            _ => &REQUEST_BOUNDS,
        }
    }

    pub(super) fn library(self) -> Library {
        match self {
            Instrument::HttpServer | Instrument::HttpClient => Library::Http,
            Instrument::RpcServer | Instrument::RpcClient => Library::Rpc,
            Instrument::Database => Library::Database,
            Instrument::Send | Instrument::Process => Library::Messaging,
        }
    }
}

/// A count of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counter {
    Sent,
    Consumed,
}

impl Counter {
    pub(super) const ALL: [Counter; 2] = [Counter::Sent, Counter::Consumed];

    pub(super) fn counts(self, operation: Operation) -> bool {
        match self {
            Counter::Sent => matches!(operation, Operation::Publish(..)),
            Counter::Consumed => Instrument::of(operation) == Some(Instrument::Process),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Counter::Sent => "messaging.client.sent.messages",
            Counter::Consumed => "messaging.client.consumed.messages",
        }
    }

    pub(super) fn description(self) -> &'static str {
        match self {
            Counter::Sent => "Number of messages a producer attempted to send to the broker.",
            Counter::Consumed => "Number of messages that were delivered to the application.",
        }
    }
}

/// The attributes of a point: few values each, unlike those of spans.
pub(super) struct PointAttributes;

impl PointAttributes {
    pub(super) fn of(operation: Operation, outcome: usize) -> List<'static> {
        let failure = outcome.checked_sub(1).and_then(|i| FAILURES.get(i).copied());
        let mut list = List::new();
        match operation {
            Operation::Serve(Endpoint { entry: Entry::Http { method, route, .. }, .. }) => {
                list.text("http.request.method", method);
                list.text("url.scheme", "http");
                list.text("http.route", route);
                list.text("network.protocol.version", "1.1");
                http_outcome(outcome, failure, Failure::is_the_servers, &mut list);
            }
            Operation::Call(_, Endpoint { entry: Entry::Http { method, route, .. }, service, .. }) => {
                let server = &SERVICES[usize::from(*service)];
                list.text("http.request.method", method);
                list.text("server.address", server.name);
                list.int("server.port", server.port.into());
                list.text("url.template", route);
                http_outcome(outcome, failure, |_| true, &mut list);
            }
            Operation::Leaf(_, leaf) => match leaf.kind {
                LeafKind::Http { method, .. } => {
                    let peer = &PEERS[usize::from(leaf.peer)];
                    list.text("http.request.method", method);
                    list.text("server.address", peer.address);
                    list.int("server.port", peer.port.into());
                    http_outcome(outcome, failure, |_| true, &mut list);
                }
                LeafKind::Sql { .. } | LeafKind::Redis { .. } => database(leaf, failure, &mut list),
            },
            Operation::Serve(Endpoint { entry: Entry::Rpc(method), .. }) => {
                rpc(method, failure, Failure::is_the_servers, &mut list);
            }
            Operation::Call(_, Endpoint { entry: Entry::Rpc(method), service, .. }) => {
                list.text("server.address", SERVICES[usize::from(*service)].name);
                list.int("server.port", SERVICES[usize::from(*service)].port.into());
                rpc(method, failure, |_| true, &mut list);
            }
            Operation::Serve(Endpoint { entry: Entry::Message { topic, group, .. }, .. })
            | Operation::Call(_, Endpoint { entry: Entry::Message { topic, group, .. }, .. }) => {
                list.text("messaging.consumer.group.name", group);
                messaging("process", topic.name, &mut list);
                if let Some(failure) = failure {
                    list.text("error.type", failure.exception(operation.service()));
                }
            }
            Operation::Publish(_, topic) => {
                list.text("messaging.operation.type", "send");
                messaging("send", topic.name, &mut list);
            }
            Operation::Block(..) => {}
        }
        list
    }
}

fn http_outcome(
    outcome: usize,
    failure: Option<Failure>,
    is_error: impl Fn(Failure) -> bool,
    list: &mut List<'static>,
) {
    if outcome == TIMED_OUT {
        list.text("error.type", "timeout");
        return;
    }
    list.int("http.response.status_code", failure.map_or(200, Failure::http_status));
    if let Some(failure) = failure.filter(|failure| is_error(*failure)) {
        list.text("error.type", failure.http_error());
    }
}

fn rpc(
    method: &'static str,
    failure: Option<Failure>,
    is_error: impl Fn(Failure) -> bool,
    list: &mut List<'static>,
) {
    list.text("rpc.system.name", "grpc");
    list.text("rpc.method", method);
    list.text("rpc.response.status_code", failure.map_or("OK", Failure::rpc_status));
    if let Some(failure) = failure.filter(|failure| is_error(*failure)) {
        list.text("error.type", failure.rpc_status());
    }
}

fn database(leaf: &'static Leaf, failure: Option<Failure>, list: &mut List<'static>) {
    let peer = &PEERS[usize::from(leaf.peer)];
    list.text("db.system.name", peer.name);
    match leaf.kind {
        LeafKind::Sql { operation, collection, .. } => {
            list.text("db.operation.name", operation);
            list.text("db.collection.name", collection);
            list.text("db.query.summary", leaf.name);
        }
        LeafKind::Redis { operation } => list.text("db.operation.name", operation),
        LeafKind::Http { .. } => {}
    }
    list.text("server.address", peer.address);
    list.int("server.port", peer.port.into());
    if failure.is_some() {
        list.text("db.response.status_code", leaf.error_code());
        list.text("error.type", leaf.error_code());
    }
}

fn messaging(operation: &'static str, topic: &'static str, list: &mut List<'static>) {
    list.text("messaging.system", "kafka");
    list.text("messaging.operation.name", operation);
    list.text("messaging.destination.name", topic);
    list.text("server.address", KAFKA.address);
    list.int("server.port", KAFKA.port.into());
}
