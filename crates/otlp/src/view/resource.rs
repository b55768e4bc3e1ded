//! Resources and instrumentation scopes.

use super::{Attributes, text, varint};

/// A resource, read in place. Where the request has none, an empty one.
#[derive(Clone, Copy, Debug)]
pub struct ResourceView<'a> {
    body: &'a [u8],
}

impl<'a> ResourceView<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body }
    }

    /// What describes the entity that the telemetry is about.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.body, 1)
    }

    /// The attribute `service.name`; empty where there is none or it is not text.
    pub fn service_name(&self) -> &'a str {
        self.attributes().text("service.name").unwrap_or_default()
    }

    /// How many attributes the sender left out.
    pub fn dropped_attributes_count(&self) -> u32 {
        varint(self.body, 2) as u32
    }
}

/// An instrumentation scope, read in place. Where the request has none, an empty one.
#[derive(Clone, Copy, Debug)]
pub struct ScopeView<'a> {
    body: &'a [u8],
}

impl<'a> ScopeView<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body }
    }

    /// The library that made the records.
    pub fn name(&self) -> &'a str {
        text(self.body, 1)
    }

    /// The library's version.
    pub fn version(&self) -> &'a str {
        text(self.body, 2)
    }

    /// What else describes it.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.body, 3)
    }

    /// How many attributes the sender left out.
    pub fn dropped_attributes_count(&self) -> u32 {
        varint(self.body, 4) as u32
    }
}
