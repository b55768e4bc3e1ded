//! The series that are exposed: batches go in, and stay as the last value of each series until it expires.
//!
//! It opens nothing and asks nobody for the time. A point costs the hash of its attributes, one look-up, and the reading
//! of its value; labels are put together when a series is new.

use std::{borrow::Cow, collections::HashSet};

use otlp::{
    Batch, Signal,
    index::MetricKind,
    view::{MetricView, PointView},
};

use super::{
    PrometheusConfig,
    family::{Families, Family, Kind},
    format::Escaping,
    identity::{Identity, Keys, Known, put_set, put_text},
    labels::LabelsBuilder,
    origin::{Origin, Targets},
    places::{Place, Places, first_number},
    rejection::Rejection,
    series::Series,
    value::Value,
};

/// OTLP: 1 is delta, 2 is cumulative.
const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;
/// Bit 0 of a point's flags.
const NO_RECORDED_VALUE: u32 = 1;
/// A series' entries in tables and maps, labels and values aside, by a generous estimate.
const SERIES_BYTES: usize = size_of::<Series>() + 128;
/// What is left for overflow series when all others are full: one part in this many.
const OVERFLOW_PART: usize = 16;

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Points that were taken.
    pub taken: u64,
    /// Points that were not.
    pub rejected: u64,
}

/// What an exporter holds and has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrometheusStats {
    /// Series that are exposed, overflow series and `target_info` included.
    pub series: u64,
    /// Bytes that they take up.
    pub series_bytes: u64,
    /// Data points that were taken.
    pub taken: u64,
    /// Of these, points that went to an overflow series.
    pub overflowed: u64,
    /// Of these, points that were older than what was known.
    pub superseded: u64,
    /// Data points that were not taken, by [`Rejection::name`], zeros left out.
    pub rejected: Vec<(&'static str, u64)>,
    /// Series that expired.
    pub expired: u64,
    /// Streams whose labels are those of another: their series is fed by both.
    pub merged_streams: u64,
}

/// Counts that only grow.
#[derive(Debug, Default)]
struct Tallies {
    taken: u64,
    overflowed: u64,
    superseded: u64,
    rejected: [u64; Rejection::ALL.len()],
    expired: u64,
    merged_streams: u64,
}

/// The series.
#[derive(Debug)]
pub(super) struct SeriesTable {
    pub(super) config: PrometheusConfig,
    keys: Keys,
    pub(super) families: Families,
    series: Vec<Option<Series>>,
    free: Vec<u32>,
    places: Places,
    /// Numbers of series, by everything that identifies a stream: the numbers of its origin and of its metric, its attributes.
    streams: Known<u32>,
    pub(super) targets: Targets,
    /// Where identities are written before they are looked for.
    scratch: [Vec<u8>; 2],
    /// Series that are there.
    live: usize,
    /// Bytes of series, labels and values; families and targets count their own.
    bytes: usize,
    /// Bytes that may be taken besides, by what else is in use in this process.
    room: usize,
    swept_ns: u64,
    tallies: Tallies,
}

/// What is the same for all points of a metric.
#[derive(Clone, Copy)]
struct Stream<'a> {
    place: &'a Place<'a>,
    family: u32,
    kind: Kind,
    /// The number of what identifies the metric, where it has one.
    metric: Option<u64>,
    is_delta: bool,
    /// The metric's own name.
    name: &'a str,
    /// Whether points of several streams can be one series.
    can_overflow: bool,
    now_ns: u64,
}

impl SeriesTable {
    pub(super) fn new(config: PrometheusConfig) -> Self {
        Self {
            config,
            keys: Keys::default(),
            families: Families::default(),
            series: Vec::new(),
            free: Vec::new(),
            places: Places::default(),
            streams: Known::default(),
            targets: Targets::default(),
            scratch: Default::default(),
            live: 0,
            bytes: 0,
            room: usize::MAX,
            swept_ns: 0,
            tallies: Tallies::default(),
        }
    }

