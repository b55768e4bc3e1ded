//! A batch as text.

mod detail;
mod line;
mod value;

use std::fmt::Write;

use otlp::{Batch, Check, Depth, Signal};

use crate::{
    calendar::Civil,
    limits::{DEBUG_BATCH_BYTES, DEBUG_RECORD_BYTES},
};

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// A line for each batch.
    #[default]
    Basic,
    /// And one for each resource, scope and record.
    Normal,
    /// And everything they say.
    Detailed,
}

/// How it is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// What stands in front of every batch: the exporter's name.
    pub name: String,
    /// How much.
    pub verbosity: Verbosity,
    /// With the control sequences of ANSI terminals.
    pub colors: bool,
}

/// A batch that arrived at `now_ns`, Unix nanoseconds. What it says of itself cannot control a terminal: control characters are
/// escaped. It is bounded for each record and in whole, and says where it was cut.
///
/// ```
/// use aldis_connect::debug::text::{Style, render};
/// use otlp::{Depth, Signal, Span, event::RequestBuilder};
///
/// let mut builder = RequestBuilder::new(Signal::Traces, Depth::Records);
/// builder.push_span(&Span { name: "GET /".into(), ..Span::default() })?;
/// let style = Style { name: "debug".into(), ..Style::default() };
/// let text = render(&builder.finish(), &style, 1_795_237_334_173_000_000);
/// assert!(text.starts_with("2026-11-21T05:02:14.173Z debug: 1 span, 1 resource, "), "{text}");
/// # Ok::<(), otlp::event::PushError>(())
/// ```
pub fn render(batch: &Batch, style: &Style, now_ns: u64) -> String {
    let mut out = String::new();
    head(batch, style, now_ns, &mut out);
    match style.verbosity {
        Verbosity::Basic => {}
        _ if batch.signal() == Signal::Profiles => profiles(batch, style, &mut out),
        _ if batch.checked() == Check::Framing => {
            out.push_str("  only its frames have been checked, so that nothing more can be shown\n");
        }
        _ => records(batch, style, &mut out),
    }
    out
}

/// When and what: one line.
fn head(batch: &Batch, style: &Style, now_ns: u64, out: &mut String) {
    let records = batch.len();
    let noun = match batch.signal() {
        Signal::Traces => "span",
        Signal::Logs => "log record",
        Signal::Metrics => "data point",
        Signal::Profiles => "profile",
    };
    let resources = batch.counts().resources;
    let Civil { year, month, day, hour, minute, second, nanosecond } = Civil::of(now_ns);
    let milliseconds = nanosecond / 1_000_000;
    let (bold, off) = style.pair(BOLD);
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(
        out,
        "{bold}{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z {}: {records} {noun}{}, \
         {resources} resource{}, {} bytes{off}",
        style.name,
        if records == 1 { "" } else { "s" },
        if resources == 1 { "" } else { "s" },
        batch.raw().len()
    );
}

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";

impl Style {
    fn pair(&self, sequence: &'static str) -> (&'static str, &'static str) {
        if self.colors { (sequence, "\x1b[0m") } else { ("", "") }
    }
}

/// The records, below a line for each resource, scope and metric.
fn records(batch: &Batch, style: &Style, out: &mut String) {
    let mut indexed = batch.clone();
    indexed.deepen(Depth::Records);
    let batch = &indexed;
    let index = batch.index();
    let (mut resource, mut scope, mut metric) = (u32::MAX, u32::MAX, u32::MAX);
    let kept = (0..index.records.at.len()).filter(|i| batch.is_kept(*i));
    for (shown, i) in kept.enumerate() {
        if out.len() > DEBUG_BATCH_BYTES {
            let _ = writeln!(out, "  … and {} more", batch.len() - shown);
            return;
        }
        let begin = out.len();
        let in_scope = index.records.at[i].scope;
        let in_resource = index.scopes[in_scope as usize].resource;
        if resource != in_resource {
            resource = in_resource;
            line::resource(&batch.resource_of(i), style, out);
        }
        if scope != in_scope {
            scope = in_scope;
            line::scope(&batch.scope_of(i), style, out);
        }
        if let Some(in_metric) = index.records.metric.get(i)
            && metric != *in_metric
        {
            metric = *in_metric;
            line::metric(&batch.metric_of(i), style, out);
        }
        match batch.signal() {
            Signal::Traces => line::span(&batch.span(i), style, out),
            Signal::Logs => line::log(&batch.log(i), style, out),
            Signal::Metrics => line::point(&batch.point(i), style, out),
            Signal::Profiles => {}
        }
        cut(out, begin);
    }
}

/// Profiles are told as the JSON that they would be written as: only that reads their tables.
fn profiles(batch: &Batch, style: &Style, out: &mut String) {
    if style.verbosity < Verbosity::Detailed {
        return;
    }
    let mut json = Vec::new();
    let begin = out.len();
    match otlp::json::append(batch, &mut json) {
        Ok(()) => {
            out.push_str("  ");
            value::escaped(&String::from_utf8_lossy(&json), DEBUG_RECORD_BYTES, out);
            out.push('\n');
        }
        Err(error) => drop(writeln!(out, "  malformed: {error}")),
    }
    cut(out, begin);
}

/// Leaves no more than a record may have, in whole lines where it has any.
fn cut(out: &mut String, begin: usize) {
    let surplus = (out.len() - begin).saturating_sub(DEBUG_RECORD_BYTES);
    if surplus == 0 {
        return;
    }
    let mut end = begin + DEBUG_RECORD_BYTES;
    while !out.is_char_boundary(end) {
        end -= 1;
    }
    let more = out.len() - end;
    out.truncate(end);
    let _ = writeln!(out, "… {more} bytes more");
}

#[cfg(test)]
mod tests;
