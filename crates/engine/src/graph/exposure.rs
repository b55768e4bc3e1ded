//! Secrets that travel where others can read them.

use std::collections::BTreeSet;

use connect::Secret;
use otlp::Signal;

use super::{Graph, Resolver};
use crate::{
    components::{
        Id, Settings,
        listeners::{Transport, listeners},
    },
    explain::destination,
    settings::Address,
    telemetry::FarEnd,
};

impl Resolver<'_> {
    /// Warns of credentials in plain text that leave this machine, or come to it.
    pub(super) fn exposures(&mut self) {
        let config = self.config;
        for configured in &config.components {
            let Some(settings) = self.settings_of(configured) else { continue };
            let (come, go) = (coming(settings), going(&self.graph, &configured.id, settings));
            let path = format!("{}.{}", configured.component.class.section(), configured.id);
            for endpoint in come {
                let message = format!(
                    "credentials come to {endpoint} in plain text: whoever stands in between reads them"
                );
                let help = "set `tls`, or listen on a loopback address behind what speaks TLS";
                self.problems.warning(configured.place, &path, message, help);
            }
            for endpoint in go {
                let message = format!(
                    "credentials go to {endpoint} in plain text: whoever stands in between reads them"
                );
                let help = "use TLS (`https://`), or send through a proxy on this machine that does";
                self.problems.warning(configured.place, &path, message, help);
            }
        }
    }
}

/// Endpoints that others than this machine send credentials to, in plain text.
fn coming(settings: &Settings) -> Vec<String> {
    let is_read_on_the_way = |endpoint: &str| !Address::parse(endpoint).is_ok_and(|at| at.is_loopback());
    let exposed = listeners(settings).into_iter().filter(|listener| {
        listener.senders.is_some()
            && listener.transport == Transport::Plain
            && is_read_on_the_way(&listener.endpoint)
    });
    exposed.map(|listener| listener.endpoint).collect()
}

/// Endpoints on other machines that credentials are sent to in plain text.
fn going(graph: &Graph, id: &Id, settings: &Settings) -> BTreeSet<String> {
    let headers = match settings {
        Settings::OtlpExporter(settings) => &settings.config.headers,
        Settings::RemoteWrite(settings) => &settings.config.headers,
        _ => return BTreeSet::new(),
    };
    let has_secret = headers.iter().any(is_credential);
    let leads_here = |signal: &Signal| {
        graph.pipelines.iter().any(|plan| plan.signal == *signal && plan.exporters.contains(id))
    };
    let destinations = Signal::ALL.into_iter().filter(leads_here);
    let exposed = destinations.filter_map(|signal| destination(settings, signal)).filter(|to| {
        let is_here =
            FarEnd::of(&to.endpoint).is_some_and(|far| Address { host: far.host, port: 0 }.is_loopback());
        to.transport == Transport::Plain && !is_here && (has_secret || to.credentials.is_some())
    });
    exposed.map(|to| to.endpoint).collect()
}

/// Whether a header is named as credentials are.
fn is_credential((name, value): &(String, Secret)) -> bool {
    const WORDS: [&str; 6] = ["authorization", "cookie", "key", "password", "secret", "token"];
    let name = name.to_ascii_lowercase();
    !value.is_empty() && WORDS.iter().any(|word| name.contains(word))
}
