//! Cutting records out of a batch, with everything that is said around them.
//!
//! A cut is a list of [`Piece`]s: runs of records below one scope (or metric), and what they weigh. The bytes around the
//! records of a level (resource, schema URL, unknown fields; of a metric name, unit, temporality, …) are repeated in front of the
//! members that go with them, so that each cut is a request of its own. Sizes are known before the first byte is written, so every
//! length is a minimal varint and nothing moves.

use crate::draft::Draft;
use crate::index::{MetricEntry, Range32, RecordAt, ResourceEntry, ScopeEntry};
use crate::put::{self, len_tag};
use crate::{Batch, Index, Signal};

/// Records that lie below the same scope and, of a metrics request, the same metric.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) scope: u32,
    /// The number of the metric; only metrics requests have any.
    pub(crate) metric: Option<u32>,
    /// Numbers of the first record, and of the one behind the last. Filtered records between them do not count.
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// Bytes of the records, tags and lengths included.
    pub(crate) bytes: u32,
    pub(crate) around: Around,
}

/// Bytes of each level around the records of a piece that are no member of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Around {
    pub(crate) resource: u32,
    pub(crate) scope: u32,
    pub(crate) metric: u32,
    pub(crate) data: u32,
}

/// A batch being cut.
pub(crate) struct Cutter<'a> {
    pub(crate) batch: &'a Batch,
    pub(crate) index: &'a Index,
}

impl<'a> Cutter<'a> {
    /// `batch` must be indexed to records.
    pub(crate) fn new(batch: &'a Batch) -> Self {
        Cutter { batch, index: batch.index() }
    }

    /// All records that are kept, as one cut.
    pub(crate) fn everything(&self) -> Vec<Piece> {
        let groups = if self.is_metrics() { self.index.metrics.len() } else { self.index.scopes.len() };
        let mut pieces = Vec::with_capacity(groups);
        let mut resource = (u32::MAX, 0);
        let mut scope = (u32::MAX, 0);
        for group in 0..groups as u32 {
            let (scope_number, first, count) = self.group(group);
            let (bytes, kept) = self.weigh(first, first + count);
            if kept == 0 {
                continue;
            }
            let resource_number = self.index.scopes[scope_number as usize].resource;
            if resource.0 != resource_number {
                resource = (resource_number, self.around_scopes(resource_number));
            }
            if scope.0 != scope_number {
                scope = (scope_number, self.around_members(scope_number));
            }
            let mut around = Around { resource: resource.1, scope: scope.1, ..Around::default() };
            if self.is_metrics() {
                (around.metric, around.data) = self.around_points(group);
            }
            let metric = self.is_metrics().then_some(group);
            pieces.push(Piece { scope: scope_number, metric, first, last: first + count, bytes, around });
        }
        pieces
    }

    fn is_metrics(&self) -> bool {
        self.batch.signal() == Signal::Metrics
    }

    /// Scope, first record and number of records of a scope, or of a metric of a metrics request.
    fn group(&self, number: u32) -> (u32, u32, u32) {
        if self.is_metrics() {
            let metric = &self.index.metrics[number as usize];
            (metric.scope, metric.first_record, metric.records)
        } else {
            let scope = &self.index.scopes[number as usize];
            (number, scope.first_record, scope.records)
        }
    }

    /// Bytes and number of the kept ones of these records.
    fn weigh(&self, first: u32, last: u32) -> (u32, u32) {
        let fields = self.index.records.at[first as usize..last as usize].iter().map(field_len);
        match self.batch.keep() {
            None => (fields.sum(), last - first),
            Some(keep) => {
                let kept = (first..).zip(fields).filter(|(i, _)| keep.contains(*i as usize));
                kept.fold((0, 0), |(bytes, count), (_, len)| (bytes + len, count + 1))
            }
        }
    }

    fn around_scopes(&self, resource: u32) -> u32 {
        let body = self.index.resources[resource as usize].body;
        len_around(body, self.scopes_of(resource))
    }

    fn around_members(&self, scope: u32) -> u32 {
        let entry = &self.index.scopes[scope as usize];
        if self.is_metrics() {
            len_around(entry.body, self.metrics_of(scope))
        } else {
            len_around(entry.body, self.fields_of(entry.first_record, entry.records))
        }
    }

