//! Which path means which signal.

use otlp::Signal;

/// The gRPC path of a signal's `Export`.
pub(super) const fn grpc_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Profiles => "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
    }
}

/// The HTTP path of a signal where the configuration names none.
pub const fn http_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/v1/traces",
        Signal::Logs => "/v1/logs",
        Signal::Metrics => "/v1/metrics",
        Signal::Profiles => "/v1development/profiles",
    }
}

/// The signal that a gRPC path exports.
pub(super) fn by_grpc_path(path: &str) -> Option<Signal> {
    Signal::ALL.into_iter().find(|signal| grpc_path(*signal) == path)
}
