//! Numbers for where points come from, so that a stream is told apart by a number instead of all that is said of its resource and scope.

use std::collections::HashSet;

use super::{
    identity::{Identity, Keys, Known},
    origin::Origin,
};

/// The resources and scopes of streams.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Resources, by their attributes.
    resources: Known<()>,
    /// Scopes, by the numbers of their resources and what is said of them.
    origins: Known<()>,
}

/// Where points come from, and the numbers of that; none where there was no room to keep it.
pub(super) struct Place<'a> {
    pub(super) origin: Origin<'a>,
    pub(super) resource: Option<u64>,
    pub(super) number: Option<u64>,
}

impl Places {
    /// An origin and its numbers, as far as they are known or there are so many bytes free. `before` may be of the same resource.
    pub(super) fn find<'a>(
        &mut self,
        keys: &Keys,
        origin: Origin<'a>,
        before: Option<&Place<'a>>,
        [exact, set]: &mut [Vec<u8>; 2],
        free_bytes: usize,
    ) -> Place<'a> {
        let before_bytes = self.memory_bytes();
        let resource = match before.filter(|before| before.origin.has_resource_of(&origin)) {
            Some(before) => before.resource,
            None => {
                set.clear();
                origin.put_resource(set);
                number(&mut self.resources, keys, Identity { exact: &[], set }, free_bytes)
            }
        };
        let free_bytes = free_bytes.saturating_sub(self.memory_bytes() - before_bytes);
        let number = resource.and_then(|resource| {
            exact.clear();
            set.clear();
            exact.extend_from_slice(&resource.to_ne_bytes());
            origin.put_scope(exact, set);
            number(&mut self.origins, keys, Identity { exact, set }, free_bytes)
        });
        Place { origin, resource, number }
    }

    /// Forgets origins that are not used, and resources that neither an origin nor somebody else uses.
    pub(super) fn retain(&mut self, origins: &HashSet<u64>, resources: impl Iterator<Item = u64>) {
        self.origins.retain(|number, _, ()| origins.contains(&number));
        let used: HashSet<u64> =
            self.origins.exact_parts().filter_map(first_number).chain(resources).collect();
        self.resources.retain(|number, _, ()| used.contains(&number));
    }

    /// Bytes that they take up.
    pub(super) fn memory_bytes(&self) -> usize {
        self.resources.memory_bytes() + self.origins.memory_bytes()
    }
}

/// The number that the exact part of an identity begins with.
pub(super) fn first_number(exact: &[u8]) -> Option<u64> {
    exact.first_chunk().map(|number| u64::from_ne_bytes(*number))
}

fn number(known: &mut Known<()>, keys: &Keys, identity: Identity<'_>, free_bytes: usize) -> Option<u64> {
    let key = keys.of(identity);
    match known.find(key, identity) {
        Some((number, ())) => Some(number),
        None if Known::<()>::bytes_of(identity) > free_bytes => None,
        None => Some(known.insert(key, identity, ())),
    }
}
