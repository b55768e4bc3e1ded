//! Writing varints, tags and length-delimited fields.
//!
//! The counterpart of [`crate::wire`], which reads them. Field numbers are written where they are used, as tag bytes: every
//! field this crate writes has a number below 16, so a tag is one byte, except span flags (16).

/// The longest varint in bytes.
pub(crate) const MAX_VARINT: usize = 10;

/// The tag byte of field `number` (1..=15) with wire type 2, length-delimited.
pub(crate) const fn len_tag(number: u8) -> u8 {
    number << 3 | 2
}

/// The tag byte of field `number` (1..=15) with wire type 0, varint.
pub(crate) const fn varint_tag(number: u8) -> u8 {
    number << 3
}

/// The tag byte of field `number` (1..=15) with wire type 1, eight bytes.
pub(crate) const fn fixed64_tag(number: u8) -> u8 {
    number << 3 | 1
}

/// Bytes that `value` takes as a varint.
#[inline]
pub(crate) const fn varint_len(value: u64) -> usize {
    // Seven bits a byte: ceil(bits / 7) without a division, exact for 1..=64 bits.
    let bits = 64 - (value | 1).leading_zeros() as usize;
    (bits * 9 + 64) / 64
}

/// Bytes that a length-delimited field with a one-byte tag takes around and including a body of `len` bytes.
#[inline]
pub(crate) const fn len_field(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// Appends a varint.
#[inline]
pub(crate) fn varint(value: u64, out: &mut Vec<u8>) {
    if value < 0x80 {
        out.push(value as u8);
    } else if value < 0x4000 {
        out.extend_from_slice(&[value as u8 | 0x80, (value >> 7) as u8]);
    } else {
        long_varint(value, out);
    }
}

fn long_varint(mut value: u64, out: &mut Vec<u8>) {
    let mut bytes = [0; MAX_VARINT];
    let mut len = 0;
    while value >= 0x80 {
        bytes[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    bytes[len] = value as u8;
    out.extend_from_slice(&bytes[..=len]);
}

/// Fills `to` with a varint: longer than it has to be where there is more room, which readers accept. There must be room enough.
pub(crate) fn padded_varint(value: u64, to: &mut [u8]) {
    let last = to.len() - 1;
    for (i, byte) in to.iter_mut().enumerate() {
        let more = if i < last { 0x80 } else { 0 };
        *byte = (value >> (7 * i)) as u8 & 0x7f | more;
    }
}

/// Appends a tag and a length; the body follows.
#[inline]
pub(crate) fn open(tag: u8, len: usize, out: &mut Vec<u8>) {
    if len < 0x80 {
        out.extend_from_slice(&[tag, len as u8]);
    } else if len < 0x4000 {
        out.extend_from_slice(&[tag, len as u8 | 0x80, (len >> 7) as u8]);
    } else {
        out.push(tag);
        long_varint(len as u64, out);
    }
}

/// Appends a length-delimited field.
#[inline]
pub(crate) fn bytes(tag: u8, body: &[u8], out: &mut Vec<u8>) {
    open(tag, body.len(), out);
    out.extend_from_slice(body);
}

/// Appends an eight-byte field.
#[inline]
pub(crate) fn fixed64(tag: u8, value: u64, out: &mut Vec<u8>) {
    let mut field = [tag; 9];
    field[1..].copy_from_slice(&value.to_le_bytes());
    out.extend_from_slice(&field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_of_a_varint_is_what_is_written() {
        let edges = (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for value in edges.chain([u64::MAX]) {
            let mut out = Vec::new();
            varint(value, &mut out);
            assert_eq!(out.len(), varint_len(value), "{value}");
            let mut oracle = Vec::new();
            prost::encoding::encode_varint(value, &mut oracle);
            assert_eq!(out, oracle, "{value}");
        }
    }

    #[test]
    fn a_field_takes_what_is_announced() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 2_097_152] {
            let mut out = Vec::new();
            bytes(len_tag(1), &vec![7; len], &mut out);
            assert_eq!(out.len(), len_field(len));
        }
    }
}
