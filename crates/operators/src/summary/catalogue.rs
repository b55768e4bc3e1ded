//! Services and their operations, by number.

use std::collections::HashMap;
use std::sync::Arc;

use super::rate::Rate;
use super::recent::Recent;
use super::snapshot::{OperationRow, ServiceRow};
use super::{CONSUMER, SERVER};
use crate::limits::{SUMMARY_OPERATIONS_MAX, SUMMARY_SERVICES_MAX, SUMMARY_TEXT_BYTES_MAX};

/// The name of what is beyond the bounds.
const OTHER: &str = "(other)";

/// Kinds of spans that are told apart: those of OTLP; any other is the unspecified one.
const KINDS: usize = 6;

/// Every service and operation that came, within bounds. Number 0 of each stands for all beyond them.
#[derive(Debug)]
pub(super) struct Catalogue {
    services: Vec<Service>,
    by_name: HashMap<Arc<str>, u32>,
    operations: Vec<Operation>,
}

#[derive(Debug)]
struct Service {
    name: Arc<str>,
    spans: u64,
    errors: u64,
    logs: u64,
    points: u64,
    rate: Rate,
    asked: Recent,
    /// By kind and name.
    operations: [HashMap<Arc<str>, u32>; KINDS],
}

#[derive(Debug)]
struct Operation {
    service: u32,
    name: Arc<str>,
    kind: i32,
    spans: u64,
    errors: u64,
    recent: Recent,
}

impl Service {
    fn new(name: Arc<str>) -> Self {
        Self {
            name,
            spans: 0,
            errors: 0,
            logs: 0,
            points: 0,
            rate: Rate::default(),
            asked: Recent::default(),
            operations: Default::default(),
        }
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        let mut catalogue = Self {
            services: vec![Service::new(OTHER.into())],
            by_name: HashMap::new(),
            operations: Vec::new(),
        };
        catalogue.enter(0, OTHER.into(), 0);
        catalogue
    }
}

impl Catalogue {
    /// The number of a service.
    pub(super) fn service(&mut self, name: &str) -> u32 {
        let name = cut(name);
        if let Some(number) = self.by_name.get(name) {
            return *number;
        }
        if self.services.len() > SUMMARY_SERVICES_MAX {
            return 0;
        }
        let name: Arc<str> = name.into();
        let number = self.services.len() as u32;
        self.by_name.insert(name.clone(), number);
        self.services.push(Service::new(name));
        number
    }

    /// The number of an operation of a service.
    pub(super) fn operation(&mut self, service: u32, kind: i32, name: &str) -> u32 {
        let kind = usize::try_from(kind).ok().filter(|kind| *kind < KINDS).unwrap_or(0);
        let name = cut(name);
        if let Some(number) = self.services[service as usize].operations[kind].get(name) {
            return *number;
        }
        if service == 0 || self.operations.len() > SUMMARY_OPERATIONS_MAX {
            return 0;
        }
        let name: Arc<str> = name.into();
        let number = self.enter(service, name.clone(), kind as i32);
        self.services[service as usize].operations[kind].insert(name, number);
        number
    }

    fn enter(&mut self, service: u32, name: Arc<str>, kind: i32) -> u32 {
        let recent = Recent::default();
        self.operations.push(Operation { service, name, kind, spans: 0, errors: 0, recent });
        self.operations.len() as u32 - 1
    }

    /// Counts a span: its duration in nanoseconds, and whether it failed.
    pub(super) fn span(
        &mut self,
        service: u32,
        operation: u32,
        (duration_ns, error): (u64, bool),
        now_ns: u64,
    ) {
        let of = &mut self.operations[operation as usize];
        of.spans += 1;
        of.errors += u64::from(error);
        of.recent.add(duration_ns, error, now_ns);
        let kind = of.kind;
        let of = &mut self.services[service as usize];
        of.spans += 1;
        of.errors += u64::from(error);
        of.rate.add(now_ns, 1);
        if matches!(kind, SERVER | CONSUMER) {
            of.asked.add(duration_ns, error, now_ns);
        }
    }

    pub(super) fn log(&mut self, service: u32) {
        self.services[service as usize].logs += 1;
    }

    pub(super) fn point(&mut self, service: u32) {
        self.services[service as usize].points += 1;
    }

    pub(super) fn service_name(&self, service: u32) -> Arc<str> {
        self.services[service as usize].name.clone()
    }

    /// Service, name and kind of an operation.
    pub(super) fn named(&self, operation: u32) -> (Arc<str>, Arc<str>, i32) {
        let of = &self.operations[operation as usize];
        (self.service_name(of.service), of.name.clone(), of.kind)
    }

    /// Every service that came, by name.
    pub(super) fn services(&self, began_ns: u64, now_ns: u64) -> Vec<ServiceRow> {
        let came = |service: &&Service| service.spans + service.logs + service.points > 0;
        let row = |service: &Service| ServiceRow {
            name: service.name.clone(),
            spans: service.spans,
            errors: service.errors,
            logs: service.logs,
            points: service.points,
            per_second: service.rate.per_second(began_ns, now_ns),
            history: service.rate.history(now_ns),
            asked: service.asked.row(began_ns, now_ns),
        };
        let mut rows: Vec<ServiceRow> = self.services.iter().filter(came).map(row).collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows
    }

    /// Every operation that came, the slowest first.
    pub(super) fn operations(&self, began_ns: u64, now_ns: u64) -> Vec<OperationRow> {
        let row = |operation: &Operation| OperationRow {
            service: self.service_name(operation.service),
            name: operation.name.clone(),
            kind: operation.kind,
            spans: operation.spans,
            errors: operation.errors,
            recent: operation.recent.row(began_ns, now_ns),
        };
        let came = self.operations.iter().filter(|operation| operation.spans > 0);
        let mut rows: Vec<OperationRow> = came.map(row).collect();
        rows.sort_by(|a, b| {
            let slowest = b.recent.p99_ns.cmp(&a.recent.p99_ns);
            slowest.then_with(|| (&a.service, &a.name, a.kind).cmp(&(&b.service, &b.name, b.kind)))
        });
        rows
    }

    pub(super) fn overflow_services(&self) -> u64 {
        self.services[0].spans + self.services[0].logs + self.services[0].points
    }

    pub(super) fn overflow_operations(&self) -> u64 {
        self.operations[0].spans
    }
}

/// A text, cut where it is too long to keep.
pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(SUMMARY_TEXT_BYTES_MAX)]
}
