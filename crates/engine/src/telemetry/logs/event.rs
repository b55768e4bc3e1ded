//! Events: what the log can say.

use serde_json::{Value, json};

use super::LogLevel;

/// What can happen to an engine: everything that its log can say.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// It runs.
    Started {
        /// Its version.
        version: &'static str,
        /// Threads that carry telemetry.
        shards: usize,
    },
    /// A component listens.
    Listening {
        /// The component.
        component: String,
        /// The protocol.
        protocol: String,
        /// The address.
        address: String,
    },
    /// A component began to fail.
    Failing {
        /// The component.
        component: String,
        /// What happened.
        what: String,
        /// Whether only a restart helps.
        dead: bool,
    },
    /// A component works again.
    Recovered {
        /// The component.
        component: String,
        /// For how long it did not, in seconds.
        seconds: u64,
    },
    /// A receiver refuses requests. Told at most every [`crate::limits::REFUSAL_LOG_PERIOD`], with what came together.
    Refusing {
        /// The receiver.
        component: String,
        /// The signal.
        signal: &'static str,
        /// The code of the answers.
        code: &'static str,
        /// Requests since it was told last.
        requests: u64,
        /// Records in them, as far as they were counted.
        records: u64,
    },
    /// A far side refused records for good, be it only a part of what it was sent, and said why. Told at most every
    /// [`crate::limits::REFUSAL_LOG_PERIOD`], with what came together.
    Rejected {
        /// The exporter.
        component: String,
        /// Records since it was told last.
        records: u64,
        /// What it said the last time.
        why: String,
    },
    /// The engine is not well any more, or well again, as the health page says it.
    Health {
        /// Whether it is well.
        ready: bool,
        /// What is wrong.
        reasons: Vec<String>,
    },
    /// It runs by another configuration, or found that nothing is different.
    Reloaded {
        /// What is different.
        changes: String,
    },
    /// It was to run by another configuration, and runs on as it did.
    NotReloaded {
        /// Why.
        error: String,
    },
    /// A certificate that it shows does not hold any more, or not for long.
    CertificateEnds {
        /// Whose it is.
        component: String,
        /// When.
        what: String,
    },
    /// It takes nothing new and lets what it has leave.
    Draining,
    /// It ended.
    Ended {
        /// Whether everything that was accepted was delivered.
        complete: bool,
        /// Records that did not leave.
        undelivered: u64,
        /// Records that had been given up before.
        lost: u64,
        /// Records that were refused for good.
        refused: u64,
    },
}

impl Event {
    /// How serious it is.
    pub fn level(&self) -> LogLevel {
        match self {
            Event::Failing { dead: true, .. } | Event::Ended { complete: false, .. } => LogLevel::Error,
            Event::Failing { .. }
            | Event::Refusing { .. }
            | Event::Rejected { .. }
            | Event::NotReloaded { .. }
            | Event::CertificateEnds { .. }
            | Event::Health { ready: false, .. } => LogLevel::Warn,
            Event::Listening { .. } => LogLevel::Debug,
            _ => LogLevel::Info,
        }
    }

    /// What happened. Always the same for one kind of event.
    pub fn message(&self) -> &'static str {
        match self {
            Event::Started { .. } => "started",
            Event::Listening { .. } => "listening",
            Event::Failing { dead: false, .. } => "a component fails",
            Event::Failing { dead: true, .. } => "a component is dead until a restart",
            Event::Recovered { .. } => "a component works again",
            Event::Refusing { .. } => "a receiver refuses requests",
            Event::Rejected { .. } => "records are refused for good",
            Event::Health { ready: true, .. } => "well",
            Event::Health { ready: false, .. } => "unwell",
            Event::Reloaded { .. } => "the configuration was read again",
            Event::NotReloaded { .. } => "the configuration stays as it was",
            Event::CertificateEnds { .. } => "a certificate ends",
            Event::Draining => "draining",
            Event::Ended { complete: true, .. } => "ended, and everything that was accepted left",
            Event::Ended { complete: false, .. } => "ended, and not everything was delivered",
        }
    }

    /// The component that it happened to.
    pub fn component(&self) -> Option<&str> {
        match self {
            Event::Listening { component, .. }
            | Event::Failing { component, .. }
            | Event::Recovered { component, .. }
            | Event::CertificateEnds { component, .. }
            | Event::Rejected { component, .. }
            | Event::Refusing { component, .. } => Some(component),
            _ => None,
        }
    }

    /// Everything else.
    pub(super) fn fields(&self) -> Vec<(&'static str, Value)> {
        match self {
            Event::Started { version, shards } => {
                vec![("version", json!(version)), ("shards", json!(shards))]
            }
            Event::Listening { protocol, address, .. } => {
                vec![("protocol", json!(protocol)), ("address", json!(address))]
            }
            Event::Failing { what, .. } => vec![("error", json!(what))],
            Event::Recovered { seconds, .. } => vec![("seconds", json!(seconds))],
            Event::Refusing { signal, code, requests, records, .. } => vec![
                ("signal", json!(signal)),
                ("code", json!(code)),
                ("requests", json!(requests)),
                ("records", json!(records)),
            ],
            Event::Rejected { records, why, .. } => vec![("records", json!(records)), ("error", json!(why))],
            Event::Health { reasons, .. } if reasons.is_empty() => Vec::new(),
            Event::Health { reasons, .. } => vec![("reasons", json!(reasons))],
            Event::Reloaded { changes } => vec![("changes", json!(changes))],
            Event::NotReloaded { error } => vec![("error", json!(error))],
            Event::CertificateEnds { what, .. } => vec![("certificate", json!(what))],
            Event::Draining => Vec::new(),
            Event::Ended { undelivered, lost, refused, .. } => {
                vec![("undelivered", json!(undelivered)), ("lost", json!(lost)), ("refused", json!(refused))]
            }
        }
    }
}
