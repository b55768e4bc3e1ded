//! Records and requests written from borrowed parts, every field of OTLP within reach.
//!
//! [`crate::event`] takes what a program states and finds the resource itself; this is the layer for who has resources, scopes,
//! links, events and exemplars of their own: a model of a system, a bridge from another format. A part writes itself as a field of
//! its scope with `put`; [`request`] puts scopes of such records under one resource. Nothing is indexed: [`crate::Checker`] does it
//! where a [`crate::Batch`] is wanted.
//!
//! ```
//! use aldis_otlp::compose::{Scope, SpanParts, Value, request};
//! use aldis_otlp::{Check, Checker, Depth, Signal, SpanId, TraceId};
//!
//! let mut records = Vec::new();
//! SpanParts {
//!     trace_id: TraceId([7; 16]),
//!     span_id: SpanId([1; 8]),
//!     name: "GET /cart",
//!     kind: 2,
//!     start_ns: 1_000,
//!     end_ns: 1_250,
//!     attributes: &[("http.response.status_code", Value::Int(200))],
//!     ..SpanParts::default()
//! }
//! .put(&mut records);
//! let resource = [("service.name", Value::Text("shop"))];
//! let body = request(&resource, &[Scope { name: "otelhttp", version: "0.1", records: &records }]);
//! let batch = Checker::new(Signal::Traces, Check::Full, Depth::Records).check(body.into())?;
//! assert_eq!(batch.span(0).name(), "GET /cart");
//! # Ok::<(), aldis_otlp::WireError>(())
//! ```

mod metric;
mod nest;
mod record;

pub use metric::{DataParts, ExemplarParts, MetricParts, PointValue, Points};
pub use record::{EventParts, LinkParts, LogParts, SpanParts};

use crate::put::{self, len_tag, varint_tag};
use nest::nested;

/// A value that is written; what it says is borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// A list of texts.
    Texts(&'a [&'a str]),
}

/// A key and its value.
pub type Attribute<'a> = (&'a str, Value<'a>);

/// Records of one signal that came from one instrumentation scope.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scope<'a> {
    /// The instrumentation library.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// What `put` of [`SpanParts`], of [`LogParts`] or of [`MetricParts`] wrote.
    pub records: &'a [u8],
}

/// The request that holds `scopes` under one resource. The levels around records are numbered alike for traces, logs and metrics.
pub fn request(resource: &[Attribute<'_>], scopes: &[Scope<'_>]) -> Vec<u8> {
    let around: usize = scopes.iter().map(|scope| scope.records.len() + AROUND_SCOPE).sum();
    let mut out = Vec::with_capacity(around + resource.len() * AROUND_ATTRIBUTE);
    nested(len_tag(1), 4, &mut out, |out| {
        nested(len_tag(1), 2, out, |out| attributes(len_tag(1), resource, out));
        for scope in scopes {
            nested(len_tag(2), 4, out, |out| {
                nested(len_tag(1), 1, out, |out| {
                    text(len_tag(1), scope.name, out);
                    text(len_tag(2), scope.version, out);
                });
                out.extend_from_slice(scope.records);
            });
        }
    });
    out
}

/// Bytes reserved for a scope besides its records.
const AROUND_SCOPE: usize = 160;

/// Bytes reserved for an attribute of the resource.
const AROUND_ATTRIBUTE: usize = 64;

/// Appends attributes as fields `tag`.
pub(crate) fn attributes(tag: u8, attributes: &[Attribute<'_>], out: &mut Vec<u8>) {
    for (key, value) in attributes {
        attribute(tag, key, value, out);
    }
}

#[inline]
fn attribute(tag: u8, key: &str, value: &Value<'_>, out: &mut Vec<u8>) {
    let inner = value_len(value);
    put::open(tag, put::len_field(key.len()) + put::len_field(inner), out);
    put::bytes(len_tag(1), key.as_bytes(), out);
    put::open(len_tag(2), inner, out);
    put_value(value, out);
}

#[inline]
fn value_len(value: &Value<'_>) -> usize {
    match value {
        Value::Text(text) => put::len_field(text.len()),
        Value::Int(number) => 1 + put::varint_len(*number as u64),
        Value::Double(_) => 9,
        Value::Bool(_) => 2,
        Value::Texts(texts) => put::len_field(texts_len(texts)),
    }
}

fn texts_len(texts: &[&str]) -> usize {
    texts.iter().map(|text| put::len_field(put::len_field(text.len()))).sum()
}

/// Appends the body of an `AnyValue`.
#[inline]
fn put_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => put::bytes(len_tag(1), text.as_bytes(), out),
        Value::Bool(yes) => out.extend_from_slice(&[varint_tag(2), u8::from(*yes)]),
        Value::Int(number) => {
            out.push(varint_tag(3));
            put::varint(*number as u64, out);
        }
        Value::Double(number) => put::fixed64(put::fixed64_tag(4), number.to_bits(), out),
        Value::Texts(texts) => {
            put::open(len_tag(5), texts_len(texts), out);
            for text in *texts {
                put::open(len_tag(1), put::len_field(text.len()), out);
                put::bytes(len_tag(1), text.as_bytes(), out);
            }
        }
    }
}

/// Appends a text, unless it is empty.
#[inline]
fn text(tag: u8, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        put::bytes(tag, text.as_bytes(), out);
    }
}

#[cfg(test)]
mod tests;
