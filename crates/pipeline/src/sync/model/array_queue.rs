//! crossbeam's bounded queue.

use std::collections::VecDeque;

use super::Mutex;

/// A lock where crossbeam's has none: every operation is one step.
#[derive(Debug)]
pub(crate) struct ArrayQueue<T> {
    capacity: usize,
    items: Mutex<VecDeque<T>>,
}

impl<T> ArrayQueue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, items: Mutex::default() }
    }

    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut items = self.items.lock().unwrap();
        if items.len() == self.capacity {
            return Err(item);
        }
        items.push_back(item);
        Ok(())
    }

    pub(crate) fn force_push(&self, item: T) -> Option<T> {
        let mut items = self.items.lock().unwrap();
        let oldest = if items.len() == self.capacity { items.pop_front() } else { None };
        items.push_back(item);
        oldest
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.items.lock().unwrap().pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.items.lock().unwrap().len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }
}
