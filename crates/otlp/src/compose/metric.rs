//! Metrics and their points.

use super::nest::nested;
use super::record::id;
use super::{Attribute, attributes, text};
use crate::event::{Number, Temporality};
use crate::put::{self, fixed64_tag, len_tag, varint_tag};
use crate::{SpanId, TraceId};

/// What the points of one metric share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricParts<'a> {
    /// What is measured.
    pub name: &'a str,
    /// What it means.
    pub description: &'a str,
    /// Its unit, as UCUM writes it.
    pub unit: &'a str,
    /// Kind, and what belongs to it.
    pub data: DataParts,
    /// The points.
    pub points: &'a Points,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataParts {
    /// A value at a time.
    Gauge,
    /// A value that adds up.
    Sum {
        /// Since when it is summed.
        temporality: Temporality,
        /// Whether it never falls.
        monotonic: bool,
    },
    /// A distribution with explicit bounds.
    Histogram {
        /// Since when it is collected.
        temporality: Temporality,
    },
}

/// What one point says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PointValue<'a> {
    /// Of a gauge or a sum.
    Number(Number),
    /// Of a histogram.
    Histogram {
        /// How many observations there are.
        count: u64,
        /// Their sum.
        sum: f64,
        /// The smallest and the largest, where they are known.
        min_max: Option<(f64, f64)>,
        /// Upper bounds of all buckets but the last, inclusive and rising.
        bounds: &'a [f64],
        /// One count more than there are bounds.
        counts: &'a [u64],
    },
}

/// A measured value that stands for a point, with the span in which it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExemplarParts {
    /// Unix nanoseconds.
    pub time_ns: u64,
    /// What was measured.
    pub value: f64,
    /// The trace in which it was measured.
    pub trace_id: TraceId,
    /// The span in which it was measured.
    pub span_id: SpanId,
}

/// Points of one metric, in the order in which they were pushed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    bytes: Vec<u8>,
    len: usize,
}

impl Points {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets them, but not the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.len = 0;
    }

    /// Adds a point at `time_ns`, collected since `start_ns` (zero where that has no meaning). Its kind must be that of the
    /// [`MetricParts`] it will be put into.
    pub fn push(
        &mut self,
        value: &PointValue<'_>,
        point_attributes: &[Attribute<'_>],
        start_ns: u64,
        time_ns: u64,
        exemplars: &[ExemplarParts],
    ) {
        self.len += 1;
        nested(len_tag(1), 2, &mut self.bytes, |out| {
            if start_ns != 0 {
                put::fixed64(fixed64_tag(2), start_ns, out);
            }
            put::fixed64(fixed64_tag(3), time_ns, out);
            match value {
                PointValue::Number(value) => {
                    match value {
                        Number::Double(number) => put::fixed64(fixed64_tag(4), number.to_bits(), out),
                        Number::Int(number) => put::fixed64(fixed64_tag(6), *number as u64, out),
                    }
                    put_exemplars(len_tag(5), exemplars, out);
                    attributes(len_tag(7), point_attributes, out);
                }
                PointValue::Histogram { count, sum, min_max, bounds, counts } => {
                    put::fixed64(fixed64_tag(4), *count, out);
                    put::fixed64(fixed64_tag(5), sum.to_bits(), out);
                    packed(len_tag(6), counts.iter().copied(), out);
                    packed(len_tag(7), bounds.iter().map(|bound| bound.to_bits()), out);
                    put_exemplars(len_tag(8), exemplars, out);
                    attributes(len_tag(9), point_attributes, out);
                    if let Some((min, max)) = min_max {
                        put::fixed64(fixed64_tag(11), min.to_bits(), out);
                        put::fixed64(fixed64_tag(12), max.to_bits(), out);
                    }
                }
            }
        });
    }
}

fn packed(tag: u8, values: impl ExactSizeIterator<Item = u64>, out: &mut Vec<u8>) {
    if values.len() > 0 {
        put::open(tag, values.len() * 8, out);
        for value in values {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

fn put_exemplars(tag: u8, exemplars: &[ExemplarParts], out: &mut Vec<u8>) {
    for exemplar in exemplars {
        nested(tag, 1, out, |out| {
            put::fixed64(fixed64_tag(2), exemplar.time_ns, out);
            put::fixed64(fixed64_tag(3), exemplar.value.to_bits(), out);
            id(len_tag(4), &exemplar.span_id.0, out);
            id(len_tag(5), &exemplar.trace_id.0, out);
        });
    }
}

impl MetricParts<'_> {
    /// Appends it, points included, to the metrics of its scope. A metric without points is nothing: it is not written.
    pub fn put(&self, out: &mut Vec<u8>) {
        if self.points.is_empty() {
            return;
        }
        nested(len_tag(2), 2, out, |out| {
            text(len_tag(1), self.name, out);
            text(len_tag(2), self.description, out);
            text(len_tag(3), self.unit, out);
            let (tag, temporality, monotonic) = match self.data {
                DataParts::Gauge => (len_tag(5), None, false),
                DataParts::Sum { temporality, monotonic } => (len_tag(7), Some(temporality), monotonic),
                DataParts::Histogram { temporality } => (len_tag(9), Some(temporality), false),
            };
            nested(tag, 2, out, |out| {
                out.extend_from_slice(&self.points.bytes);
                if let Some(temporality) = temporality {
                    let wire = match temporality {
                        Temporality::Delta => 1,
                        Temporality::Cumulative => 2,
                    };
                    out.extend_from_slice(&[varint_tag(2), wire]);
                }
                if monotonic {
                    out.extend_from_slice(&[varint_tag(3), 1]);
                }
            });
        });
    }
}
