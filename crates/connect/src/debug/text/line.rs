//! A line for each resource, scope, metric and record, and below it what else they say where that is asked for.

use std::fmt::Write;

use otlp::{
    index::MetricKind,
    view::{LogView, MetricView, NumberView, PointView, ResourceView, ScopeView, SpanView},
};

use super::{
    DIM, RED, Style, Verbosity, detail,
    value::{attribute_lines, attributes, duration, text, time, value},
};

pub(super) fn resource(resource: &ResourceView<'_>, style: &Style, out: &mut String) {
    out.push_str("resource");
    if style.verbosity == Verbosity::Detailed {
        out.push('\n');
        attribute_lines(resource.attributes(), 4, out);
        detail::dropped("attributes", resource.dropped_attributes_count(), 4, out);
        return;
    }
    attributes(resource.attributes(), out);
    out.push('\n');
}

pub(super) fn scope(scope: &ScopeView<'_>, style: &Style, out: &mut String) {
    let is_nothing = scope.name().is_empty() && scope.version().is_empty();
    if is_nothing && scope.attributes().next().is_none() {
        return;
    }
    out.push_str("  scope ");
    text(scope.name(), out);
    if !scope.version().is_empty() {
        out.push(' ');
        text(scope.version(), out);
    }
    if style.verbosity == Verbosity::Detailed {
        out.push('\n');
        attribute_lines(scope.attributes(), 6, out);
        return;
    }
    attributes(scope.attributes(), out);
    out.push('\n');
}

/// How spans are called by the number of their kind.
const SPAN_KINDS: [&str; 6] = ["span", "internal", "server", "client", "producer", "consumer"];

pub(super) fn span(span: &SpanView<'_>, style: &Style, out: &mut String) {
    let kind = usize::try_from(span.kind()).ok().and_then(|kind| SPAN_KINDS.get(kind));
    let (dim, off) = style.pair(DIM);
    let _ = write!(out, "  {} \"", kind.unwrap_or(&"span"));
    text(span.name(), out);
    let _ = write!(out, "\" {}", duration(span.start_ns(), span.end_ns()));
    match span.status_code() {
        0 => {}
        1 => out.push_str(" ok"),
        _ => {
            let (red, off) = style.pair(RED);
            let _ = write!(out, " {red}error");
            if !span.status_message().is_empty() {
                out.push_str(" \"");
                text(span.status_message(), out);
                out.push('"');
            }
            out.push_str(off);
        }
    }
    let _ = write!(out, " {dim}trace {} span {}", span.trace_id(), span.span_id());
    if !span.parent_span_id().is_zero() {
        let _ = write!(out, " parent {}", span.parent_span_id());
    }
    out.push_str(off);
    if style.verbosity == Verbosity::Detailed {
        out.push('\n');
        return detail::span(span, out);
    }
    attributes(span.attributes(), out);
    out.push('\n');
}

/// The severity's name where the record has none: numbers come in fours (logs data model, "Severity Fields").
fn severity(log: &LogView<'_>) -> &'static str {
    match log.severity_number() {
        1..=4 => "TRACE",
        5..=8 => "DEBUG",
        9..=12 => "INFO",
        13..=16 => "WARN",
        17..=20 => "ERROR",
        21..=24 => "FATAL",
        _ => "log",
    }
}

pub(super) fn log(log: &LogView<'_>, style: &Style, out: &mut String) {
    let is_bad = log.severity_number() >= 17;
    let (red, off) = if is_bad { style.pair(RED) } else { ("", "") };
    let at_ns = if log.time_ns() > 0 { log.time_ns() } else { log.observed_time_ns() };
    let _ = write!(out, "  {} {red}", time(at_ns));
    if log.severity_text().is_empty() {
        out.push_str(severity(log));
    } else {
        text(log.severity_text(), out);
    }
    out.push_str(off);
    out.push(' ');
    if !log.event_name().is_empty() {
        text(log.event_name(), out);
        out.push(' ');
    }
    value(&log.body_value(), out);
    if style.verbosity == Verbosity::Detailed {
        out.push('\n');
        return detail::log(log, out);
    }
    attributes(log.attributes(), out);
    if !log.trace_id().is_zero() {
        let (dim, off) = style.pair(DIM);
        let _ = write!(out, " {dim}trace {} span {}{off}", log.trace_id(), log.span_id());
    }
    out.push('\n');
}

pub(super) fn metric(metric: &MetricView<'_>, style: &Style, out: &mut String) {
    let kind = match metric.kind() {
        MetricKind::None => "metric without data",
        MetricKind::Gauge => "gauge",
        MetricKind::Sum if metric.is_monotonic() => "counter",
        MetricKind::Sum => "sum",
        MetricKind::Histogram => "histogram",
        MetricKind::ExponentialHistogram => "exponential histogram",
        MetricKind::Summary => "summary",
    };
    let _ = write!(out, "  {kind} ");
    text(metric.name(), out);
    if !metric.unit().is_empty() {
        out.push_str(" [");
        text(metric.unit(), out);
        out.push(']');
    }
    match metric.temporality() {
        1 => out.push_str(" delta"),
        2 => out.push_str(" cumulative"),
        _ => {}
    }
    out.push('\n');
    if style.verbosity == Verbosity::Detailed && !metric.description().is_empty() {
        out.push_str("      ");
        text(metric.description(), out);
        out.push('\n');
    }
}

pub(super) fn point(point: &PointView<'_>, style: &Style, out: &mut String) {
    let _ = write!(out, "    {}", time(point.time_ns()));
    match point.number() {
        Some(NumberView::Int(number)) => drop(write!(out, " {number}")),
        Some(NumberView::Double(number)) => drop(write!(out, " {number:?}")),
        None => {}
    }
    for (name, number) in [("count", point.count().map(|count| count as f64)), ("sum", point.sum())] {
        if let Some(number) = number {
            let _ = write!(out, " {name} {number}");
        }
    }
    for (name, number) in [("min", point.min()), ("max", point.max())] {
        if let Some(number) = number {
            let _ = write!(out, " {name} {number}");
        }
    }
    if style.verbosity == Verbosity::Detailed {
        out.push('\n');
        return detail::point(point, out);
    }
    attributes(point.attributes(), out);
    out.push('\n');
}
