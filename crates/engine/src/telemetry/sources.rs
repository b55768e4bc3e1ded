//! What there is to read of a running graph: handles that cost its threads nothing until they are asked.

use std::collections::BTreeMap;

use connect::{
    file::Seals,
    otlp::{Protocol, ReceiverMeter},
    prometheus::RemoteWriteExporter,
};
use operators::gaps::GapMeter;
use otlp::Signal;
use pipeline::{Budget, ExporterQueue, Health, Ledger, MemoryLimiter, QueueGauge};

use super::TraceMeter;
use super::lifetime::{Certificate, Reloads};
use crate::{
    components::Settings,
    graph::{Graph, Stage},
};

/// Everything that is counted in a running graph.
pub(crate) struct Sources {
    /// What became of records.
    pub(crate) ledger: Ledger,
    /// What is not well.
    pub(crate) health: Health,
    /// What receivers counted, by name.
    pub(crate) receivers: Vec<(String, ReceiverMeter)>,
    /// The exporters' queues: name, signal, queue.
    pub(crate) queues: Vec<(String, Signal, ExporterQueue)>,
    /// The same of those that are in the graph no more and have not run empty.
    pub(crate) leaving: Vec<(String, Signal, QueueGauge)>,
    /// Memory that is counted, by name.
    pub(crate) budgets: Vec<(String, Budget)>,
    /// Memory limiters, by name.
    pub(crate) limiters: Vec<(String, MemoryLimiter)>,
    /// What stages `gaps` have counted, by the stage's name.
    pub(crate) gaps: Vec<(String, GapMeter)>,
    /// Exporters of remote write, by name: they have numbers of their own.
    pub(crate) remote_writes: Vec<(String, RemoteWriteExporter)>,
    /// What exporters of files have sealed, by name.
    pub(crate) seals: Vec<(String, Seals)>,
    /// What counts own spans, where they are made.
    pub(crate) traces: Option<TraceMeter>,
    /// What is shown by listeners and exporters that speak TLS: `receiver otlp grpc`.
    pub(crate) certificates: Vec<(String, Certificate)>,
    /// What came of reloads.
    pub(crate) reloads: Reloads,
    /// Threads that carry telemetry.
    pub(crate) shards: usize,
    /// What rows of the ledger are called in the file.
    pub(crate) names: Names,
}

/// How the parts of a graph are called.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Names {
    /// The processors in a stage, by the stage's name in the ledger: several where they were fused.
    pub(crate) stages: BTreeMap<String, Vec<String>>,
    /// The memory limiter in front of a pipeline, by the pipeline's name.
    pub(crate) limiters: BTreeMap<String, String>,
    /// The filters among them, by the stage's name.
    pub(crate) filters: BTreeMap<String, String>,
    /// Where exporters send records of a signal to, by name.
    pub(crate) far_ends: BTreeMap<(String, Signal), FarEnd>,
}

/// The destination of an exporter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FarEnd {
    /// Host or address.
    pub(crate) host: String,
    /// Port; empty where none is known.
    pub(crate) port: String,
    /// The path, where requests are sent to a URL.
    pub(crate) path: String,
}

impl Names {
    /// The names of a graph's parts.
    pub(crate) fn of(graph: &Graph) -> Self {
        let mut names = Names::default();
        for plan in &graph.pipelines {
            for stage in &plan.stages {
                let ids = match stage {
                    Stage::Edit { ids, .. } => ids.iter().map(ToString::to_string).collect(),
                    other => vec![other.name()],
                };
                let name = format!("{}:{}", plan.name, stage.name());
                if let Stage::Filter { id, .. } = stage {
                    names.filters.insert(name.clone(), id.to_string());
                }
                names.stages.insert(name, ids);
            }
            if let Some(limiter) = &plan.limiter {
                names.limiters.insert(plan.name.clone(), limiter.to_string());
            }
        }
        for (id, settings) in &graph.exporters {
            let Settings::OtlpExporter(settings) = settings else { continue };
            let has_path = settings.config.protocol == Protocol::Http;
            let far_end = |signal| {
                let mut far_end = FarEnd::of(&settings.url_of(signal))?;
                if !has_path {
                    far_end.path.clear();
                }
                Some((signal, far_end))
            };
            let far_ends = Signal::ALL.into_iter().filter_map(far_end);
            names.far_ends.extend(far_ends.map(|(signal, far_end)| ((id.to_string(), signal), far_end)));
        }
        names
    }
}

impl FarEnd {
    /// Host, port and path of `scheme://host:port/path`, or of `host:port`.
    pub(crate) fn of(endpoint: &str) -> Option<Self> {
        let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
            _ => (authority, ""),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = path.to_owned();
        (!host.is_empty()).then(|| FarEnd { host, port: port.to_owned(), path })
    }

    /// The labels that the Collector has for it.
    pub(crate) fn labels(&self) -> Vec<(&str, &str)> {
        let all = [("server_address", &self.host), ("server_port", &self.port), ("url_path", &self.path)];
        all.into_iter()
            .map(|(key, value)| (key, value.as_str()))
            .filter(|(_, value)| !value.is_empty())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_ends_are_taken_apart() {
        for (endpoint, host, port, path) in [
            ("collector:4317", "collector", "4317", ""),
            ("http://10.0.0.1:4318", "10.0.0.1", "4318", ""),
            ("https://user:word@example.org/otlp/", "example.org", "", "/otlp/"),
            ("http://[::1]:4318/a", "::1", "4318", "/a"),
        ] {
            let (host, port, path) = (host.to_owned(), port.to_owned(), path.to_owned());
            assert_eq!(FarEnd::of(endpoint), Some(FarEnd { host, port, path }), "{endpoint}");
        }
        assert_eq!(FarEnd::of("http://"), None);
    }
}
