//! Many requests as one.

use crate::compact::{append_kept, indexed};
use crate::draft::Draft;
use crate::{Batch, Check};

/// Concatenates requests of one signal: `resource_*` is a repeated field, so the bytes of one behind those of another are a
/// valid request that holds both. Filtered records are left out; indexes are shifted, not rebuilt; the depth is the
/// shallowest of the inputs. A single batch comes back as it is.
///
/// # Panics
/// If `batches` is empty, mixes signals, holds more than one profile or framing-checked batch (those are never merged), or is together
/// larger than 4 GiB.
pub fn merge(batches: &[Batch]) -> Batch {
    let [first, others @ ..] = batches else { panic!("nothing to merge") };
    if others.is_empty() {
        return first.clone();
    }
    assert!(others.iter().all(|batch| batch.signal() == first.signal()), "batches of one signal");
    assert!(
        batches.iter().all(|batch| batch.checked() == Check::Full),
        "a framing-checked batch is never merged"
    );
    let bytes = batches.iter().map(|batch| batch.raw().len()).sum::<usize>();
    assert!(u32::try_from(bytes).is_ok(), "offsets have 32 bits");
    let depth = batches.iter().map(Batch::depth).min().unwrap_or_default();
    let mut draft = Draft::new(first.signal(), depth, bytes);
    draft.reserve(batches);
    for batch in batches {
        if batch.keep().is_none() {
            draft.push_whole(batch);
        } else if !batch.is_empty() {
            append_kept(&indexed(batch), &mut draft);
        }
    }
    draft.finish()
}
