//! What a record says besides its line.

use std::fmt::Write;

use otlp::view::{BucketsView, LogView, NumberView, PointView, SpanView};

use super::value::{attribute_lines, attributes, text, time};
use crate::limits::DEBUG_ITEMS;

/// How many of something its sender left out.
pub(super) fn dropped(what: &str, count: u32, indent: usize, out: &mut String) {
    if count > 0 {
        let _ = writeln!(out, "{:indent$}and {count} {what} that its sender left out", "");
    }
}

pub(super) fn span(span: &SpanView<'_>, out: &mut String) {
    let _ = writeln!(out, "      from {} to {}", time(span.start_ns()), time(span.end_ns()));
    if !span.trace_state().is_empty() {
        out.push_str("      trace state ");
        text(span.trace_state(), out);
        out.push('\n');
    }
    attribute_lines(span.attributes(), 6, out);
    dropped("attributes", span.dropped_attributes_count(), 6, out);
    for event in span.events().take(DEBUG_ITEMS) {
        let _ = write!(out, "      event {} \"", time(event.time_ns()));
        text(event.name(), out);
        out.push('"');
        attributes(event.attributes(), out);
        out.push('\n');
    }
    rest("events", span.events_len(), out);
    dropped("events", span.dropped_events_count(), 6, out);
    for link in span.links().take(DEBUG_ITEMS) {
        let _ = write!(out, "      link to trace {} span {}", link.trace_id(), link.span_id());
        attributes(link.attributes(), out);
        out.push('\n');
    }
    rest("links", span.links_len(), out);
    dropped("links", span.dropped_links_count(), 6, out);
}

fn rest(what: &str, there: usize, out: &mut String) {
    if there > DEBUG_ITEMS {
        let _ = writeln!(out, "      … and {} {what} more", there - DEBUG_ITEMS);
    }
}

pub(super) fn log(log: &LogView<'_>, out: &mut String) {
    if log.observed_time_ns() > 0 {
        let _ = writeln!(out, "      observed {}", time(log.observed_time_ns()));
    }
    if !log.trace_id().is_zero() {
        let _ = writeln!(out, "      trace {} span {}", log.trace_id(), log.span_id());
    }
    attribute_lines(log.attributes(), 6, out);
    dropped("attributes", log.dropped_attributes_count(), 6, out);
}

pub(super) fn point(point: &PointView<'_>, out: &mut String) {
    if point.start_ns() > 0 {
        let _ = writeln!(out, "      since {}", time(point.start_ns()));
    }
    attribute_lines(point.attributes(), 6, out);
    let mut bounds = point.explicit_bounds();
    for (i, count) in point.bucket_counts().enumerate().take(DEBUG_ITEMS) {
        match bounds.next() {
            Some(bound) => drop(writeln!(out, "      bucket {i} up to {bound}: {count}")),
            None => drop(writeln!(out, "      bucket {i} above: {count}")),
        }
    }
    if let Some(scale) = point.scale() {
        let zeros = point.zero_count().unwrap_or_default();
        let _ = writeln!(out, "      scale {scale}, {zeros} zeros");
        buckets("positive", &point.positive(), out);
        buckets("negative", &point.negative(), out);
    }
    for quantile in point.quantiles().take(DEBUG_ITEMS) {
        let _ = writeln!(out, "      quantile {}: {}", quantile.0, quantile.1);
    }
    for exemplar in point.exemplars().take(DEBUG_ITEMS) {
        let _ = write!(out, "      exemplar {}", time(exemplar.time_ns()));
        match exemplar.number() {
            Some(NumberView::Int(number)) => drop(write!(out, " {number}")),
            Some(NumberView::Double(number)) => drop(write!(out, " {number:?}")),
            None => {}
        }
        let _ = write!(out, " trace {} span {}", exemplar.trace_id(), exemplar.span_id());
        attributes(exemplar.filtered_attributes(), out);
        out.push('\n');
    }
}

/// The buckets of one half of an exponential histogram, from its first on.
fn buckets(which: &str, buckets: &BucketsView<'_>, out: &mut String) {
    let counts: Vec<String> = buckets.counts().take(DEBUG_ITEMS).map(|count| count.to_string()).collect();
    if !counts.is_empty() {
        let _ = writeln!(out, "      {which} from {}: {}", buckets.offset(), counts.join(" "));
    }
}
