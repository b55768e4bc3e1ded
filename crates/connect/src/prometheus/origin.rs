//! Where points come from: the resource as `job`, `instance` and `target_info`, the scope as `otel_scope_…` labels.

use std::collections::BTreeMap;

use otlp::{
    Batch,
    view::{ResourceView, ScopeView, ValueView},
    wire::{self, Payload},
};

use super::{
    TranslationStrategy,
    identity::{put_set, put_text},
    labels::{Labels, LabelsBuilder},
    rules::Rules,
};

/// Attributes that `job` and `instance` say.
const SERVICE: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];

/// The resource and the scope of some points.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    /// The scope's number in its batch.
    pub(super) scope: u32,
    resource: u32,
    resource_view: ResourceView<'a>,
    scope_view: ScopeView<'a>,
    schema_url: &'a str,
    job: String,
    instance: &'a str,
}

impl<'a> Origin<'a> {
    /// Reads scope number `scope`. What `before` knows of the same resource is not read again.
    pub(super) fn read(batch: &'a Batch, scope: u32, before: Option<&Origin<'a>>) -> Self {
        let entry = &batch.index().scopes[scope as usize];
        let resource_view = batch.resource(entry.resource as usize);
        let scope_view = batch.scope(scope as usize);
        let schema_url = schema_url(&batch.raw()[entry.body.range()]);
        let (job, instance) = match before.filter(|before| before.resource == entry.resource) {
            Some(before) => (before.job.clone(), before.instance),
            None => {
                let attributes = resource_view.attributes();
                let text = |key| attributes.text(key).unwrap_or_default();
                let (name, namespace) = (text(SERVICE[0]), text(SERVICE[1]));
                let job = match namespace {
                    "" => name.to_owned(),
                    namespace => format!("{namespace}/{name}"),
                };
                (job, text(SERVICE[2]))
            }
        };
        Origin { scope, resource: entry.resource, resource_view, scope_view, schema_url, job, instance }
    }

    /// Whether both have one resource.
    pub(super) fn has_resource_of(&self, other: &Origin<'_>) -> bool {
        self.resource == other.resource
    }

    /// Writes what identifies its resource.
    pub(super) fn put_resource(&self, set: &mut Vec<u8>) {
        put_set(self.resource_view.attributes(), set);
    }

    /// Writes what identifies its scope: what is said by name, and its attributes.
    pub(super) fn put_scope(&self, exact: &mut Vec<u8>, set: &mut Vec<u8>) {
        [self.scope_view.name(), self.scope_view.version(), self.schema_url]
            .iter()
            .for_each(|text| put_text(text, exact));
        put_set(self.scope_view.attributes(), set);
    }

    /// Adds the labels that it gives to a series.
    pub(super) fn label(&'a self, rules: Rules<'a>, labels: &mut LabelsBuilder<'a>) {
        labels.fixed("job", self.job.as_str());
        labels.fixed("instance", self.instance);
        if !rules.without_scope_info {
            labels.fixed("otel_scope_name", self.scope_view.name());
            labels.fixed("otel_scope_version", self.scope_view.version());
            labels.fixed("otel_scope_schema_url", self.schema_url);
            for (key, value) in self.scope_view.attributes() {
                labels.scope_attribute(key, value);
            }
        }
        rules.const_labels.iter().for_each(|(name, value)| labels.fixed(name, value));
        if rules.resource_labels {
            let except: &[&str] = if rules.exclude_service_attributes { &SERVICE } else { &[] };
            labels.attributes(self.resource_view.attributes(), except);
        }
    }

    /// Bytes that its `target_info` would take up, more or less.
    pub(super) fn target_bytes(&self) -> usize {
        let attributes = self.resource_view.attributes();
        let text: usize =
            attributes.map(|(key, value)| key.len() + super::labels::value_text(value).len()).sum();
        TARGET_BYTES + text + 2 * (self.job.len() + self.instance.len())
    }

