//! What earlier attempts have settled of an item that is sent in parts.

use std::borrow::Cow;

/// What is settled of an item already. A destination that takes an item in several requests fails for some of them; the next
/// attempt sends only the others, and nothing is counted twice.
///
/// ```
/// use aldis_pipeline::Progress;
///
/// let mut progress = Progress::default();
/// progress.settle(70);
/// progress.deliver(10);
/// progress.reject("400", 2);
/// progress.reject_unsent("temporality", 1);
/// assert!(progress.is_settled(70) && !progress.is_settled(6));
/// assert_eq!((progress.records(), progress.rejected(), progress.unsent()), (13, 3, 1));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    delivered: u64,
    /// By code; few.
    rejected: Vec<(Cow<'static, str>, u64)>,
    /// Of these, what was never sent.
    unsent: u64,
    /// Bit `i % 64` of word `i / 64`: whether part `i` is settled.
    parts: Vec<u64>,
}

impl Progress {
    /// Whether this part needs no further attempt.
    pub fn is_settled(&self, part: usize) -> bool {
        self.parts.get(part / 64).is_some_and(|word| word >> (part % 64) & 1 == 1)
    }

    /// Notes that a part is settled. Parts are numbered by the sender, the same in every attempt.
    pub fn settle(&mut self, part: usize) {
        let word = part / 64;
        if self.parts.len() <= word {
            self.parts.resize(word + 1, 0);
        }
        self.parts[word] |= 1 << (part % 64);
    }

    /// Notes that so many records were delivered.
    pub fn deliver(&mut self, records: u64) {
        self.delivered += records;
    }

    /// Notes that so many records were refused for good, and the code that they are counted under: one of few.
    pub fn reject(&mut self, code: impl Into<Cow<'static, str>>, records: u64) {
        let code = code.into();
        match self.rejected.iter_mut().find(|(known, _)| *known == code) {
            Some((_, known)) => *known += records,
            None if records > 0 => self.rejected.push((code, records)),
            None => {}
        }
    }

    /// As [`reject`](Self::reject), for records that the far side was never asked about: they cannot be said in its protocol.
    pub fn reject_unsent(&mut self, code: impl Into<Cow<'static, str>>, records: u64) {
        self.reject(code, records);
        self.unsent += records;
    }

    /// Records that were refused without being sent.
    pub fn unsent(&self) -> u64 {
        self.unsent
    }

    /// Whether nothing is settled.
    pub fn is_empty(&self) -> bool {
        self.records() == 0 && self.parts.is_empty()
    }

    /// Records that were delivered.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Records that were refused for good.
    pub fn rejected(&self) -> u64 {
        self.rejected.iter().map(|(_, records)| records).sum()
    }

    /// The same by code.
    pub fn rejections(&self) -> impl Iterator<Item = (&str, u64)> {
        self.rejected.iter().map(|(code, records)| (code.as_ref(), *records))
    }

    /// Records that are settled.
    pub fn records(&self) -> u64 {
        self.delivered + self.rejected()
    }
}
