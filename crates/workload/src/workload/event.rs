//! What happens at a time of a trace.

use std::cmp::Reverse;

use otlp::Signal;
use otlp::compose::{ExemplarParts, LogParts, Value};

use super::{Request, What, Workload};
use crate::flight::{Event, Record};
use crate::limits::BACKLOG_MESSAGES_MAX;
use crate::meter::Observation;
use crate::model::{Library, Operation};
use crate::run::Message;
use crate::truth::{EdgeKind, SpanKind};

/// The slot of records that belong to no trace: there is no such flight.
const NO_TRACE: u32 = u32::MAX;

impl Workload {
    pub(super) fn record(&mut self, slot: u32, record: &Record, out: &mut Vec<Request>) {
        let instance = record.instance as usize;
        match record.event {
            Event::Begin(operation) => self.meters[instance].active(operation, 1),
            Event::End { operation, span, outcome, sender } => {
                self.end(slot, instance, operation, span as usize, outcome.into(), sender);
            }
            Event::Export { bytes, library, is_log } => {
                self.enqueue(slot, instance, bytes, library, is_log, out);
            }
            Event::Deliver { span, sender } => {
                let trace_id = self.flights[slot as usize].trace_id;
                self.deliver(Message { trace_id, span_id: span, sender });
            }
        }
    }

    /// A message comes to the consumer of many. It takes them all once there are as many as it can link to; if it cannot, the oldest
    /// is left out.
    fn deliver(&mut self, message: Message) {
        if self.backlog.len() == BACKLOG_MESSAGES_MAX {
            self.backlog.pop_front();
            self.ledger.traces.messages_skipped += 1;
        }
        self.backlog.push_back(message);
        if self.backlog.len() == BACKLOG_MESSAGES_MAX {
            self.poll(self.now_ns);
        }
    }

    /// A span ends: it is measured and counted.
    fn end(
        &mut self,
        slot: u32,
        instance: usize,
        operation: Operation,
        span: usize,
        outcome: usize,
        sender: Option<u8>,
    ) {
        let flight = &self.flights[slot as usize];
        let span = &flight.spans[span];
        let duration_ns = span.end_ns - span.start_ns;
        let messages = match span.kind {
            SpanKind::Producer => 1,
            _ => u64::from(span.links),
        };
        let exemplar = ExemplarParts {
            time_ns: self.world.fleet.instances[instance].clock(span.end_ns),
            value: 0.0,
            trace_id: flight.trace_id,
            span_id: span.span_id,
        };
        let meter = &mut self.meters[instance];
        if span.kind == SpanKind::Server {
            meter.active(operation, -1);
        }
        meter.observe(&Observation { operation, outcome, duration_ns, messages, exemplar });
        self.ledger.span(operation, span.status, span.exported, duration_ns);
        if let Some(sender) = sender {
            let kind = if span.parent.is_some() { EdgeKind::Message } else { EdgeKind::Link };
            for _ in 0..span.links {
                self.ledger.message(kind, sender, operation.service(), span.status);
            }
        }
    }

    /// A span or a log record goes to its batch, and the batch leaves if that fills it.
    fn enqueue(
        &mut self,
        slot: u32,
        instance: usize,
        bytes: (u32, u32),
        library: Library,
        is_log: bool,
        out: &mut Vec<Request>,
    ) {
        let (signal, what, outbox) = if is_log {
            self.ledger.log(self.world.fleet.instances[instance].service);
            (Signal::Logs, What::FlushLogs, &mut self.logs[instance])
        } else {
            (Signal::Traces, What::FlushSpans, &mut self.spans[instance])
        };
        let flight = &self.flights[slot as usize];
        outbox.push(library, &flight.bytes[bytes.0 as usize..bytes.1 as usize], slot);
        self.batch(signal, what, instance, out);
    }

    /// Lets a batch that has grown leave, or sets the time when it will.
    fn batch(&mut self, signal: Signal, what: What, instance: usize, out: &mut Vec<Request>) {
        let outbox = if signal == Signal::Logs { &self.logs[instance] } else { &self.spans[instance] };
        if outbox.len() >= self.world.settings.batch_records_max {
            self.flush(signal, instance, out);
        } else if outbox.len() == 1 {
            let at = self.now_ns + self.world.settings.batch_delay_ns;
            self.due.push(Reverse((at, what, instance as u32, outbox.epoch)));
        }
    }

    /// An instance says that it has started: a log record of no trace.
    pub(super) fn start(&mut self, instance: usize, out: &mut Vec<Request>) {
        let of = &self.world.fleet.instances[instance];
        let time_ns = of.clock(self.now_ns);
        let body = format!("{} {} started", of.service().name, of.service().version);
        let mut record = Vec::new();
        LogParts {
            time_ns,
            observed_ns: time_ns,
            severity_number: 9,
            severity_text: "INFO",
            body: Some(Value::Text(&body)),
            ..LogParts::default()
        }
        .put(&mut record);
        self.ledger.log(of.service);
        self.logs[instance].push(Library::Own, &record, NO_TRACE);
        self.batch(Signal::Logs, What::FlushLogs, instance, out);
    }
}
