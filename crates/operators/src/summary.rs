//! What is going on, at a glance: rates, services, operations, errors, and one trace as a tree.
//!
//! A [`Summary`] looks at batches as they pass and keeps what a person asks first: how much comes, from whom, what is slow, what
//! fails, and what one request that failed or was slow looks like. It changes nothing and holds no record. Its memory is
//! bounded by [`crate::limits`], whatever it is shown: services and operations beyond them are counted as one, traces
//! beyond them are not gathered, and both are said.
//!
//! Counts are exact since the beginning. Rates are averages of the last seconds; what is said of operations is of the last 15 to
//! 30 seconds, so that something that goes wrong is seen to begin and to end.
//!
//! ```
//! use aldis_operators::Summary;
//! use otlp::{Check, Checker, Depth, Signal};
//!
//! let mut summary = Summary::default();
//! // resource_spans { scope_spans { spans { name: "GET" } } }
//! let request = [0x0a, 0x09, 0x12, 0x07, 0x12, 0x05, 0x2a, 0x03, b'G', b'E', b'T'];
//! let batch = Checker::new(Signal::Traces, Check::Full, Depth::Records).check(request.to_vec().into())?;
//! summary.step(&batch, 1_000_000_000);
//! let snapshot = summary.snapshot(2_000_000_000);
//! assert_eq!(snapshot.signal(Signal::Traces).records, 1);
//! assert_eq!(&*snapshot.operations[0].name, "GET");
//! # Ok::<(), otlp::WireError>(())
//! ```

mod catalogue;
mod fault;
mod gather;
mod latency;
mod rate;
mod recent;
mod snapshot;
mod tree;

use otlp::view::{SpanView, ValueView};
use otlp::{Batch, Check, Depth, Signal};

pub use snapshot::{ErrorRow, ErrorSource, OperationRow, RecentRow, ServiceRow, SignalRow, Snapshot, Unseen};
pub use tree::{Branch, Tree};

use self::catalogue::Catalogue;
use self::fault::Faults;
use self::gather::{Gathered, Gathering};
use self::rate::Rate;

/// `STATUS_CODE_ERROR`.
const ERROR: i32 = 2;
/// `SPAN_KIND_SERVER`.
const SERVER: i32 = 2;
/// `SPAN_KIND_CONSUMER`.
const CONSUMER: i32 = 5;
/// `SEVERITY_NUMBER_ERROR`, the first of the errors and what is worse.
const SEVERITY_ERROR: i32 = 17;

/// Keeps what a person asks first about the telemetry that it is shown. See the [module's page](self).
#[derive(Debug, Default)]
pub struct Summary {
    began_ns: Option<u64>,
    signals: [Volume; 4],
    catalogue: Catalogue,
    faults: Faults,
    gathering: Gathering,
    /// Records of which only the number is known.
    unread: u64,
}

/// How much of a signal came.
#[derive(Debug, Default)]
struct Volume {
    requests: u64,
    records: u64,
    bytes: u64,
    rate: Rate,
}

impl Summary {
    /// Looks at a batch that passes now (Unix nanoseconds).
    ///
    /// One that was only framing-checked, or is indexed to counts, or is packed, is counted and not read; so are profiles. Into
    /// how many batches records are divided makes no difference, but to the number of requests.
    pub fn step(&mut self, batch: &Batch, now_ns: u64) {
        self.began_ns.get_or_insert(now_ns);
        let records = batch.len() as u64;
        let volume = &mut self.signals[batch.signal() as usize];
        volume.requests += 1;
        volume.records += records;
        volume.bytes += batch.raw().len() as u64;
        volume.rate.add(now_ns, records);
        let unread =
            batch.depth() < Depth::Records || batch.checked() == Check::Framing || batch.packed().is_some();
        match batch.signal() {
            _ if unread => self.unread += records,
            Signal::Traces => self.spans(batch, now_ns),
            Signal::Logs => self.logs(batch, now_ns),
            Signal::Metrics => self.points(batch),
            Signal::Profiles => self.unread += records,
        }
        self.gathering.look(now_ns, &self.catalogue);
    }

