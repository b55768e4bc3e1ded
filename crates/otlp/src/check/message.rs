//! The pass over one request, and the part of it that is driven by tables.

use super::columns::Columns;
use super::text::is_utf8;
use crate::error::{WireError, WireErrorKind};
use crate::index::Range32;
use crate::limits::MAX_MESSAGE_DEPTH;
use crate::schema::{Kind, Shape};
use crate::{Counts, Signal, wire};

/// One walk over one request.
pub(super) struct Pass<'a, 'c, const DEPTH: u8> {
    bytes: &'a [u8],
    pub(super) columns: &'c mut Columns,
    pub(super) counts: Counts,
    /// Bits of singular fields that occurred twice in one message.
    pub(super) repeats: u32,
    error: Option<WireError>,
}

/// The walk stopped; why is in the pass. Without a payload so that results stay in registers.
#[derive(Debug)]
pub(super) struct Refused;

/// What is left to read behind a field.
pub(super) type Rest<'a> = Result<&'a [u8], Refused>;

/// Messages that may still be nested into the request itself.
pub(super) const BELOW_REQUEST: u32 = MAX_MESSAGE_DEPTH;

impl<'a, 'c, const DEPTH: u8> Pass<'a, 'c, DEPTH> {
    /// Validates `bytes`: what is in them, and whether a singular field occurs twice.
    pub(super) fn run(
        signal: Signal,
        bytes: &'a [u8],
        columns: &'c mut Columns,
    ) -> Result<(Counts, bool), WireError> {
        let mut pass = Self { bytes, columns, counts: Counts::default(), repeats: 0, error: None };
        match pass.request(signal) {
            Ok(()) => Ok((pass.counts, pass.repeats != 0)),
            Err(Refused) => Err(pass.error.take().unwrap_or(WireError {
                offset: 0,
                within: "request",
                kind: WireErrorKind::Truncated,
            })),
        }
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where in the request `part` of it begins.
    #[inline(always)]
    pub(super) fn offset(&self, part: &[u8]) -> u32 {
        (part.as_ptr().addr() - self.bytes.as_ptr().addr()) as u32
    }

    /// Where in the request `part` of it is.
    #[inline(always)]
    pub(super) fn range(&self, part: &[u8]) -> Range32 {
        let start = self.offset(part);
        Range32 { start, end: start + part.len() as u32 }
    }

    /// Remembers why the walk stops, at `ahead`.
    #[cold]
    #[inline(never)]
    pub(super) fn refuse(&mut self, ahead: &[u8], within: &Shape, kind: WireErrorKind) -> Refused {
        self.error = Some(WireError { offset: self.offset(ahead) as usize, within: within.name, kind });
        Refused
    }

    /// Tells a varint that is cut off from one that is too long.
    #[cold]
    #[inline(never)]
    fn refuse_varint(&mut self, ahead: &[u8], within: &Shape) -> Refused {
        let long = ahead.iter().take(wire::MAX_VARINT_BYTES).filter(|&&byte| byte >= 0x80).count();
        let whole = ahead.len() >= wire::MAX_VARINT_BYTES && long >= wire::MAX_VARINT_BYTES - 1;
        let kind = if whole { WireErrorKind::VarintTooLong } else { WireErrorKind::Truncated };
        self.refuse(ahead, within, kind)
    }

    /// A length or what it announces does not fit.
    #[cold]
    #[inline(never)]
    fn refuse_length(&mut self, ahead: &[u8], within: &Shape) -> Refused {
        match wire::varint(ahead) {
            None => self.refuse_varint(ahead, within),
            Some(_) => self.refuse(ahead, within, WireErrorKind::Truncated),
        }
    }

    /// Reads a key. Whether its wire type exists and its number is not zero is seen when it is matched.
    #[inline(always)]
    pub(super) fn key(&mut self, within: &Shape, ahead: &'a [u8]) -> Result<(u32, &'a [u8]), Refused> {
        match wire::varint(ahead) {
            Some((key, rest)) if key <= u64::from(u32::MAX) => Ok((key as u32, rest)),
            Some(_) => Err(self.refuse(ahead, within, WireErrorKind::BadTag)),
            None => Err(self.refuse_varint(ahead, within)),
        }
    }

    #[inline(always)]
    pub(super) fn varint(&mut self, within: &Shape, ahead: &'a [u8]) -> Result<(u64, &'a [u8]), Refused> {
        match wire::varint(ahead) {
            Some(read) => Ok(read),
            None => Err(self.refuse_varint(ahead, within)),
        }
    }

    #[inline(always)]
    pub(super) fn fixed64(&mut self, within: &Shape, ahead: &'a [u8]) -> Result<(u64, &'a [u8]), Refused> {
        match wire::fixed64(ahead) {
            Some(read) => Ok(read),
            None => Err(self.refuse(ahead, within, WireErrorKind::Truncated)),
        }
    }

    #[inline(always)]
    pub(super) fn fixed32(&mut self, within: &Shape, ahead: &'a [u8]) -> Rest<'a> {
        match wire::fixed32(ahead) {
            Some((_, rest)) => Ok(rest),
            None => Err(self.refuse(ahead, within, WireErrorKind::Truncated)),
        }
    }

    /// Reads a length and that many bytes.
    #[inline(always)]
    pub(super) fn delimited(
        &mut self,
        within: &Shape,
        ahead: &'a [u8],
    ) -> Result<(&'a [u8], &'a [u8]), Refused> {
        match wire::delimited(ahead) {
            Some(read) => Ok(read),
            None => Err(self.refuse_length(ahead, within)),
        }
    }

    #[inline(always)]
    pub(super) fn text(&mut self, within: &Shape, ahead: &'a [u8]) -> Rest<'a> {
        let (text, rest) = self.delimited(within, ahead)?;
        if is_utf8(text) { Ok(rest) } else { Err(self.refuse(text, within, WireErrorKind::NotUtf8)) }
    }

    /// Reads an id of `N` bytes; none is all zero.
    #[inline(always)]
    pub(super) fn id<const N: usize>(
        &mut self,
        within: &Shape,
        ahead: &'a [u8],
    ) -> Result<([u8; N], &'a [u8]), Refused> {
        let (id, rest) = self.delimited(within, ahead)?;
        match <[u8; N]>::try_from(id) {
            Ok(id) => Ok((id, rest)),
            Err(_) if id.is_empty() => Ok(([0; N], rest)),
            Err(_) => Err(self.refuse(id, within, WireErrorKind::BadIdLength)),
        }
    }

    /// Validates a whole message by its table. `left` is how many more messages may be nested into it.
    pub(super) fn message(
        &mut self,
        shape: &'static Shape,
        body: &'a [u8],
        left: u32,
    ) -> Result<(), Refused> {
        let mut ahead = body;
        let mut seen = 0;
        while !ahead.is_empty() {
            let (key, rest) = self.key(shape, ahead)?;
            let once = shape.field(key >> 3).once;
            self.repeats |= seen & once;
            seen |= once;
            ahead = self.field(shape, key, ahead, rest, left)?;
        }
        Ok(())
    }

    /// Validates one field of a message by its table: `at` is where it begins, `ahead` what is behind its key.
    pub(super) fn field(
        &mut self,
        shape: &'static Shape,
        key: u32,
        at: &'a [u8],
        ahead: &'a [u8],
        left: u32,
    ) -> Rest<'a> {
        match (shape.field(key >> 3).kind, key & 7) {
            (Kind::Unknown, _) => self.skip(shape, key, at, ahead, left),
            (Kind::Varint | Kind::Varints, wire::VARINT) => Ok(self.varint(shape, ahead)?.1),
            (Kind::Fixed64 | Kind::Fixed64s, wire::FIXED64) => Ok(self.fixed64(shape, ahead)?.1),
            (Kind::Fixed32, wire::FIXED32) => self.fixed32(shape, ahead),
            (Kind::Text, wire::LEN) => self.text(shape, ahead),
            (Kind::Bytes, wire::LEN) => Ok(self.delimited(shape, ahead)?.1),
            (Kind::Id(len), wire::LEN) => {
                let (id, rest) = self.delimited(shape, ahead)?;
                if id.is_empty() || id.len() == usize::from(len) {
                    Ok(rest)
                } else {
                    Err(self.refuse(id, shape, WireErrorKind::BadIdLength))
                }
            }
            (Kind::Message(child), wire::LEN) => {
                let (body, rest) = self.delimited(shape, ahead)?;
                if left == 0 {
                    return Err(self.refuse(at, shape, WireErrorKind::TooDeep));
                }
                self.nested(child, body, left - 1)?;
                Ok(rest)
            }
            (Kind::Varints, wire::LEN) => {
                let (mut packed, rest) = self.delimited(shape, ahead)?;
                while !packed.is_empty() {
                    packed = self.varint(shape, packed)?.1;
                }
                Ok(rest)
            }
            (Kind::Fixed64s, wire::LEN) => {
                let (packed, rest) = self.delimited(shape, ahead)?;
                if packed.len().is_multiple_of(8) {
                    Ok(rest)
                } else {
                    Err(self.refuse(packed, shape, WireErrorKind::Truncated))
                }
            }
            (_, 6 | 7) => Err(self.refuse(at, shape, WireErrorKind::BadTag)),
            _ => Err(self.refuse(at, shape, WireErrorKind::WrongWireType)),
        }
    }

    /// Steps over an unknown field, groups included. Counts levels as prost does.
    #[cold]
    fn skip(
        &mut self,
        shape: &'static Shape,
        key: u32,
        at: &'a [u8],
        ahead: &'a [u8],
        left: u32,
    ) -> Rest<'a> {
        if key >> 3 == 0 {
            return Err(self.refuse(at, shape, WireErrorKind::BadTag));
        }
        if left == 0 {
            return Err(self.refuse(at, shape, WireErrorKind::TooDeep));
        }
        match key & 7 {
            wire::VARINT => Ok(self.varint(shape, ahead)?.1),
            wire::FIXED64 => Ok(self.fixed64(shape, ahead)?.1),
            wire::LEN => Ok(self.delimited(shape, ahead)?.1),
            wire::FIXED32 => self.fixed32(shape, ahead),
            wire::GROUP => {
                let mut ahead = ahead;
                loop {
                    let (inner, rest) = self.key(shape, ahead)?;
                    if inner & 7 == wire::END_GROUP {
                        if inner >> 3 == key >> 3 {
                            return Ok(rest);
                        }
                        return Err(self.refuse(ahead, shape, WireErrorKind::UnbalancedGroup));
                    }
                    ahead = self.skip(shape, inner, ahead, rest, left - 1)?;
                }
            }
            wire::END_GROUP => Err(self.refuse(at, shape, WireErrorKind::UnbalancedGroup)),
            _ => Err(self.refuse(at, shape, WireErrorKind::BadTag)),
        }
    }
}
