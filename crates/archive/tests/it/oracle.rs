//! A second implementation of `docs/formats/archive.md`, on other libraries, without a bound and in one thread. It writes what
//! no honest program writes, too.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Nonce, Payload},
};
use hkdf::Hkdf;
use sha2::Sha512;

pub(crate) const HEADER: usize = 96;
pub(crate) const DATA: u8 = 1;
pub(crate) const INDEX: u8 = 2;
pub(crate) const DIGEST: u8 = 3;
pub(crate) const TERMINATOR: u8 = 4;
pub(crate) const STORED: u8 = 0;
pub(crate) const ZSTD: u8 = 1;

/// A frame with its body in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) codec: u8,
    pub(crate) seq: u32,
    pub(crate) plaintext_len: u32,
    pub(crate) body: Vec<u8>,
}

impl Frame {
    pub(crate) fn stored(kind: u8, seq: u32, body: &[u8]) -> Self {
        Self { kind, codec: STORED, seq, plaintext_len: body.len() as u32, body: body.to_vec() }
    }

    pub(crate) fn plaintext(&self) -> Vec<u8> {
        match self.codec {
            STORED => self.body.clone(),
            _ => zstd::decode_all(&self.body[..]).unwrap(),
        }
    }
}

pub(crate) struct Oracle {
    pub(crate) header: [u8; HEADER],
    aead: Aes256Gcm,
    first_nonce: [u8; 12],
    bound: [u8; 32],
}

impl Oracle {
    /// For an archive that is there. The commitment must be that of the key.
    pub(crate) fn of(archive: &[u8], key: &[u8], context: &[u8]) -> Self {
        let header: [u8; HEADER] = archive[..HEADER].try_into().unwrap();
        let oracle = Self::with_header(header, key, context);
        assert_eq!(oracle.header, header, "commitment and checksum");
        oracle
    }

    /// For a new one.
    pub(crate) fn new(key: &[u8], context: &[u8], frame_log2: u8) -> Self {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(b"\x89ALDS\r\n\x1a");
        header[8..12].copy_from_slice(&[1, 1, 0, frame_log2]);
        header[12..44].copy_from_slice(&[0x5a; 32]);
        header[56..60].copy_from_slice(&(context.len() as u32).to_le_bytes());
        Self::with_header(header, key, context)
    }

    fn with_header(mut header: [u8; HEADER], key: &[u8], context: &[u8]) -> Self {
        let mut derived = [0; 76];
        let info: [&[u8]; 3] = [b"aldis archive 1", &header[..60], context];
        let hkdf = Hkdf::<Sha512>::new(Some(&header[12..44]), key);
        hkdf.expand_multi_info(&info, &mut derived).unwrap();
        header[60..92].copy_from_slice(&derived[44..]);
        let check = blake3::hash(&header[..92]);
        header[92..].copy_from_slice(&check.as_bytes()[..4]);
        Self {
            header,
            aead: Aes256Gcm::new_from_slice(&derived[..32]).unwrap(),
            first_nonce: derived[32..44].try_into().unwrap(),
            bound: *blake3::hash(&header).as_bytes(),
        }
    }

    /// The bytes of a frame, with a true tag.
    pub(crate) fn seal(&self, frame: &Frame) -> Vec<u8> {
        let head = head(frame);
        let (nonce, aad) = (self.nonce(frame.seq), self.aad(&head));
        let sealed = self.aead.encrypt(&nonce, Payload { msg: &frame.body, aad: &aad }).unwrap();
        [&head[..], &sealed].concat()
    }

    /// An archive of these frames, whatever they are.
    pub(crate) fn archive(&self, frames: &[Frame]) -> Vec<u8> {
        let mut bytes = self.header.to_vec();
        frames.iter().for_each(|frame| bytes.extend(self.seal(frame)));
        bytes
    }

    /// All frames of an archive, decrypted.
    pub(crate) fn frames(&self, archive: &[u8]) -> Vec<Frame> {
        let (mut at, mut frames) = (HEADER, Vec::new());
        while at < archive.len() {
            let head: [u8; 16] = archive[at..at + 16].try_into().unwrap();
            let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
            let (seq, end) = (number(4), at + 16 + number(12) as usize + 16);
            let payload = Payload { msg: &archive[at + 16..end], aad: &self.aad(&head) };
            let body = self.aead.decrypt(&self.nonce(seq), payload).unwrap();
            frames.push(Frame { kind: head[0], codec: head[1], seq, plaintext_len: number(8), body });
            at = end;
        }
        frames
    }

    fn nonce(&self, seq: u32) -> Nonce<Aes256Gcm> {
        let mut nonce = self.first_nonce;
        let last: [u8; 4] = nonce[8..].try_into().unwrap();
        nonce[8..].copy_from_slice(&(u32::from_be_bytes(last) ^ seq).to_be_bytes());
        nonce.into()
    }

    fn aad(&self, head: &[u8; 16]) -> Vec<u8> {
        [&self.bound[..], head].concat()
    }
}

/// Where the frames of an archive begin, and where the last one ends.
pub(crate) fn bounds(archive: &[u8]) -> Vec<usize> {
    let mut bounds = vec![HEADER];
    while let Some(at) = bounds.last().copied().filter(|at| *at < archive.len()) {
        let body = u32::from_le_bytes(archive[at + 12..at + 16].try_into().unwrap());
        bounds.push(at + 32 + body as usize);
    }
    bounds
}

fn head(frame: &Frame) -> [u8; 16] {
    let mut head = [0; 16];
    head[..2].copy_from_slice(&[frame.kind, frame.codec]);
    head[4..8].copy_from_slice(&frame.seq.to_le_bytes());
    head[8..12].copy_from_slice(&frame.plaintext_len.to_le_bytes());
    head[12..].copy_from_slice(&(frame.body.len() as u32).to_le_bytes());
    head
}

/// The frames that a whole archive of these pieces of plaintext has: full ones but for the last.
pub(crate) fn honest(pieces: &[&[u8]]) -> Vec<Frame> {
    let mut frames: Vec<Frame> =
        pieces.iter().enumerate().map(|(seq, piece)| Frame::stored(DATA, seq as u32, piece)).collect();
    let n = frames.len();
    let lengths = frames.iter().flat_map(|frame| frame.plaintext_len.to_le_bytes());
    let index: Vec<u8> = lengths.chain(vec![0xff; 8 * n]).chain(vec![0; 8 * n]).collect();
    let data: u64 = frames.iter().map(|frame| frame.body.len() as u64).sum();
    let mut seq = n as u32;
    if n > 0 {
        frames.push(Frame::stored(INDEX, seq, &index));
        seq += 1;
    }
    frames.push(Frame::stored(DIGEST, seq, &digest(&pieces.concat())));
    let totals = [n as u64, u64::from(seq) - n as u64, data, data, HEADER as u64 + data + 32 * n as u64];
    frames.push(Frame::stored(TERMINATOR, seq + 1, &totals.map(u64::to_le_bytes).concat()));
    frames
}

pub(crate) fn digest(plaintext: &[u8]) -> Vec<u8> {
    [&blake3::hash(plaintext).as_bytes()[..], &(plaintext.len() as u64).to_le_bytes()].concat()
}

/// Text that compresses, and of which no two frames are alike.
pub(crate) fn text(bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 64);
    let mut n = 0_u64;
    while text.len() < bytes {
        n += 1;
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        text.extend(format!("{{\"n\":{n},\"service\":\"s{}\",\"took\":{mixed}}}\n", mixed % 7).bytes());
    }
    text.truncate(bytes);
    text
}

/// Bytes that do not compress.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    noise
}
