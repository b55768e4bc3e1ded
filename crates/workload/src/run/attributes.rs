//! What the semantic conventions (1.40) ask to be said of spans.

use otlp::SpanStatus;
use otlp::compose::Value;

use super::{Ending, Facts, Open};
use crate::list::List;
use crate::model::{Endpoint, Entry, Failure, Leaf, LeafKind, Operation, Topic};
use crate::shop::front::PRODUCT_ROUTE;
use crate::shop::services::{CHECKOUT, FRONTEND, KAFKA};
use crate::shop::{PEERS, PRODUCTS, SERVICES};

/// Partitions of a topic.
const PARTITIONS: [&str; 3] = ["0", "1", "2"];

impl Facts {
    /// Adds what the kind of operation asks for.
    pub(super) fn describe<'s>(
        &'s self,
        open: &Open,
        failure: Option<Failure>,
        status: SpanStatus,
        ending: &Ending<'_>,
        list: &mut List<'s>,
    ) {
        match open.operation {
            Operation::Serve(endpoint) => match &endpoint.entry {
                Entry::Http { method, route, .. } => self.http_server(endpoint, method, route, failure, list),
                Entry::Rpc(method) => {
                    let server = &SERVICES[usize::from(endpoint.service)];
                    rpc(method, server.name, server.port, failure, list);
                    self.own(endpoint, list);
                }
                Entry::Message { topic, group, .. } => {
                    messaging("process", topic, list);
                    list.text("messaging.consumer.group.name", group);
                    // Whoever takes many at once begins a trace, even if there happens to be only one.
                    if open.parent.is_zero() {
                        list.int("messaging.batch.message_count", ending.messages.len() as i64);
                    } else {
                        self.message(list);
                    }
                }
            },
            Operation::Call(_, to) => call(to, failure, ending, list),
            Operation::Leaf(_, leaf) => leaf_call(leaf, failure, list),
            Operation::Publish(_, topic) => {
                messaging("send", topic, list);
                self.message(list);
            }
            Operation::Block(..) => {}
        }
        if status == SpanStatus::Error {
            list.text("error.type", error_type(open.operation, failure, ending));
        }
    }

    fn http_server<'s>(
        &'s self,
        endpoint: &Endpoint,
        method: &'static str,
        route: &'static str,
        failure: Option<Failure>,
        list: &mut List<'s>,
    ) {
        let server = &SERVICES[usize::from(endpoint.service)];
        list.text("http.request.method", method);
        list.text("http.route", route);
        list.text("url.path", if route == PRODUCT_ROUTE { PRODUCTS[self.product].1 } else { route });
        list.text("url.scheme", "http");
        list.int("http.response.status_code", failure.map_or(200, Failure::http_status));
        list.text("network.protocol.version", "1.1");
        if endpoint.service == FRONTEND {
            list.text("server.address", "lamps.example");
            list.int("server.port", 80);
            list.text("client.address", self.client);
            list.text("user_agent.original", self.user_agent);
        } else {
            list.text("server.address", server.name);
            list.int("server.port", server.port.into());
        }
    }

    /// What the shop's own code adds.
    fn own<'s>(&'s self, endpoint: &Endpoint, list: &mut List<'s>) {
        if endpoint.service == CHECKOUT {
            list.text("shop.order.id", &self.order_id);
            list.push("shop.order.amount", Value::Double(self.amount as f64 / 100.0));
            list.text("shop.currency", self.currency);
        }
    }

    /// What tells one message from others.
    fn message<'s>(&'s self, list: &mut List<'s>) {
        let partitions = PARTITIONS.len() as u64;
        list.text("messaging.destination.partition.id", PARTITIONS[(self.number % partitions) as usize]);
        list.int("messaging.kafka.offset", (self.number / partitions) as i64);
        list.text("messaging.kafka.message.key", &self.order_id);
    }
}

fn messaging(operation: &'static str, topic: &'static Topic, list: &mut List<'_>) {
    list.text("messaging.system", "kafka");
    list.text("messaging.operation.name", operation);
    list.text("messaging.operation.type", operation);
    list.text("messaging.destination.name", topic.name);
    list.text("server.address", KAFKA.address);
    list.int("server.port", KAFKA.port.into());
}

fn rpc(
    method: &'static str,
    address: &'static str,
    port: u16,
    failure: Option<Failure>,
    list: &mut List<'_>,
) {
    list.text("rpc.system.name", "grpc");
    list.text("rpc.method", method);
    list.text("rpc.response.status_code", failure.map_or("OK", Failure::rpc_status));
    list.text("server.address", address);
    list.int("server.port", port.into());
}

fn call(to: &'static Endpoint, failure: Option<Failure>, ending: &Ending<'_>, list: &mut List<'_>) {
    let server = &SERVICES[usize::from(to.service)];
    match &to.entry {
        Entry::Http { method, route, .. } => {
            list.text("http.request.method", method);
            list.text("url.full", full_url(route));
            list.text("url.template", route);
            list.text("server.address", server.name);
            list.int("server.port", server.port.into());
            list.text("network.protocol.version", "1.1");
            if !ending.timed_out {
                list.int("http.response.status_code", failure.map_or(200, Failure::http_status));
            }
            if ending.resend > 0 {
                list.int("http.request.resend_count", ending.resend.into());
            }
        }
        Entry::Rpc(method) => rpc(method, server.name, server.port, failure, list),
        Entry::Message { .. } => {}
    }
}

/// The URL of a service behind the frontend that speaks HTTP: there is only shipping.
fn full_url(route: &'static str) -> &'static str {
    match route {
        "/quote" => "http://shipping:8088/quote",
        _ => "http://shipping:8088/shipments",
    }
}

fn leaf_call(leaf: &'static Leaf, failure: Option<Failure>, list: &mut List<'_>) {
    let peer = &PEERS[usize::from(leaf.peer)];
    match leaf.kind {
        LeafKind::Sql { operation, collection, text } => {
            list.text("db.system.name", peer.name);
            list.text("db.namespace", "shop");
            list.text("db.operation.name", operation);
            list.text("db.collection.name", collection);
            list.text("db.query.summary", leaf.name);
            list.text("db.query.text", text);
        }
        LeafKind::Redis { operation } => {
            list.text("db.system.name", peer.name);
            list.text("db.namespace", "0");
            list.text("db.operation.name", operation);
        }
        LeafKind::Http { method, url } => {
            list.text("http.request.method", method);
            list.text("url.full", url);
            list.int("http.response.status_code", failure.map_or(200, Failure::http_status));
        }
    }
    list.text("server.address", peer.address);
    list.int("server.port", peer.port.into());
    if failure.is_some() && !matches!(leaf.kind, LeafKind::Http { .. }) {
        list.text("db.response.status_code", leaf.error_code());
    }
}

fn error_type(operation: Operation, failure: Option<Failure>, ending: &Ending<'_>) -> &'static str {
    let Some(failure) = failure else { return "_OTHER" };
    match operation {
        Operation::Leaf(_, leaf) => leaf.error_code(),
        Operation::Serve(to) | Operation::Call(_, to) => match to.entry {
            Entry::Http { .. } if ending.timed_out => "timeout",
            Entry::Http { .. } => failure.http_error(),
            Entry::Rpc(_) => failure.rpc_status(),
            Entry::Message { .. } => failure.exception(operation.service()),
        },
        Operation::Publish(..) | Operation::Block(..) => failure.exception(operation.service()),
    }
}
