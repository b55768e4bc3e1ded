//! Many events as one request, with its index.

use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;

use super::framed::Framed;
use super::log::LogPlan;
use super::point::{MetricHead, PointPlan};
use super::span::SpanPlan;
use super::value;
use super::{LogRecord, Metric, SERVICE_NAME, Span, TelemetryEvent};
use crate::index::{AttributeColumns, MetricEntry, Range32, ResourceEntry, ScopeEntry};
use crate::limits::MAX_REQUEST_BYTES;
use crate::put::{self, len_tag};
use crate::{Batch, Check, Counts, Depth, Index, Signal};

/// The body of the instrumentation scope around everything built here: name and version.
const SCOPE: (&str, &str) = ("aldis", env!("CARGO_PKG_VERSION"));

/// Bytes reserved for what surrounds the records of one service besides its name: five levels of tags and lengths, and the scope.
const AROUND_SERVICE: usize = 128;

/// Bytes reserved for the tags and lengths of one metric around its points.
const AROUND_METRIC: usize = 32;

/// Groups records by service name and writes one request: a resource per service (in order of first appearance), one scope, the
/// records in the order in which they came; data points under one metric per name, unit, description and kind.
///
/// The index is written with the bytes, not read back. A builder is used again after [`RequestBuilder::finish`].
///
/// Cost: a span of two attributes takes about 0.1 µs, its share of the final copy included.
#[derive(Debug)]
pub struct RequestBuilder {
    signal: Signal,
    depth: Depth,
    services: Vec<Service>,
    by_name: HashMap<String, usize>,
    /// The service of the last record: most often also that of the next.
    last: usize,
    records: usize,
    /// Never less than the size of the request.
    bytes: usize,
    /// Bytes and records of one service in the last request, which the next one is expected to need too.
    expected: (usize, usize),
}

/// Why a record was not taken. The builder is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushError {
    /// The record belongs into a request of another signal.
    WrongSignal {
        /// What the builder was made for.
        expected: Signal,
        /// What the record is.
        got: Signal,
    },
    /// The request would be larger than [`MAX_REQUEST_BYTES`]: finish it, and push the record again.
    Full,
    /// The record alone is larger than [`MAX_REQUEST_BYTES`] and can never be sent.
    TooLarge,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PushError::WrongSignal { expected, got } => {
                write!(f, "a request of {expected} cannot hold {got}")
            }
            PushError::Full => write!(f, "the request would be larger than {MAX_REQUEST_BYTES} bytes"),
            PushError::TooLarge => write!(f, "one record is larger than {MAX_REQUEST_BYTES} bytes"),
        }
    }
}

impl std::error::Error for PushError {}

#[derive(Debug, Default)]
struct Service {
    name: String,
    /// Spans or log records.
    records: Framed,
    metrics: Vec<(MetricHead, Framed)>,
    by_head: HashMap<MetricHead, usize>,
}

