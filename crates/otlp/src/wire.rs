//! Protobuf's encoding: varints, keys, and the fields of a message.
//!
//! Readers take the bytes ahead and return what is left, so that the position stays in registers.
//! <https://protobuf.dev/programming-guides/encoding/>

/// A varint: zero.
pub const VARINT: u32 = 0;
/// Eight bytes, little-endian.
pub const FIXED64: u32 = 1;
/// A length and that many bytes.
pub const LEN: u32 = 2;
/// Opens a group.
pub const GROUP: u32 = 3;
/// Closes a group.
pub const END_GROUP: u32 = 4;
/// Four bytes, little-endian.
pub const FIXED32: u32 = 5;

/// Bytes of the longest varint.
pub const MAX_VARINT_BYTES: usize = 10;

/// The key that opens a field: its number and wire type.
pub const fn key(number: u32, wire_type: u32) -> u32 {
    number << 3 | wire_type
}

/// Reads a varint of up to ten bytes and 64 bits, however padded; `None` if it is longer or cut off.
#[inline(always)]
pub fn varint(ahead: &[u8]) -> Option<(u64, &[u8])> {
    match ahead {
        [byte @ 0..=0x7f, rest @ ..] => Some((u64::from(*byte), rest)),
        [low, high @ 0..=0x7f, rest @ ..] => Some((u64::from(*low & 0x7f) | u64::from(*high) << 7, rest)),
        _ => long_varint(ahead),
    }
}

#[cold]
#[inline(never)]
fn long_varint(ahead: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (i, &byte) in ahead.iter().take(MAX_VARINT_BYTES).enumerate() {
        if i == MAX_VARINT_BYTES - 1 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some((value, &ahead[i + 1..]));
        }
    }
    None
}

/// Reads a length and that many bytes.
#[inline(always)]
pub fn delimited(ahead: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = varint(ahead)?;
    // A length above the address space is above the slice's length too: saturate instead of wrapping.
    rest.split_at_checked(usize::try_from(len).unwrap_or(usize::MAX))
}

/// Reads eight little-endian bytes.
#[inline(always)]
pub fn fixed64(ahead: &[u8]) -> Option<(u64, &[u8])> {
    ahead.split_first_chunk().map(|(bytes, rest)| (u64::from_le_bytes(*bytes), rest))
}

/// Reads four little-endian bytes.
#[inline(always)]
pub fn fixed32(ahead: &[u8]) -> Option<(u32, &[u8])> {
    ahead.split_first_chunk().map(|(bytes, rest)| (u32::from_le_bytes(*bytes), rest))
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Payload<'a> {
    /// Of wire type [`VARINT`].
    Varint(u64),
    /// Of wire type [`FIXED64`].
    Fixed64(u64),
    /// Of wire type [`FIXED32`].
    Fixed32(u32),
    /// Of wire type [`LEN`].
    Bytes(&'a [u8]),
    /// The fields between [`GROUP`] and [`END_GROUP`], and the key that closes it.
    Group(&'a [u8]),
}

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// Its number.
    pub number: u32,
    /// What it holds.
    pub payload: Payload<'a>,
    /// All its bytes, key included.
    pub raw: &'a [u8],
}

/// The fields of a message that was checked, in wire order. Ends early on bytes that are not a message.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// Walks the fields of a message body.
///
/// ```
/// use aldis_otlp::wire::{Payload, fields};
///
/// let mut walk = fields(&[0x0a, 2, b'o', b'k', 0x10, 7]);
/// assert_eq!(walk.next().map(|field| (field.number, field.payload)), Some((1, Payload::Bytes(b"ok"))));
/// assert_eq!(walk.next().map(|field| (field.number, field.payload)), Some((2, Payload::Varint(7))));
/// assert_eq!(walk.next(), None);
/// ```
#[inline]
pub fn fields(body: &[u8]) -> Fields<'_> {
    Fields { rest: body }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Field<'a>> {
        let start = self.rest;
        if start.is_empty() {
            return None;
        }
        let read = read_field(start);
        // Nothing can be read behind a malformed field.
        self.rest = read.map_or(&[], |(_, _, rest)| rest);
        let (number, payload, rest) = read?;
        Some(Field { number, payload, raw: &start[..start.len() - rest.len()] })
    }
}

