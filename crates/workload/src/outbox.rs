//! Records of one instance that wait for their export.

use otlp::compose::{self, Scope};

use crate::fleet::Instance;
use crate::model::Library;

/// The spans or the log records of one instance that wait for their export, by the library that made them.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    scopes: [Vec<u8>; 5],
    /// Of which trace each record is.
    members: Vec<u32>,
    /// How often it has been emptied.
    pub(crate) epoch: u32,
}

impl Outbox {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Adds a record of the trace in this slot.
    #[inline]
    pub(crate) fn push(&mut self, library: Library, record: &[u8], slot: u32) {
        self.scopes[library as usize].extend_from_slice(record);
        self.members.push(slot);
    }

    /// The request with everything in it; empty it with [`Outbox::clear`].
    pub(crate) fn request(&self, instance: &Instance) -> Vec<u8> {
        request(&self.scopes, instance)
    }

    /// Forgets everything; `each` is told of which trace each record was.
    pub(crate) fn clear(&mut self, mut each: impl FnMut(u32)) {
        self.scopes.iter_mut().for_each(Vec::clear);
        self.members.drain(..).for_each(&mut each);
        self.epoch += 1;
    }
}

/// A request of these records, by library.
pub(crate) fn request(records: &[Vec<u8>; 5], instance: &Instance) -> Vec<u8> {
    let libraries = instance.service().libraries;
    let scopes = libraries.iter().zip(records).filter(|(_, records)| !records.is_empty());
    let scopes: Vec<Scope<'_>> =
        scopes.map(|((name, version), records)| Scope { name, version, records }).collect();
    compose::request(&instance.resource(), &scopes)
}
