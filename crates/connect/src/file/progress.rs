//! How far what was read of a file has been settled.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Requests of one file that are on their way, in the order of the file. Clones stand for the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    books: Arc<Mutex<Books>>,
}

#[derive(Debug, Default)]
struct Books {
    /// Where each ends, and whether it is settled.
    open: VecDeque<(u64, bool)>,
    /// The number of the first of them.
    first: u64,
    settled_to: u64,
}

impl Progress {
    pub(super) fn at(offset: u64) -> Self {
        let progress = Self::default();
        progress.books().settled_to = offset;
        progress
    }

    /// A request that ends at this offset is on its way; the number is for [`Progress::settle`].
    pub(super) fn begin(&self, end: u64) -> u64 {
        let mut books = self.books();
        books.open.push_back((end, false));
        books.first + books.open.len() as u64 - 1
    }

    /// It has been delivered, or never will be and that was told.
    pub(super) fn settle(&self, number: u64) {
        let mut books = self.books();
        let at = number.wrapping_sub(books.first) as usize;
        if let Some((_, settled)) = books.open.get_mut(at) {
            *settled = true;
        }
        while let Some((end, true)) = books.open.front().copied() {
            books.open.pop_front();
            books.first += 1;
            books.settled_to = end;
        }
    }

    /// Everything before this offset is settled.
    pub(super) fn settled_to(&self) -> u64 {
        self.books().settled_to
    }

    /// Whether nothing is on its way.
    pub(super) fn is_settled(&self) -> bool {
        self.books().open.is_empty()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Progress;

    #[test]
    fn what_is_settled_out_of_order_counts_when_all_before_it_is() {
        let progress = Progress::at(5);
        let numbers = [10, 20, 30].map(|end| progress.begin(end));
        progress.settle(numbers[1]);
        assert_eq!((progress.settled_to(), progress.is_settled()), (5, false));
        progress.settle(numbers[0]);
        assert_eq!(progress.settled_to(), 20);
        let last = progress.begin(40);
        progress.settle(last);
        assert_eq!(progress.settled_to(), 20);
        progress.settle(numbers[2]);
        assert_eq!((progress.settled_to(), progress.is_settled()), (40, true));
    }
}
