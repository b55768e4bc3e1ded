//! The one forward copy.

use super::list::List;
use super::plan::Plan;
use super::{EditError, Inputs, Target};
use crate::compact::indexed;
use crate::cut::Cutter;
use crate::draft::Draft;
use crate::index::{MetricEntry, MetricKind, Range32, RecordAt, ResourceEntry, ScopeEntry};
use crate::limits::MAX_REQUEST_BYTES;
use crate::put::{self, len_tag};
use crate::{Batch, Check, Depth, Signal, wire};

/// Copies `batch` with the plan applied.
pub(super) fn forward(plan: &Plan, batch: &Batch, inputs: Inputs<'_>) -> Result<Batch, EditError> {
    if batch.checked() == Check::Framing {
        return Err(EditError::FramingOnly);
    }
    if plan.steps.is_empty() && batch.keep().is_none() {
        return Ok(batch.clone());
    }
    let depth = batch.depth();
    let batch = &indexed(batch);
    let raw = batch.raw();
    // A tenth more: the usual rules add a few dozen bytes to a record of some hundreds.
    let mut draft = Draft::new(batch.signal(), depth, raw.len() + raw.len() / 8);
    draft.reserve_copy(batch, plan.most_added());
    let mut copy = Copy {
        batch,
        inputs,
        cutter: Cutter::new(batch),
        list: List::new(plan, raw, inputs),
        edits: [Target::Resource, Target::Scope, Target::Record].map(|target| plan.has(target)),
        indexed: batch.depth() == Depth::Attributes,
        draft,
    };
    copy.request()?;
    Ok(copy.draft.finish())
}

struct Copy<'a> {
    batch: &'a Batch,
    inputs: Inputs<'a>,
    cutter: Cutter<'a>,
    list: List<'a>,
    /// Whether there are rules for resources, scopes, records.
    edits: [bool; 3],
    /// Whether the index knows where attributes are.
    indexed: bool,
    draft: Draft,
}