    fn around_points(&self, metric: u32) -> (u32, u32) {
        let entry = &self.index.metrics[metric as usize];
        let metric = entry.body.len() as u32 - (entry.data.end - entry.data_start);
        (metric, len_around(entry.data, self.fields_of(entry.first_record, entry.records)))
    }

    /// Bytes of the request that are in no resource.
    pub(crate) fn around_request(&self) -> u32 {
        len_around(self.request(), self.resources())
    }

    fn request(&self) -> Range32 {
        Range32 { start: 0, end: self.batch.raw().len() as u32 }
    }

    fn resources(&self) -> impl Members + use<'a> {
        self.index.resources.iter().map(|resource| (resource.start, resource.body.end))
    }

    fn scopes_of(&self, resource: u32) -> impl Members + use<'a> {
        let entry = &self.index.resources[resource as usize];
        let first = entry.first_scope as usize;
        self.index.scopes[first..first + entry.scopes as usize]
            .iter()
            .map(|scope| (scope.start, scope.body.end))
    }

    fn metrics_of(&self, scope: u32) -> impl Members + use<'a> {
        let numbers = self.metric_numbers_of(scope);
        let metrics = &self.index.metrics[numbers.start as usize..numbers.end as usize];
        metrics.iter().map(|metric| (metric.start, metric.body.end))
    }

    fn fields_of(&self, first: u32, count: u32) -> impl Members + use<'a> {
        self.index.records.at[first as usize..(first + count) as usize]
            .iter()
            .map(|at| (at.start, at.body.end))
    }

    /// Appends the records of `pieces` with everything around them. Pieces are in wire order, at least one.
    pub(crate) fn write(&self, mut pieces: &[Piece], draft: &mut Draft) {
        self.copy_around_resources(draft);
        while let Some(piece) = pieces.first() {
            let resource = self.resource_of(piece);
            let count = pieces.partition_point(|piece| self.resource_of(piece) <= resource);
            let (group, rest) = pieces.split_at(count);
            self.write_resource(resource, group, draft);
            pieces = rest;
        }
    }

    /// Copies what of the request is in no resource.
    pub(crate) fn copy_around_resources(&self, draft: &mut Draft) {
        self.copy_around(self.request(), self.around_request(), self.resources(), Range32::default(), draft);
    }

    /// Copies what of a resource is in no scope; returns where the body of its `Resource` has gone.
    pub(crate) fn copy_around_scopes(&self, resource: u32, draft: &mut Draft) -> Range32 {
        let entry = &self.index.resources[resource as usize];
        let around = self.around_scopes(resource);
        self.copy_around(entry.body, around, self.scopes_of(resource), entry.resource, draft)
    }

    /// Copies what of a scope is in no record or metric; returns where the body of its `InstrumentationScope` has gone.
    pub(crate) fn copy_around_members(&self, scope: u32, draft: &mut Draft) -> Range32 {
        self.copy_around_known(scope, self.around_members(scope), draft)
    }

    /// Copies what of a metric is not in its data.
    pub(crate) fn copy_around_data(&self, metric: u32, draft: &mut Draft) {
        let entry = &self.index.metrics[metric as usize];
        let around = entry.body.len() as u32 - (entry.data.end - entry.data_start);
        let data = std::iter::once((entry.data_start, entry.data.end));
        self.copy_around(entry.body, around, data, Range32::default(), draft);
    }

    /// Copies what of a metric's data is in no point.
    pub(crate) fn copy_around_points(&self, metric: u32, draft: &mut Draft) {
        let entry = &self.index.metrics[metric as usize];
        let points = self.fields_of(entry.first_record, entry.records);
        self.copy_around(entry.data, self.around_points(metric).1, points, Range32::default(), draft);
    }

    /// What of a resource is in no scope.
    pub(crate) fn gaps_of_resource(&self, resource: u32) -> Vec<Range32> {
        gaps(self.index.resources[resource as usize].body, self.scopes_of(resource)).collect()
    }

    /// What of a scope is in no record or metric.
    pub(crate) fn gaps_of_scope(&self, scope: u32) -> Vec<Range32> {
        let entry = &self.index.scopes[scope as usize];
        if self.is_metrics() {
            gaps(entry.body, self.metrics_of(scope)).collect()
        } else {
            gaps(entry.body, self.fields_of(entry.first_record, entry.records)).collect()
        }
    }

    /// Numbers of the metrics of a scope: they lie behind one another.
    pub(crate) fn metric_numbers_of(&self, scope: u32) -> std::ops::Range<u32> {
        let metrics = &self.index.metrics;
        let first = metrics.partition_point(|metric| metric.scope < scope);
        let count = metrics[first..].partition_point(|metric| metric.scope == scope);
        first as u32..(first + count) as u32
    }

    pub(crate) fn resource_of(&self, piece: &Piece) -> u32 {
        self.index.scopes[piece.scope as usize].resource
    }

    fn write_resource(&self, resource: u32, mut pieces: &[Piece], draft: &mut Draft) {
        let entry = &self.index.resources[resource as usize];
        let start = draft.position();
        put::open(len_tag(1), resource_len(pieces), &mut draft.out);
        let body_start = draft.position();
        let around = pieces.first().map_or(0, |piece| piece.around.resource);
        let head = self.copy_around(entry.body, around, self.scopes_of(resource), entry.resource, draft);
        let (number, first_scope) = (draft.counts.resources, draft.counts.scopes);
        while let Some(piece) = pieces.first() {
            let scope = piece.scope;
            let (group, rest) = pieces.split_at(pieces.partition_point(|piece| piece.scope <= scope));
            self.write_scope(number, scope, group, draft);
            pieces = rest;
        }
        draft.push_resource(ResourceEntry {
            start,
            body: Range32 { start: body_start, end: draft.position() },
            resource: head,
            first_scope,
            scopes: draft.counts.scopes - first_scope,
        });
    }

    fn write_scope(&self, resource: u32, scope: u32, pieces: &[Piece], draft: &mut Draft) {
        let start = draft.position();
        put::open(len_tag(2), scope_len(pieces), &mut draft.out);
        let body_start = draft.position();
        let around = pieces.first().map_or(0, |piece| piece.around.scope);
        let head = self.copy_around_known(scope, around, draft);
        let (number, first_record) = (draft.counts.scopes, draft.counts.records);
        for piece in pieces {
            match piece.metric {
                Some(metric) => self.write_metric(number, metric, piece, draft),
                None => self.write_records(number, piece, draft),
            }
        }
        draft.push_scope(ScopeEntry {
            resource,
            start,
            body: Range32 { start: body_start, end: draft.position() },
            scope: head,
            first_record,
            records: draft.counts.records - first_record,
        });
    }

    fn write_metric(&self, scope: u32, metric: u32, piece: &Piece, draft: &mut Draft) {
        let entry = &self.index.metrics[metric as usize];
        let start = draft.position();
        put::open(len_tag(2), metric_len(piece, piece.bytes as usize), &mut draft.out);
        let body_start = draft.position();
        let data = std::iter::once((entry.data_start, entry.data.end));
        self.copy_around(entry.body, piece.around.metric, data, Range32::default(), draft);
        let data_start = draft.position();
        put::open(len_tag(entry.kind as u8), (piece.around.data + piece.bytes) as usize, &mut draft.out);
        let data_body = draft.position();
        let points = self.fields_of(entry.first_record, entry.records);
        self.copy_around(entry.data, piece.around.data, points, Range32::default(), draft);
        let first_record = draft.counts.records;
        self.write_records(scope, piece, draft);
        let end = draft.position();
        draft.push_metric(MetricEntry {
            scope,
            start,
            body: Range32 { start: body_start, end },
            kind: entry.kind,
            data_start,
            data: Range32 { start: data_body, end },
            first_record,
            records: draft.counts.records - first_record,
        });
    }

    /// The same, with the number of bytes known.
    fn copy_around_known(&self, scope: u32, around: u32, draft: &mut Draft) -> Range32 {
        let entry = &self.index.scopes[scope as usize];
        if self.is_metrics() {
            self.copy_around(entry.body, around, self.metrics_of(scope), entry.scope, draft)
        } else {
            let records = self.fields_of(entry.first_record, entry.records);
            self.copy_around(entry.body, around, records, entry.scope, draft)
        }
    }

    /// Copies what of `body` is not in `members`: `around` bytes. Returns where `head`, a range inside them, has gone.
    fn copy_around(
        &self,
        body: Range32,
        around: u32,
        members: impl Members,
        head: Range32,
        draft: &mut Draft,
    ) -> Range32 {
        let mut moved = Range32::default();
        let mut copy = |gap: Range32| {
            if gap.start <= head.start && head.end <= gap.end && head.end != 0 {
                moved = head.moved(draft.position().wrapping_sub(gap.start));
            }
            draft.out.extend_from_slice(&self.batch.raw()[gap.range()]);
        };
        let first = members.clone().next().map_or(body.end, |(start, _)| start);
        let last = members.clone().next_back().map_or(body.end, |(_, end)| end);
        let (front, back) = (first - body.start, body.end - last);
        if front + back == around {
            // So it is nearly always: a cut of a long list does not walk all of it.
            copy(Range32 { start: body.start, end: first });
            copy(Range32 { start: last, end: body.end });
        } else {
            gaps(body, members).for_each(copy);
        }
        moved
    }

    /// Copies the kept records of a piece, runs of neighbours at once.
    fn write_records(&self, scope: u32, piece: &Piece, draft: &mut Draft) {
        let at = &self.index.records.at;
        let (mut i, last) = (piece.first as usize, piece.last as usize);
        let keep = self.batch.keep();
        let kept = |i: usize| keep.is_none_or(|keep| keep.contains(i));
        while i < last {
            if !kept(i) {
                i += 1;
                continue;
            }
            let first = i;
            i += 1;
            while i < last && at[i].start == at[i - 1].body.end && kept(i) {
                i += 1;
            }
            let by = draft.position().wrapping_sub(at[first].start);
            draft
                .out
                .extend_from_slice(&self.batch.raw()[at[first].start as usize..at[i - 1].body.end as usize]);
            draft.push_records(self.index, first, i, by, scope);
        }
    }
}

