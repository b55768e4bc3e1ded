//! Single measurements that a series keeps as examples.

use otlp::view::{ExemplarView, PointView};

use super::{
    labels::{Labels, value_text},
    value::{Number, Value},
};
use crate::limits::{MAX_BUCKETS, MAX_EXEMPLAR_CHARS, MAX_NATIVE_EXEMPLARS};

/// A measurement and where it was made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exemplar {
    pub(super) value: Number,
    pub(super) time_ns: u64,
    pub(super) labels: Labels,
}

/// The exemplars of a series: one for a counter, one for each bucket with explicit bounds, a few of an exponential
/// histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Exemplars(Vec<Exemplar>);

impl Exemplars {
    /// Takes over a point's: of those that fall into one place the largest stays, and takes the place of an older one.
    pub(super) fn take(&mut self, point: PointView<'_>, value: &Value) {
        let mut fresh: Vec<(usize, Exemplar)> = Vec::new();
        for view in point.exemplars() {
            let Some(number) = view.number().map(Number::from).filter(|n| !n.as_f64().is_nan()) else {
                continue;
            };
            let place = place(value, number.as_f64());
            let is_full = fresh.len() >= MAX_BUCKETS;
            match fresh.iter_mut().find(|(known, _)| *known == place) {
                Some((_, known)) if known.value.as_f64() >= number.as_f64() => {}
                Some((_, known)) => *known = Exemplar::read(view, number),
                None if is_full => break,
                None => fresh.push((place, Exemplar::read(view, number))),
            }
        }
        if fresh.is_empty() {
            return;
        }
        let is_native = matches!(value, Value::Exponential(_));
        let taken = |old: &Exemplar| {
            !is_native && fresh.iter().any(|(at, _)| *at == place(value, old.value.as_f64()))
        };
        self.0.retain(|old| !taken(old));
        self.0.extend(fresh.into_iter().map(|(_, exemplar)| exemplar));
        if is_native {
            self.0.sort_by_key(|exemplar| std::cmp::Reverse(exemplar.time_ns));
            self.0.truncate(MAX_NATIVE_EXEMPLARS);
        }
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The largest that is above `lower` and up to `upper`.
    pub(super) fn within(&self, lower: f64, upper: f64) -> Option<&Exemplar> {
        let inside = |exemplar: &&Exemplar| {
            let value = exemplar.value.as_f64();
            value > lower && value <= upper || lower == f64::NEG_INFINITY && value == lower
        };
        self.0.iter().filter(inside).max_by(|a, b| a.value.as_f64().total_cmp(&b.value.as_f64()))
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Exemplar] {
        &self.0
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let labels: usize = self.0.iter().map(|exemplar| exemplar.labels.memory_bytes()).sum();
        self.0.capacity() * size_of::<Exemplar>() + labels
    }
}

/// Where a measurement falls: exemplars of one place replace each other.
fn place(value: &Value, measured: f64) -> usize {
    match value {
        Value::Explicit(histogram) => histogram.bounds.partition_point(|bound| *bound < measured),
        // Each has a place of its own, as far as there is room.
        Value::Exponential(_) => measured.to_bits() as usize,
        Value::Number(_) | Value::Summary(_) => 0,
    }
}

impl Exemplar {
    fn read(view: ExemplarView<'_>, value: Number) -> Self {
        let mut pairs: Vec<(String, String)> = Vec::new();
        if view.trace_id().0 != [0; 16] {
            pairs.push(("trace_id".to_owned(), view.trace_id().to_string()));
        }
        if view.span_id().0 != [0; 8] {
            pairs.push(("span_id".to_owned(), view.span_id().to_string()));
        }
        let ids = pairs.len();
        for (key, value) in view.filtered_attributes() {
            let name = super::naming::label_name(Default::default(), key).into_owned();
            let value = value_text(value).into_owned();
            if !value.is_empty() && !pairs.iter().any(|(known, _)| *known == name) {
                pairs.push((name, value));
            }
        }
        // <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md#exemplars>: with too much in
        // them they are refused; the ids are what matters.
        let characters = |pairs: &[(String, String)]| -> usize {
            pairs.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum()
        };
        if characters(&pairs) > MAX_EXEMPLAR_CHARS {
            pairs.truncate(ids);
        }
        pairs.sort();
        let labels = Labels::of_sorted(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Exemplar { value, time_ns: view.time_ns(), labels }
    }
}
