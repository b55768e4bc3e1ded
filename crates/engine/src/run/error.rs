//! Why a graph cannot run.

use std::{fmt, io};

use connect::otlp::receiver::BindError;
use pipeline::memory_limit::MemoryLimitError;

use crate::{components::Id, telemetry::TelemetryError};

/// Why a graph could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A receiver cannot listen.
    Listen {
        /// The receiver.
        receiver: Id,
        /// Why.
        source: BindError,
    },
    /// An exporter that is scraped cannot listen.
    Serve {
        /// The exporter.
        exporter: Id,
        /// Why.
        source: BindError,
    },
    /// The engine cannot tell of itself.
    Telemetry(TelemetryError),
    /// A receiver cannot open what it needs, such as a file.
    OpenReceiver {
        /// The receiver.
        receiver: Id,
        /// Why.
        source: io::Error,
    },
    /// An exporter cannot open what it needs, such as a file.
    Open {
        /// The exporter.
        exporter: Id,
        /// Why.
        source: io::Error,
    },
    /// Threads or runtimes are not to be had.
    Threads(io::Error),
    /// The memory limiter's percentages leave nothing on this machine.
    Memory {
        /// The memory limiter.
        limiter: Id,
        /// Why.
        source: MemoryLimitError,
    },
}

impl StartError {
    /// Whether somebody listens already where this should: another address would do.
    pub fn is_address_in_use(&self) -> bool {
        let (StartError::Listen { source, .. } | StartError::Serve { source, .. }) = self else {
            return false;
        };
        matches!(source, BindError::Socket { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen { receiver, source } => write!(f, "receiver `{receiver}`: {source}"),
            StartError::Serve { exporter, source } => write!(f, "exporter `{exporter}`: {source}"),
            StartError::Telemetry(source) => source.fmt(f),
            StartError::OpenReceiver { receiver, source } => write!(f, "receiver `{receiver}`: {source}"),
            StartError::Open { exporter, source } => write!(f, "exporter `{exporter}`: {source}"),
            StartError::Threads(source) => write!(f, "threads could not be started: {source}"),
            StartError::Memory { limiter, source } => write!(f, "memory limiter `{limiter}`: {source}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Listen { source, .. } | StartError::Serve { source, .. } => Some(source),
            StartError::Telemetry(source) => Some(source),
            StartError::OpenReceiver { source, .. } | StartError::Open { source, .. } => Some(source),
            StartError::Threads(source) => Some(source),
            StartError::Memory { source, .. } => Some(source),
        }
    }
}
