//! Certificates of what runs: they are read again, and what is wrong with them then is told.

use connect::tls::{ClientTls, ServerTls, TlsError};
use pipeline::{Health, clock::now_ns};

use super::{Engine, exporters, receivers};
use crate::{
    components::Id,
    telemetry::{self, Certificate, ending},
};

/// TLS of one component.
pub(super) enum Certificates<'a> {
    Listening(&'a ServerTls),
    Connecting(&'a ClientTls),
}

impl Certificates<'_> {
    fn shown(&self) -> Certificate {
        match self {
            Certificates::Listening(tls) => Certificate::Listening((*tls).clone()),
            Certificates::Connecting(tls) => Certificate::Connecting((*tls).clone()),
        }
    }

    fn tell(&self, health: &Health, component: String) {
        match self {
            Certificates::Listening(tls) => tls.tell(health.clone(), component),
            Certificates::Connecting(tls) => tls.tell(health.clone(), component),
        }
    }

    fn reload(&self) -> Result<bool, TlsError> {
        match self {
            Certificates::Listening(tls) => tls.reload(),
            Certificates::Connecting(tls) => tls.reload(),
        }
    }
}

/// Has a receiver tell when its certificates cannot be read again.
pub(super) fn watch_receiver(health: &Health, id: &Id, running: &receivers::Running) {
    running
        .certificates()
        .for_each(|(protocol, certificates)| certificates.tell(health, of_receiver(id, protocol)));
}

/// Has an exporter tell when its certificates cannot be read again.
pub(super) fn watch_exporter(health: &Health, id: &Id, running: &exporters::Running) {
    running.certificates().for_each(|certificates| certificates.tell(health, of_exporter(id)));
}

/// Nothing is wrong any more with certificates of a receiver that is gone.
pub(super) fn forget_receiver(health: &Health, id: &Id, gone: &receivers::Running) {
    gone.certificates().for_each(|(protocol, _)| health.forget(&of_receiver(id, protocol)));
}

/// Nothing is wrong any more with certificates of an exporter that is gone.
pub(super) fn forget_exporter(health: &Health, id: &Id) {
    health.forget(&of_exporter(id));
}

/// Has the engine's own pages tell when their certificates cannot be read again.
pub(super) fn watch_own(health: &Health, own: &telemetry::Running) {
    own.tls().for_each(|(name, tls)| tls.tell(health.clone(), of_extension(name)));
}

/// Nothing is wrong any more with certificates of pages that are gone.
pub(super) fn forget_own(health: &Health, own: &telemetry::Running) {
    own.tls().for_each(|(name, _)| health.forget(&of_extension(name)));
}

fn of_extension(name: &str) -> String {
    format!("extension {name} certificates")
}

fn of_receiver(id: &Id, protocol: &str) -> String {
    format!("receiver {id} {protocol} certificates")
}

fn of_exporter(id: &Id) -> String {
    format!("exporter {id} certificates")
}

impl Engine {
    /// Reads the certificates of everything that listens or sends again, whatever its `reload_interval`. Open connections stay; new
    /// ones get what the files say now. Says which component's files cannot be used, and why: it goes on with the old ones.
    /// Blocks.
    pub fn reload_certificates(&self) -> Vec<(String, TlsError)> {
        let read = |(component, tls): (String, Certificates<'_>)| Some((component, tls.reload().err()?));
        self.all_certificates().filter_map(read).collect()
    }

    /// Certificates that have expired or soon will: whose, and when. They are told again each day, as the text changes.
    pub fn expiring_certificates(&self) -> Vec<(String, String)> {
        let told = |(component, tls): (String, Certificates<'_>)| {
            Some((component, ending(tls.shown().not_after()?, now_ns())?))
        };
        self.all_certificates().filter_map(told).collect()
    }

    pub(super) fn shown_certificates(&self) -> Vec<(String, Certificate)> {
        self.all_certificates().map(|(component, tls)| (component, tls.shown())).collect()
    }

    /// Of what listens and what connects, by what it is and its name.
    fn all_certificates(&self) -> impl Iterator<Item = (String, Certificates<'_>)> {
        let receivers = self.receivers.iter().flat_map(|(id, running)| {
            running.certificates().map(move |(protocol, tls)| (format!("receiver {id} {protocol}"), tls))
        });
        let exporters = self
            .exporters
            .iter()
            .flat_map(|(id, running)| running.certificates().map(move |tls| (format!("exporter {id}"), tls)));
        let own = self.own.tls();
        let own = own.map(|(name, tls)| (format!("extension {name}"), Certificates::Listening(tls)));
        receivers.chain(exporters).chain(own)
    }
}