impl RequestBuilder {
    /// A builder of requests of `signal` whose index goes to `depth`.
    ///
    /// # Panics
    /// For [`Signal::Profiles`], which are only passed through.
    pub fn new(signal: Signal, depth: Depth) -> Self {
        assert!(signal != Signal::Profiles, "profiles are passed through, not built");
        RequestBuilder {
            signal,
            depth,
            services: Vec::new(),
            by_name: HashMap::new(),
            last: 0,
            records: 0,
            bytes: 0,
            expected: (0, 0),
        }
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.records
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Bytes that the request will have at most. At most a few hundred more than it will have, for each service and metric.
    pub fn byte_len(&self) -> usize {
        self.bytes
    }

    /// Adds one record.
    ///
    /// # Errors
    /// If it is of another signal, or too large.
    pub fn push(&mut self, event: &TelemetryEvent) -> Result<(), PushError> {
        match event {
            TelemetryEvent::Span(span) => self.push_span(span),
            TelemetryEvent::Log(log) => self.push_log(log),
            TelemetryEvent::Metric(metric) => self.push_metric(metric),
        }
    }

    /// Adds a span.
    ///
    /// # Errors
    /// If the builder is of another signal, or the span too large.
    pub fn push_span(&mut self, span: &Span) -> Result<(), PushError> {
        self.push_sampled_span(span, "")
    }

    /// Adds a span with a trace state, where whoever sampled it wrote its threshold.
    ///
    /// # Errors
    /// As [`RequestBuilder::push_span`].
    pub fn push_sampled_span(&mut self, span: &Span, trace_state: &str) -> Result<(), PushError> {
        let plan = SpanPlan::new(span, trace_state);
        self.admit(Signal::Traces, plan.len)?;
        let depth = self.depth;
        self.service(plan.service).records.push_span(&plan, span.start_time_ns, depth);
        Ok(())
    }

    /// Adds a log record.
    ///
    /// # Errors
    /// If the builder is of another signal, or the record too large.
    pub fn push_log(&mut self, log: &LogRecord) -> Result<(), PushError> {
        self.put_log(&LogPlan::new(log), log)
    }

    /// Adds a log record that was sampled, with its threshold as the attribute [`super::SAMPLING_THRESHOLD`] in place of
    /// any that it has; an empty one is left out.
    ///
    /// # Errors
    /// As [`RequestBuilder::push_log`].
    pub fn push_sampled_log(&mut self, log: &LogRecord, threshold: &str) -> Result<(), PushError> {
        self.put_log(&LogPlan::sampled(log, threshold), log)
    }

    fn put_log(&mut self, plan: &LogPlan<'_>, log: &LogRecord) -> Result<(), PushError> {
        self.admit(Signal::Logs, plan.len)?;
        let depth = self.depth;
        self.service(plan.service).records.push_log(plan, log, depth);
        Ok(())
    }

    /// Adds a data point.
    ///
    /// # Errors
    /// If the builder is of another signal, or the point too large.
    pub fn push_metric(&mut self, metric: &Metric) -> Result<(), PushError> {
        let plan = PointPlan::new(metric);
        let head = MetricHead::new(metric);
        self.admit(Signal::Metrics, plan.len + head.head.len() + head.tail.len() + AROUND_METRIC)?;
        let depth = self.depth;
        let service = self.service(plan.service);
        let next = service.metrics.len();
        let number = *service.by_head.entry(head).or_insert_with_key(|head| {
            service.metrics.push((head.clone(), Framed::default()));
            next
        });
        service.metrics[number].1.push_point(&plan, metric.time_ns, depth);
        Ok(())
    }

    /// Charges a record with a body of `len` bytes, or refuses it.
    fn admit(&mut self, signal: Signal, len: usize) -> Result<(), PushError> {
        if signal != self.signal {
            return Err(PushError::WrongSignal { expected: self.signal, got: signal });
        }
        // A name that is not known yet may need as much as its record: charged when it comes.
        let field = put::len_field(len);
        if field > MAX_REQUEST_BYTES / 2 {
            return Err(PushError::TooLarge);
        }
        if self.bytes + field > MAX_REQUEST_BYTES / 2 {
            return Err(PushError::Full);
        }
        self.bytes += field;
        self.records += 1;
        Ok(())
    }

    /// The group of records of this service.
    #[inline]
    fn service(&mut self, name: Option<&str>) -> &mut Service {
        let name = name.unwrap_or_default();
        if self.services.get(self.last).is_none_or(|service| service.name != name) {
            self.last = self.find(name);
        }
        &mut self.services[self.last]
    }

    fn find(&mut self, name: &str) -> usize {
        if let Some(&number) = self.by_name.get(name) {
            return number;
        }
        let number = self.services.len();
        self.by_name.insert(name.to_owned(), number);
        let (bytes, records) = self.expected;
        let records = Framed::with_capacity(bytes, records, self.signal, self.depth);
        self.services.push(Service { name: name.to_owned(), records, ..Service::default() });
        self.bytes += value::text_attribute_len(SERVICE_NAME, name) + AROUND_SERVICE;
        number
    }

    /// The request with everything pushed so far; the builder is empty then.
    pub fn finish(&mut self) -> Batch {
        let services = std::mem::take(&mut self.services);
        self.by_name.clear();
        self.last = 0;
        if let Some(most) = services.iter().map(|service| service.records.expected()).max() {
            self.expected = most;
        }
        let mut out = Vec::with_capacity(self.bytes);
        let mut index = Index::default();
        let groups = services.len() as u32;
        let counts = Counts { resources: groups, scopes: groups, records: self.records as u32 };
        for service in services {
            service.put(self.depth, &mut out, &mut index);
        }
        if self.depth == Depth::Counts {
            index = Index::default();
        } else if self.depth == Depth::Attributes {
            index.attributes.close();
        }
        self.records = 0;
        self.bytes = 0;
        Batch::from_parts(self.signal, Bytes::from(out), index.into(), counts, Check::Full, self.depth)
    }
}

impl AttributeColumns {
    /// Ends the column of first entries, one longer than there are records.
    fn close(&mut self) {
        self.first.push(self.at.len() as u32);
    }
}

impl Service {
    /// Appends the resource of this service and all its records.
    fn put(self, depth: Depth, out: &mut Vec<u8>, index: &mut Index) {
        let named =
            if self.name.is_empty() { 0 } else { value::text_attribute_len(SERVICE_NAME, &self.name) };
        let resource_field = if named == 0 { 0 } else { put::len_field(named) };
        let scope_len = put::len_field(SCOPE.0.len()) + put::len_field(SCOPE.1.len());
        let records_len = self.records.len()
            + self.metrics.iter().map(|(head, points)| head.field_len(points.len())).sum::<usize>();
        let scope_body = put::len_field(scope_len) + records_len;
        let start = out.len() as u32;
        put::open(len_tag(1), resource_field + put::len_field(scope_body), out);
        let body_start = out.len() as u32;
        let mut resource = Range32::default();
        if named != 0 {
            put::open(len_tag(1), named, out);
            resource.start = out.len() as u32;
            value::put_text_attribute(len_tag(1), SERVICE_NAME, &self.name, out, &mut ());
            resource.end = out.len() as u32;
        }
        let number = index.scopes.len() as u32;
        let scope_start = out.len() as u32;
        put::open(len_tag(2), scope_body, out);
        let scope_body_start = out.len() as u32;
        put::open(len_tag(1), scope_len, out);
        let scope_range = out.len() as u32;
        put::bytes(len_tag(1), SCOPE.0.as_bytes(), out);
        put::bytes(len_tag(2), SCOPE.1.as_bytes(), out);
        let scope = Range32 { start: scope_range, end: out.len() as u32 };
        let first_record = index.records.at.len() as u32;
        self.records.put(depth, number, None, out, index);
        for (head, points) in self.metrics {
            head.put(points, depth, number, out, index);
        }
        index.scopes.push(ScopeEntry {
            resource: number,
            start: scope_start,
            body: Range32 { start: scope_body_start, end: out.len() as u32 },
            scope,
            first_record,
            records: index.records.at.len() as u32 - first_record,
        });
        index.resources.push(ResourceEntry {
            start,
            body: Range32 { start: body_start, end: out.len() as u32 },
            resource,
            first_scope: number,
            scopes: 1,
        });
    }
}

impl MetricHead {
    fn body_len(&self, points: usize) -> usize {
        self.head.len() + put::len_field(points + self.tail.len())
    }

    /// Bytes of the metric around `points` bytes of data points.
    fn field_len(&self, points: usize) -> usize {
        put::len_field(self.body_len(points))
    }

    /// Appends the metric with its points.
    fn put(&self, points: Framed, depth: Depth, scope: u32, out: &mut Vec<u8>, index: &mut Index) {
        let start = out.len() as u32;
        put::open(len_tag(2), self.body_len(points.len()), out);
        let body_start = out.len() as u32;
        out.extend_from_slice(&self.head);
        let data_start = out.len() as u32;
        put::open(len_tag(self.kind as u8), points.len() + self.tail.len(), out);
        let data = out.len() as u32;
        let first_record = index.records.at.len() as u32;
        let number = index.metrics.len() as u32;
        points.put(depth, scope, Some(number), out, index);
        out.extend_from_slice(&self.tail);
        let end = out.len() as u32;
        index.metrics.push(MetricEntry {
            scope,
            start,
            body: Range32 { start: body_start, end },
            kind: self.kind,
            data_start,
            data: Range32 { start: data, end },
            first_record,
            records: index.records.at.len() as u32 - first_record,
        });
    }
}
