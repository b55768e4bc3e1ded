//! The index: for every data frame the length of its body, and the times of what it holds.

use crate::{
    error::Error,
    frame::{CLOSING_BYTES, ENTRY_BYTES},
};

/// From the first to the last time of something, both included: Unix nanoseconds, or whatever the caller counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpan {
    /// The earliest time.
    pub first: u64,
    /// The latest time.
    pub last: u64,
}

impl TimeSpan {
    /// One time.
    pub fn at(time: u64) -> Self {
        Self { first: time, last: time }
    }

    /// From the earlier first to the later last.
    #[must_use]
    pub fn with(self, other: TimeSpan) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }

    /// Whether they have a time in common.
    pub fn meets(self, other: TimeSpan) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// What the index says of one data frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) body_len: u32,
    pub(crate) times: Option<TimeSpan>,
}

/// Entries as columns, which compress better than rows: lengths, first times, last times. Without a time, the first is
/// the largest number and the last is 0.
pub(crate) fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES);
    bytes.extend(entries.iter().flat_map(|entry| entry.body_len.to_le_bytes()));
    bytes.extend(
        entries.iter().flat_map(|entry| entry.times.map_or(u64::MAX, |times| times.first).to_le_bytes()),
    );
    bytes.extend(entries.iter().flat_map(|entry| entry.times.map_or(0, |times| times.last).to_le_bytes()));
    bytes
}

/// Reads entries; there are as many as the length says.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Entry>, Error> {
    let n = bytes.len() / ENTRY_BYTES;
    if !bytes.len().is_multiple_of(ENTRY_BYTES) {
        return Err(Error::Inconsistent("the index has a part of an entry"));
    }
    let (lengths, times) = bytes.split_at(n * 4);
    let (firsts, lasts) = times.split_at(n * 8);
    let times = firsts.chunks_exact(8).map(number).zip(lasts.chunks_exact(8).map(number));
    let lengths = lengths.chunks_exact(4).map(|bytes| number(bytes) as u32);
    let entry = |(body_len, (first, last)): (u32, (u64, u64))| match (first, last) {
        (u64::MAX, 0) => Ok(Entry { body_len, times: None }),
        (first, last) if first <= last => Ok(Entry { body_len, times: Some(TimeSpan { first, last }) }),
        _ => Err(Error::Inconsistent("times of the index end before they begin")),
    };
    lengths.zip(times).map(entry).collect()
}

/// What the terminator says of the whole archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) data_frames: u64,
    pub(crate) index_frames: u64,
    pub(crate) plaintext: u64,
    pub(crate) compressed: u64,
    /// Where the first frame behind the data begins.
    pub(crate) index_offset: u64,
}

impl Totals {
    pub(crate) fn encode(&self) -> [u8; CLOSING_BYTES] {
        let all = [self.data_frames, self.index_frames, self.plaintext, self.compressed, self.index_offset];
        let mut bytes = [0; CLOSING_BYTES];
        bytes.chunks_exact_mut(8).zip(all).for_each(|(into, one)| into.copy_from_slice(&one.to_le_bytes()));
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; CLOSING_BYTES]) -> Self {
        let at = |n: usize| number(&bytes[n * 8..n * 8 + 8]);
        Self {
            data_frames: at(0),
            index_frames: at(1),
            plaintext: at(2),
            compressed: at(3),
            index_offset: at(4),
        }
    }
}

/// Little-endian, of at most eight bytes.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_come_back(entries in proptest::collection::vec((any::<u32>(), proptest::option::of((0..u64::MAX, any::<u64>()))), 0..50)) {
            let entries: Vec<Entry> = entries
                .into_iter()
                .map(|(body_len, times)| Entry {
                    body_len,
                    times: times.map(|(a, b)| TimeSpan { first: a.min(b), last: a.max(b) }),
                })
                .collect();
            let bytes = encode(&entries);
            prop_assert_eq!(bytes.len(), entries.len() * ENTRY_BYTES);
            prop_assert_eq!(decode(&bytes).unwrap(), entries);
        }

        #[test]
        fn totals_come_back(all in any::<[u64; 5]>()) {
            let [data_frames, index_frames, plaintext, compressed, index_offset] = all;
            let totals = Totals { data_frames, index_frames, plaintext, compressed, index_offset };
            prop_assert_eq!(Totals::decode(&totals.encode()), totals);
        }
    }

    #[test]
    fn what_is_no_index_is_refused() {
        assert!(decode(&[0; 21]).is_err());
        let mut bytes = encode(&[Entry { body_len: 1, times: Some(TimeSpan { first: 5, last: 9 }) }]);
        bytes[12] = 4;
        assert!(decode(&bytes).is_err());
    }

    #[test]
    fn spans_meet_when_they_share_a_time() {
        let span = |first, last| TimeSpan { first, last };
        assert!(
            span(1, 3).meets(span(3, 9)) && span(3, 9).meets(span(1, 3)) && span(1, 9).meets(TimeSpan::at(4))
        );
        assert!(!span(1, 3).meets(span(4, 9)) && !span(4, 9).meets(span(1, 3)));
        assert_eq!(span(1, 3).with(span(2, 9)), span(1, 9));
    }
}
