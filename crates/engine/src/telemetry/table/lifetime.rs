//! Metrics of what changes while an engine runs: its configuration, its certificates.

use super::{
    Kind::{Counter, Gauge},
    Metric,
};
use crate::telemetry::settings::Level::{Basic, Normal};

pub(in crate::telemetry) const RELOADS: Metric = Metric::new(
    "aldis_reloads",
    Counter,
    Basic,
    &["result"],
    "Reloads that came through (`good`), and those that changed nothing because something was wrong (`failed`).",
);
pub(in crate::telemetry) const LAST_RELOAD_GOOD: Metric = Metric::new(
    "aldis_last_reload_successful",
    Gauge,
    Basic,
    &[],
    "0 while the last reload was one that failed, so that the file is not what runs.",
);
pub(in crate::telemetry) const LAST_GOOD: Metric = Metric::new(
    "aldis_last_reload_success_timestamp_seconds",
    Gauge,
    Basic,
    &[],
    "Unix time, in seconds, since which the engine runs by the configuration that it has: of the start, or of the last good reload.",
)
.in_unit("s");
pub(in crate::telemetry) const CERTIFICATE_END: Metric = Metric::new(
    "aldis_certificate_not_after_seconds",
    Gauge,
    Basic,
    &["component"],
    "Unix time, in seconds, after which the first of the certificates does not hold that a listener or exporter shows.",
)
.in_unit("s");
pub(in crate::telemetry) const CERTIFICATE_RELOADS: Metric = Metric::new(
    "aldis_certificate_reloads",
    Counter,
    Normal,
    &["component", "result"],
    "Times that files of a certificate had changed and hold since (`good`), or could not be used (`failed`).",
);