#[inline(always)]
fn read_field(ahead: &[u8]) -> Option<(u32, Payload<'_>, &[u8])> {
    let (key, rest) = varint(ahead)?;
    let key = u32::try_from(key).ok()?;
    let (payload, rest) = match key & 7 {
        VARINT => varint(rest).map(|(value, rest)| (Payload::Varint(value), rest))?,
        FIXED64 => fixed64(rest).map(|(value, rest)| (Payload::Fixed64(value), rest))?,
        LEN => delimited(rest).map(|(bytes, rest)| (Payload::Bytes(bytes), rest))?,
        FIXED32 => fixed32(rest).map(|(value, rest)| (Payload::Fixed32(value), rest))?,
        GROUP => group_end(key >> 3, rest)
            .map(|behind| (Payload::Group(&rest[..rest.len() - behind.len()]), behind))?,
        _ => return None,
    };
    Some((key >> 3, payload, rest))
}

/// Steps over what is behind `key`.
#[inline(always)]
pub(crate) fn skip(key: u32, ahead: &[u8]) -> Option<&[u8]> {
    match key & 7 {
        LEN => delimited(ahead).map(|(_, rest)| rest),
        VARINT => varint(ahead).map(|(_, rest)| rest),
        FIXED64 => fixed64(ahead).map(|(_, rest)| rest),
        FIXED32 => fixed32(ahead).map(|(_, rest)| rest),
        GROUP => group_end(key >> 3, ahead),
        _ => None,
    }
}

/// What is behind the end of group `number`, whose fields are ahead. Groups inside it are stepped through with a stack of
/// numbers, as deep as a checked request can have them.
#[cold]
#[inline(never)]
fn group_end(number: u32, mut ahead: &[u8]) -> Option<&[u8]> {
    let mut open = [0u32; crate::limits::MAX_MESSAGE_DEPTH as usize + 1];
    let mut depth = 0;
    open[0] = number;
    loop {
        let (key, rest) = varint(ahead)?;
        let key = u32::try_from(key).ok()?;
        ahead = match key & 7 {
            VARINT => varint(rest)?.1,
            FIXED64 => fixed64(rest)?.1,
            LEN => delimited(rest)?.1,
            FIXED32 => fixed32(rest)?.1,
            GROUP => {
                depth += 1;
                *open.get_mut(depth)? = key >> 3;
                rest
            }
            END_GROUP if open[depth] == key >> 3 => {
                if depth == 0 {
                    return Some(rest);
                }
                depth -= 1;
                rest
            }
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::encoding::decode_varint;

    proptest! {
        /// Whatever the bytes, prost reads the same number and stops at the same place.
        #[test]
        fn reads_varints_as_prost(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80u8..], 0..14)) {
            let mut oracle = bytes.as_slice();
            let expected = decode_varint(&mut oracle).ok();
            prop_assert_eq!(varint(&bytes), expected.map(|value| (value, oracle)));
        }
    }

    #[test]
    fn steps_over_nested_groups_and_stops_at_malformed_fields() {
        // group 1 { group 2 { 3: varint 5 } } then 4: varint 6
        let body = [0x0b, 0x13, 0x18, 5, 0x14, 0x0c, 0x20, 6];
        let numbers: Vec<u32> = fields(&body).map(|field| field.number).collect();
        assert_eq!(numbers, [1, 4]);
        assert_eq!(fields(&body).next().map(|field| field.raw), Some(&body[..6]));
        assert_eq!(fields(&[0x0b, 0x14]).count(), 0, "a group closed by another's end");
        assert_eq!(fields(&[0x08, 1, 0x0a, 9]).count(), 1, "a length past the end");
    }
}
