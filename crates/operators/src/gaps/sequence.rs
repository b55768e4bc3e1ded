//! The numbers of one sender.

use crate::limits::GAP_WINDOW;

/// How many numbers came, and how many did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Different numbers that came.
    pub received: u64,
    /// Numbers between the lowest and the highest that came that did not. It falls when one comes within the last [`GAP_WINDOW`], and
    /// of those that came later than that ([`Seen::late`]) as many as were not there before are among them.
    pub missing: u64,
    /// Numbers before the lowest that came, which begin with 1: lost, or delivered before this counted, that is to another engine, to one
    /// that has ended, or before the sender was forgotten. It falls when one of them comes.
    pub before_first: u64,
    /// Numbers that came again.
    pub duplicates: u64,
    /// Numbers that came when the highest was [`GAP_WINDOW`] ahead: they were missing, or came again, and which is not known any more.
    pub late: u64,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.missing += other.missing;
        self.before_first += other.before_first;
        self.duplicates += other.duplicates;
        self.late += other.late;
    }
}

/// Which of a row of numbers came. Of the last [`GAP_WINDOW`] it is known exactly; of older ones, how many did not.
#[derive(Clone, Debug)]
pub(super) struct Sequence {
    first: u64,
    last: u64,
    received: u64,
    duplicates: u64,
    late: u64,
    /// A bit for each of the last numbers, by number modulo their count.
    window: Box<[u64; GAP_WINDOW / 64]>,
}

impl Sequence {
    /// Begins with a number.
    pub(super) fn new(seq: u64) -> Self {
        let mut window = Box::new([0; GAP_WINDOW / 64]);
        let (word, bit) = place(seq);
        window[word] |= bit;
        Self { first: seq, last: seq, received: 1, duplicates: 0, late: 0, window }
    }

    /// Notes one that came.
    pub(super) fn note(&mut self, seq: u64) {
        if seq > self.last {
            self.advance(seq);
        } else if self.last - seq >= GAP_WINDOW as u64 {
            return self.note_old(seq);
        }
        let (word, bit) = place(seq);
        if self.window[word] & bit != 0 {
            self.duplicates += 1;
            return;
        }
        self.window[word] |= bit;
        self.received += 1;
        self.first = self.first.min(seq);
    }

    /// Notes one that is older than the window.
    fn note_old(&mut self, seq: u64) {
        if seq < self.first {
            self.received += 1;
            self.first = seq;
        } else if seq == self.first || self.missing_before_window() == 0 {
            self.duplicates += 1;
        } else {
            self.late += 1;
        }
    }

    /// Of the numbers before the window, if there are any.
    fn missing_before_window(&self) -> u64 {
        let here: u64 = self.window.iter().map(|word| u64::from(word.count_ones())).sum();
        self.seen().missing.saturating_sub(GAP_WINDOW as u64 - here)
    }

    /// Makes a number the last, of those between none has come.
    fn advance(&mut self, to: u64) {
        if to - self.last >= GAP_WINDOW as u64 {
            self.window.fill(0);
        } else {
            for seq in self.last + 1..=to {
                let (word, bit) = place(seq);
                self.window[word] &= !bit;
            }
        }
        self.last = to;
    }

    pub(super) fn seen(&self) -> Seen {
        let Self { received, duplicates, late, .. } = *self;
        // Not `+ 1` first: the highest number there is may have come.
        let missing = (self.last - self.first).saturating_sub(received - 1);
        Seen { received, missing, before_first: self.first - 1, duplicates, late }
    }
}

fn place(seq: u64) -> (usize, u64) {
    let at = (seq % GAP_WINDOW as u64) as usize;
    (at / 64, 1 << (at % 64))
}
