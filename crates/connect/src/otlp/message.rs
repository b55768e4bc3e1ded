//! The three small messages that OTLP answers consist of, written and read without a protobuf library:
//! `Export*ServiceResponse` (its `partial_success` has the same shape for every signal), `google.rpc.Status` and
//! `google.rpc.RetryInfo`.

mod json;

use std::time::Duration;

const RETRY_INFO_URL: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// `partial_success` of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartialSuccess {
    pub(super) rejected: u64,
    pub(super) message: String,
}

/// `google.rpc.Status` with at most one detail: how long to wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: u32,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
}

impl PartialSuccess {
    /// The whole response message; empty when nothing was rejected, as the specification demands.
    pub(super) fn response(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.rejected > 0 {
            let mut inner = Vec::with_capacity(self.message.len() + 16);
            put_varint_field(&mut inner, 1, self.rejected);
            put_bytes_field(&mut inner, 2, self.message.as_bytes());
            put_bytes_field(&mut out, 1, &inner);
        }
        out
    }

    /// Reads a response message. What cannot be read counts as nothing: the status alone decides then.
    pub(super) fn read(response: &[u8]) -> Self {
        let mut partial = Self::default();
        for (_, value) in Fields(response).filter(|(number, _)| *number == 1) {
            for field in Fields(value.bytes()) {
                match field {
                    // A negative count would be a 64-bit two's complement; it means nothing.
                    (1, Value::Varint(n)) => partial.rejected = if n > i64::MAX as u64 { 0 } else { n },
                    (2, Value::Bytes(text)) => partial.message = String::from_utf8_lossy(text).into_owned(),
                    _ => {}
                }
            }
        }
        partial
    }
}

impl Status {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.message.len() + 80);
        put_varint_field(&mut out, 1, u64::from(self.code));
        put_bytes_field(&mut out, 2, self.message.as_bytes());
        if let Some(after) = self.retry_after {
            let mut delay = Vec::new();
            put_varint_field(&mut delay, 1, after.as_secs());
            put_varint_field(&mut delay, 2, u64::from(after.subsec_nanos()));
            let mut info = Vec::new();
            put_bytes_field_even_empty(&mut info, 1, &delay);
            let mut any = Vec::new();
            put_bytes_field(&mut any, 1, RETRY_INFO_URL.as_bytes());
            put_bytes_field(&mut any, 2, &info);
            put_bytes_field(&mut out, 3, &any);
        }
        out
    }

    /// Reads a status; what cannot be read is left out.
    pub(super) fn read(message: &[u8]) -> Self {
        let mut status = Self::default();
        for field in Fields(message) {
            match field {
                (1, Value::Varint(code)) => status.code = code as u32,
                (2, Value::Bytes(text)) => status.message = String::from_utf8_lossy(text).into_owned(),
                (3, Value::Bytes(any)) => status.retry_after = retry_info(any).or(status.retry_after),
                _ => {}
            }
        }
        status
    }
}

/// The delay, if this `Any` is a `RetryInfo`. One without a delay asks for no wait.
fn retry_info(any: &[u8]) -> Option<Duration> {
    let (mut url, mut info) = (&[][..], &[][..]);
    for field in Fields(any) {
        match field {
            (1, Value::Bytes(text)) => url = text,
            (2, Value::Bytes(message)) => info = message,
            _ => {}
        }
    }
    if !url.ends_with(b"google.rpc.RetryInfo") {
        return None;
    }
    let (mut seconds, mut nanos) = (0, 0);
    for (_, delay) in Fields(info).filter(|(number, _)| *number == 1) {
        for field in Fields(delay.bytes()) {
            match field {
                (1, Value::Varint(s)) => seconds = if s > i64::MAX as u64 { 0 } else { s },
                (2, Value::Varint(n)) => nanos = u32::try_from(n).unwrap_or(0).min(999_999_999),
                _ => {}
            }
        }
    }
    Some(Duration::new(seconds, nanos))
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Leaves zero out, as proto3 does.
fn put_varint_field(out: &mut Vec<u8>, number: u64, value: u64) {
    if value != 0 {
        put_varint(out, number << 3);
        put_varint(out, value);
    }
}

fn put_bytes_field(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_bytes_field_even_empty(out, number, bytes);
    }
}

pub(super) fn put_bytes_field_even_empty(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A field's value; the content of fixed-width ones is of no interest here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Value::Bytes(bytes) => bytes,
            _ => &[],
        }
    }
}

/// The fields of a message up to the first malformed one.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = take_varint(&mut self.0)?;
        let value = match tag & 7 {
            0 => Value::Varint(take_varint(&mut self.0)?),
            1 => self.0.split_off(..8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(take_varint(&mut self.0)?).ok()?;
                Value::Bytes(self.0.split_off(..length)?)
            }
            5 => self.0.split_off(..4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    }
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift.min(63);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests;
