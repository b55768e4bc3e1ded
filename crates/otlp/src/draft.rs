//! A request being written: bytes, counts and index grow together.

use bytes::Bytes;

use crate::bitmap::Bitmap;
use crate::index::{AttributeAt, MetricEntry, Range32, RecordAt, ResourceEntry, ScopeEntry};
use crate::put;
use crate::spare::{Room, SharedIndex};
use crate::{Batch, Check, Counts, Depth, Index, Signal};

/// A request being written from checked ones.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) out: Vec<u8>,
    pub(crate) index: Index,
    /// Where the index goes in the end.
    shell: Option<SharedIndex>,
    pub(crate) counts: Counts,
    signal: Signal,
    depth: Depth,
}

impl Draft {
    /// An empty request with room for `bytes`.
    pub(crate) fn new(signal: Signal, depth: Depth, bytes: usize) -> Self {
        Draft {
            out: Vec::with_capacity(bytes),
            index: Index::default(),
            shell: None,
            counts: Counts::default(),
            signal,
            depth,
        }
    }

    /// Makes room in the columns for `records` that look like those of `like`.
    pub(crate) fn reserve_records(&mut self, records: usize, like: &Index) {
        if self.depth == Depth::Counts {
            return;
        }
        let (to, from) = (&mut self.index.records, &like.records);
        to.at.reserve_exact(records);
        reserve(&mut to.metric, &from.metric, records);
        reserve(&mut to.trace_id, &from.trace_id, records);
        reserve(&mut to.span_id, &from.span_id, records);
        reserve(&mut to.time_ns, &from.time_ns, records);
        reserve(&mut to.end_ns, &from.end_ns, records);
        reserve(&mut to.kind, &from.kind, records);
        reserve(&mut to.status, &from.status, records);
        if self.depth == Depth::Attributes && !from.at.is_empty() {
            self.index.attributes.first.reserve_exact(records + 1);
            self.index.attributes.at.reserve(like.attributes.at.len() * records / from.at.len());
        }
    }

    /// Makes room in the columns for a copy of `batch` in which each record may have `more` attributes.
    pub(crate) fn reserve_copy(&mut self, batch: &Batch, more: usize) {
        if self.depth == Depth::Counts {
            return;
        }
        let index = batch.index();
        let attributes =
            if self.depth == Depth::Attributes { index.attributes.at.len() + more * batch.len() } else { 0 };
        self.take_spare(&Room {
            resources: index.resources.len(),
            scopes: index.scopes.len(),
            metrics: index.metrics.len(),
            records: batch.len(),
            trace_ids: if index.records.trace_id.is_empty() { 0 } else { batch.len() },
            ends: if index.records.end_ns.is_empty() { 0 } else { batch.len() },
            attributes,
        });
        self.index.resources.reserve_exact(index.resources.len());
        self.index.scopes.reserve_exact(index.scopes.len());
        self.index.metrics.reserve_exact(index.metrics.len());
        if self.depth == Depth::Attributes {
            self.index.attributes.at.reserve_exact(attributes);
        }
        self.reserve_records(batch.len(), index);
    }

    /// Makes room in the columns for everything in these batches, which are all indexed at least as deep.
    pub(crate) fn reserve(&mut self, batches: &[Batch]) {
        let sum = |len: fn(&Index) -> usize| batches.iter().map(|batch| len(batch.index())).sum::<usize>();
        if self.depth == Depth::Counts {
            return;
        }
        let records = sum(|index| index.records.at.len());
        let attributes =
            if self.depth == Depth::Attributes { sum(|index| index.attributes.at.len()) } else { 0 };
        self.take_spare(&Room {
            resources: sum(|index| index.resources.len()),
            scopes: sum(|index| index.scopes.len()),
            metrics: sum(|index| index.metrics.len()),
            records,
            trace_ids: sum(|index| index.records.trace_id.len()),
            ends: sum(|index| index.records.end_ns.len()),
            attributes,
        });
        self.index.resources.reserve_exact(sum(|index| index.resources.len()));
        self.index.scopes.reserve_exact(sum(|index| index.scopes.len()));
        self.index.metrics.reserve_exact(sum(|index| index.metrics.len()));
        for batch in batches {
            // Only the first finds too little room.
            self.reserve_records(records, batch.index());
        }
        if self.depth == Depth::Attributes {
            self.index.attributes.at.reserve_exact(attributes);
        }
    }

    /// Goes on in a spare index, where there is one for so much. Nothing has been written yet.
    fn take_spare(&mut self, room: &Room) {
        let mut shell = SharedIndex::with_room(room);
        self.index = std::mem::take(shell.make_mut());
        self.shell = Some(shell);
    }

    /// Where the next byte goes.
    #[inline]
    pub(crate) fn position(&self) -> u32 {
        self.out.len() as u32
    }

    pub(crate) fn push_resource(&mut self, entry: ResourceEntry) {
        self.counts.resources += 1;
        if self.depth != Depth::Counts {
            self.index.resources.push(entry);
        }
    }

