//! A trace that is under way: what has been made of it and waits for its time.

use otlp::{SpanId, TraceId};

use crate::model::{Library, Operation};
use crate::truth::SpanTruth;

/// A trace that is under way.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    pub(crate) trace_id: TraceId,
    /// Bodies of the records, as they will stand in a request.
    pub(crate) bytes: Vec<u8>,
    /// What will happen, in the order of time once [`Flight::seal`] has been called.
    pub(crate) records: Vec<Record>,
    /// How much of that has happened.
    pub(crate) next: usize,
    pub(crate) spans: Vec<SpanTruth>,
    pub(crate) logs: u32,
    /// Spans and log records that are not yet exported.
    pub(crate) outstanding: u32,
    /// When the last of those that are was, Unix nanoseconds.
    pub(crate) exported_ns: u64,
}

/// Something that happens at a time of a trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) at_ns: u64,
    /// Its number among the trace's: what happens at one time happens in the order in which it was made.
    pub(crate) number: u32,
    /// The instance in which it happens.
    pub(crate) instance: u32,
    pub(crate) event: Event,
}

/// What happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A server begins to answer.
    Begin(Operation),
    /// A span ends, and is measured and counted.
    End {
        operation: Operation,
        /// Where it is in [`Flight::spans`].
        span: u32,
        /// As [`crate::meter::Observation::outcome`].
        outcome: u8,
        /// The service that sent the message that it processes.
        sender: Option<u8>,
    },
    /// A span or a log record goes to its batch.
    Export { bytes: (u32, u32), library: Library, is_log: bool },
    /// A message is there for the consumer of many.
    Deliver { span: SpanId, sender: u8 },
}

impl Flight {
    /// Forgets everything but the memory.
    pub(crate) fn reset(&mut self, trace_id: TraceId) {
        self.trace_id = trace_id;
        self.bytes.clear();
        self.records.clear();
        self.next = 0;
        self.spans.clear();
        self.logs = 0;
        self.outstanding = 0;
        self.exported_ns = 0;
    }

    pub(crate) fn plan(&mut self, at_ns: u64, instance: usize, event: Event) {
        let number = self.records.len() as u32;
        self.records.push(Record { at_ns, number, instance: instance as u32, event });
    }

    /// Puts what will happen into the order of time. Call it once everything is planned.
    pub(crate) fn seal(&mut self) {
        self.records.sort_unstable_by_key(|record| (record.at_ns, record.number));
    }
}
