//! What happens at a time of a trace.

use std::cmp::Reverse;

use otlp::Signal;
use otlp::compose::ExemplarParts;

use super::{Request, What, Workload};
use crate::flight::{Event, Record};
use crate::limits::BACKLOG_MESSAGES_MAX;
use crate::meter::Observation;
use crate::model::{Library, Operation};
use crate::run::Message;
use crate::truth::{EdgeKind, SpanKind};

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
                if self.backlog.len() == BACKLOG_MESSAGES_MAX {
                    self.backlog.pop_front();
                    self.ledger.traces.messages_skipped += 1;
                }
                let trace_id = self.flights[slot as usize].trace_id;
                self.backlog.push_back(Message { trace_id, span_id: span, sender });
            }
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
        let len = outbox.len();
        if len >= self.world.settings.batch_records_max {
            self.flush(signal, instance, out);
        } else if len == 1 {
            let at = self.now_ns + self.world.settings.batch_delay_ns;
            self.due.push(Reverse((at, what, instance as u32, outbox.epoch)));
        }
    }
}