    /// What is known now (Unix nanoseconds).
    pub fn snapshot(&mut self, now_ns: u64) -> Snapshot {
        self.gathering.look(now_ns, &self.catalogue);
        let began_ns = self.began_ns.unwrap_or(now_ns);
        let signals = Signal::ALL.map(|signal| {
            let volume = &self.signals[signal as usize];
            SignalRow {
                signal,
                requests: volume.requests,
                records: volume.records,
                bytes: volume.bytes,
                per_second: volume.rate.per_second(began_ns, now_ns),
                history: volume.rate.history(now_ns),
            }
        });
        Snapshot {
            at_ns: now_ns,
            began_ns,
            signals: signals.into(),
            services: self.catalogue.services(began_ns, now_ns),
            operations: self.catalogue.operations(began_ns, now_ns),
            errors: self.faults.rows(&self.catalogue),
            trace: self.gathering.shown(),
            unseen: Unseen {
                services: self.catalogue.overflow_services(),
                operations: self.catalogue.overflow_operations(),
                spans: self.gathering.unseen(),
                unread: self.unread,
            },
        }
    }

    fn spans(&mut self, batch: &Batch, now_ns: u64) {
        let mut services = Services::default();
        for i in (0..batch.counts().records as usize).filter(|i| batch.is_kept(*i)) {
            let service = services.of(batch, i, &mut self.catalogue);
            let span = batch.span(i);
            let error = span.status_code() == ERROR;
            let kind = span.kind();
            let duration_ns = span.end_ns().saturating_sub(span.start_ns());
            let operation = self.catalogue.operation(service, kind, span.name());
            self.catalogue.span(service, operation, (duration_ns, error), now_ns);
            if error {
                let text = failure(&span);
                self.faults.note(service, ErrorSource::Span, span.name(), text, now_ns);
            }
            let gathered = Gathered {
                span_id: span.span_id(),
                parent: span.parent_span_id(),
                operation,
                start_ns: span.start_ns(),
                end_ns: span.end_ns().max(span.start_ns()),
                error,
            };
            self.gathering.add(span.trace_id(), gathered, now_ns);
        }
    }

    fn logs(&mut self, batch: &Batch, now_ns: u64) {
        let mut services = Services::default();
        for i in (0..batch.counts().records as usize).filter(|i| batch.is_kept(*i)) {
            let service = services.of(batch, i, &mut self.catalogue);
            self.catalogue.log(service);
            let log = batch.log(i);
            if log.severity_number() >= SEVERITY_ERROR {
                let text = match log.body_value() {
                    ValueView::String(text) => text,
                    _ => log.event_name(),
                };
                self.faults.note(service, ErrorSource::Log, log.severity_text(), text, now_ns);
            }
        }
    }

    fn points(&mut self, batch: &Batch) {
        let mut services = Services::default();
        for i in (0..batch.counts().records as usize).filter(|i| batch.is_kept(*i)) {
            let service = services.of(batch, i, &mut self.catalogue);
            self.catalogue.point(service);
        }
    }
}

/// What an error says of itself: the status's message, else what the exception says, else its type.
fn failure<'a>(span: &SpanView<'a>) -> &'a str {
    let message = span.status_message();
    if !message.is_empty() {
        return message;
    }
    let exception = span.events().find(|event| event.name() == "exception");
    let told = exception.and_then(|event| {
        let attributes = event.attributes();
        attributes.text("exception.message").or_else(|| attributes.text("exception.type"))
    });
    told.or_else(|| span.attributes().text("error.type")).unwrap_or_default()
}

/// Finds the services of a batch's records, each resource once.
#[derive(Default)]
struct Services {
    /// The last resource and its service: records of one resource stand together.
    last: Option<(u32, u32)>,
}

impl Services {
    fn of(&mut self, batch: &Batch, i: usize, catalogue: &mut Catalogue) -> u32 {
        let index = batch.index();
        let resource = index.scopes[index.records.at[i].scope as usize].resource;
        match self.last {
            Some((known, service)) if known == resource => service,
            _ => {
                let service = catalogue.service(batch.resource(resource as usize).service_name());
                self.last = Some((resource, service));
                service
            }
        }
    }
}

#[cfg(test)]
mod tests;
