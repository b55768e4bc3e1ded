//! Giving spans another trace state.

use std::ops::Range;

use crate::draft::Draft;
use crate::edit::EditError;
use crate::index::{Range32, RecordAt, ResourceEntry, ScopeEntry};
use crate::put::{self, len_tag};
use crate::{Batch, Check, Depth, Index, Signal, limits, wire};

/// The field number of `Span.trace_state`.
const TRACE_STATE: u8 = 3;

/// Rewrites trace states in one forward copy that emits the new index.
///
/// `change(i, text)` is asked once about each span that is still in the batch, in wire order, with an empty `text`. Where it returns
/// true, what it has written becomes the span's trace state; the empty text erases it. All other spans are copied as they
/// are, filtered spans are dropped on the way, and so are resources and scopes without spans. Where nothing is changed the
/// batch comes back as it is.
///
/// ```
/// use aldis_otlp::event::{RequestBuilder, Span};
/// use aldis_otlp::{Depth, Signal, trace_state};
///
/// let mut builder = RequestBuilder::new(Signal::Traces, Depth::Records);
/// builder.push_span(&Span { name: "a".into(), ..Span::default() })?;
/// let batch = trace_state::rewrite(&builder.finish(), |_, text| {
///     text.push_str("ot=th:8");
///     true
/// })?;
/// assert_eq!(batch.span(0).trace_state(), "ot=th:8");
/// assert_eq!(batch.span(0).name(), "a");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the batch is not of traces that were checked in full, or the result would be too large.
pub fn rewrite(batch: &Batch, change: impl FnMut(usize, &mut String) -> bool) -> Result<Batch, EditError> {
    if batch.signal() != Signal::Traces || batch.checked() != Check::Full {
        return Err(EditError::FramingOnly);
    }
    let mut deep = batch.clone();
    deep.deepen(Depth::Records);
    let changes = Changes::ask(&deep, change);
    if changes.of.is_empty() {
        return Ok(batch.clone());
    }
    let bound = deep.raw().len() + changes.texts.len() + changes.of.len() * limits::MAX_FIELD_GROWTH_BYTES;
    if bound > limits::MAX_REQUEST_BYTES {
        return Err(EditError::TooLarge);
    }
    let mut draft = Draft::new(Signal::Traces, deep.depth(), bound);
    draft.reserve_records(deep.len(), deep.index());
    Rewriter { batch: &deep, index: deep.index(), changes: &changes, next: 0 }.request(&mut draft);
    Ok(draft.finish())
}

/// A span's new trace state.
#[derive(Debug)]
struct Change {
    record: usize,
    /// The whole field that goes; empty at the span's end where there is none.
    old: Range32,
    /// The new text, in [`Changes::texts`].
    text: Range<usize>,
}

/// All changes, in the order of their records.
#[derive(Debug, Default)]
struct Changes {
    of: Vec<Change>,
    texts: String,
}

impl Changes {
    fn ask(batch: &Batch, mut change: impl FnMut(usize, &mut String) -> bool) -> Self {
        let mut changes = Self::default();
        let mut text = String::new();
        for (record, at) in batch.index().records.at.iter().enumerate() {
            if !batch.is_kept(record) {
                continue;
            }
            text.clear();
            if change(record, &mut text) {
                let start = changes.texts.len();
                changes.texts.push_str(&text);
                let old = trace_state_field(batch.raw(), at.body);
                changes.of.push(Change { record, old, text: start..changes.texts.len() });
            }
        }
        changes
    }
}

impl Change {
    /// Bytes of the new field.
    fn new_len(&self) -> usize {
        if self.text.is_empty() { 0 } else { put::len_field(self.text.len()) }
    }

    fn body_len(&self, at: &RecordAt) -> usize {
        at.body.len() - self.old.len() + self.new_len()
    }
}

/// Where the field is in a span. A checked span has at most one.
fn trace_state_field(raw: &[u8], body: Range32) -> Range32 {
    let mut start = body.start;
    for field in wire::fields(&raw[body.range()]) {
        let end = start + field.raw.len() as u32;
        if field.number == u32::from(TRACE_STATE) {
            return Range32 { start, end };
        }
        start = end;
    }
    Range32 { start: body.end, end: body.end }
}

struct Rewriter<'a> {
    batch: &'a Batch,
    index: &'a Index,
    changes: &'a Changes,
    /// The next change, in the pass that writes.
    next: usize,
}

