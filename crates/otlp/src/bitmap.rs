//! Which records are still in a batch: one bit each.

/// A fixed-length set of record numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bitmap {
    words: Box<[u64]>,
    len: u32,
    ones: u32,
}

impl Bitmap {
    /// Every one of `len` bits set.
    pub(crate) fn full(len: usize) -> Self {
        let mut words = vec![u64::MAX; len.div_ceil(64)].into_boxed_slice();
        if let Some(last) = words.last_mut()
            && !len.is_multiple_of(64)
        {
            *last = (1 << (len % 64)) - 1;
        }
        Self { words, len: len as u32, ones: len as u32 }
    }

    /// How many bits are set.
    pub(crate) fn ones(&self) -> usize {
        self.ones as usize
    }

    /// Whether bit `i` is set; false at and beyond the length.
    pub(crate) fn contains(&self, i: usize) -> bool {
        self.words.get(i / 64).is_some_and(|word| word >> (i % 64) & 1 == 1)
    }

    /// Clears bit `i`; true if it was set.
    pub(crate) fn clear(&mut self, i: usize) -> bool {
        let was = self.contains(i);
        if was {
            self.words[i / 64] &= !(1 << (i % 64));
            self.ones -= 1;
        }
        was
    }

    /// Whether any bit of `first .. first + count` is set.
    pub(crate) fn any_in(&self, first: usize, count: usize) -> bool {
        let mut i = first;
        let end = (first + count).min(self.len as usize);
        while i < end {
            let ahead = (64 - i % 64).min(end - i);
            let mask = u64::MAX >> (64 - ahead);
            if self.words[i / 64] >> (i % 64) & mask != 0 {
                return true;
            }
            i += ahead;
        }
        false
    }

    /// Heap bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.words.len() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a vector of booleans.
        #[test]
        fn agrees_with_booleans(len in 0usize..300, cleared in prop::collection::vec(0usize..320, 0..200),
                                first in 0usize..300, count in 0usize..300) {
            let mut bitmap = Bitmap::full(len);
            let mut model = vec![true; len];
            for i in cleared {
                let was = model.get_mut(i).map(|bit| std::mem::replace(bit, false)).unwrap_or(false);
                prop_assert_eq!(bitmap.clear(i), was);
            }
            prop_assert_eq!(bitmap.ones(), model.iter().filter(|&&bit| bit).count());
            for i in 0..320 {
                prop_assert_eq!(bitmap.contains(i), model.get(i).copied().unwrap_or(false));
            }
            let any = model.iter().skip(first).take(count).any(|&bit| bit);
            prop_assert_eq!(bitmap.any_in(first, count), any);
        }
    }
}
