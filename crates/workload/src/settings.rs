//! What a workload is made from.

use std::fmt;

use otlp::event::Temporality;

use crate::limits::{
    BATCH_RECORDS_MAX, CLOCK_SKEW_NS_MAX, DELAY_NS_MAX, INCIDENTS_MAX, INSTANCES_PER_SERVICE_MAX,
    METRIC_INTERVAL_NS_MIN, TRACES_PER_SECOND_MAX,
};
use crate::random::MILLION;
use crate::shop::SERVICES;

/// What a workload is made from. The same settings give the same bytes, on every machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// From which every choice follows.
    pub seed: u64,
    /// When everything begins, Unix nanoseconds.
    pub start_ns: u64,
    /// How many traces begin in a second, on average; their beginnings are independent of one another.
    pub traces_per_second: u32,
    /// Instances of each service, on as many hosts.
    pub instances_per_service: u16,
    /// Whether there are log records.
    pub logs: bool,
    /// Whether there are metrics.
    pub metrics: bool,
    /// A request is exported when it holds so many spans or log records.
    pub batch_records_max: usize,
    /// Nanoseconds: a request is exported so long after its first span or log record came.
    pub batch_delay_ns: u64,
    /// Nanoseconds from one export of metrics to the next.
    pub metric_interval_ns: u64,
    /// Whether sums and histograms tell everything since the start, or since the last export.
    pub temporality: Temporality,
    /// Of a million spans, so many are never exported. Whatever is measured of them is.
    pub missing_per_million: u32,
    /// Of a million spans, so many come to their batch only some time after their end.
    pub late_per_million: u32,
    /// Nanoseconds: how late they are at most.
    pub late_ns_max: u64,
    /// Nanoseconds: how far the clock of a host may be off, to either side. What a host says, it says by its clock.
    pub clock_skew_ns_max: u64,
    /// When what goes wrong.
    pub incidents: Vec<Incident>,
    /// Where so many traces are in flight (begun and not yet exported to the end), no other begins; the truth counts those.
    pub traces_in_flight_max: usize,
    /// How many traces the truth remembers; where they are not drained, the oldest are forgotten, and counted.
    pub truths_max: usize,
}

/// Something that goes wrong for a while, again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// The service that it befalls.
    pub service: String,
    /// What befalls it.
    pub fault: Fault,
    /// Nanoseconds from the start of everything to its beginning.
    pub after_ns: u64,
    /// Nanoseconds that it lasts.
    pub lasts_ns: u64,
    /// Nanoseconds from one beginning to the next; zero where it happens once.
    pub every_ns: u64,
}

/// What may go wrong with a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its own work takes so many times as long.
    Slow {
        /// By which durations are multiplied.
        factor: u32,
    },
    /// It is unavailable for so many of a million requests.
    Failing {
        /// Of a million.
        per_million: u32,
    },
    /// Its caches are empty.
    ColdCache,
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// The field.
    pub field: &'static str,
    /// What it has to be.
    pub expected: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.field, self.expected)
    }
}

impl std::error::Error for SettingsError {}

/// Nanoseconds in a second.
pub(crate) const SECOND_NS: u64 = 1_000_000_000;

impl Default for Settings {
    /// Twenty traces a second, two instances of each service, everything exported on time, and an incident every minute: the
    /// payment service fails, then the catalogue's cache is cold, then recommendations are slow.
    fn default() -> Self {
        let incident = |service: &str, fault, minute: u64| Incident {
            service: service.to_owned(),
            fault,
            after_ns: (minute * 60 + 40) * SECOND_NS,
            lasts_ns: 20 * SECOND_NS,
            every_ns: 180 * SECOND_NS,
        };
        Settings {
            seed: 1917,
            // 2026-01-01T00:00:00Z.
            start_ns: 1_767_225_600 * SECOND_NS,
            traces_per_second: 20,
            instances_per_service: 2,
            logs: true,
            metrics: true,
            batch_records_max: 512,
            batch_delay_ns: SECOND_NS,
            metric_interval_ns: 10 * SECOND_NS,
            temporality: Temporality::Cumulative,
            missing_per_million: 0,
            late_per_million: 0,
            late_ns_max: 5 * SECOND_NS,
            clock_skew_ns_max: 0,
            incidents: vec![
                incident("payment", Fault::Failing { per_million: 450_000 }, 0),
                incident("catalogue", Fault::ColdCache, 1),
                incident("recommendation", Fault::Slow { factor: 40 }, 2),
            ],
            traces_in_flight_max: 65_536,
            truths_max: 4_096,
        }
    }
}

