//! What makes two points of one series: everything that is said of them, whatever the order of attributes.
//!
//! An identity is written down as bytes ([`Identity`]). A keyed 128-bit hash of it says where to look, equality decides. The hash of
//! an attribute set is the sum of the hashes of its attributes, so that order does not matter and nothing is sorted. Keys are
//! random: without them nobody can look for sets that are slow to tell apart.

use std::hash::{BuildHasher, Hasher, RandomState};

use hashbrown::HashTable;
use otlp::view::{Attributes, ValueView};

/// The keys of hashes.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    high: RandomState,
    low: RandomState,
    /// Bits of a hash that are kept: all of them, but in tests.
    kept: u128,
}

impl Default for Keys {
    fn default() -> Self {
        Self { high: RandomState::new(), low: RandomState::new(), kept: u128::MAX }
    }
}

/// What identifies something: bytes in which order matters, and an attribute set as [`put_set`] writes it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Identity<'a> {
    pub(super) exact: &'a [u8],
    pub(super) set: &'a [u8],
}

impl Keys {
    /// Keys whose hashes are all the same.
    #[cfg(test)]
    pub(super) fn colliding() -> Self {
        Self { kept: 0, ..Self::default() }
    }

    fn hash(&self, parts: &[&[u8]]) -> u128 {
        let (mut high, mut low) = (self.high.build_hasher(), self.low.build_hasher());
        for part in parts {
            for hasher in [&mut high, &mut low] {
                hasher.write_usize(part.len());
                hasher.write(part);
            }
        }
        u128::from(high.finish()) << 64 | u128::from(low.finish())
    }

    /// The hash of an identity.
    pub(super) fn of(&self, identity: Identity<'_>) -> u128 {
        let sum = entries(identity.set).fold(0, |sum: u128, entry| sum.wrapping_add(self.hash(&[entry])));
        self.hash(&[identity.exact, &sum.to_ne_bytes()]) & self.kept
    }
}

impl Identity<'_> {
    fn len(&self) -> usize {
        self.exact.len() + self.set.len()
    }
}

impl PartialEq for Identity<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.exact == other.exact && (self.set == other.set || has_same_entries(self.set, other.set))
    }
}

fn has_same_entries(one: &[u8], two: &[u8]) -> bool {
    if one.len() != two.len() {
        return false;
    }
    let sorted = |set| {
        let mut all: Vec<&[u8]> = entries(set).collect();
        all.sort_unstable();
        all
    };
    sorted(one) == sorted(two)
}

/// The attributes of a set that was written down.
fn entries(set: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = set;
    std::iter::from_fn(move || {
        let (len, behind) = rest.split_first_chunk()?;
        let (entry, behind) = behind.split_at_checked(u32::from_ne_bytes(*len) as usize)?;
        rest = behind;
        Some(entry)
    })
}

/// Writes a text behind its length.
pub(super) fn put_text(text: &str, out: &mut Vec<u8>) {
    put_bytes(text.as_bytes(), out);
}

/// Writes an attribute set: each attribute behind its length, in the order in which they come. Maps inside are sorted, so that
/// equal attributes are equal bytes.
pub(super) fn put_set(attributes: Attributes<'_>, out: &mut Vec<u8>) {
    for (key, value) in attributes {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        put_text(key, out);
        put_value(value, out);
        let len = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&len.to_ne_bytes());
    }
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    // No request is longer than that.
    out.extend_from_slice(&(bytes.len() as u32).to_ne_bytes());
    out.extend_from_slice(bytes);
}

fn put_value(value: ValueView<'_>, out: &mut Vec<u8>) {
    match value {
        ValueView::Empty => out.push(0),
        ValueView::String(text) => {
            out.push(1);
            put_text(text, out);
        }
        ValueView::Bool(yes) => out.push(2 + u8::from(yes)),
        ValueView::Int(number) => {
            out.push(4);
            out.extend_from_slice(&number.to_ne_bytes());
        }
        ValueView::Double(number) => {
            out.push(5);
            out.extend_from_slice(&number.to_bits().to_ne_bytes());
        }
        ValueView::Bytes(bytes) => {
            out.push(6);
            put_bytes(bytes, out);
        }
        ValueView::Array(items) => {
            out.push(7);
            items.for_each(|item| put_value(item, out));
            out.push(8);
        }
        ValueView::Map(inner) => {
            out.push(9);
            let mut set = Vec::new();
            put_set(inner, &mut set);
            let mut sorted: Vec<&[u8]> = entries(&set).collect();
            sorted.sort_unstable();
            put_bytes(
                &sorted
                    .iter()
                    .flat_map(|entry| [&(entry.len() as u32).to_ne_bytes(), *entry].concat())
                    .collect::<Vec<_>>(),
                out,
            );
        }
    }
}

/// What was seen, by its identity. Each has a number of its own, which no other ever has.
#[derive(Debug)]
pub(super) struct Known<V> {
    table: HashTable<Entry<V>>,
    next: u64,
    /// Bytes of identities.
    bytes: usize,
}

#[derive(Debug)]
struct Entry<V> {
    key: u128,
    number: u64,
    value: V,
    /// How much of the identity is the part in which order matters.
    exact: u32,
    identity: Box<[u8]>,
}

impl<V> Default for Known<V> {
    fn default() -> Self {
        Self { table: HashTable::new(), next: 0, bytes: 0 }
    }
}

impl<V> Entry<V> {
    fn identity(&self) -> Identity<'_> {
        let (exact, set) = self.identity.split_at(self.exact as usize);
        Identity { exact, set }
    }
}

