//! What a system is made of: services, what they serve, and the steps that serving takes.

use crate::latency::Latency;
use crate::shop::SERVICES;
use crate::truth::SpanKind;

/// A program that runs in several instances.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// As `telemetry.sdk.language` names it.
    pub(crate) language: &'static str,
    pub(crate) sdk_version: &'static str,
    pub(crate) port: u16,
    /// Instrumentation libraries, by [`Library`].
    pub(crate) libraries: [(&'static str, &'static str); 5],
    /// The exception types that its language has for the failures, in the order of [`Failure`].
    pub(crate) exceptions: [&'static str; 5],
    /// Where they are thrown.
    pub(crate) stack: &'static str,
}

/// Which of a service's instrumentation libraries made a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    /// The program itself.
    Own,
    Http,
    Rpc,
    Database,
    Messaging,
}

/// Why something did not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Unavailable,
    Deadline,
    Internal,
    /// The request was understood and refused.
    Declined,
    NotFound,
}

/// What a server is asked.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Unique among endpoints, below [`ENDPOINTS_MAX`].
    pub(crate) id: u8,
    /// A number in [`crate::shop::SERVICES`].
    pub(crate) service: u8,
    pub(crate) entry: Entry,
    pub(crate) steps: &'static [Step],
}

/// How a server is asked.
#[derive(Debug)]
pub(crate) enum Entry {
    /// The name of the span is the method and the route.
    Http { name: &'static str, method: &'static str, route: &'static str },
    /// Package, service and method.
    Rpc(&'static str),
    /// A message of this topic, processed by this consumer group.
    Message { name: &'static str, topic: &'static Topic, group: &'static str },
}

/// Where messages are put.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) id: u8,
    pub(crate) name: &'static str,
    /// The name of the span that puts one there.
    pub(crate) send: &'static str,
    pub(crate) latency: Latency,
    /// Who processes each message, in the trace of who sent it.
    pub(crate) consumers: &'static [&'static Endpoint],
    /// From sending to processing.
    pub(crate) lag: Latency,
}

/// A call to something that tells nothing of itself.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// One for all that look alike from outside, below [`LEAVES_MAX`].
    pub(crate) id: u8,
    /// A number in [`crate::shop::PEERS`].
    pub(crate) peer: u8,
    /// The name of the span.
    pub(crate) name: &'static str,
    pub(crate) kind: LeafKind,
    pub(crate) latency: Latency,
    /// How often it fails by itself.
    pub(crate) fails_per_million: u32,
}