    pub(crate) fn push_scope(&mut self, entry: ScopeEntry) {
        self.counts.scopes += 1;
        if self.depth != Depth::Counts {
            self.index.scopes.push(entry);
        }
    }

    pub(crate) fn push_metric(&mut self, entry: MetricEntry) {
        if self.depth != Depth::Counts {
            self.index.metrics.push(entry);
        }
    }

    /// Adds what the columns of `from` say of its records `first..last`, which lie now `by` bytes further (wrapping) as
    /// records of this scope and metric.
    pub(crate) fn push_records(&mut self, from: &Index, first: usize, last: usize, by: u32, scope: u32) {
        self.counts.records += (last - first) as u32;
        if self.depth == Depth::Counts {
            return;
        }
        let metric = self.index.metrics.len() as u32;
        let to = &mut self.index.records;
        to.at.extend(from.records.at[first..last].iter().map(|at| RecordAt {
            start: at.start.wrapping_add(by),
            body: at.body.moved(by),
            scope,
        }));
        self.push_columns(from, first, last, metric);
        if self.depth == Depth::Attributes {
            let (to, from) = (&mut self.index.attributes, &from.attributes);
            let (start, end) = (from.first[first], from.first[last]);
            let base = (to.at.len() as u32).wrapping_sub(start);
            to.first.extend(from.first[first..last].iter().map(|first| first.wrapping_add(base)));
            to.at.extend(from.at[start as usize..end as usize].iter().map(|at| at.moved(by)));
        }
    }

    /// Begins a record that is copied on its own: its attributes come next, then [`Draft::push_at`]. The other columns come with
    /// [`Draft::push_columns_of`], but for the metric.
    #[inline]
    pub(crate) fn begin_record(&mut self) {
        if self.depth == Depth::Attributes {
            self.index.attributes.first.push(self.index.attributes.at.len() as u32);
        }
    }

    /// Adds an attribute of the current record.
    #[inline]
    pub(crate) fn push_attribute(&mut self, at: AttributeAt) {
        if self.depth == Depth::Attributes {
            self.index.attributes.at.push(at);
        }
    }

    /// Adds the attributes of record `i` of `from`, which lie now `by` bytes further.
    #[inline]
    pub(crate) fn push_attributes(&mut self, from: &Index, i: usize, by: u32) {
        if self.depth == Depth::Attributes {
            let range = from.attributes.first[i] as usize..from.attributes.first[i + 1] as usize;
            self.index.attributes.at.extend(from.attributes.at[range].iter().map(|at| at.moved(by)));
        }
    }

    /// Ends a record: this is where it is.
    #[inline]
    pub(crate) fn push_at(&mut self, at: RecordAt) {
        self.counts.records += 1;
        if self.depth != Depth::Counts {
            self.index.records.at.push(at);
            if self.signal == Signal::Metrics {
                self.index.records.metric.push(self.index.metrics.len() as u32);
            }
        }
    }

    /// Adds what the columns of `batch` say of its kept records besides where they are.
    pub(crate) fn push_columns_of(&mut self, batch: &Batch) {
        if self.depth == Depth::Counts {
            return;
        }
        let (to, from) = (&mut self.index.records, &batch.index().records);
        let keep = batch.keep();
        extend_kept(&mut to.trace_id, &from.trace_id, keep);
        extend_kept(&mut to.span_id, &from.span_id, keep);
        extend_kept(&mut to.time_ns, &from.time_ns, keep);
        extend_kept(&mut to.end_ns, &from.end_ns, keep);
        extend_kept(&mut to.kind, &from.kind, keep);
        extend_kept(&mut to.status, &from.status, keep);
    }

    /// Opens a message whose length is not known: about `expected` bytes, room is left for an eighth more.
    ///
    /// [`Draft::close`] writes the length into the room that was left. A shorter one is padded to it, which every protobuf
    /// reader accepts; for a longer one (rare) the message moves.
    pub(crate) fn open(&mut self, tag: u8, expected: usize) -> Level {
        let start = self.position();
        let width = put::varint_len((expected + expected / 8) as u64);
        self.out.push(tag);
        self.out.resize(self.out.len() + width, 0);
        let index = &self.index;
        Level {
            start,
            body: self.position(),
            scopes: index.scopes.len(),
            metrics: index.metrics.len(),
            records: index.records.at.len(),
            attributes: index.attributes.at.len(),
        }
    }

    /// Writes the length of a message. Returns by how many bytes its body had to move, which has been added to everything in the index that
    /// was pushed since.
    pub(crate) fn close(&mut self, level: &Level) -> u32 {
        let (start, body) = (level.start as usize + 1, level.body as usize);
        let len = self.out.len() - body;
        let shift = put::varint_len(len as u64).saturating_sub(body - start);
        if shift > 0 {
            let end = self.out.len();
            self.out.resize(end + shift, 0);
            self.out.copy_within(body..end, body + shift);
            self.move_index(level, shift as u32);
        }
        put::padded_varint(len as u64, &mut self.out[start..body + shift]);
        shift as u32
    }