impl<'a> Rewriter<'a> {
    fn request(mut self, draft: &mut Draft) {
        let index = self.index;
        let whole = Range32 { start: 0, end: self.batch.raw().len() as u32 };
        let resources = index.resources.iter().map(|resource| (resource.start, resource.body.end));
        self.copy_around(whole, resources, Range32::default(), draft);
        let mut weighed = 0;
        for entry in &index.resources {
            let scopes = entry.first_scope as usize..(entry.first_scope + entry.scopes) as usize;
            let mut bytes = 0;
            let lens: Vec<_> = scopes.clone().map(|scope| self.weigh_scope(scope, &mut weighed)).collect();
            lens.iter().flatten().for_each(|len| bytes += put::len_field(*len));
            if bytes > 0 {
                self.resource(entry, scopes.zip(lens), bytes, draft);
            }
        }
        draft.push_columns_of(self.batch);
    }

    fn resource(
        &mut self,
        entry: &ResourceEntry,
        scopes: impl Iterator<Item = (usize, Option<usize>)>,
        bytes: usize,
        draft: &mut Draft,
    ) {
        let fields = self.index.scopes[entry.first_scope as usize..][..entry.scopes as usize].iter();
        let members = fields.map(|scope| (scope.start, scope.body.end));
        let start = draft.position();
        put::open(len_tag(1), around(entry.body, members.clone()) + bytes, &mut draft.out);
        let body = draft.position();
        let resource = self.copy_around(entry.body, members, entry.resource, draft);
        let (number, first_scope) = (draft.counts.resources, draft.counts.scopes);
        for (scope, len) in scopes {
            if let Some(len) = len {
                self.scope(number, scope, len, draft);
            }
        }
        draft.push_resource(ResourceEntry {
            start,
            body: Range32 { start: body, end: draft.position() },
            resource,
            first_scope,
            scopes: draft.counts.scopes - first_scope,
        });
    }

    fn scope(&mut self, resource: u32, scope: usize, len: usize, draft: &mut Draft) {
        let entry = &self.index.scopes[scope];
        let start = draft.position();
        put::open(len_tag(2), len, &mut draft.out);
        let body = draft.position();
        let head = self.copy_around(entry.body, self.spans_of(entry), entry.scope, draft);
        let (number, first_record) = (draft.counts.scopes, draft.counts.records);
        let records = entry.first_record as usize..(entry.first_record + entry.records) as usize;
        for record in records.filter(|record| self.batch.is_kept(*record)) {
            self.span(number, record, draft);
        }
        draft.push_scope(ScopeEntry {
            resource,
            start,
            body: Range32 { start: body, end: draft.position() },
            scope: head,
            first_record,
            records: draft.counts.records - first_record,
        });
    }

    fn span(&mut self, scope: u32, record: usize, draft: &mut Draft) {
        let raw = self.batch.raw();
        let at = &self.index.records.at[record];
        let start = draft.position();
        draft.begin_record();
        let change = match self.changes.of.get(self.next) {
            Some(change) if change.record == record => change,
            _ => {
                let by = start.wrapping_sub(at.start);
                draft.out.extend_from_slice(&raw[at.start as usize..at.body.end as usize]);
                draft.push_attributes(self.index, record, by);
                return draft.push_at(RecordAt { start, body: at.body.moved(by), scope });
            }
        };
        self.next += 1;
        put::open(len_tag(2), change.body_len(at), &mut draft.out);
        let body = draft.position();
        draft.out.extend_from_slice(&raw[at.body.start as usize..change.old.start as usize]);
        draft.out.extend_from_slice(&raw[change.old.end as usize..at.body.end as usize]);
        if !change.text.is_empty() {
            put::bytes(
                len_tag(TRACE_STATE),
                self.changes.texts[change.text.clone()].as_bytes(),
                &mut draft.out,
            );
        }
        let body = Range32 { start: body, end: draft.position() };
        draft.push_at(RecordAt { start, body, scope });
        if let [first, last] = self.index.attributes.first[..].get(record..record + 2).unwrap_or_default() {
            let before = body.start.wrapping_sub(at.body.start);
            let behind = before.wrapping_sub(change.old.len() as u32);
            for at in &self.index.attributes.at[*first as usize..*last as usize] {
                let by = if at.field.start < change.old.end { before } else { behind };
                draft.push_attribute(at.moved(by));
            }
        }
    }

    /// Bytes of the body of a scope as it will be; `None` if it has no span left. `next` is the next change.
    fn weigh_scope(&self, scope: usize, next: &mut usize) -> Option<usize> {
        let entry = &self.index.scopes[scope];
        let mut bytes = None;
        for record in entry.first_record as usize..(entry.first_record + entry.records) as usize {
            if !self.batch.is_kept(record) {
                continue;
            }
            let at = &self.index.records.at[record];
            let len = match self.changes.of.get(*next) {
                Some(change) if change.record == record => {
                    *next += 1;
                    put::len_field(change.body_len(at))
                }
                _ => (at.body.end - at.start) as usize,
            };
            *bytes.get_or_insert(0) += len;
        }
        bytes.map(|bytes| bytes + around(entry.body, self.spans_of(entry)))
    }