/// Start and end of each message of one level, in order.
trait Members: DoubleEndedIterator<Item = (u32, u32)> + Clone {}

impl<T: DoubleEndedIterator<Item = (u32, u32)> + Clone> Members for T {}

/// Bytes of `body` that are in none of `members`.
fn len_around(body: Range32, members: impl Members) -> u32 {
    body.len() as u32 - members.map(|(start, end)| end - start).sum::<u32>()
}

/// The ranges of `body` that none of `members` covers, in order.
fn gaps(body: Range32, members: impl Members) -> impl Iterator<Item = Range32> {
    let mut at = body.start;
    members
        .chain(std::iter::once((body.end, body.end)))
        .map(move |(start, end)| Range32 { start: std::mem::replace(&mut at, end), end: start })
        .filter(|gap| !gap.is_empty())
}

/// Bytes of a record with its tag and length.
#[inline]
pub(crate) fn field_len(at: &RecordAt) -> u32 {
    at.body.end - at.start
}

/// Bytes of the members of a scope that hold a piece: its records, or the metric with its points.
pub(crate) fn member_len(piece: &Piece, bytes: usize) -> usize {
    if piece.metric.is_some() { put::len_field(metric_len(piece, bytes)) } else { bytes }
}

/// Bytes of the body of a metric with `bytes` of points.
fn metric_len(piece: &Piece, bytes: usize) -> usize {
    piece.around.metric as usize + put::len_field(piece.around.data as usize + bytes)
}

/// Bytes of the body of a scope with these pieces, all of it.
fn scope_len(pieces: &[Piece]) -> usize {
    let around = pieces.first().map_or(0, |piece| piece.around.scope as usize);
    around + pieces.iter().map(|piece| member_len(piece, piece.bytes as usize)).sum::<usize>()
}

/// Bytes of the body of a resource with these pieces, all of it.
fn resource_len(pieces: &[Piece]) -> usize {
    let around = pieces.first().map_or(0, |piece| piece.around.resource as usize);
    around
        + pieces
            .chunk_by(|a, b| a.scope == b.scope)
            .map(|scope| put::len_field(scope_len(scope)))
            .sum::<usize>()
}