impl Settings {
    /// The names that an [`Incident`] may use.
    ///
    /// ```
    /// assert!(aldis_workload::Settings::services().any(|service| service == "checkout"));
    /// ```
    pub fn services() -> impl Iterator<Item = &'static str> {
        SERVICES.iter().map(|service| service.name)
    }

    /// What is going wrong at this time.
    ///
    /// ```
    /// use aldis_workload::Settings;
    ///
    /// let settings = Settings::default();
    /// let at = |seconds: u64| settings.incidents_at(settings.start_ns + seconds * 1_000_000_000);
    /// assert_eq!(at(10).count(), 0);
    /// let told: Vec<String> = at(50).map(|incident| incident.to_string()).collect();
    /// assert_eq!(told, ["payment fails for 45.0 % of its requests"]);
    /// ```
    pub fn incidents_at(&self, at_ns: u64) -> impl Iterator<Item = &Incident> {
        let since = at_ns.checked_sub(self.start_ns);
        self.incidents.iter().filter(move |incident| since.is_some_and(|since| incident.is_on(since)))
    }

    /// Whether there can be such a workload.
    ///
    /// # Errors
    /// The first field that is out of its bounds.
    pub fn check(&self) -> Result<(), SettingsError> {
        within("traces_per_second", self.traces_per_second, 1, TRACES_PER_SECOND_MAX)?;
        within("instances_per_service", self.instances_per_service, 1, INSTANCES_PER_SERVICE_MAX)?;
        within("batch_records_max", self.batch_records_max, 1, BATCH_RECORDS_MAX)?;
        within("batch_delay_ns", self.batch_delay_ns, 0, DELAY_NS_MAX)?;
        within("metric_interval_ns", self.metric_interval_ns, METRIC_INTERVAL_NS_MIN, u64::MAX)?;
        within("missing_per_million", self.missing_per_million, 0, MILLION)?;
        within("late_per_million", self.late_per_million, 0, MILLION)?;
        within("late_ns_max", self.late_ns_max, 0, DELAY_NS_MAX)?;
        within("clock_skew_ns_max", self.clock_skew_ns_max, 0, CLOCK_SKEW_NS_MAX)?;
        // A time before 1970 cannot be told, nor one after 2262 in a signed number, as many readers use.
        within("start_ns", self.start_ns, CLOCK_SKEW_NS_MAX, i64::MAX as u64)?;
        within("traces_in_flight_max", self.traces_in_flight_max, 1, 1 << 24)?;
        within("truths_max", self.truths_max, 0, 1 << 24)?;
        within("incidents", self.incidents.len(), 0, INCIDENTS_MAX)?;
        self.incidents.iter().try_for_each(Incident::check)
    }
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = &self.service;
        match self.fault {
            Fault::Slow { factor } => write!(f, "{service} takes {factor} times as long"),
            Fault::Failing { per_million } => {
                let percent = f64::from(per_million) / 1e4;
                write!(f, "{service} fails for {percent:.1} % of its requests")
            }
            Fault::ColdCache => write!(f, "the cache of {service} is cold"),
        }
    }
}

impl Incident {
    fn check(&self) -> Result<(), SettingsError> {
        if !Settings::services().any(|service| service == self.service) {
            let names: Vec<&str> = Settings::services().collect();
            let expected = format!("one of {}, not {:?}", names.join(", "), self.service);
            return Err(SettingsError { field: "incidents.service", expected });
        }
        match self.fault {
            Fault::Slow { factor } => within("incidents.fault.factor", factor, 1, 10_000),
            Fault::Failing { per_million } => within("incidents.fault.per_million", per_million, 0, MILLION),
            Fault::ColdCache => Ok(()),
        }
    }

    /// Whether it is going on so long after the start of everything.
    pub(crate) fn is_on(&self, since_start_ns: u64) -> bool {
        let Some(since) = since_start_ns.checked_sub(self.after_ns) else { return false };
        let since = if self.every_ns == 0 { since } else { since % self.every_ns };
        since < self.lasts_ns
    }
}

fn within<T: Copy + PartialOrd + fmt::Display>(
    field: &'static str,
    value: T,
    least: T,
    most: T,
) -> Result<(), SettingsError> {
    if value < least || value > most {
        return Err(SettingsError { field, expected: format!("from {least} to {most}, not {value}") });
    }
    Ok(())
}
