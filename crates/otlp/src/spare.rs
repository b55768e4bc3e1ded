//! Indexes that nobody reads any more: each thread keeps a few, and the next request on it grows into one.
//!
//! An index is a dozen columns, each an allocation of its own. Where batches come and go on one thread, as on a pipeline's
//! shard, none of them is allocated anew.

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use crate::Index;
use crate::limits::{MAX_SPARE_INDEX_BYTES, MAX_SPARE_INDEXES};

/// What is left in the place of an index that goes.
static EMPTY: LazyLock<Arc<Index>> = LazyLock::new(Arc::default);

thread_local! {
    static SPARES: RefCell<Vec<Arc<Index>>> = const { RefCell::new(Vec::new()) };
}

/// Rows that are going to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) resources: usize,
    pub(crate) scopes: usize,
    pub(crate) metrics: usize,
    pub(crate) records: usize,
    /// Of the records, those of signals that have the column.
    pub(crate) trace_ids: usize,
    pub(crate) ends: usize,
    pub(crate) attributes: usize,
}

/// An index that batches share. The last of them leaves it to its thread.
#[derive(Clone, Debug)]
pub(crate) struct SharedIndex(Arc<Index>);

impl SharedIndex {
    /// One without any column.
    pub(crate) fn empty() -> Self {
        Self(EMPTY.clone())
    }

    /// An empty one for so much: a spare one if there is one that has room and is at most twice as large, since batches are
    /// charged by capacity.
    pub(crate) fn with_room(room: &Room) -> Self {
        let fits = |capacity: usize, needed: usize| (needed..=2 * needed).contains(&capacity);
        let spare = SPARES.try_with(|spares| {
            let mut spares = spares.try_borrow_mut().ok()?;
            let at = spares.iter().position(|index| {
                fits(index.resources.capacity(), room.resources)
                    && fits(index.scopes.capacity(), room.scopes)
                    && fits(index.metrics.capacity(), room.metrics)
                    && fits(index.records.at.capacity(), room.records)
                    && fits(index.records.trace_id.capacity(), room.trace_ids)
                    && fits(index.records.end_ns.capacity(), room.ends)
                    && fits(index.attributes.at.capacity(), room.attributes)
            })?;
            Some(spares.swap_remove(at))
        });
        Self(spare.ok().flatten().unwrap_or_default())
    }

    /// To be filled. One that is shared is copied before.
    pub(crate) fn make_mut(&mut self) -> &mut Index {
        Arc::make_mut(&mut self.0)
    }
}

impl From<Index> for SharedIndex {
    fn from(index: Index) -> Self {
        Self(Arc::new(index))
    }
}

impl Deref for SharedIndex {
    type Target = Index;

    #[inline]
    fn deref(&self) -> &Index {
        &self.0
    }
}

impl Drop for SharedIndex {
    fn drop(&mut self) {
        let Some(index) = Arc::get_mut(&mut self.0) else { return };
        if !(1..=MAX_SPARE_INDEX_BYTES).contains(&index.memory_bytes()) {
            return;
        }
        index.clear();
        let index = std::mem::replace(&mut self.0, EMPTY.clone());
        // A thread that is ending keeps nothing.
        let _ = SPARES.try_with(|spares| {
            if let Ok(mut spares) = spares.try_borrow_mut() {
                if spares.len() == MAX_SPARE_INDEXES {
                    spares.remove(0);
                }
                spares.push(index);
            }
        });
    }
}
