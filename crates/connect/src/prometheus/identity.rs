//! What makes two points of one series: a keyed 128-bit hash, whatever the order of attributes.
//!
//! The hash of an attribute set is the sum of the hashes of its attributes, so that order does not matter and nothing is
//! sorted or allocated. Keys are random: without them nobody can look for two sets with one hash, and by chance 10^5
//! series meet with a probability below 10^-28. That is why a hit is not compared in full.

use std::hash::{BuildHasher, Hasher, RandomState};

use otlp::view::{Attributes, ValueView};

/// The keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    high: RandomState,
    low: RandomState,
}

/// Two hashes that are fed the same.
struct Pair<H>(H, H);

impl<H: Hasher> Pair<H> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.write(bytes);
        self.1.write(bytes);
    }

    fn number(&mut self, number: u64) {
        self.0.write_u64(number);
        self.1.write_u64(number);
    }

    fn finish(&self) -> u128 {
        u128::from(self.0.finish()) << 64 | u128::from(self.1.finish())
    }
}

impl Keys {
    fn pair(&self) -> Pair<impl Hasher + use<>> {
        Pair(self.high.build_hasher(), self.low.build_hasher())
    }

    /// Several parts in this order.
    pub(super) fn row(&self, parts: &[&[u8]]) -> u128 {
        let mut pair = self.pair();
        parts.iter().for_each(|part| pair.bytes(part));
        pair.finish()
    }

    /// Several hashes in this order.
    pub(super) fn join(&self, parts: [u128; 3]) -> u128 {
        let mut pair = self.pair();
        for part in parts {
            pair.number((part >> 64) as u64);
            pair.number(part as u64);
        }
        pair.finish()
    }

    /// A set of key-values.
    pub(super) fn set(&self, attributes: Attributes<'_>) -> u128 {
        attributes.fold(0, |sum: u128, (key, value)| {
            let mut pair = self.pair();
            pair.bytes(key.as_bytes());
            self.value(value, &mut pair);
            sum.wrapping_add(pair.finish())
        })
    }

    fn value<H: Hasher>(&self, value: ValueView<'_>, pair: &mut Pair<H>) {
        match value {
            ValueView::Empty => pair.number(0),
            ValueView::String(text) => {
                pair.number(1);
                pair.bytes(text.as_bytes());
            }
            ValueView::Bool(yes) => pair.number(2 + u64::from(yes)),
            ValueView::Int(number) => {
                pair.number(4);
                pair.number(number as u64);
            }
            ValueView::Double(number) => {
                pair.number(5);
                pair.number(number.to_bits());
            }
            ValueView::Bytes(bytes) => {
                pair.number(6);
                pair.bytes(bytes);
            }
            ValueView::Array(items) => {
                pair.number(7);
                items.for_each(|item| self.value(item, pair));
                pair.number(8);
            }
            ValueView::Map(entries) => {
                pair.number(9);
                let set = self.set(entries);
                pair.number((set >> 64) as u64);
                pair.number(set as u64);
            }
        }
    }
}

/// A hash of a hash: what is looked up is random already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }
}

/// For maps whose keys are such hashes.
pub(super) type PlainState = std::hash::BuildHasherDefault<Plain>;