impl<V: Copy> Known<V> {
    /// Its number and what is kept for it.
    pub(super) fn find(&self, key: u128, identity: Identity<'_>) -> Option<(u64, V)> {
        let is_it = |entry: &Entry<V>| entry.key == key && entry.identity() == identity;
        self.table.find(key as u64, is_it).map(|entry| (entry.number, entry.value))
    }

    /// Keeps one that is not there, and gives it a number.
    pub(super) fn insert(&mut self, key: u128, identity: Identity<'_>, value: V) -> u64 {
        let number = self.next;
        self.next += 1;
        self.bytes += identity.len();
        let exact = identity.exact.len() as u32;
        let identity = [identity.exact, identity.set].concat().into_boxed_slice();
        let entry = Entry { key, number, value, exact, identity };
        self.table.insert_unique(key as u64, entry, |entry| entry.key as u64);
        number
    }

    /// Bytes that one more of this identity takes up.
    pub(super) fn bytes_of(identity: Identity<'_>) -> usize {
        Self::ENTRY_BYTES + identity.len()
    }

    /// An entry, and its share of the free ones.
    const ENTRY_BYTES: usize = 2 * (size_of::<Entry<V>>() + 1);

    /// Forgets those that this says no of: number, the part of the identity in which order matters, what is kept.
    pub(super) fn retain(&mut self, mut lives: impl FnMut(u64, &[u8], V) -> bool) {
        let bytes = &mut self.bytes;
        self.table.retain(|entry| {
            let lives = lives(entry.number, entry.identity().exact, entry.value);
            if !lives {
                *bytes -= entry.identity.len();
            }
            lives
        });
    }

    /// The part in which order matters, of all of them.
    pub(super) fn exact_parts(&self) -> impl Iterator<Item = &[u8]> {
        self.table.iter().map(|entry| entry.identity().exact)
    }

    /// Bytes that they take up.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes + self.table.len() * Self::ENTRY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use otlp::{
        Depth, Signal,
        event::{AttributeValue, Metric, RequestBuilder},
    };
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = AttributeValue> {
        let leaf = prop_oneof![
            (-2..3i64).prop_map(AttributeValue::Int),
            "[ab]{0,2}".prop_map(AttributeValue::String),
            any::<bool>().prop_map(AttributeValue::Bool),
            prop::sample::select(vec![0.0, -0.0, 1.0]).prop_map(AttributeValue::Double),
            prop::collection::vec(97..99u8, 0..3).prop_map(AttributeValue::Bytes),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(AttributeValue::Array),
                prop::collection::vec(("[ab]{0,2}", inner), 0..3).prop_map(AttributeValue::Map),
            ]
        })
    }

    /// The same whatever the order of attributes, here and in maps inside: the oracle.
    fn sorted(set: &[(String, AttributeValue)]) -> Vec<String> {
        let mut all: Vec<String> =
            set.iter().map(|(key, value)| format!("{key:?}={}", text(value))).collect();
        all.sort();
        all
    }

    fn text(value: &AttributeValue) -> String {
        match value {
            AttributeValue::Double(number) => format!("f{}", number.to_bits()),
            AttributeValue::Array(items) => format!("{:?}", items.iter().map(text).collect::<Vec<_>>()),
            AttributeValue::Map(inner) => format!("{{{:?}}}", sorted(inner)),
            other => format!("{other:?}"),
        }
    }

    fn written(attributes: &[(String, AttributeValue)]) -> Vec<u8> {
        let mut builder = RequestBuilder::new(Signal::Metrics, Depth::Records);
        let metric = Metric { name: "m".into(), attributes: attributes.to_vec(), ..Metric::default() };
        builder.push_metric(&metric).unwrap();
        let mut out = Vec::new();
        put_set(builder.finish().point(0).attributes(), &mut out);
        out
    }

    proptest! {
        #[test]
        fn sets_are_the_same_if_they_say_the_same(
            one in prop::collection::vec(("[ab]{1,2}", value()), 0..4),
            two in prop::collection::vec(("[ab]{1,2}", value()), 0..4),
            turned in any::<prop::sample::Index>(),
        ) {
            let mut third = one.clone();
            if !third.is_empty() {
                let at = turned.index(third.len());
                third.rotate_left(at);
            }
            let keys = Keys::default();
            for other in [two, third] {
                let (a, b) = (written(&one), written(&other));
                let (a, b) = (Identity { exact: b"x", set: &a }, Identity { exact: b"x", set: &b });
                let is_same = sorted(&one) == sorted(&other);
                prop_assert_eq!(a == b, is_same);
                prop_assert_eq!(keys.of(a) == keys.of(b), is_same);
                prop_assert!(b != (Identity { exact: b"y", ..a }), "the exact part counts");
            }
        }
    }

    #[test]
    fn what_hashes_alike_is_told_apart_and_forgotten_by_itself() {
        let keys = Keys::colliding();
        let mut known = Known::default();
        let identities: Vec<[u8; 2]> = (0..100u8).map(|i| [i, i / 2]).collect();
        let find = |known: &Known<u8>, bytes: &[u8; 2]| {
            let identity = Identity { exact: bytes, set: &[] };
            known.find(keys.of(identity), identity)
        };
        for bytes in &identities {
            let identity = Identity { exact: bytes, set: &[] };
            assert_eq!(find(&known, bytes), None);
            known.insert(keys.of(identity), identity, bytes[0]);
        }
        known.retain(|_, _, value| value % 3 == 0);
        for (i, bytes) in identities.iter().enumerate() {
            assert_eq!(find(&known, bytes), (i % 3 == 0).then_some((i as u64, i as u8)));
        }
        known.retain(|_, _, _| false);
        assert_eq!(known.memory_bytes(), 0);
    }
}