    fn spans_of(&self, entry: &ScopeEntry) -> impl Iterator<Item = (u32, u32)> + Clone + use<'a> {
        let at = &self.index.records.at[entry.first_record as usize..][..entry.records as usize];
        at.iter().map(|at| (at.start, at.body.end))
    }

    /// Copies what of `body` is in none of `members`. Returns where `head`, a range in it, has gone.
    fn copy_around(
        &self,
        body: Range32,
        members: impl Iterator<Item = (u32, u32)>,
        head: Range32,
        draft: &mut Draft,
    ) -> Range32 {
        let mut moved = Range32::default();
        let mut from = body.start;
        for (start, end) in members.chain([(body.end, body.end)]) {
            if from <= head.start && head.end <= start && head.end != 0 {
                moved = head.moved(draft.position().wrapping_sub(from));
            }
            draft.out.extend_from_slice(&self.batch.raw()[from as usize..start as usize]);
            from = end;
        }
        moved
    }
}

/// Bytes of `body` that are in none of `members`.
fn around(body: Range32, members: impl Iterator<Item = (u32, u32)>) -> usize {
    body.len() - members.map(|(start, end)| (end - start) as usize).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Checker;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message;

    fn field(number: u8, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put::bytes(len_tag(number), body, &mut out);
        out
    }

    /// A request with its fields the other way round and unknown ones between them.
    fn odd_request(states: &[&str]) -> Vec<u8> {
        let attribute = |key: &str| field(9, &field(1, key.as_bytes()));
        let unknown = [0xa2, 0x06, 1, 7];
        let mut scope = field(3, b"url");
        for state in states {
            let state = if state.is_empty() { vec![] } else { field(TRACE_STATE, state.as_bytes()) };
            let span = [&attribute("a")[..], &state, &unknown, &attribute("b"), &field(1, &[5; 16])].concat();
            scope.extend(field(2, &span));
            scope.extend(unknown);
        }
        scope.extend(field(1, &field(1, b"lib")));
        let resource = [&field(2, &scope)[..], &unknown, &field(1, &attribute("r")), &field(2, &[])].concat();
        [field(1, &resource), unknown.to_vec(), field(1, &[])].concat()
    }

    #[test]
    fn only_trace_states_change_and_the_index_says_where() {
        let long = "v=".to_owned() + &"x".repeat(300);
        for depth in [Depth::Records, Depth::Attributes] {
            let body = odd_request(&["", "v=1", &long, "k=2"]);
            let mut expected = ExportTraceServiceRequest::decode(&body[..]).unwrap();
            let mut batch = Checker::new(Signal::Traces, Check::Full, depth).check(body.into()).unwrap();
            batch.retain(|_, i| i != 3);
            let states = [&long, "", "ot=th:8"];
            let rewritten = rewrite(&batch, |i, text| {
                text.push_str(states[i]);
                true
            })
            .unwrap();

            let scope = &mut expected.resource_spans[0].scope_spans[0];
            scope.spans.truncate(3);
            for (span, state) in scope.spans.iter_mut().zip(states) {
                span.trace_state = state.into();
            }
            expected.resource_spans[0].scope_spans.truncate(1);
            expected.resource_spans.truncate(1);
            assert_eq!(ExportTraceServiceRequest::decode(rewritten.raw().clone()).unwrap(), expected);
            let again =
                Checker::new(Signal::Traces, Check::Full, depth).check(rewritten.raw().clone()).unwrap();
            assert_eq!(rewritten.index(), again.index());
            assert_eq!(rewritten.counts(), again.counts());
            let unknown = rewritten.raw().windows(4).filter(|bytes| *bytes == [0xa2, 0x06, 1, 7]).count();
            assert_eq!(
                unknown,
                3 + 4 + 1 + 1,
                "unknown fields of spans, scope, resource and request are kept"
            );
        }
    }

    #[test]
    fn a_batch_without_changes_is_the_same_batch() {
        let body = odd_request(&["v=1"]);
        let batch = Checker::new(Signal::Traces, Check::Full, Depth::Records).check(body.into()).unwrap();
        let same = rewrite(&batch, |_, _| false).unwrap();
        assert_eq!(same.raw().as_ptr(), batch.raw().as_ptr());
    }
}
