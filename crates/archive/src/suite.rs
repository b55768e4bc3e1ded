//! The key of one file: derived, committed to, and used for every frame of it.
//!
//! HKDF-SHA-512 (RFC 5869) over the key with the header's salt, the header itself and the context as info gives a key, a
//! first nonce and a commitment. A nonce is the first one XOR the frame's number (as TLS 1.3 does, RFC 8446 §5.3), of
//! which there is one sequence for all kinds; the tag is over the header's digest and the frame's head.

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf,
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    error::Error,
    frame::{HEAD_BYTES, Head, TAG_BYTES},
    header::{BOUND_BYTES, COMMITMENT_BYTES, Header},
    key::{KEY_BYTES, Key},
};

const LABEL: &[u8] = b"aldis archive 1";
const DERIVED_BYTES: usize = KEY_BYTES + NONCE_LEN + COMMITMENT_BYTES;

pub(crate) struct FileKey {
    aead: LessSafeKey,
    first_nonce: [u8; NONCE_LEN],
    /// Digest of the whole header: part of what every tag is over.
    header: [u8; 32],
}

impl FileKey {
    /// For a new archive: writes the commitment into the header.
    pub(crate) fn create(header: &mut Header, key: &Key, context: &[u8]) -> Result<Self, Error> {
        let derived = derive(header, key, context)?;
        header.commitment.copy_from_slice(&derived[KEY_BYTES + NONCE_LEN..]);
        Self::of(&derived, header)
    }

    /// For an archive that is there: nothing is decrypted unless the header commits to this key.
    pub(crate) fn agreed(header: &Header, key: &Key, context: &[u8]) -> Result<Self, Error> {
        let derived = derive(header, key, context)?;
        let is_length = header.context_bytes as usize == context.len();
        let is_same = derived[KEY_BYTES + NONCE_LEN..].ct_eq(&header.commitment);
        if !is_length || !bool::from(is_same) {
            return Err(Error::WrongKey);
        }
        Self::of(&derived, header)
    }

    fn of(derived: &[u8; DERIVED_BYTES], header: &Header) -> Result<Self, Error> {
        let key = UnboundKey::new(&AES_256_GCM, &derived[..KEY_BYTES]).map_err(|_| Error::Panicked)?;
        let mut first_nonce = [0; NONCE_LEN];
        first_nonce.copy_from_slice(&derived[KEY_BYTES..KEY_BYTES + NONCE_LEN]);
        let header = *blake3::hash(&header.encode()).as_bytes();
        Ok(Self { aead: LessSafeKey::new(key), first_nonce, header })
    }

    /// Encrypts a body in place and gives its tag.
    pub(crate) fn seal(&self, head: &Head, body: &mut [u8]) -> Result<[u8; TAG_BYTES], Error> {
        let sealed = self.aead.seal_in_place_separate_tag(self.nonce(head.seq), self.bound(head), body);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(sealed.map_err(|_| Error::Panicked)?.as_ref());
        Ok(tag)
    }

    /// Decrypts a body that is followed by its tag, in place; `None` if that does not verify.
    pub(crate) fn open<'a>(&self, head: &Head, body_and_tag: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.aead.open_in_place(self.nonce(head.seq), self.bound(head), body_and_tag).ok()
    }

    fn nonce(&self, seq: u32) -> Nonce {
        let mut nonce = self.first_nonce;
        nonce.iter_mut().rev().zip(seq.to_le_bytes()).for_each(|(byte, of_seq)| *byte ^= of_seq);
        Nonce::assume_unique_for_key(nonce)
    }

    fn bound(&self, head: &Head) -> Aad<[u8; 32 + HEAD_BYTES]> {
        let mut bound = [0; 32 + HEAD_BYTES];
        bound[..32].copy_from_slice(&self.header);
        bound[32..].copy_from_slice(&head.encode());
        Aad::from(bound)
    }
}

struct Derived;

impl hkdf::KeyType for Derived {
    fn len(&self) -> usize {
        DERIVED_BYTES
    }
}

fn derive(header: &Header, key: &Key, context: &[u8]) -> Result<Zeroizing<[u8; DERIVED_BYTES]>, Error> {
    let input = key.input(&header.salt, header.cost)?;
    let random = hkdf::Salt::new(hkdf::HKDF_SHA512, &header.salt).extract(&*input);
    let mut derived = Zeroizing::new([0; DERIVED_BYTES]);
    let header = header.encode();
    let info = [LABEL, &header[..BOUND_BYTES], context];
    let expanded = random.expand(&info, Derived).and_then(|expanded| expanded.fill(&mut *derived));
    expanded.map_err(|_| Error::Panicked)?;
    Ok(derived)
}
