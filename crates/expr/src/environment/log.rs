//! Log records.

use super::{Id, Row, id, number, row, text, time};
use crate::types::Type;
use crate::{Level, Value};

pub(super) const FIELDS: &[Row] = &[
    row("time_ns", Type::Int, |batch, i| time(batch.log(i).time_ns())),
    row("observed_time_ns", Type::Int, |batch, i| time(batch.log(i).observed_time_ns())),
    row("severity_number", Type::Int, |batch, i| {
        number(batch.index().records.kind[i], || batch.log(i).severity_number())
    }),
    text("severity_text", Level::Record, |batch, i| batch.log(i).severity_text().into()),
    row("body", Type::Dynamic, |batch, i| batch.log(i).body_value().into()),
    text("event_name", Level::Record, |batch, i| batch.log(i).event_name().into()),
    id("trace_id", |batch, i| Id::new(batch.index().records.trace_id[i])),
    id("span_id", |batch, i| Id::new(batch.index().records.span_id[i])),
    row("flags", Type::Int, |batch, i| Value::Int(i64::from(batch.log(i).flags()))),
    row("dropped_attributes_count", Type::Int, |batch, i| {
        Value::Int(i64::from(batch.log(i).dropped_attributes_count()))
    }),
];

/// `SeverityNumber` of OTLP's `logs.proto`.
pub(super) const CONSTANTS: &[(&str, i64)] = &[
    ("SEVERITY_UNSPECIFIED", 0),
    ("SEVERITY_TRACE", 1),
    ("SEVERITY_TRACE2", 2),
    ("SEVERITY_TRACE3", 3),
    ("SEVERITY_TRACE4", 4),
    ("SEVERITY_DEBUG", 5),
    ("SEVERITY_DEBUG2", 6),
    ("SEVERITY_DEBUG3", 7),
    ("SEVERITY_DEBUG4", 8),
    ("SEVERITY_INFO", 9),
    ("SEVERITY_INFO2", 10),
    ("SEVERITY_INFO3", 11),
    ("SEVERITY_INFO4", 12),
    ("SEVERITY_WARN", 13),
    ("SEVERITY_WARN2", 14),
    ("SEVERITY_WARN3", 15),
    ("SEVERITY_WARN4", 16),
    ("SEVERITY_ERROR", 17),
    ("SEVERITY_ERROR2", 18),
    ("SEVERITY_ERROR3", 19),
    ("SEVERITY_ERROR4", 20),
    ("SEVERITY_FATAL", 21),
    ("SEVERITY_FATAL2", 22),
    ("SEVERITY_FATAL3", 23),
    ("SEVERITY_FATAL4", 24),
];
