//! Bodies of HTTP messages: ours as we send them, others' as we read them.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes, BytesMut, buf::Chain};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

/// The body of an answer: a piece of data, then trailers, either of which may be missing.
#[derive(Debug, Default)]
pub(crate) struct AnswerBody {
    pub(crate) data: Option<Bytes>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, Bytes::len) as u64)
    }
}

/// The body of an export request: a prefix (gRPC's, else empty) and the payload, written as one piece without being
/// copied together.
#[derive(Clone, Debug)]
pub(crate) struct RequestBody {
    prefix: Bytes,
    /// Until it is written.
    payload: Option<Bytes>,
}

impl RequestBody {
    pub(crate) fn new(prefix: Bytes, payload: Bytes) -> Self {
        Self { prefix, payload: Some(payload) }
    }
}

impl Body for RequestBody {
    type Data = Chain<Bytes, Bytes>;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        let prefix = std::mem::take(&mut self.prefix);
        Poll::Ready(self.payload.take().map(|payload| Ok(Frame::data(prefix.chain(payload)))))
    }

    fn is_end_stream(&self) -> bool {
        self.payload.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(
            self.payload.as_ref().map_or(0, |payload| self.prefix.len() + payload.len()) as u64
        )
    }
}

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// Longer than the maximum.
    TooLarge,
    /// The memory was refused.
    Refused,
    /// It ended before the announced length.
    CutOff,
    /// It went on behind the announced length.
    Surplus,
    /// The connection or stream failed.
    Broken(String),
}

/// The next piece of data; `None` at the end. Trailers are passed over.
pub(crate) async fn next_data<B>(body: &mut B) -> Result<Option<Bytes>, ReadError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(ReadError::Broken(error.to_string())),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// Reads the rest of a body of exactly `length` bytes, of which `first` has arrived. A body that is one piece of at least `lent`
/// bytes is used where it lies; otherwise there is one allocation of its length.
pub(crate) async fn read_announced<B>(
    body: &mut B,
    first: Bytes,
    length: usize,
    lent: usize,
) -> Result<Bytes, ReadError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let whole = if first.len() >= length {
        kept(first, lent)
    } else {
        let mut whole = BytesMut::new();
        let mut first = Some(first);
        while whole.len() < length {
            let piece = match first.take() {
                Some(first) if !first.is_empty() => first,
                _ => next_data(body).await?.ok_or(ReadError::CutOff)?,
            };
            if whole.is_empty() {
                if piece.len() >= length {
                    return end_of(body, kept(piece, lent), length).await;
                }
                whole.reserve(length);
            }
            if piece.len() > length - whole.len() {
                return Err(ReadError::Surplus);
            }
            whole.extend_from_slice(&piece);
        }
        whole.freeze()
    };
    end_of(body, whole, length).await
}

/// A piece as it lies, or a copy of it: a small one would keep the large buffer that it was read into.
fn kept(piece: Bytes, lent: usize) -> Bytes {
    if piece.len() < lent { Bytes::copy_from_slice(&piece) } else { piece }
}

async fn end_of<B>(body: &mut B, whole: Bytes, length: usize) -> Result<Bytes, ReadError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    if whole.len() > length || !body.is_end_stream() && next_data(body).await?.is_some() {
        return Err(ReadError::Surplus);
    }
    Ok(whole)
}

/// Reads a body that does not say how long it is. Memory is asked for by `admit`, in doublings. One piece of at least `lent`
/// bytes is used where it lies.
pub(crate) async fn read_growing<B>(
    body: &mut B,
    (max, lent): (usize, usize),
    admit: &mut (dyn FnMut(usize) -> bool + Send),
) -> Result<Bytes, ReadError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let Some(first) = next_data(body).await? else { return Ok(Bytes::new()) };
    if first.len() > max {
        return Err(ReadError::TooLarge);
    }
    if !admit(first.len()) {
        return Err(ReadError::Refused);
    }
    let Some(mut piece) = next_data(body).await? else { return Ok(kept(first, lent)) };
    let mut whole = BytesMut::from(first);
    let mut admitted = whole.len();
    loop {
        let needed = whole.len().saturating_add(piece.len());
        if needed > max {
            return Err(ReadError::TooLarge);
        }
        if needed > admitted {
            let next = needed.max(admitted.saturating_mul(2)).min(max);
            if !admit(next - admitted) {
                return Err(ReadError::Refused);
            }
            admitted = next;
            whole.reserve(next - whole.len());
        }
        whole.extend_from_slice(&piece);
        match next_data(body).await? {
            Some(next) => piece = next,
            None => {
                // Only what it is long stays charged.
                let mut whole = Vec::from(whole);
                whole.shrink_to_fit();
                return Ok(whole.into());
            }
        }
    }
}

#[cfg(test)]
mod tests;