#[derive(Debug)]
pub(crate) enum LeafKind {
    /// A relational database: operation, collection, statement.
    Sql { operation: &'static str, collection: &'static str, text: &'static str },
    /// A key-value store: command.
    Redis { operation: &'static str },
    /// A web API outside: method, URL.
    Http { method: &'static str, url: &'static str },
}

impl Leaf {
    /// What it answers when it fails: SQLSTATE "cannot connect now", Redis's "loading the dataset", HTTP 503.
    pub(crate) fn error_code(&self) -> &'static str {
        match self.kind {
            LeafKind::Sql { .. } => "57P03",
            LeafKind::Redis { .. } => "LOADING",
            LeafKind::Http { .. } => "503",
        }
    }
}

/// A system outside of the services.
#[derive(Debug)]
pub(crate) struct Peer {
    /// What it is called in call graphs: the database system, or the host.
    pub(crate) name: &'static str,
    pub(crate) address: &'static str,
    pub(crate) port: u16,
}

/// A part of a service's own work that it shows as a span.
#[derive(Debug)]
pub(crate) struct Block {
    /// Unique among blocks, below [`BLOCKS_MAX`].
    pub(crate) id: u8,
    pub(crate) name: &'static str,
    pub(crate) steps: &'static [Step],
}

/// What a server does next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Computes.
    Work(Latency),
    /// Does a part of its work in a span of its own.
    Block(&'static Block),
    /// Asks another service.
    Call(Call),
    /// Asks something that tells nothing of itself.
    Leaf(&'static Leaf),
    /// Looks into a cache and does more if it is not there.
    Cached { get: &'static Leaf, hits_per_million: u32, miss: &'static [Step] },
    /// Does these at the same time and waits for all.
    Parallel(&'static [Step]),
    /// Does this several times, at the same time or one after the other.
    Repeat { least: u8, most: u8, parallel: bool, step: &'static Step },
    /// Does these now and then.
    Sometimes { per_million: u32, steps: &'static [Step] },
    /// Refuses now and then.
    Refuse { per_million: u32, failure: Failure },
    /// Sends a message and does not wait for what becomes of it.
    Publish(&'static Topic),
    /// Tells the log that an order is placed.
    OrderPlaced,
}

/// A call of another service, tried again if it may help.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) to: &'static Endpoint,
    pub(crate) timeout_ms: u32,
    /// At least one.
    pub(crate) attempts: u8,
    /// Whether the caller fails if the call does.
    pub(crate) required: bool,
}

/// More than there are endpoints in a model.
pub(crate) const ENDPOINTS_MAX: usize = 32;
/// More than there are leaves in a model.
pub(crate) const LEAVES_MAX: usize = 32;
/// More than there are blocks in a model.
pub(crate) const BLOCKS_MAX: usize = 16;
/// More than there are topics in a model.
pub(crate) const TOPICS_MAX: usize = 4;
/// More than there are services in a model.
pub(crate) const SERVICES_MAX: usize = 16;

/// What spans are of: the same service doing the same thing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// Being asked.
    Serve(&'static Endpoint),
    /// A service asking another.
    Call(u8, &'static Endpoint),
    /// A service asking a leaf.
    Leaf(u8, &'static Leaf),
    /// A service sending a message.
    Publish(u8, &'static Topic),
    /// A service at work.
    Block(u8, &'static Block),
}

/// More than any number of an operation.
pub(crate) const OPERATIONS_MAX: usize =
    ENDPOINTS_MAX + SERVICES_MAX * (ENDPOINTS_MAX + LEAVES_MAX + TOPICS_MAX + BLOCKS_MAX);

impl Operation {
    /// A small number of its own.
    pub(crate) fn number(self) -> usize {
        let of = |service: u8, within: usize| {
            ENDPOINTS_MAX
                + usize::from(service) * (ENDPOINTS_MAX + LEAVES_MAX + TOPICS_MAX + BLOCKS_MAX)
                + within
        };
        match self {
            Operation::Serve(endpoint) => endpoint.id.into(),
            Operation::Call(service, to) => of(service, to.id.into()),
            Operation::Leaf(service, leaf) => of(service, ENDPOINTS_MAX + usize::from(leaf.id)),
            Operation::Publish(service, topic) => {
                of(service, ENDPOINTS_MAX + LEAVES_MAX + usize::from(topic.id))
            }
            Operation::Block(service, block) => {
                of(service, ENDPOINTS_MAX + LEAVES_MAX + TOPICS_MAX + usize::from(block.id))
            }
        }
    }

    pub(crate) fn service(self) -> u8 {
        match self {
            Operation::Serve(endpoint) => endpoint.service,
            Operation::Call(service, _)
            | Operation::Leaf(service, _)
            | Operation::Publish(service, _)
            | Operation::Block(service, _) => service,
        }
    }

    pub(crate) fn kind(self) -> SpanKind {
        match self {
            Operation::Serve(Endpoint { entry: Entry::Message { .. }, .. }) => SpanKind::Consumer,
            Operation::Serve(_) => SpanKind::Server,
            Operation::Call(..) | Operation::Leaf(..) => SpanKind::Client,
            Operation::Publish(..) => SpanKind::Producer,
            Operation::Block(..) => SpanKind::Internal,
        }
    }

    /// The name of the span. An HTTP client knows the template of its URL, which is the route.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Serve(endpoint) | Operation::Call(_, endpoint) => match &endpoint.entry {
                Entry::Http { name, .. } | Entry::Rpc(name) | Entry::Message { name, .. } => name,
            },
            Operation::Leaf(_, leaf) => leaf.name,
            Operation::Publish(_, topic) => topic.send,
            Operation::Block(_, block) => block.name,
        }
    }

    /// Who made the span.
    pub(crate) fn library(self) -> Library {
        match self {
            Operation::Serve(to) | Operation::Call(_, to) => match to.entry {
                Entry::Http { .. } => Library::Http,
                Entry::Rpc(_) => Library::Rpc,
                Entry::Message { .. } => Library::Messaging,
            },
            Operation::Leaf(_, leaf) => match leaf.kind {
                LeafKind::Http { .. } => Library::Http,
                LeafKind::Sql { .. } | LeafKind::Redis { .. } => Library::Database,
            },
            Operation::Publish(..) => Library::Messaging,
            Operation::Block(..) => Library::Own,
        }
    }
}

/// Every failure, by number.
pub(crate) const FAILURES: [Failure; 5] =
    [Failure::Unavailable, Failure::Deadline, Failure::Internal, Failure::Declined, Failure::NotFound];

impl Failure {
    /// The type of the exception that this service throws.
    pub(crate) fn exception(self, service: u8) -> &'static str {
        SERVICES[usize::from(service)].exceptions[self as usize]
    }

    /// Whether trying again may help.
    pub(crate) fn is_passing(self) -> bool {
        matches!(self, Failure::Unavailable | Failure::Deadline)
    }

    pub(crate) fn http_status(self) -> i64 {
        match self {
            Failure::Unavailable => 503,
            Failure::Deadline => 504,
            Failure::Internal => 500,
            Failure::Declined => 402,
            Failure::NotFound => 404,
        }
    }

    pub(crate) fn http_error(self) -> &'static str {
        match self {
            Failure::Unavailable => "503",
            Failure::Deadline => "504",
            Failure::Internal => "500",
            Failure::Declined => "402",
            Failure::NotFound => "404",
        }
    }

    pub(crate) fn rpc_status(self) -> &'static str {
        match self {
            Failure::Unavailable => "UNAVAILABLE",
            Failure::Deadline => "DEADLINE_EXCEEDED",
            Failure::Internal => "INTERNAL",
            Failure::Declined => "FAILED_PRECONDITION",
            Failure::NotFound => "NOT_FOUND",
        }
    }

    /// Whether who answers so has failed, and not only who asked: 5xx of HTTP; of gRPC what the conventions list for servers.
    pub(crate) fn is_the_servers(self) -> bool {
        matches!(self, Failure::Unavailable | Failure::Deadline | Failure::Internal)
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Failure::Unavailable => "upstream connect error or connection refused",
            Failure::Deadline => "deadline exceeded while waiting for a response",
            Failure::Internal => "unexpected state while handling the request",
            Failure::Declined => "the card was declined by its issuer",
            Failure::NotFound => "no such product",
        }
    }

    /// A number from 1; 0 is success.
    pub(crate) fn code(failure: Option<Failure>) -> usize {
        failure.map_or(0, |failure| failure as usize + 1)
    }
}

/// One more than any [`Failure::code`].
pub(crate) const OUTCOMES: usize = 6;
