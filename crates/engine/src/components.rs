//! What can stand in a configuration: an explicit table, a file per component.

pub mod attributes;
pub mod auth;
pub mod batch;
pub mod debug;
pub mod delivery;
pub mod edits;
pub mod file_exporter;
pub mod file_receiver;
pub mod filter;
pub mod gaps;
pub mod health_check;
pub mod listeners;
pub mod memory_limiter;
pub mod nop;
pub mod otlp_exporter;
pub mod otlp_receiver;
pub mod prometheus;
pub mod prometheus_remote_write;
pub mod resource;
pub mod summary;
pub mod tls;

use std::fmt;

use otlp::Signal;

use crate::settings::{Section, Setting};

/// The five sections of a configuration that hold components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Takes telemetry in.
    Receiver,
    /// Does something to it.
    Processor,
    /// Sends it on.
    Exporter,
    /// Leads from one pipeline to another.
    Connector,
    /// Serves the engine itself.
    Extension,
}

impl Class {
    /// Every class, in the order of a configuration.
    pub const ALL: [Class; 5] =
        [Class::Receiver, Class::Processor, Class::Exporter, Class::Connector, Class::Extension];

    /// One of them: `receiver`.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Receiver => "receiver",
            Class::Processor => "processor",
            Class::Exporter => "exporter",
            Class::Connector => "connector",
            Class::Extension => "extension",
        }
    }

    /// Its section: `receivers`.
    pub const fn section(self) -> &'static str {
        match self {
            Class::Receiver => "receivers",
            Class::Processor => "processors",
            Class::Exporter => "exporters",
            Class::Connector => "connectors",
            Class::Extension => "extensions",
        }
    }
}

/// A kind of component: how it is called, where it may stand, what can be configured.
#[derive(Clone, Copy, Debug)]
pub struct Component {
    /// Its type in a configuration, before the slash.
    pub name: &'static str,
    /// Other types that mean the same.
    pub aliases: &'static [&'static str],
    /// Its section.
    pub class: Class,
    /// The pipelines it may stand in.
    pub signals: &'static [Signal],
    /// What it does, in a sentence.
    pub text: &'static str,
    /// What can be configured.
    pub settings: &'static [Setting],
    /// Reads and validates its settings, for pipelines of these signals: those that use it, or none.
    pub read: fn(&Section<'_>, &[Signal]) -> Settings,
}

/// The settings of a configured component as plain values: equal settings make equal components.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Settings {
    /// Receiver `otlp`.
    OtlpReceiver(Box<otlp_receiver::OtlpReceiverSettings>),
    /// Receiver `otlpjsonfile`.
    FileReceiver(Box<connect::file::FileReceiverConfig>),
    /// Exporter `file`.
    FileExporter(Box<connect::file::FileConfig>),
    /// Exporter `debug`.
    Debug(connect::debug::DebugConfig),
    /// Exporters `otlp` and `otlphttp`.
    OtlpExporter(Box<otlp_exporter::OtlpExporterSettings>),
    /// Exporter `prometheus`.
    Prometheus(Box<prometheus::PrometheusSettings>),
    /// Exporter `prometheusremotewrite`.
    RemoteWrite(Box<prometheus_remote_write::RemoteWriteSettings>),
    /// Processor `batch`.
    Batch(batch::BatchSettings),
    /// Processor `memory_limiter`.
    MemoryLimiter(pipeline::MemoryLimitSettings),
    /// Processors `attributes` and `resource`.
    Edit(edits::EditSettings),
    /// Processor `filter`.
    Filter(filter::FilterSettings),
    /// Processor `gaps`.
    Gaps(operators::gaps::GapSettings),
    /// Extension `health_check`.
    HealthCheck(Box<health_check::HealthCheckSettings>),
    /// Receiver and exporter `nop`.
    Nop,
    /// Exporter `summary`.
    Summary,
    /// Extension `bearertokenauth`.
    BearerAuth(Box<connect::auth::BearerSettings>),
    /// Extension `basicauth` with `htpasswd`.
    BasicServerAuth(Box<connect::auth::HtpasswdSettings>),
    /// Extension `basicauth` with `client_auth`.
    BasicClientAuth(Box<connect::auth::BasicSettings>),
}

impl Settings {
    /// What joins requests in front of an exporter's queue (`sending_queue.batch`), where it has one.
    pub(crate) fn queue_batch(&self) -> Option<&delivery::QueueBatchSettings> {
        match self {
            Settings::OtlpExporter(settings) => settings.delivery.queue.as_ref()?.batch.as_ref(),
            _ => None,
        }
    }
}

/// Everything that can stand in a configuration.
pub const COMPONENTS: &[Component] = &[
    otlp_receiver::COMPONENT,
    file_receiver::COMPONENT,
    nop::RECEIVER,
    memory_limiter::COMPONENT,
    batch::COMPONENT,
    attributes::COMPONENT,
    resource::COMPONENT,
    filter::COMPONENT,
    gaps::COMPONENT,
    otlp_exporter::GRPC,
    otlp_exporter::HTTP,
    prometheus::COMPONENT,
    prometheus_remote_write::COMPONENT,
    file_exporter::COMPONENT,
    debug::COMPONENT,
    nop::EXPORTER,
    summary::COMPONENT,
    auth::BEARER,
    auth::BASIC,
    health_check::COMPONENT,
];

/// The component of a class with this type.
pub fn find(class: Class, kind: &str) -> Option<&'static Component> {
    of(class).find(|component| component.name == kind || component.aliases.contains(&kind))
}

/// All components of a class.
pub fn of(class: Class) -> impl Iterator<Item = &'static Component> + Clone {
    COMPONENTS.iter().filter(move |component| component.class == class)
}

/// The name of a configured component: `otlp` or `otlp/backup`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// The type, as written.
    pub kind: String,
    /// What stands behind the slash; empty where there is none.
    pub name: String,
}

impl Id {
    /// Reads `type` or `type/name`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Id, String> {
        let (kind, name) = match text.split_once('/') {
            Some((_, name)) if name.trim().is_empty() => {
                return Err("there is no name behind the slash".into());
            }
            Some((kind, name)) => (kind.trim(), name.trim()),
            None => (text.trim(), ""),
        };
        // <https://github.com/open-telemetry/opentelemetry-collector/blob/main/component/identifiable.go>
        let letters = kind.starts_with(|c: char| c.is_ascii_alphabetic())
            && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !letters {
            return Err("a type begins with a letter and has letters, digits and `_`".into());
        }
        if text.chars().count() > crate::limits::MAX_NAME_CHARS {
            return Err(format!("it is longer than {} characters", crate::limits::MAX_NAME_CHARS));
        }
        Ok(Id { kind: kind.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => f.write_str(&self.kind),
            name => write!(f, "{}/{name}", self.kind),
        }
    }
}

#[cfg(test)]
mod tests;
