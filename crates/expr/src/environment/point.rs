//! Data points of metrics.

use otlp::index::MetricKind;
use otlp::view::NumberView;

use super::{Row, row, text, time};
use crate::types::Type;
use crate::{Level, Value};

pub(super) const FIELDS: &[Row] = &[
    text("metric_name", Level::Record, |batch, i| batch.metric_of(i).name().into()),
    text("metric_description", Level::Record, |batch, i| batch.metric_of(i).description().into()),
    text("metric_unit", Level::Record, |batch, i| batch.metric_of(i).unit().into()),
    row("metric_type", Type::Int, |batch, i| Value::Int(number(batch.metric_of(i).kind()))),
    row("time_ns", Type::Int, |batch, i| time(batch.index().records.time_ns[i])),
    row("start_ns", Type::Int, |batch, i| time(batch.point(i).start_ns())),
    row("value", Type::Dynamic, |batch, i| match batch.point(i).number() {
        Some(NumberView::Int(value)) => Value::Int(value),
        Some(NumberView::Double(value)) => Value::Double(value),
        None => Value::Null,
    }),
    row("count", Type::Int, |batch, i| {
        batch
            .point(i)
            .count()
            .map_or(Value::Null, |count| Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
    }),
    row("sum", Type::Double, |batch, i| batch.point(i).sum().map_or(Value::Null, Value::Double)),
    row("flags", Type::Int, |batch, i| Value::Int(i64::from(batch.point(i).flags()))),
    row("is_monotonic", Type::Bool, |batch, i| Value::Bool(batch.metric_of(i).is_monotonic())),
    row("temporality", Type::Int, |batch, i| Value::Int(i64::from(batch.metric_of(i).temporality()))),
];

/// Types of metrics: numbers of our own, in the order in which the OpenTelemetry data model lists them. Temporalities:
/// `AggregationTemporality` of OTLP's `metrics.proto`.
pub(super) const CONSTANTS: &[(&str, i64)] = &[
    ("METRIC_NONE", 0),
    ("METRIC_GAUGE", 1),
    ("METRIC_SUM", 2),
    ("METRIC_HISTOGRAM", 3),
    ("METRIC_EXPONENTIAL_HISTOGRAM", 4),
    ("METRIC_SUMMARY", 5),
    ("TEMPORALITY_UNSPECIFIED", 0),
    ("TEMPORALITY_DELTA", 1),
    ("TEMPORALITY_CUMULATIVE", 2),
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