    /// The labels of its `target_info`.
    pub(super) fn info_labels(&self, rules: Rules<'_>) -> Labels {
        let mut labels = LabelsBuilder::new(rules.strategy, "");
        labels.fixed("job", self.job.as_str());
        labels.fixed("instance", self.instance);
        rules.const_labels.iter().for_each(|(name, value)| labels.fixed(name, value));
        labels.attributes(self.resource_view.attributes(), &SERVICE);
        labels.build()
    }

    /// Whether its resource says more than `job` and `instance`.
    pub(super) fn has_info(&self) -> bool {
        self.resource_view.attributes().any(|(key, _)| !SERVICE.contains(&key))
    }
}

fn schema_url(scope: &[u8]) -> &str {
    let url = wire::fields(scope).find_map(|field| match field.payload {
        Payload::Bytes(text) if field.number == 3 => Some(text),
        _ => None,
    });
    url.and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
}

/// An entry of the map, labels aside.
const TARGET_BYTES: usize = size_of::<Target>() + 64;

/// A resource as `target_info`.
#[derive(Debug)]
struct Target {
    labels: Labels,
    /// The number of the resource, where it has one.
    resource: Option<u64>,
    seen_ns: u64,
}

/// The resources that are exposed: one for each `job` and `instance`.
#[derive(Debug, Default)]
pub(super) struct Targets {
    by_name: BTreeMap<(Box<str>, Box<str>), Target>,
    bytes: usize,
}

impl Targets {
    /// Notes that points of it arrived. `false`: it is not exposed and should be.
    pub(super) fn touch(&mut self, origin: &Origin<'_>, resource: Option<u64>, now_ns: u64) -> bool {
        if !origin.has_info() {
            return true;
        }
        let name = (origin.job.as_str().into(), origin.instance.into());
        match self.by_name.get_mut(&name) {
            Some(target) if resource.is_some() && target.resource == resource => {
                target.seen_ns = now_ns;
                true
            }
            _ => false,
        }
    }

    /// Exposes it, in the place of one of the same name.
    pub(super) fn insert(
        &mut self,
        origin: &Origin<'_>,
        resource: Option<u64>,
        rules: Rules<'_>,
        now_ns: u64,
    ) {
        let target = Target { labels: origin.info_labels(rules), resource, seen_ns: now_ns };
        self.bytes += target.memory_bytes();
        let name = (origin.job.as_str().into(), origin.instance.into());
        if let Some(old) = self.by_name.insert(name, target) {
            self.bytes -= old.memory_bytes();
        }
    }

    /// Exposes attributes of whoever is scraped itself, which has neither `job` nor `instance` until a scraper gives them.
    pub(super) fn insert_own(
        &mut self,
        attributes: &[(String, String)],
        strategy: TranslationStrategy,
        now_ns: u64,
    ) {
        let mut labels = LabelsBuilder::new(strategy, "");
        attributes.iter().for_each(|(key, value)| labels.attribute(key, ValueView::String(value)));
        let target = Target { labels: labels.build(), resource: None, seen_ns: now_ns };
        self.bytes += target.memory_bytes();
        if let Some(old) = self.by_name.insert(Default::default(), target) {
            self.bytes -= old.memory_bytes();
        }
    }

    /// Takes away what had no point for so long; returns how many.
    pub(super) fn expire(&mut self, now_ns: u64, expiration_ns: u64) -> usize {
        let (before, bytes) = (self.by_name.len(), &mut self.bytes);
        self.by_name.retain(|_, target| {
            let lives = target.seen_ns.saturating_add(expiration_ns) > now_ns;
            if !lives {
                *bytes -= target.memory_bytes();
            }
            lives
        });
        before - self.by_name.len()
    }

    /// The numbers of their resources.
    pub(super) fn resources(&self) -> impl Iterator<Item = u64> {
        self.by_name.values().filter_map(|target| target.resource)
    }

    /// Their labels.
    pub(super) fn labels(&self) -> impl Iterator<Item = &Labels> {
        self.by_name.values().map(|target| &target.labels)
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes
    }
}

impl Target {
    fn memory_bytes(&self) -> usize {
        // Job and instance are among the labels, and in the key once more.
        TARGET_BYTES + 2 * self.labels.memory_bytes()
    }
}
