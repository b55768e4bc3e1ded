//! The first 96 bytes of an archive. `docs/formats/archive.md` draws them.

use crate::{
    error::Error,
    key::PasswordCost,
    limits::{FRAME_LOG2_MAX, FRAME_LOG2_MIN, MAX_CONTEXT_BYTES},
};

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 96;
/// Bytes of a header that the key of the file is derived with: all before the commitment.
pub(crate) const BOUND_BYTES: usize = 60;
/// Bytes of a salt.
pub const SALT_BYTES: usize = 32;
/// Bytes of a commitment.
pub(crate) const COMMITMENT_BYTES: usize = 32;

/// What every archive begins with. As PNG's: a byte that is no text, line ends that a text mode would change, and one that ends listings.
pub const MAGIC: [u8; 8] = *b"\x89ALDS\r\n\x1a";
const VERSION: u8 = 1;
/// AES-256-GCM, HKDF-SHA-512, BLAKE3, zstd.
const SUITE: u8 = 1;
const FROM_KEY: u8 = 0;
const FROM_PASSWORD: u8 = 1;

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) frame_log2: u8,
    pub(crate) salt: [u8; SALT_BYTES],
    /// Whether a password is asked for, and what it costs to check.
    pub(crate) cost: Option<PasswordCost>,
    pub(crate) context_bytes: u32,
    pub(crate) commitment: [u8; COMMITMENT_BYTES],
}

impl Header {
    /// Bytes of every data frame but the last.
    pub(crate) fn frame_bytes(&self) -> usize {
        1 << self.frame_log2
    }

    /// Whether the beginning of a file may be that of an archive. Nothing is no beginning.
    pub(crate) fn may_begin(bytes: &[u8]) -> bool {
        let seen = bytes.len().min(MAGIC.len());
        seen > 0 && bytes[..seen] == MAGIC[..seen]
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let cost = self.cost.unwrap_or(PasswordCost { memory_kib: 0, passes: 0, lanes: 0 });
        let kind = if self.cost.is_some() { FROM_PASSWORD } else { FROM_KEY };
        let parts: [&[u8]; 8] = [
            &MAGIC,
            &[VERSION, SUITE, kind, self.frame_log2],
            &self.salt,
            &cost.memory_kib.to_le_bytes(),
            &cost.passes.to_le_bytes(),
            &cost.lanes.to_le_bytes(),
            &self.context_bytes.to_le_bytes(),
            &self.commitment,
        ];
        let mut bytes = [0; HEADER_BYTES];
        let mut at = 0;
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        let check = checksum(&bytes[..at]);
        bytes[at..].copy_from_slice(&check);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Error> {
        if bytes[..8] != MAGIC {
            return Err(Error::NotAnArchive);
        }
        if bytes[8] != VERSION {
            return Err(Error::Version(bytes[8]));
        }
        if bytes[92..] != checksum(&bytes[..92]) {
            return Err(Error::HeaderDamaged);
        }
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let cost = PasswordCost { memory_kib: number(44), passes: number(48), lanes: number(52) };
        let is_free = cost.memory_kib == 0 && cost.passes == 0 && cost.lanes == 0;
        let cost = match bytes[10] {
            FROM_KEY if is_free => None,
            FROM_PASSWORD => Some(cost),
            _ => return Err(Error::Header("what the key is derived from")),
        };
        if bytes[9] != SUITE {
            return Err(Error::Header("the suite"));
        }
        if !(FRAME_LOG2_MIN..=FRAME_LOG2_MAX).contains(&bytes[11]) {
            return Err(Error::Header("the size of frames"));
        }
        let (mut salt, mut commitment) = ([0; SALT_BYTES], [0; COMMITMENT_BYTES]);
        salt.copy_from_slice(&bytes[12..44]);
        commitment.copy_from_slice(&bytes[60..92]);
        let context_bytes = number(56);
        if context_bytes as usize > MAX_CONTEXT_BYTES {
            return Err(Error::Header("the length of the context"));
        }
        Ok(Self { frame_log2: bytes[11], salt, cost, context_bytes, commitment })
    }
}

/// Against accidents only: it tells a damaged header from a wrong key. What keeps attackers out is the commitment.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = *blake3::hash(bytes).as_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> impl Strategy<Value = Header> {
        let cost = proptest::option::of(
            any::<(u32, u32, u32)>().prop_map(|(memory_kib, passes, lanes)| PasswordCost {
                memory_kib,
                passes,
                lanes,
            }),
        );
        let sizes = (FRAME_LOG2_MIN..=FRAME_LOG2_MAX, 0..=MAX_CONTEXT_BYTES as u32);
        (sizes, any::<([u8; 32], [u8; 32])>(), cost).prop_map(
            |((frame_log2, context_bytes), (salt, commitment), cost)| Header {
                frame_log2,
                salt,
                cost,
                context_bytes,
                commitment,
            },
        )
    }

    proptest! {
        #[test]
        fn a_header_comes_back_and_no_byte_of_it_can_change(header in header(), at in 0..HEADER_BYTES, bit in 0..8) {
            let mut bytes = header.encode();
            prop_assert_eq!(Header::decode(&bytes).unwrap(), header);
            bytes[at] ^= 1_u8 << bit;
            let error = Header::decode(&bytes).unwrap_err();
            let fits = match at {
                0..8 => matches!(error, Error::NotAnArchive),
                8 => matches!(error, Error::Version(_)),
                _ => matches!(error, Error::HeaderDamaged),
            };
            prop_assert!(fits, "{}", error);
        }
    }

    #[test]
    fn what_no_writer_writes_is_refused() {
        let good =
            Header { frame_log2: 20, salt: [1; 32], cost: None, context_bytes: 0, commitment: [2; 32] };
        let refused = |change: fn(&mut [u8; HEADER_BYTES])| {
            let mut bytes = good.encode();
            change(&mut bytes);
            let check = checksum(&bytes[..92]);
            bytes[92..].copy_from_slice(&check);
            assert!(matches!(Header::decode(&bytes), Err(Error::Header(_))), "{bytes:?}");
        };
        refused(|bytes| bytes[9] = 2);
        refused(|bytes| bytes[10] = 2);
        refused(|bytes| bytes[11] = FRAME_LOG2_MIN - 1);
        refused(|bytes| bytes[11] = FRAME_LOG2_MAX + 1);
        refused(|bytes| bytes[44] = 1);
        refused(|bytes| bytes[58] = 2);
    }
}
