//! Errors, each once, the latest of them.

use std::sync::Arc;

use super::catalogue::{Catalogue, cut};
use super::snapshot::{ErrorRow, ErrorSource};
use crate::limits::SUMMARY_FAULTS_MAX;

/// The errors that came last.
#[derive(Debug, Default)]
pub(super) struct Faults {
    faults: Vec<Fault>,
    /// How many were noted: the order of those that came at the same time.
    noted: u64,
}

#[derive(Debug)]
struct Fault {
    service: u32,
    source: ErrorSource,
    operation: Arc<str>,
    text: Arc<str>,
    count: u64,
    last_ns: u64,
    last: u64,
}

impl Faults {
    /// Remembers an error; where there are too many, the one that has not come for the longest time is forgotten.
    pub(super) fn note(
        &mut self,
        service: u32,
        source: ErrorSource,
        operation: &str,
        text: &str,
        now_ns: u64,
    ) {
        let (operation, text) = (cut(operation), cut(text));
        self.noted += 1;
        let same = |fault: &&mut Fault| {
            fault.service == service
                && fault.source == source
                && *fault.operation == *operation
                && *fault.text == *text
        };
        if let Some(fault) = self.faults.iter_mut().find(same) {
            fault.count += 1;
            (fault.last_ns, fault.last) = (now_ns, self.noted);
            return;
        }
        let (operation, text) = (operation.into(), text.into());
        let fault = Fault { service, source, operation, text, count: 1, last_ns: now_ns, last: self.noted };
        if self.faults.len() < SUMMARY_FAULTS_MAX {
            self.faults.push(fault);
        } else if let Some(oldest) = self.faults.iter_mut().min_by_key(|fault| fault.last) {
            *oldest = fault;
        }
    }

    /// The latest first.
    pub(super) fn rows(&self, catalogue: &Catalogue) -> Vec<ErrorRow> {
        let mut faults: Vec<&Fault> = self.faults.iter().collect();
        faults.sort_unstable_by_key(|fault| std::cmp::Reverse(fault.last));
        let row = |fault: &Fault| ErrorRow {
            service: catalogue.service_name(fault.service),
            source: fault.source,
            operation: fault.operation.clone(),
            text: fault.text.clone(),
            count: fault.count,
            last_ns: fault.last_ns,
        };
        faults.into_iter().map(row).collect()
    }
}
