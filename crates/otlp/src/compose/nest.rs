//! A message inside a message, its length filled in once it is known.

use crate::put::{self, MAX_VARINT};

/// Appends a length-delimited field whose body `write` appends. `width` is how many bytes the length will most likely take; where
/// it takes another number the body moves, so that every length is as short as it can be.
#[inline]
pub(super) fn nested(tag: u8, width: usize, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let at = out.len();
    out.extend_from_slice(&[0; MAX_VARINT][..width]);
    let body = at + width;
    write(out);
    let len = out.len() - body;
    let needed = put::varint_len(len as u64);
    if needed != width {
        shift(body, needed as isize - width as isize, out);
    }
    put::padded_varint(len as u64, &mut out[at..at + needed]);
}

/// Moves what stands at `body` by some bytes.
#[cold]
fn shift(body: usize, by: isize, out: &mut Vec<u8>) {
    let len = out.len() - body;
    let to = body.wrapping_add_signed(by);
    if by > 0 {
        out.resize(to + len, 0);
    }
    out.copy_within(body..body + len, to);
    out.truncate(to + len);
}
