//! Counts of everything.

use otlp::{Signal, SpanStatus};

use super::SpanKind;
use crate::model::{OPERATIONS_MAX, Operation, SERVICES_MAX};
use crate::shop::{PEERS, SERVICES};

/// Counts of everything so far.
///
/// [`Totals::signals`] count what has been exported. The others count what has happened: a span when it has ended, a log record
/// when it was written, a point when it was collected. After [`crate::Workload::finish`] the two agree, but for spans that are
/// never exported, which are counted beside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Traces.
    pub traces: TraceTotals,
    /// Traces, logs and metrics, in this order.
    pub signals: Vec<SignalTotals>,
    /// Every service, in the order of [`crate::Settings::services`].
    pub services: Vec<ServiceTotals>,
    /// Every operation of which there is a span, by service, name and kind.
    pub operations: Vec<OperationTotals>,
    /// Who has asked whom, by caller, callee and kind.
    pub edges: Vec<Edge>,
}

/// Counts of traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceTotals {
    /// Have begun.
    pub begun: u64,
    /// Have not begun because [`crate::Settings::traces_in_flight_max`] were in flight.
    pub suppressed: u64,
    /// Have been exported to the end.
    pub complete: u64,
    /// Of these, the truth about them has been forgotten because nobody drained it.
    pub forgotten: u64,
    /// Messages that the consumer of many has left out, since there were more than it can link to
    /// ([`crate::limits::BACKLOG_MESSAGES_MAX`]) and too many traces in flight to begin another.
    pub messages_skipped: u64,
}

/// Counts of what has been exported of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalTotals {
    /// Which.
    pub signal: Signal,
    /// Requests.
    pub requests: u64,
    /// Spans, log records or data points.
    pub records: u64,
    /// Bytes of the requests.
    pub bytes: u64,
}

/// Counts of one service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceTotals {
    /// Which.
    pub service: &'static str,
    /// Spans, those that are never exported included.
    pub spans: u64,
    /// Spans that are never exported.
    pub missing: u64,
    /// Spans with an error as their status, those that are never exported included.
    pub errors: u64,
    /// Log records.
    pub logs: u64,
    /// Data points.
    pub points: u64,
}

/// Counts of the spans that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationTotals {
    /// Who they are of.
    pub service: &'static str,
    /// Their name.
    pub name: &'static str,
    /// Their kind.
    pub kind: SpanKind,
    /// How many, those that are never exported included.
    pub spans: u64,
    /// How many are never exported.
    pub missing: u64,
    /// How many have an error as their status, those that are never exported included.
    pub errors: u64,
    /// Nanoseconds that they took together, those that are never exported included.
    pub duration_ns: u64,
}

/// Counts of the times one asked another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The service that asked.
    pub from: &'static str,
    /// The service, the database system or the host that was asked.
    pub to: &'static str,
    /// How.
    pub kind: EdgeKind,
    /// How often: tries for requests, messages for messages.
    pub calls: u64,
    /// How often without success, as who asked has seen it; for messages, as who processed it has.
    pub errors: u64,
}

/// How one asks another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EdgeKind {
    /// A request that is answered by a span of the other.
    Request,
    /// A request to something that exports no spans.
    Leaf,
    /// A message, processed in the trace of the sender.
    Message,
    /// A message, processed in another trace that links to the sender's.
    Link,
}

/// What is counted while it happens.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) traces: TraceTotals,
    signals: [SignalTotals; 3],
    services: Vec<ServiceTotals>,
    operations: Vec<Option<OperationTotals>>,
    edges: Vec<(u64, u64)>,
}

/// Callees are services, then peers.
const CALLEES: usize = SERVICES_MAX + PEERS.len();

impl Ledger {
    pub(crate) fn new() -> Self {
        let signal = |signal| SignalTotals { signal, requests: 0, records: 0, bytes: 0 };
        let service = |name| ServiceTotals { service: name, ..ServiceTotals::default() };
        Ledger {
            traces: TraceTotals::default(),
            signals: [Signal::Traces, Signal::Logs, Signal::Metrics].map(signal),
            services: SERVICES.iter().map(|known| service(known.name)).collect(),
            operations: vec![None; OPERATIONS_MAX],
            edges: vec![(0, 0); 4 * SERVICES_MAX * CALLEES],
        }
    }

    pub(crate) fn request(&mut self, signal: Signal, records: usize, bytes: usize) {
        if let Some(totals) = self.signals.iter_mut().find(|totals| totals.signal == signal) {
            totals.requests += 1;
            totals.records += records as u64;
            totals.bytes += bytes as u64;
        }
    }

    pub(crate) fn log(&mut self, service: u8) {
        self.services[usize::from(service)].logs += 1;
    }

    pub(crate) fn points(&mut self, service: u8, points: usize) {
        self.services[usize::from(service)].points += points as u64;
    }

    pub(crate) fn span(
        &mut self,
        operation: Operation,
        status: SpanStatus,
        exported: bool,
        duration_ns: u64,
    ) {
        let error = u64::from(status == SpanStatus::Error);
        let missing = u64::from(!exported);
        let service = &mut self.services[usize::from(operation.service())];
        service.spans += 1;
        service.errors += error;
        service.missing += missing;
        let name = service.service;
        let totals = self.operations[operation.number()].get_or_insert_with(|| OperationTotals {
            service: name,
            name: operation.name(),
            kind: operation.kind(),
            spans: 0,
            missing: 0,
            errors: 0,
            duration_ns: 0,
        });
        totals.spans += 1;
        totals.errors += error;
        totals.missing += missing;
        totals.duration_ns += duration_ns;
        match operation {
            Operation::Call(from, to) => self.edge(EdgeKind::Request, from, to.service.into(), error),
            Operation::Leaf(from, leaf) => {
                self.edge(EdgeKind::Leaf, from, SERVICES_MAX + usize::from(leaf.peer), error);
            }
            _ => {}
        }
    }

    /// Counts that the service `to` has processed a message of the service `from`.
    pub(crate) fn message(&mut self, kind: EdgeKind, from: u8, to: u8, status: SpanStatus) {
        self.edge(kind, from, to.into(), u64::from(status == SpanStatus::Error));
    }

    fn edge(&mut self, kind: EdgeKind, from: u8, to: usize, errors: u64) {
        let edge = &mut self.edges[(kind as usize * SERVICES_MAX + usize::from(from)) * CALLEES + to];
        edge.0 += 1;
        edge.1 += errors;
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut operations: Vec<OperationTotals> = self.operations.iter().flatten().copied().collect();
        operations.sort_by_key(|totals| (totals.service, totals.name, totals.kind));
        Totals {
            traces: self.traces,
            signals: self.signals.to_vec(),
            services: self.services.clone(),
            operations,
            edges: self.edges(),
        }
    }

    fn edges(&self) -> Vec<Edge> {
        const KINDS: [EdgeKind; 4] = [EdgeKind::Request, EdgeKind::Leaf, EdgeKind::Message, EdgeKind::Link];
        let mut edges = Vec::new();
        for (i, &(calls, errors)) in self.edges.iter().enumerate().filter(|(_, (calls, _))| *calls > 0) {
            let (rest, to) = (i / CALLEES, i % CALLEES);
            let from = SERVICES[rest % SERVICES_MAX].name;
            let to = if to < SERVICES_MAX { SERVICES[to].name } else { PEERS[to - SERVICES_MAX].name };
            edges.push(Edge { from, to, kind: KINDS[rest / SERVICES_MAX], calls, errors });
        }
        edges.sort_by_key(|edge| (edge.from, edge.to, edge.kind));
        edges
    }
}
