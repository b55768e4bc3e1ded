//! Data points of metrics.

use otlp::index::MetricKind;

use super::{Row, row, text, time};
use crate::types::Type;
use crate::{Level, Value};

pub(super) const FIELDS: &[Row] = &[
    text("metric_name", Level::Record, |batch, i| batch.metric_of(i).name().into()),
    text("metric_description", Level::Record, |batch, i| batch.metric_of(i).description().into()),
    text("metric_unit", Level::Record, |batch, i| batch.metric_of(i).unit().into()),
    row("metric_type", Type::Int, |batch, i| Value::Int(number(batch.metric_of(i).kind()))),
    row("time_ns", Type::Int, |batch, i| time(batch.index().records.time_ns[i])),
];

/// Numbers of our own, in the order in which the OpenTelemetry data model lists the types.
pub(super) const CONSTANTS: &[(&str, i64)] = &[
    ("METRIC_NONE", 0),
    ("METRIC_GAUGE", 1),
    ("METRIC_SUM", 2),
    ("METRIC_HISTOGRAM", 3),
    ("METRIC_EXPONENTIAL_HISTOGRAM", 4),
    ("METRIC_SUMMARY", 5),
];

fn number(kind: MetricKind) -> i64 {
    match kind {
        MetricKind::None => 0,
        MetricKind::Gauge => 1,
        MetricKind::Sum => 2,
        MetricKind::Histogram => 3,
        MetricKind::ExponentialHistogram => 4,
        MetricKind::Summary => 5,
    }
}
