//! The four kinds of telemetry that OTLP carries.

use std::fmt;

/// Which kind of records a request carries. The wire layouts share one shape (resource → scope → record) but differ in
/// field numbers, so a signal is always known before bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// `ExportTraceServiceRequest`; its records are spans.
    Traces,
    /// `ExportLogsServiceRequest`; its records are log records.
    Logs,
    /// `ExportMetricsServiceRequest`; its records are data points.
    Metrics,
    /// `ExportProfilesServiceRequest`; passed through whole, its records are profiles.
    Profiles,
}

impl Signal {
    /// Every signal, in the order in which they are reported.
    pub const ALL: [Signal; 4] = [Signal::Traces, Signal::Logs, Signal::Metrics, Signal::Profiles];

    /// The word used in configuration files and metrics: `traces`, `logs`, `metrics`, `profiles`.
    pub const fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Logs => "logs",
            Signal::Metrics => "metrics",
            Signal::Profiles => "profiles",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
