//! The head of a frame: 16 bytes before its body and its tag.

use crate::limits::INDEX_ENTRIES;

/// Bytes of a head.
pub(crate) const HEAD_BYTES: usize = 16;
/// Bytes of a tag.
pub(crate) const TAG_BYTES: usize = 16;
/// What a frame adds to its body.
pub(crate) const FRAME_OVERHEAD: u64 = (HEAD_BYTES + TAG_BYTES) as u64;
/// Bytes of an entry of the index.
pub(crate) const ENTRY_BYTES: usize = 20;
/// Bytes of the bodies of digest and terminator.
pub(crate) const CLOSING_BYTES: usize = 40;
/// Bytes of the frames of digest and terminator.
pub(crate) const CLOSING_FRAME_BYTES: u64 = CLOSING_BYTES as u64 + FRAME_OVERHEAD;

/// What a frame holds. Frames come in the order of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Data = 1,
    Index = 2,
    Digest = 3,
    Terminator = 4,
}

/// How the body holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Stored = 0,
    Zstd = 1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) codec: Codec,
    /// The frame's number in the archive, which is its nonce.
    pub(crate) seq: u32,
    pub(crate) plaintext_len: u32,
    /// Bytes that follow, without the tag.
    pub(crate) body_len: u32,
}

impl Head {
    pub(crate) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[0] = self.kind as u8;
        bytes[1] = self.codec as u8;
        bytes[4..8].copy_from_slice(&self.seq.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.plaintext_len.to_le_bytes());
        bytes[12..].copy_from_slice(&self.body_len.to_le_bytes());
        bytes
    }

    /// Reads a head where frame `seq` is expected. What it says is a claim until its tag is verified; that it claims no
    /// more memory than a frame may have is checked here.
    pub(crate) fn decode(
        bytes: [u8; HEAD_BYTES],
        seq: u64,
        frame_bytes: usize,
    ) -> Result<Self, &'static str> {
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let kind = match bytes[0] {
            1 => Kind::Data,
            2 => Kind::Index,
            3 => Kind::Digest,
            4 => Kind::Terminator,
            _ => return Err("there is no such kind of frame"),
        };
        let codec = match bytes[1] {
            0 => Codec::Stored,
            1 => Codec::Zstd,
            _ => return Err("there is no such codec"),
        };
        let head = Self { kind, codec, seq: number(4), plaintext_len: number(8), body_len: number(12) };
        if bytes[2..4] != [0, 0] {
            return Err("bytes that are not used are not 0");
        }
        if u64::from(head.seq) != seq {
            return Err("another frame is expected here");
        }
        let plaintext_len = head.plaintext_len as usize;
        let fits = match kind {
            Kind::Data => (1..=frame_bytes).contains(&plaintext_len),
            Kind::Index => {
                plaintext_len.is_multiple_of(ENTRY_BYTES)
                    && (1..=INDEX_ENTRIES).contains(&(plaintext_len / ENTRY_BYTES))
            }
            Kind::Digest | Kind::Terminator => plaintext_len == CLOSING_BYTES && codec == Codec::Stored,
        };
        // What does not become smaller is stored: a body is never longer than what it holds.
        let is_packed = match codec {
            Codec::Stored => head.body_len == head.plaintext_len,
            Codec::Zstd => head.body_len < head.plaintext_len,
        };
        if fits && is_packed { Ok(head) } else { Err("its length is none that a frame has") }
    }

    /// The number that a head says it has.
    pub(crate) fn seq_in(bytes: [u8; HEAD_BYTES]) -> u64 {
        u64::from(u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]))
    }

    /// Bytes of the whole frame.
    pub(crate) fn frame_bytes(&self) -> u64 {
        u64::from(self.body_len) + FRAME_OVERHEAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: usize = 1 << 12;

    fn head(kind: Kind, codec: Codec, plaintext_len: u32, body_len: u32) -> Head {
        Head { kind, codec, seq: 7, plaintext_len, body_len }
    }

    #[test]
    fn heads_come_back() {
        for head in [
            head(Kind::Data, Codec::Zstd, 4096, 4095),
            head(Kind::Data, Codec::Stored, 1, 1),
            head(Kind::Index, Codec::Zstd, 20 * INDEX_ENTRIES as u32, 17),
            head(Kind::Digest, Codec::Stored, 40, 40),
            head(Kind::Terminator, Codec::Stored, 40, 40),
        ] {
            assert_eq!(Head::decode(head.encode(), 7, FRAME), Ok(head));
            assert!(Head::decode(head.encode(), 8, FRAME).is_err(), "another number");
        }
    }

    #[test]
    fn lengths_that_no_frame_has_are_refused() {
        for head in [
            head(Kind::Data, Codec::Zstd, 4097, 1),
            head(Kind::Data, Codec::Zstd, 0, 0),
            head(Kind::Data, Codec::Zstd, 100, 100),
            head(Kind::Data, Codec::Zstd, 100, u32::MAX),
            head(Kind::Data, Codec::Stored, 100, 99),
            head(Kind::Data, Codec::Stored, u32::MAX, u32::MAX),
            head(Kind::Index, Codec::Stored, 21, 21),
            head(Kind::Index, Codec::Stored, 0, 0),
            head(Kind::Index, Codec::Zstd, 20 * (INDEX_ENTRIES as u32 + 1), 10),
            head(Kind::Digest, Codec::Stored, 41, 41),
            head(Kind::Terminator, Codec::Zstd, 40, 39),
        ] {
            assert!(Head::decode(head.encode(), 7, FRAME).is_err(), "{head:?}");
        }
        for (at, value) in [(0, 0), (0, 5), (1, 2), (2, 1), (3, 1)] {
            let mut bytes = head(Kind::Data, Codec::Stored, 1, 1).encode();
            bytes[at] = value;
            assert!(Head::decode(bytes, 7, FRAME).is_err(), "{at}");
        }
    }
}