    /// Takes the points of a batch of metrics. `room` is how many bytes more it may take up than it does, besides its own
    /// limit. A batch that was not indexed has no points.
    pub(super) fn observe(&mut self, batch: &Batch, now_ns: u64, room: usize) -> Observed {
        let mut observed = Observed::default();
        if batch.signal() != Signal::Metrics {
            return observed;
        }
        self.room = self.memory_bytes().saturating_add(room);
        self.expire_some(now_ns);
        let index = batch.index();
        let mut place: Option<Place<'_>> = None;
        for entry in &index.metrics {
            let points = entry.first_record as usize..(entry.first_record + entry.records) as usize;
            let kept = || points.clone().filter(|i| batch.is_kept(*i));
            let Some(first) = kept().next() else { continue };
            if place.as_ref().is_none_or(|place| place.origin.scope != entry.scope) {
                let origin = Origin::read(batch, entry.scope, place.as_ref().map(|place| &place.origin));
                let free_bytes = self.free_bytes(1);
                let (keys, scratch) = (&self.keys, &mut self.scratch);
                let next = self.places.find(keys, origin, place.as_ref(), scratch, free_bytes);
                self.target(&next, now_ns);
                place = Some(next);
            }
            let Some(place) = &place else { continue };
            match self.stream(batch.metric_of(first), place, now_ns) {
                Err(why) => {
                    let count = kept().count() as u64;
                    self.reject(why, count);
                    observed.rejected += count;
                }
                Ok(stream) => {
                    for i in kept() {
                        match self.point(stream, batch.point(i)) {
                            Ok(()) => observed.taken += 1,
                            Err(why) => {
                                self.reject(why, 1);
                                observed.rejected += 1;
                            }
                        }
                    }
                }
            }
        }
        self.tallies.taken += observed.taken;
        observed
    }

    /// Takes away what had no point for `metric_expiration`.
    pub(super) fn expire(&mut self, now_ns: u64) {
        let expiration = u64::try_from(self.config.metric_expiration.as_nanos()).unwrap_or(u64::MAX);
        self.swept_ns = now_ns;
        let mut gone = 0;
        for (number, slot) in self.series.iter_mut().enumerate() {
            let is_over = slot.as_ref().is_some_and(|series| {
                series.value.is_none() || series.seen_ns.saturating_add(expiration) <= now_ns
            });
            if let Some(series) = slot.take_if(|_| is_over) {
                self.bytes -= series.memory_bytes();
                self.free.push(number as u32);
                gone += 1;
            }
        }
        gone += self.targets.expire(now_ns, expiration);
        if gone > 0 {
            let series = &self.series;
            let lives = |number: u32| series.get(number as usize).is_some_and(Option::is_some);
            self.streams.retain(|_, _, number| lives(number));
            self.families.sweep(lives);
            let origins = self.streams.exact_parts().filter_map(first_number).collect();
            self.places.retain(&origins, self.targets.resources());
            self.live = self.series.len() - self.free.len();
            self.tallies.expired += gone as u64;
        }
    }

    /// Metrics by name, as it is in this scheme. Of those that have one name then only the first is there.
    pub(super) fn exposed(&self, escaping: Escaping) -> impl Iterator<Item = (Cow<'_, str>, &Family)> {
        let may_meet = !self.config.translation_strategy.escapes() && escaping != Escaping::AllowUtf8;
        let mut seen = HashSet::new();
        self.families.by_name().filter_map(move |family| {
            let name = escaping.metric(&family.name);
            (!may_meet || seen.insert(name.clone().into_owned())).then_some((name, family))
        })
    }

    /// The series of this number.
    pub(super) fn series(&self, number: u32) -> Option<&Series> {
        self.series.get(number as usize)?.as_ref()
    }

    /// Bytes that everything takes up.
    pub(super) fn memory_bytes(&self) -> usize {
        let known = self.places.memory_bytes() + self.streams.memory_bytes();
        self.bytes
            + self.live * SERIES_BYTES
            + known
            + self.families.memory_bytes()
            + self.targets.memory_bytes()
    }

    pub(super) fn stats(&self) -> PrometheusStats {
        let tallies = &self.tallies;
        let rejected = Rejection::ALL.into_iter().zip(tallies.rejected).filter(|(_, count)| *count > 0);
        PrometheusStats {
            series: (self.live + self.targets.len()) as u64,
            series_bytes: self.memory_bytes() as u64,
            taken: tallies.taken,
            overflowed: tallies.overflowed,
            superseded: tallies.superseded,
            rejected: rejected.map(|(why, count)| (why.name(), count)).collect(),
            expired: tallies.expired,
            merged_streams: tallies.merged_streams,
        }
    }

    fn reject(&mut self, why: Rejection, points: u64) {
        self.tallies.rejected[why as usize] += points;
    }

    /// Looks for what has expired, but not with every batch.
    fn expire_some(&mut self, now_ns: u64) {
        let expiration = u64::try_from(self.config.metric_expiration.as_nanos()).unwrap_or(u64::MAX);
        if now_ns.saturating_sub(self.swept_ns) >= expiration / 8 {
            self.expire(now_ns);
        }
    }

    /// Whether so many bytes, and one more series, may be taken.
    fn has_room(&self, series: usize, bytes: usize, keep_free: usize) -> bool {
        self.live + self.targets.len() + series <= self.config.max_series
            && bytes <= self.free_bytes(keep_free)
    }

