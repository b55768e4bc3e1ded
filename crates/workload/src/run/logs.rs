//! What services write into their logs.

use std::fmt::Write as _;

use otlp::compose::{LogParts, Value};

use super::span::FLAGS;
use super::{Open, Run, Served};
use crate::flight::Event;
use crate::list::List;
use crate::model::{Call, Endpoint, Failure, Library, Operation};
use crate::shop::PRODUCTS;

/// Severities, as OTLP numbers and their sources name them.
const DEBUG: (u8, &str) = (5, "DEBUG");
const INFO: (u8, &str) = (9, "INFO");
const WARN: (u8, &str) = (13, "WARN");
const ERROR: (u8, &str) = (17, "ERROR");

impl Run<'_> {
    /// What the frontend writes about every request.
    pub(super) fn access_log(&mut self, endpoint: &'static Endpoint, at_ns: u64, served: Served) {
        let root = &self.flight.spans[0];
        let instance = self.world.fleet.place(endpoint.service, root.instance);
        let open = Open {
            operation: Operation::Serve(endpoint),
            instance,
            index: 0,
            id: root.span_id,
            parent: otlp::SpanId::default(),
            remote: true,
            start_ns: at_ns,
        };
        let status = served.failure.map_or(200, Failure::http_status);
        let ms = (served.end_ns - at_ns) / 1_000_000;
        let mut body = std::mem::take(&mut self.scratch);
        body.clear();
        let _ = write!(body, "{} {status} in {ms} ms", open.operation.name());
        let severity = if served.failure.is_some_and(Failure::is_the_servers) { ERROR } else { INFO };
        let mut list = List::new();
        list.int("http.response.status_code", status);
        self.log(&open, served.end_ns, severity, &body, &list, "");
        self.scratch = body;
    }

    pub(super) fn error_log(&mut self, open: &Open, failure: Option<Failure>, at_ns: u64) {
        let Some(failure) = failure else { return };
        let mut list = List::new();
        list.text("exception.type", failure.exception(open.operation.service()));
        list.text("exception.message", failure.message());
        list.text("exception.stacktrace", self.service_of(open).stack);
        self.log(open, at_ns, ERROR, failure.message(), &list, "");
    }

    pub(super) fn retry_log(
        &mut self,
        open: &Open,
        call: &Call,
        attempt: u8,
        failure: Option<Failure>,
        pause_ns: u64,
        at_ns: u64,
    ) {
        let mut body = std::mem::take(&mut self.scratch);
        body.clear();
        let (name, why) = (Operation::Serve(call.to).name(), failure.map_or("OK", Failure::rpc_status));
        let (next, pause) = (attempt + 2, pause_ns / 1_000_000);
        let _ = write!(body, "{name}: {why}, try {next} of {} in {pause} ms", call.attempts);
        self.log(open, at_ns, WARN, &body, &List::new(), "");
        self.scratch = body;
    }

    pub(super) fn degraded_log(&mut self, open: &Open, call: &Call, failure: Option<Failure>, at_ns: u64) {
        let mut body = std::mem::take(&mut self.scratch);
        body.clear();
        let (name, why) = (Operation::Serve(call.to).name(), failure.map_or("OK", Failure::rpc_status));
        let _ = write!(body, "{name}: {why}, going on without");
        self.log(open, at_ns, WARN, &body, &List::new(), "");
        self.scratch = body;
    }

    pub(super) fn miss_log(&mut self, open: &Open, at_ns: u64) {
        let mut list = List::new();
        list.text("shop.product.id", PRODUCTS[self.facts.product].0);
        self.log(open, at_ns, DEBUG, "not in cache", &list, "");
    }

    pub(super) fn order_log(&mut self, open: &Open, at_ns: u64) {
        let order_id = std::mem::take(&mut self.facts.order_id);
        let mut list = List::new();
        list.text("shop.order.id", &order_id);
        list.push("shop.order.amount", Value::Double(self.facts.amount as f64 / 100.0));
        list.text("shop.currency", self.facts.currency);
        self.log(open, at_ns, INFO, "order placed", &list, "shop.order.placed");
        self.facts.order_id = order_id;
    }

    fn log(
        &mut self,
        open: &Open,
        at_ns: u64,
        severity: (u8, &str),
        body: &str,
        attributes: &List<'_>,
        event_name: &str,
    ) {
        if !self.world.settings.logs {
            return;
        }
        let time_ns = self.world.fleet.instances[open.instance].clock(at_ns);
        let first = self.flight.bytes.len() as u32;
        LogParts {
            time_ns,
            observed_ns: time_ns,
            severity_number: severity.0,
            severity_text: severity.1,
            body: Some(Value::Text(body)),
            attributes: attributes.as_slice(),
            flags: FLAGS,
            trace_id: self.flight.trace_id,
            span_id: open.id,
            event_name,
            ..LogParts::default()
        }
        .put(&mut self.flight.bytes);
        let bytes = (first, self.flight.bytes.len() as u32);
        self.flight.outstanding += 1;
        self.flight.logs += 1;
        let export = Event::Export { bytes, library: Library::Own, is_log: true };
        self.flight.plan(at_ns, open.instance, export);
    }
}
