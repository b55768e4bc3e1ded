//! OTLP/JSON to wire bytes and back.
//!
//! JSON is transcoded at the edge, so that everything behind it knows one format. The mapping is proto3 JSON with the
//! exceptions of the OTLP specification (section "JSON Protobuf Encoding"): trace and span ids are hexadecimal, enum
//! values are numbers. Read leniently where proto3 JSON allows it: 64-bit integers as numbers or strings, field names in
//! lowerCamelCase or as the `.proto` file spells them, enum values by name, unknown keys skipped, `null` for absent.
//!
//! Profiles have no JSON form here: they are passed through whole, as bytes.

mod base64;
mod error;
mod read;
mod schema;
mod token;
mod write;

#[cfg(test)]
mod tests;

pub use error::JsonError;

use crate::{Batch, Signal};

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
/// The first fault in the text, with its offset and the message it lies in; profiles are refused.
pub fn to_wire(signal: Signal, text: &[u8]) -> Result<Vec<u8>, JsonError> {
    read::request(schema::request(signal)?, text)
}

/// Appends the request as OTLP/JSON, in one line, fields in the order of their numbers. Records that were filtered out
/// are left out, and so are unknown fields, which have no JSON form.
///
/// # Errors
/// Profiles are refused.
pub fn append(batch: &Batch, out: &mut String) -> Result<(), JsonError> {
    write::request(schema::request(batch.signal())?, &batch.to_wire(), out);
    Ok(())
}
