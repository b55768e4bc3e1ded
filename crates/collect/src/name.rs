//! Text that repeats from record to record: sources, metric names, units, keys.

use std::{borrow::Borrow, fmt, ops::Deref, sync::Arc};

use crate::limits::NAME_SLOTS;

/// Text that many records share. It is a `&str` wherever one is needed, and copying it copies no text.
///
/// ```
/// use aldis_collect::Name;
///
/// let name = Name::from("cpu");
/// assert_eq!(name, "cpu");
/// assert!(name.starts_with('c'));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Name {
    fn default() -> Self {
        Self::from("")
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// The names seen last, so that a name that repeats is allocated once. It forgets rather than grow.
pub(crate) struct NameCache {
    slots: Vec<Option<Name>>,
}

impl NameCache {
    pub(crate) fn new() -> Self {
        Self { slots: vec![None; NAME_SLOTS] }
    }

    pub(crate) fn get(&mut self, text: &str) -> Name {
        let slot = &mut self.slots[slot_of(text.as_bytes())];
        match slot {
            Some(name) if *name == text => name.clone(),
            _ => slot.insert(Name::from(text)).clone(),
        }
    }
}

/// FNV-1a, folded to the number of slots.
fn slot_of(bytes: &[u8]) -> usize {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    (hash ^ (hash >> 32)) as usize % NAME_SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_repeats_is_allocated_once_and_one_that_collides_is_right() {
        let mut cache = NameCache::new();
        let first = cache.get("cpu");
        assert!(Arc::ptr_eq(&first.0, &cache.get("cpu").0));
        for i in 0..10 * NAME_SLOTS {
            let text = format!("name-{i}");
            assert_eq!(cache.get(&text), text.as_str());
        }
        assert_eq!(cache.slots.len(), NAME_SLOTS);
    }
}
