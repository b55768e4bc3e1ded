//! The digest of the plaintext: BLAKE3 of the whole stream, made of frames that are hashed apart.
//!
//! BLAKE3 is a tree over pieces of 1 KiB, and every subtree of a power of two pieces stands at a multiple of its own size
//! (BLAKE3 paper, §2.1). Frames are such subtrees, so workers hash them, and what is left is to hash pairs. `b3sum` of the
//! plaintext gives the same digest.

use blake3::{
    Hash, Hasher,
    hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root},
};

/// What a worker knows of one frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    value: ChainingValue,
    /// Of the first frame, the digest of a stream that has no other.
    alone: Option<Hash>,
}

impl Leaf {
    /// Of the frame that begins at this offset of the plaintext, a multiple of the size of frames. Frames are not empty.
    pub(crate) fn of(plaintext: &[u8], offset: u64) -> Self {
        let mut hasher = Hasher::new();
        hasher.set_input_offset(offset);
        hasher.update(plaintext);
        let alone = (offset == 0).then(|| blake3::hash(plaintext));
        Self { value: hasher.finalize_non_root(), alone }
    }
}

/// Leaves that have come, in order.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Whole subtrees, larger ones first: as many as the number of leaves has binary digits that are 1, but for the last
    /// leaf, which waits: what is merged with it may be the root.
    waiting: Vec<ChainingValue>,
    leaves: u64,
    alone: Option<Hash>,
}

impl Tree {
    pub(crate) fn push(&mut self, leaf: &Leaf) {
        while self.waiting.len() > self.leaves.count_ones() as usize {
            self.merge();
        }
        self.alone = self.alone.or(leaf.alone);
        self.waiting.push(leaf.value);
        self.leaves += 1;
    }

    fn merge(&mut self) {
        if let (Some(right), Some(left)) = (self.waiting.pop(), self.waiting.pop()) {
            self.waiting.push(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
    }

    /// The digest of everything that came.
    pub(crate) fn root(mut self) -> Hash {
        match (self.leaves, self.alone) {
            (0, _) => return blake3::hash(b""),
            (1, Some(alone)) => return alone,
            _ => {}
        }
        while self.waiting.len() > 2 {
            self.merge();
        }
        match self.waiting[..] {
            [left, right] => merge_subtrees_root(&left, &right, Mode::Hash),
            _ => unreachable!("two leaves are two subtrees at least, as the last one waits"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_are_hashed_apart_give_the_digest_of_the_whole() {
        let bytes: Vec<u8> =
            (0..40_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for frame in [4096, 8192, 65_536] {
            for len in (0..20).map(|n| n * 4096).chain([1, 1023, 1025, 4095, 4097, 70_001, bytes.len()]) {
                let mut tree = Tree::default();
                for (n, part) in bytes[..len].chunks(frame).enumerate() {
                    tree.push(&Leaf::of(part, (n * frame) as u64));
                }
                assert_eq!(tree.root(), blake3::hash(&bytes[..len]), "{len} bytes in frames of {frame}");
            }
        }
    }
}
