//! Remote write 1.0: `prometheus.WriteRequest`.
//!
//! Numbers of fields: <https://github.com/prometheus/prometheus/blob/main/prompb/remote.proto> and `types.proto` beside it.

use std::collections::HashSet;

use super::{
    rows::{Native, Row, STALE},
    streams::Described,
};
use crate::prometheus::{
    exponential::{DEFAULT_ZERO_THRESHOLD, Exponential},
    family::Kind,
    message::Message,
};

/// A request that is being written.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) out: Message,
    /// Metrics that have been described.
    described: HashSet<String>,
}

impl Writer {
    /// Writes a series.
    pub(super) fn row(&mut self, row: &Row<'_>) {
        self.out.message(1, |series| {
            row.each_label(|name, value| series.pair(1, name, value));
            for sample in row.samples {
                series.message(2, |message| {
                    message.double(1, sample.value);
                    message.varint(2, sample.time_ms as u64);
                });
            }
            for example in row.exemplars {
                series.message(3, |message| {
                    for (name, value) in example.exemplar.labels.texts() {
                        message.pair(1, name, value);
                    }
                    message.double(2, example.exemplar.value.as_f64());
                    message.varint(3, example.time_ms as u64);
                });
            }
            for native in row.natives {
                series.message(4, |message| put_native(native, message));
            }
        });
    }

    /// Says what a metric is, once.
    pub(super) fn describe(&mut self, described: &Described) {
        if !self.described.insert(described.name.clone()) {
            return;
        }
        self.out.message(3, |message| {
            message.varint(1, metric_type(described.kind));
            message.text(2, &described.name);
            message.text(4, &described.help);
            message.text(5, &described.unit);
        });
    }
}

/// The number of a type, the same in both versions.
pub(super) fn metric_type(kind: Kind) -> u64 {
    match kind {
        Kind::Unknown => 0,
        Kind::Counter => 1,
        Kind::Gauge => 2,
        Kind::Histogram => 3,
        Kind::Summary => 5,
    }
}

/// A native histogram, the same in both versions but for when it began.
pub(super) fn put_native(native: &Native<'_>, message: &mut Message) {
    match native.value {
        Some(value) => put_histogram(value, message),
        None => {
            message.varint(1, 0);
            message.double(3, STALE);
            message.varint(6, 0);
        }
    }
    message.varint(15, native.time_ms as u64);
}

fn put_histogram(value: &Exponential, message: &mut Message) {
    message.varint(1, value.count);
    // A sum that nobody knows is no number; there is no way to leave it out.
    message.double(3, value.sum.unwrap_or(f64::NAN));
    message.zigzag(4, i64::from(value.scale));
    let is_said = value.zero_threshold > 0.0;
    message.double(5, if is_said { value.zero_threshold } else { DEFAULT_ZERO_THRESHOLD });
    message.varint(6, value.zero_count);
    for (dense, span_field, delta_field) in [(&value.negative, 8, 9), (&value.positive, 11, 12)] {
        let layout = dense.layout();
        for (gap, length) in &layout.spans {
            message.message(span_field, |span| {
                span.zigzag(1, *gap);
                span.varint(2, *length);
            });
        }
        message.packed_zigzag(delta_field, &layout.deltas);
    }
}
