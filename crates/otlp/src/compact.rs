//! A filtered batch written out without the records that went.

use bytes::Bytes;

use crate::cut::Cutter;
use crate::draft::Draft;
use crate::{Batch, Depth};

/// The request without the records that were filtered out, and without resources, scopes and metrics that have none. Fields of
/// the request around its resources stay.
pub(crate) fn compact(batch: &Batch) -> Bytes {
    let batch = indexed(batch);
    let mut draft = Draft::new(batch.signal(), Depth::Counts, batch.raw().len());
    append_kept(&batch, &mut draft);
    draft.finish().raw().clone()
}

/// Appends what is left of a batch that is indexed to records.
pub(crate) fn append_kept(batch: &Batch, draft: &mut Draft) {
    let cutter = Cutter::new(batch);
    cutter.write(&cutter.everything(), draft);
}

/// The batch with the index of records that cutting needs.
pub(crate) fn indexed(batch: &Batch) -> Batch {
    let mut batch = batch.clone();
    batch.deepen(Depth::Records);
    batch
}
