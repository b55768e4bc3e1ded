//! One request as many.

use crate::compact::indexed;
use crate::cut::{Cutter, Piece, field_len, member_len};
use crate::draft::Draft;
use crate::put::len_field;
use crate::{Batch, Check, Depth};

/// Splits into requests of at most `max_records` records and `max_bytes` bytes each (zero means no bound), in order,
/// repeating resource and scope (of metrics also name, unit, temporality, …), schema URLs and unknown fields around them. Each is filled as
/// far as it goes. A record that is alone larger than `max_bytes` is a request of its own. Every record lands once, filtered
/// ones nowhere. Indexes are as deep as that of the batch.
///
/// A batch within both bounds comes back as it is, uncopied. Profiles and framing-checked batches are never split.
pub fn split(batch: Batch, max_records: usize, max_bytes: usize) -> Vec<Batch> {
    let bound = |max: usize| if max == 0 { usize::MAX } else { max };
    let (max_records, max_bytes) = (bound(max_records), bound(max_bytes));
    let within = batch.len() <= max_records && batch.raw().len() <= max_bytes;
    if within || batch.checked() == Check::Framing || batch.is_empty() {
        return vec![batch];
    }
    let depth = batch.depth();
    let batch = indexed(&batch);
    let cutter = Cutter::new(&batch);
    let pieces = cutter.everything();
    let mut filling = Filling::new(&cutter, depth);
    let mut requests = Vec::with_capacity(batch.len().div_ceil(max_records));
    for piece in &pieces {
        filling.enter(piece);
        for i in piece.first..piece.last {
            if !batch.is_kept(i as usize) {
                continue;
            }
            let len = field_len(&batch.index().records.at[i as usize]);
            let full = filling.records == max_records || filling.bytes_with(len) > max_bytes;
            if full && filling.records > 0 {
                requests.push(filling.finish(i));
                filling.enter(&Piece { first: i, ..*piece });
            }
            filling.add(len);
        }
    }
    requests.push(filling.finish(pieces.last().map_or(0, |piece| piece.last)));
    requests
}

/// A request being filled: what was chosen, and what it will weigh.
struct Filling<'a> {
    cutter: &'a Cutter<'a>,
    depth: Depth,
    /// Bytes of the request that are in no resource.
    around: usize,
    /// What was chosen; the last one is still growing.
    pieces: Vec<Piece>,
    records: usize,
    /// Bytes of the resources before the current one; of its scopes before the current one; of the members of that before the current piece.
    resources: usize,
    scopes: usize,
    members: usize,
}

impl<'a> Filling<'a> {
    fn new(cutter: &'a Cutter<'a>, depth: Depth) -> Self {
        let around = cutter.around_request() as usize;
        Filling { cutter, depth, around, pieces: Vec::new(), records: 0, resources: 0, scopes: 0, members: 0 }
    }

    /// Continues with the records of this piece, none of which is chosen yet.
    fn enter(&mut self, piece: &Piece) {
        if let Some(last) = self.pieces.last() {
            self.members += member_len(last, last.bytes as usize);
            if last.scope != piece.scope {
                self.scopes += len_field(last.around.scope as usize + self.members);
                self.members = 0;
            }
            if self.cutter.resource_of(last) != self.cutter.resource_of(piece) {
                self.resources += len_field(last.around.resource as usize + self.scopes);
                self.scopes = 0;
            }
        }
        self.pieces.push(Piece { bytes: 0, ..*piece });
    }

    /// Bytes of the request with one more record, of `len` bytes.
    fn bytes_with(&self, len: u32) -> usize {
        let Some(piece) = self.pieces.last() else { return 0 };
        let members = self.members + member_len(piece, (piece.bytes + len) as usize);
        let scopes = self.scopes + len_field(piece.around.scope as usize + members);
        self.around + self.resources + len_field(piece.around.resource as usize + scopes)
    }

    fn add(&mut self, len: u32) {
        self.records += 1;
        if let Some(piece) = self.pieces.last_mut() {
            piece.bytes += len;
        }
    }

    /// The request with what was chosen, up to record `next`; nothing is chosen then.
    fn finish(&mut self, next: u32) -> Batch {
        let bytes = self.bytes_with(0);
        if let Some(piece) = self.pieces.last_mut() {
            piece.last = next;
        }
        // The last piece was entered and nothing of it fitted.
        self.pieces.retain(|piece| piece.bytes > 0);
        let mut draft = Draft::new(self.cutter.batch.signal(), self.depth, bytes);
        draft.reserve_records(self.records, self.cutter.index);
        self.cutter.write(&self.pieces, &mut draft);
        self.pieces.clear();
        (self.records, self.resources, self.scopes, self.members) = (0, 0, 0, 0);
        draft.finish()
    }
}
