//! Spans.

use super::{Id, Row, count, id, number, row, text, time};
use crate::types::Type;
use crate::{Level, Value};

pub(super) const FIELDS: &[Row] = &[
    text("name", Level::Record, |batch, i| batch.span(i).name().into()),
    row("kind", Type::Int, |batch, i| number(batch.index().records.kind[i], || batch.span(i).kind())),
    row("start_ns", Type::Int, |batch, i| time(batch.index().records.time_ns[i])),
    row("end_ns", Type::Int, |batch, i| time(batch.index().records.end_ns[i])),
    row("duration_ns", Type::Int, |batch, i| {
        let records = &batch.index().records;
        let ns = i128::from(records.end_ns[i]) - i128::from(records.time_ns[i]);
        Value::Int(i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX }))
    }),
    row("status_code", Type::Int, |batch, i| {
        number(batch.index().records.status[i], || batch.span(i).status_code())
    }),
    text("status_message", Level::Record, |batch, i| batch.span(i).status_message().into()),
    id("trace_id", |batch, i| Id::new(batch.index().records.trace_id[i])),
    id("span_id", |batch, i| Id::new(batch.index().records.span_id[i])),
    id("parent_span_id", |batch, i| Id::new(batch.span(i).parent_span_id().0)),
    text("trace_state", Level::Record, |batch, i| batch.span(i).trace_state().into()),
    row("flags", Type::Int, |batch, i| Value::Int(i64::from(batch.span(i).flags()))),
    row("is_root", Type::Bool, |batch, i| Value::Bool(batch.span(i).parent_span_id().is_zero())),
    row("events_count", Type::Int, |batch, i| count(batch.span(i).events_len())),
    row("links_count", Type::Int, |batch, i| count(batch.span(i).links_len())),
    row("dropped_attributes_count", Type::Int, |batch, i| {
        Value::Int(i64::from(batch.span(i).dropped_attributes_count()))
    }),
];

/// `Span.SpanKind` and `Status.StatusCode` of OTLP's `trace.proto`.
pub(super) const CONSTANTS: &[(&str, i64)] = &[
    ("KIND_UNSPECIFIED", 0),
    ("KIND_INTERNAL", 1),
    ("KIND_SERVER", 2),
    ("KIND_CLIENT", 3),
    ("KIND_PRODUCER", 4),
    ("KIND_CONSUMER", 5),
    ("STATUS_UNSET", 0),
    ("STATUS_OK", 1),
    ("STATUS_ERROR", 2),
];
