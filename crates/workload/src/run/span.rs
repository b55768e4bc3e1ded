//! The end of a span: what is said of it.

use otlp::SpanStatus;
use otlp::compose::{EventParts, LinkParts, SpanParts};

use super::{Ending, Open, Run};
use crate::flight::Event;
use crate::list::List;
use crate::meter::TIMED_OUT;
use crate::model::{Failure, Library};
use crate::truth::SpanKind;

/// Sampled, with a random trace id (W3C Trace Context level 2).
pub(super) const FLAGS: u32 = 0x03;

/// Whether the parent is remote is known (OTLP, `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`).
const HAS_IS_REMOTE: u32 = 0x100;

/// The parent is remote (OTLP, `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`).
const IS_REMOTE: u32 = 0x200;

impl Run<'_> {
    /// Ends a span: plans its measurement, and its export unless it is to be lost.
    pub(super) fn close(&mut self, open: &Open, end_ns: u64, failure: Option<Failure>, ending: &Ending<'_>) {
        let status = status(open.operation.kind(), failure);
        let settings = &self.world.settings;
        let missing = self.fate.chance(settings.missing_per_million);
        let late = self.fate.chance(settings.late_per_million);
        let late_ns = self.fate.below(settings.late_ns_max + 1);
        let span = &mut self.flight.spans[open.index];
        span.end_ns = end_ns;
        span.status = status;
        span.exported = !missing;
        span.links = ending.messages.len() as u32;

        let is_http = open.operation.library() == Library::Http;
        let outcome = if ending.timed_out && is_http { TIMED_OUT } else { Failure::code(failure) };
        let end = Event::End {
            operation: open.operation,
            span: open.index as u32,
            outcome: outcome as u8,
            sender: ending.messages.first().map(|message| message.sender),
        };
        self.flight.plan(end_ns, open.instance, end);
        if missing {
            return;
        }
        let first = self.flight.bytes.len() as u32;
        self.write(open, end_ns, failure, status, ending);
        let bytes = (first, self.flight.bytes.len() as u32);
        let export = Event::Export { bytes, library: open.operation.library(), is_log: false };
        self.flight.outstanding += 1;
        self.flight.plan(if late { end_ns + late_ns } else { end_ns }, open.instance, export);
    }

    fn write(
        &mut self,
        open: &Open,
        end_ns: u64,
        failure: Option<Failure>,
        status: SpanStatus,
        ending: &Ending<'_>,
    ) {
        let instance = &self.world.fleet.instances[open.instance];
        let mut attributes = List::new();
        self.facts.describe(open, failure, status, ending, &mut attributes);

        let mut exception = List::new();
        let mut event = EventParts::default();
        let throws = ending.threw && status == SpanStatus::Error;
        if let Some(failure) = failure.filter(|_| throws) {
            exception.text("exception.type", failure.exception(open.operation.service()));
            exception.text("exception.message", failure.message());
            exception.text("exception.stacktrace", instance.service().stack);
            event.name = "exception";
            event.time_ns = instance.clock(end_ns);
            event.attributes = exception.as_slice();
        }
        let links: Vec<LinkParts<'_>> = ending.messages.iter().map(link).collect();
        let remote = if open.remote && !open.parent.is_zero() { IS_REMOTE } else { 0 };
        SpanParts {
            trace_id: self.flight.trace_id,
            span_id: open.id,
            parent: open.parent,
            flags: FLAGS | HAS_IS_REMOTE | remote,
            name: open.operation.name(),
            kind: open.operation.kind() as u8,
            start_ns: instance.clock(open.start_ns),
            end_ns: instance.clock(end_ns),
            attributes: attributes.as_slice(),
            events: if throws { std::slice::from_ref(&event) } else { &[] },
            links: &links,
            status: if status == SpanStatus::Error { 2 } else { 0 },
            status_message: if throws { failure.map_or("", Failure::message) } else { "" },
            ..SpanParts::default()
        }
        .put(&mut self.flight.bytes);
    }
}

fn link(message: &super::Message) -> LinkParts<'static> {
    LinkParts { trace_id: message.trace_id, span_id: message.span_id, flags: FLAGS, ..LinkParts::default() }
}

/// A server has failed only if the fault is its own; everyone else has if it did not work (HTTP and RPC conventions, "status").
fn status(kind: SpanKind, failure: Option<Failure>) -> SpanStatus {
    let failed = match kind {
        SpanKind::Server => failure.is_some_and(Failure::is_the_servers),
        SpanKind::Internal | SpanKind::Client | SpanKind::Producer | SpanKind::Consumer => failure.is_some(),
    };
    if failed { SpanStatus::Error } else { SpanStatus::Unset }
}