    /// The body of a message that is closed and moved by `shift`.
    pub(crate) fn body_of(&self, level: &Level, shift: u32) -> Range32 {
        Range32 { start: level.body + shift, end: self.position() }
    }

    fn move_index(&mut self, level: &Level, by: u32) {
        let index = &mut self.index;
        for entry in &mut index.scopes[level.scopes..] {
            entry.start += by;
            entry.body = entry.body.moved(by);
            entry.scope = entry.scope.moved(by);
        }
        for entry in &mut index.metrics[level.metrics..] {
            entry.start += by;
            entry.body = entry.body.moved(by);
            entry.data_start += by;
            entry.data = entry.data.moved(by);
        }
        for entry in &mut index.records.at[level.records..] {
            entry.start += by;
            entry.body = entry.body.moved(by);
        }
        for entry in &mut index.attributes.at[level.attributes..] {
            *entry = entry.moved(by);
        }
    }

    /// The columns that do not say where something is.
    #[inline]
    fn push_columns(&mut self, from: &Index, first: usize, last: usize, metric: u32) {
        let (to, from) = (&mut self.index.records, &from.records);
        if self.signal == Signal::Metrics {
            to.metric.resize(to.metric.len() + (last - first), metric);
            to.time_ns.extend_from_slice(&from.time_ns[first..last]);
            return;
        }
        to.trace_id.extend_from_slice(&from.trace_id[first..last]);
        to.span_id.extend_from_slice(&from.span_id[first..last]);
        to.time_ns.extend_from_slice(&from.time_ns[first..last]);
        to.kind.extend_from_slice(&from.kind[first..last]);
        if self.signal == Signal::Traces {
            to.end_ns.extend_from_slice(&from.end_ns[first..last]);
            to.status.extend_from_slice(&from.status[first..last]);
        }
    }

    /// Adds all of a batch that has no filtered records, as it is.
    pub(crate) fn push_whole(&mut self, batch: &Batch) {
        let by = self.position();
        let (resources, scopes) = (self.counts.resources, self.counts.scopes);
        let records = self.counts.records;
        self.out.extend_from_slice(batch.raw());
        let more = batch.counts();
        if self.depth == Depth::Counts {
            self.counts.records += more.records;
        } else {
            let from = batch.index();
            let metrics = self.index.metrics.len() as u32;
            self.index.resources.extend(from.resources.iter().map(|entry| ResourceEntry {
                start: entry.start + by,
                body: entry.body.moved(by),
                resource: entry.resource.moved(by),
                first_scope: entry.first_scope + scopes,
                scopes: entry.scopes,
            }));
            self.index.scopes.extend(from.scopes.iter().map(|entry| ScopeEntry {
                resource: entry.resource + resources,
                start: entry.start + by,
                body: entry.body.moved(by),
                scope: entry.scope.moved(by),
                first_record: entry.first_record + records,
                records: entry.records,
            }));
            let at = self.index.records.at.len();
            let metric_column = self.index.records.metric.len();
            self.push_records(from, 0, from.records.at.len(), by, 0);
            for (to, from) in self.index.records.at[at..].iter_mut().zip(&from.records.at) {
                to.scope = from.scope + scopes;
            }
            for (to, from) in self.index.records.metric[metric_column..].iter_mut().zip(&from.records.metric)
            {
                *to = from + metrics;
            }
            self.index.metrics.extend(from.metrics.iter().map(|entry| MetricEntry {
                scope: entry.scope + scopes,
                start: entry.start + by,
                body: entry.body.moved(by),
                kind: entry.kind,
                data_start: entry.data_start + by,
                data: entry.data.moved(by),
                first_record: entry.first_record + records,
                records: entry.records,
            }));
        }
        self.counts.resources += more.resources;
        self.counts.scopes += more.scopes;
    }

    /// The request.
    pub(crate) fn finish(mut self) -> Batch {
        if self.depth == Depth::Attributes {
            self.index.attributes.first.push(self.index.attributes.at.len() as u32);
        }
        let bytes = Bytes::from(self.out);
        let index = match self.shell {
            Some(mut shell) => {
                *shell.make_mut() = self.index;
                shell
            }
            None => self.index.into(),
        };
        Batch::from_parts(self.signal, bytes, index, self.counts, Check::Full, self.depth)
    }
}

/// A message that is being written.
#[derive(Debug)]
pub(crate) struct Level {
    /// Offset of its tag.
    pub(crate) start: u32,
    /// Offset of its body.
    body: u32,
    /// What the index held when it was opened.
    scopes: usize,
    metrics: usize,
    records: usize,
    attributes: usize,
}

fn extend_kept<T: Copy>(to: &mut Vec<T>, from: &[T], keep: Option<&Bitmap>) {
    match keep {
        None => to.extend_from_slice(from),
        Some(keep) => {
            to.extend(from.iter().enumerate().filter(|(i, _)| keep.contains(*i)).map(|(_, value)| *value));
        }
    }
}

fn reserve<T>(to: &mut Vec<T>, from: &[T], records: usize) {
    if !from.is_empty() {
        to.reserve_exact(records);
    }
}
