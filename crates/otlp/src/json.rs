//! OTLP/JSON to wire bytes and back.
//!
//! JSON is transcoded at the edge, so that everything behind it knows one format. The mapping is proto3 JSON with the
//! exceptions of the OTLP specification (section "JSON Protobuf Encoding"): trace and span ids are hexadecimal, enum
//! values are numbers. Read leniently where proto3 JSON allows it: 64-bit integers as numbers or strings, field names in
//! lowerCamelCase or as the `.proto` file spells them, enum values by name, unknown keys skipped, `null` for absent.
//!
//! A text of several requests, one behind another or a line each, is cut by [`requests`].

use std::borrow::Cow;

mod base64;
mod error;
mod read;
mod requests;
mod schema;
mod token;
mod write;

#[cfg(test)]
mod tests;

pub use error::JsonError;
pub use requests::{Requests, requests};

use crate::{Batch, Check, Signal, WireError, check};

/// Transcodes one OTLP/JSON export request into wire bytes, which still have to pass a [`crate::Checker`].
///
/// ```
/// use aldis_otlp::{Check, Checker, Depth, Signal, json};
/// let text = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"GET /","startTimeUnixNano":"1"}]}]}]}"#;
/// let wire = json::to_wire(Signal::Traces, text)?;
/// let batch = Checker::new(Signal::Traces, Check::Full, Depth::Records).check(wire.into()).unwrap();
/// assert_eq!(batch.span(0).name(), "GET /");
/// # Ok::<(), aldis_otlp::json::JsonError>(())
/// ```
///
/// # Errors
/// The first fault in the text, with its offset and the message it lies in.
pub fn to_wire(signal: Signal, text: &[u8]) -> Result<Vec<u8>, JsonError> {
    read::request(schema::request(signal), text)
}

/// The most that [`to_wire`] makes of a text, in bytes: a bound that costs a look at each byte, to ask for memory by.
///
/// Fields are at least as long as text as on the wire but for the shortest of numbers (`"sum":1` becomes nine bytes), which twice
/// the text covers. Only numbers in lists grow more: `0,` becomes eight bytes.
///
/// ```
/// use aldis_otlp::{Signal, json};
/// let text = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"GET /"}]}]}]}"#;
/// assert_eq!(json::most_wire_bytes(text), 2 * text.len());
/// assert!(json::most_wire_bytes(b"[0,0,0]") >= 24);
/// ```
pub fn most_wire_bytes(text: &[u8]) -> usize {
    // What is blank may have a number behind it; words stand in quotes, and so take as many bytes as text.
    let is_listed = |pair: &&[u8]| {
        matches!(pair[0], b'[' | b',') && matches!(pair[1], b'0'..=b'9' | b'-' | b' ' | b'\t' | b'\r' | b'\n')
    };
    let listed = text.windows(2).filter(is_listed).count();
    2 * text.len() + LISTED_BYTES * listed
}

/// What a number takes up on the wire beyond twice its text, at most.
const LISTED_BYTES: usize = 8;

/// Transcodes the JSON answer of a receiver, `Export…ServiceResponse`, into wire bytes.
///
/// # Errors
/// The first fault in the text.
pub fn response_to_wire(signal: Signal, text: &[u8]) -> Result<Vec<u8>, JsonError> {
    read::request(schema::response(signal), text)
}

/// Transcodes the JSON form of `google.rpc.Status`, which receivers answer failures with, into wire bytes. Its details,
/// which are of any type, are left out.
///
/// # Errors
/// The first fault in the text.
pub fn status_to_wire(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    read::request(&schema::STATUS, text)
}

/// Appends the request as OTLP/JSON, in one line, fields in the order of their numbers. Records that were filtered out
/// are left out, and so are unknown fields, which have no JSON form.
///
/// ```
/// # use aldis_otlp::{Check, Checker, Depth, Signal, json};
/// // resource_spans { scope_spans { spans { name: "GET" } } }
/// let wire = [0x0a, 9, 0x12, 7, 0x12, 5, 0x2a, 3, b'G', b'E', b'T'];
/// let batch = Checker::new(Signal::Traces, Check::Full, Depth::Counts).check(wire.to_vec().into())?;
/// let mut text = Vec::new();
/// json::append(&batch, &mut text)?;
/// assert_eq!(text, br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"GET"}]}]}]}"#);
/// # Ok::<(), aldis_otlp::WireError>(())
/// ```
///
/// # Errors
/// The first fault in the bytes of a batch of which only the framing was checked, as is so for all profiles: its
/// strings, ids and nesting are looked at now. What passed the full check is written without errors.
pub fn append(batch: &Batch, out: &mut Vec<u8>) -> Result<(), WireError> {
    let wire = batch.to_wire();
    let whole = match batch.checked() {
        Check::Full => Cow::Borrowed(&*wire),
        Check::Framing => check::whole(batch.signal(), &wire)?,
    };
    write::request(schema::request(batch.signal()), &whole, out);
    Ok(())
}
