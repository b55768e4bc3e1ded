//! The oldest records of many, whatever order they come in.

use std::{cmp::Ordering, collections::BinaryHeap};

use crate::{TelemetryData, TelemetryEvent, TelemetryMetric};

/// An event or a metric.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// An event.
    Event(TelemetryEvent),
    /// A metric.
    Metric(TelemetryMetric),
}

impl Record {
    /// Unix nanoseconds.
    pub fn time_ns(&self) -> u64 {
        match self {
            Record::Event(event) => event.time_ns,
            Record::Metric(metric) => metric.time_ns,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Record::Event(event) => event.bytes(),
            Record::Metric(metric) => metric.bytes(),
        }
    }
}

/// Which records are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start_ns: u64,
    end_ns: Option<u64>,
}

impl Span {
    pub(crate) fn of(start_ns: Option<u64>, end_ns: Option<u64>) -> Self {
        Self { start_ns: start_ns.unwrap_or(0), end_ns }
    }

    /// From start to before end.
    pub(crate) fn contains(&self, time_ns: u64) -> bool {
        time_ns >= self.start_ns && self.end_ns.is_none_or(|end| time_ns < end)
    }

    /// Whether it contains any time from `min_ns` to `max_ns`, that included.
    pub(crate) fn overlaps(&self, min_ns: u64, max_ns: u64) -> bool {
        max_ns >= self.start_ns && self.end_ns.is_none_or(|end| min_ns < end)
    }
}

/// Keeps the oldest records that it is offered, those of one time in the order in which they came. Takes no more memory than they do.
pub(crate) enum Oldest {
    /// All of them.
    All(TelemetryData),
    /// So many at most.
    Some { limit: usize, kept: BinaryHeap<Kept>, offered: u64 },
}

pub(crate) struct Kept {
    time_ns: u64,
    number: u64,
    record: Record,
}

impl Oldest {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        match limit {
            None => Self::All(TelemetryData::default()),
            Some(limit) => Self::Some { limit, kept: BinaryHeap::new(), offered: 0 },
        }
    }

    /// Whether a record of this time would be kept. One that is as old as the newest kept came later, and would not.
    pub(crate) fn wants(&self, time_ns: u64) -> bool {
        match self {
            Self::All(_) => true,
            Self::Some { limit, kept, .. } => {
                kept.len() < *limit || kept.peek().is_some_and(|newest| time_ns < newest.time_ns)
            }
        }
    }

    pub(crate) fn offer(&mut self, record: Record) {
        if !self.wants(record.time_ns()) {
            return;
        }
        match self {
            Self::All(data) => data.push(record),
            Self::Some { limit, kept, offered } => {
                kept.push(Kept { time_ns: record.time_ns(), number: *offered, record });
                *offered += 1;
                if kept.len() > *limit {
                    kept.pop();
                }
            }
        }
    }

    pub(crate) fn finish(self) -> TelemetryData {
        match self {
            Self::All(mut data) => {
                sort(&mut data.events, |event| event.time_ns);
                sort(&mut data.metrics, |metric| metric.time_ns);
                data
            }
            Self::Some { kept, .. } => {
                let mut data = TelemetryData::default();
                kept.into_sorted_vec().into_iter().for_each(|kept| data.push(kept.record));
                data
            }
        }
    }
}

/// By time. Most are, as they were stored.
fn sort<T>(records: &mut [T], time_ns: impl Fn(&T) -> u64) {
    if !records.is_sorted_by_key(&time_ns) {
        records.sort_by_key(time_ns);
    }
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time_ns, self.number).cmp(&(other.time_ns, other.number))
    }
}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Kept {}

impl TelemetryData {
    fn push(&mut self, record: Record) {
        match record {
            Record::Event(event) => self.events.push(event),
            Record::Metric(metric) => self.metrics.push(metric),
        }
    }

    /// Keeps the records from `start_ns` (Unix nanoseconds) to before `end_ns`, the oldest first, `limit` of them at most, events
    /// and metrics together: what [`crate::TelemetryStorage::retrieve`] returns of all that is stored.
    ///
    /// ```
    /// use aldis_collect::{TelemetryData, TelemetryMetric};
    ///
    /// let at = |time_ns| TelemetryMetric { time_ns, ..TelemetryMetric::default() };
    /// let mut data = TelemetryData { metrics: vec![at(3), at(1), at(2)], ..TelemetryData::default() };
    /// data.select(Some(1), Some(3), Some(1));
    /// assert_eq!(data.metrics, [at(1)]);
    /// ```
    pub fn select(&mut self, start_ns: Option<u64>, end_ns: Option<u64>, limit: Option<usize>) {
        let span = Span::of(start_ns, end_ns);
        let mut oldest = Oldest::new(limit);
        let events = self.events.drain(..).map(Record::Event);
        let records = events.chain(self.metrics.drain(..).map(Record::Metric));
        records.filter(|record| span.contains(record.time_ns())).for_each(|record| oldest.offer(record));
        *self = oldest.finish();
    }
}