impl Copy<'_> {
    fn request(&mut self) -> Result<(), EditError> {
        self.cutter.copy_around_resources(&mut self.draft);
        for resource in 0..self.batch.index().resources.len() as u32 {
            self.resource(resource);
            if self.draft.out.len() > MAX_REQUEST_BYTES {
                return Err(EditError::TooLarge);
            }
        }
        self.draft.push_columns_of(self.batch);
        Ok(())
    }

    fn resource(&mut self, number: u32) {
        let index = self.batch.index();
        let entry = &index.resources[number as usize];
        let scopes = entry.first_scope..entry.first_scope + entry.scopes;
        if !scopes.clone().any(|scope| self.is_left(scope)) {
            return;
        }
        let level = self.draft.open(len_tag(1), entry.body.len());
        let mut resource = if self.edits[0] {
            let around = self.cutter.gaps_of_resource(number);
            self.head(&around, entry.resource, Target::Resource, number)
        } else {
            self.cutter.copy_around_scopes(number, &mut self.draft)
        };
        let (number, first_scope) = (self.draft.counts.resources, self.draft.counts.scopes);
        for scope in scopes {
            if self.is_left(scope) {
                self.scope(scope, number);
            }
        }
        let shift = self.draft.close(&level);
        resource = resource.moved(shift);
        let body = self.draft.body_of(&level, shift);
        let scopes = self.draft.counts.scopes - first_scope;
        self.draft.push_resource(ResourceEntry { start: level.start, body, resource, first_scope, scopes });
    }

    /// Whether any record of this scope is kept.
    fn is_left(&self, scope: u32) -> bool {
        let entry = &self.batch.index().scopes[scope as usize];
        let (first, count) = (entry.first_record as usize, entry.records as usize);
        self.batch.keep().map_or(count > 0, |keep| keep.any_in(first, count))
    }

    fn scope(&mut self, number: u32, resource: u32) {
        let entry = &self.batch.index().scopes[number as usize];
        let level = self.draft.open(len_tag(2), entry.body.len());
        let mut scope = if self.edits[1] {
            let around = self.cutter.gaps_of_scope(number);
            self.head(&around, entry.scope, Target::Scope, number)
        } else {
            self.cutter.copy_around_members(number, &mut self.draft)
        };
        let first_record = self.draft.counts.records;
        let to = self.draft.counts.scopes;
        if self.batch.signal() == Signal::Metrics {
            for metric in self.cutter.metric_numbers_of(number) {
                self.metric(metric, to);
            }
        } else {
            let number = if self.batch.signal() == Signal::Traces { 9 } else { 6 };
            self.records(entry.first_record, entry.records, len_tag(2), number, to);
        }
        let shift = self.draft.close(&level);
        scope = scope.moved(shift);
        let body = self.draft.body_of(&level, shift);
        let records = self.draft.counts.records - first_record;
        self.draft.push_scope(ScopeEntry {
            resource,
            start: level.start,
            body,
            scope,
            first_record,
            records,
        });
    }

    fn metric(&mut self, number: u32, scope: u32) {
        let entry = &self.batch.index().metrics[number as usize];
        let (first, count) = (entry.first_record as usize, entry.records as usize);
        if !self.batch.keep().map_or(count > 0, |keep| keep.any_in(first, count)) {
            return;
        }
        let level = self.draft.open(len_tag(2), entry.body.len());
        self.cutter.copy_around_data(number, &mut self.draft);
        let inner = self.draft.open(len_tag(entry.kind as u8), entry.data.len());
        self.cutter.copy_around_points(number, &mut self.draft);
        let first_record = self.draft.counts.records;
        let attributes = match entry.kind {
            MetricKind::Histogram => 9,
            MetricKind::ExponentialHistogram => 1,
            MetricKind::None | MetricKind::Gauge | MetricKind::Sum | MetricKind::Summary => 7,
        };
        self.records(entry.first_record, entry.records, len_tag(1), attributes, scope);
        let shift = self.draft.close(&inner);
        let data = self.draft.body_of(&inner, shift);
        let shift = self.draft.close(&level);
        let body = self.draft.body_of(&level, shift);
        self.draft.push_metric(MetricEntry {
            scope,
            start: level.start,
            body,
            kind: entry.kind,
            data_start: inner.start + shift,
            data: data.moved(shift),
            first_record,
            records: self.draft.counts.records - first_record,
        });
    }

    /// Copies what is around the members of a level, and its `Resource` or `InstrumentationScope` with the rules applied.
    /// Returns the body of that.
    fn head(&mut self, around: &[Range32], head: Range32, target: Target, number: u32) -> Range32 {
        for gap in around {
            for field in wire::fields(&self.batch.raw()[gap.range()]) {
                if field.number != 1 {
                    self.draft.out.extend_from_slice(field.raw);
                }
            }
        }
        let attributes = if target == Target::Resource { 1 } else { 3 };
        self.list.scan(head, attributes);
        self.list.run(target, number as usize, self.inputs);
        let len = self.list.new_len(head.len());
        if len == 0 && head.end == 0 {
            return Range32::default();
        }
        put::open(len_tag(1), len, &mut self.draft.out);
        let start = self.draft.position();
        self.list.write(head, len_tag(attributes as u8), false, &mut self.draft);
        Range32 { start, end: self.draft.position() }
    }

    /// Copies the kept ones of `count` records. Their field has this tag, and their attributes are fields of this number.
    fn records(&mut self, first: u32, count: u32, tag: u8, attributes: u32, scope: u32) {
        let index = self.batch.index();
        for i in first as usize..(first + count) as usize {
            if !self.batch.is_kept(i) {
                continue;
            }
            let at = &index.records.at[i];
            if self.edits[2] && self.edited(i, attributes) {
                let start = self.draft.position();
                put::open(tag, self.list.new_len(at.body.len()), &mut self.draft.out);
                let body = self.draft.position();
                self.draft.begin_record();
                self.list.write(at.body, len_tag(attributes as u8), self.indexed, &mut self.draft);
                let body = Range32 { start: body, end: self.draft.position() };
                self.draft.push_at(RecordAt { start, body, scope });
            } else {
                let by = self.draft.position().wrapping_sub(at.start);
                self.draft.out.extend_from_slice(&self.batch.raw()[at.start as usize..at.body.end as usize]);
                self.draft.begin_record();
                if self.indexed {
                    self.draft.push_attributes(index, i, by);
                }
                self.draft.push_at(RecordAt {
                    start: at.start.wrapping_add(by),
                    body: at.body.moved(by),
                    scope,
                });
            }
        }
    }

    /// Runs the rules for record `i`; whether they change it.
    fn edited(&mut self, i: usize, attributes: u32) -> bool {
        let index = self.batch.index();
        if self.indexed {
            let first = &index.attributes.first;
            self.list.take(&index.attributes.at[first[i] as usize..first[i + 1] as usize]);
        } else {
            self.list.scan(index.records.at[i].body, attributes);
        }
        self.list.run(Target::Record, i, self.inputs)
    }
}