    /// Bytes that are left, but for so many parts that are kept for overflow series.
    fn free_bytes(&self, keep_free: usize) -> usize {
        let limit = self.config.max_series_bytes - self.config.max_series_bytes / OVERFLOW_PART * keep_free;
        limit.min(self.room).saturating_sub(self.memory_bytes())
    }

    fn target(&mut self, place: &Place<'_>, now_ns: u64) {
        let Place { origin, resource, .. } = place;
        if !self.targets.touch(origin, *resource, now_ns) && self.has_room(1, origin.target_bytes(), 1) {
            self.targets.insert(origin, *resource, self.config.rules(), now_ns);
        }
    }

    /// What a metric's points have in common.
    fn stream<'a>(
        &mut self,
        metric: MetricView<'a>,
        place: &'a Place<'a>,
        now_ns: u64,
    ) -> Result<Stream<'a>, Rejection> {
        let name = metric.name();
        let kind = metric.kind();
        let has_temporality =
            matches!(kind, MetricKind::Sum | MetricKind::Histogram | MetricKind::ExponentialHistogram);
        let is_delta = has_temporality && metric.temporality() == DELTA;
        if has_temporality && !matches!(metric.temporality(), DELTA | CUMULATIVE)
            || is_delta && kind == MetricKind::Sum && !metric.is_monotonic()
        {
            return Err(Rejection::Temporality);
        }
        let [mut exact, set] = std::mem::take(&mut self.scratch);
        exact.clear();
        exact.extend([kind as u8, u8::from(metric.is_monotonic())]);
        let marked = metric.metadata().text("prometheus.type").unwrap_or_default();
        [metric.name(), metric.unit(), marked].iter().for_each(|text| put_text(text, &mut exact));
        let found = self.family(&metric, Identity { exact: &exact, set: &[] });
        self.scratch = [exact, set];
        let (metric, family) = found?;
        let can_overflow = is_delta || kind == MetricKind::Gauge;
        let kind = self.families.get(family).map_or(Kind::Unknown, |family| family.kind);
        Ok(Stream { place, family, kind, metric, is_delta, name, can_overflow, now_ns })
    }

    /// The metric of this identity: the identity's number, and the metric's.
    fn family(
        &mut self,
        metric: &MetricView<'_>,
        identity: Identity<'_>,
    ) -> Result<(Option<u64>, u32), Rejection> {
        let key = self.keys.of(identity);
        match self.families.known(key, identity) {
            Some((number, family)) => Ok((Some(number), family)),
            None => {
                let room = (self.free_bytes(0), self.live < self.config.max_series);
                let names = (self.config.translation_strategy, self.config.namespace.as_str());
                self.families.find(metric, (key, identity), names, room)
            }
        }
    }

    fn point(&mut self, stream: Stream<'_>, point: PointView<'_>) -> Result<(), Rejection> {
        let [exact, mut set] = std::mem::take(&mut self.scratch);
        set.clear();
        put_set(point.attributes(), &mut set);
        let done = self.point_of(stream, point, &set);
        self.scratch = [exact, set];
        done
    }

    /// A point with this set of attributes.
    fn point_of(&mut self, stream: Stream<'_>, point: PointView<'_>, set: &[u8]) -> Result<(), Rejection> {
        // Without numbers it is its labels that tell whose point it is.
        let numbers = stream.place.number.zip(stream.metric);
        let numbers = numbers.map(|(origin, metric)| [origin, metric].map(u64::to_ne_bytes));
        let identity = numbers.as_ref().map(|numbers| Identity { exact: numbers.as_flattened(), set });
        let keyed = identity.map(|identity| (self.keys.of(identity), identity));
        let known =
            keyed.and_then(|(key, identity)| self.streams.find(key, identity)).map(|(_, series)| series);
        if point.flags() & NO_RECORDED_VALUE != 0 {
            // What a scrape does not have is stale.
            if let Some(series) = known.and_then(|number| self.series[number as usize].as_mut()) {
                let before = series.memory_bytes();
                series.forget();
                self.bytes -= before - series.memory_bytes();
            }
            return Ok(());
        }
        let hint = self.families.get(stream.family).and_then(|family| family.bounds.as_ref());
        let value = Value::read(point, stream.kind == Kind::Counter, hint)?;
        if let Value::Explicit(histogram) = &value
            && let Some(family) = self.families.get_mut(stream.family)
        {
            family.bounds = Some(histogram.bounds.clone());
        }
        let number = match known {
            Some(number) => number,
            None => self.admit(stream, keyed, point, &value)?,
        };
        self.update(number, stream, point, value)
    }

    /// The series of a stream that is seen for the first time: a new one, one that has the same labels, or the overflow
    /// series of its metric.
    fn admit(
        &mut self,
        stream: Stream<'_>,
        keyed: Option<(u128, Identity<'_>)>,
        point: PointView<'_>,
        value: &Value,
    ) -> Result<u32, Rejection> {
        let mut labels = LabelsBuilder::new(self.config.translation_strategy, stream.kind.reserved_label());
        stream.place.origin.label(self.config.rules(), &mut labels);
        labels.attributes(point.attributes(), &[]);
        let labels = labels.build();
        let known = self.families.get(stream.family).and_then(|family| family.series.get(&labels).copied());
        let entry = keyed.map_or(0, |(_, identity)| Known::<u32>::bytes_of(identity));
        let bytes = value.heap_bytes() + labels.memory_bytes() + SERIES_BYTES + entry;
        let owner = self.owner(stream);
        if let Some(number) = known {
            if let Some(series) = self.series[number as usize].as_mut() {
                // Two names that have become one: what they measure is not the same, and neither may hide the other.
                if series.owner != owner {
                    return Err(Rejection::Duplicate);
                }
                series.shared = true;
            }
            self.tallies.merged_streams += 1;
            if let Some((key, identity)) = keyed.filter(|_| self.has_room(0, entry, 1)) {
                self.streams.insert(key, identity, number);
            }
            return Ok(number);
        }
        if !self.has_room(1, bytes, 1) {
            return self.overflow(stream, value);
        }
        let number = self.insert(labels.memory_bytes(), owner);
        if let Some(family) = self.families.get_mut(stream.family) {
            family.series.insert(labels, number);
        }
        if let Some((key, identity)) = keyed {
            self.streams.insert(key, identity, number);
        }
        Ok(number)
    }

    /// The series that takes what is too much of a metric. Only what can be added up means something in it.
    fn overflow(&mut self, stream: Stream<'_>, value: &Value) -> Result<u32, Rejection> {
        if !stream.can_overflow {
            return Err(Rejection::Cardinality);
        }
        let known = self.families.get(stream.family).and_then(|family| family.overflow);
        let number = match known {
            Some(number) => number,
            None => {
                let mut labels = LabelsBuilder::new(self.config.translation_strategy, "");
                labels.fixed("otel_metric_overflow", "true");
                self.config.const_labels.iter().for_each(|(name, value)| labels.fixed(name, value));
                let labels = labels.build();
                let bytes = value.heap_bytes() + labels.memory_bytes() + SERIES_BYTES;
                let limit = self.config.max_series_bytes.min(self.room);
                if self.memory_bytes().saturating_add(bytes) > limit {
                    return Err(Rejection::Cardinality);
                }
                let number = self.insert(labels.memory_bytes(), self.owner(stream));
                if let Some(series) = self.series[number as usize].as_mut() {
                    series.shared = true;
                }
                if let Some(family) = self.families.get_mut(stream.family) {
                    family.series.insert(labels, number);
                    family.overflow = Some(number);
                }
                number
            }
        };
        self.tallies.overflowed += 1;
        Ok(number)
    }

    /// Stands for the own name of a metric.
    fn owner(&self, stream: Stream<'_>) -> u64 {
        self.keys.of(Identity { exact: stream.name.as_bytes(), set: &[] }) as u64
    }

    fn insert(&mut self, label_bytes: usize, owner: u64) -> u32 {
        let series = Series::new(label_bytes, owner);
        self.bytes += series.memory_bytes();
        self.live += 1;
        match self.free.pop() {
            Some(number) => {
                self.series[number as usize] = Some(series);
                number
            }
            None => {
                self.series.push(Some(series));
                self.series.len() as u32 - 1
            }
        }
    }

    /// Gives a series its next point. One that would grow beyond the bound stays as it is.
    fn update(
        &mut self,
        number: u32,
        stream: Stream<'_>,
        point: PointView<'_>,
        value: Value,
    ) -> Result<(), Rejection> {
        let more = value.heap_bytes();
        let is_full = !self.has_room(0, more, 0);
        let Some(series) = self.series[number as usize].as_mut() else { return Err(Rejection::Cardinality) };
        let before = series.memory_bytes();
        if is_full && more > series.value.as_ref().map_or(0, Value::heap_bytes) {
            return Err(Rejection::Cardinality);
        }
        let applied = series.apply(value, stream.is_delta, point, stream.now_ns);
        self.bytes = self.bytes - before + series.memory_bytes();
        self.tallies.superseded += u64::from(!applied?);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
