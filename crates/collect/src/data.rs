//! Events, metrics, and the container in which they travel.

use std::fmt;

use crate::{
    Name, Value,
    value::{Fields, fields_bytes},
};

/// How severe an event is.
///
/// ```
/// use aldis_collect::EventType;
///
/// assert_eq!(EventType::Warning.to_string(), "WARNING");
/// assert_eq!(EventType::from_text("error"), Some(EventType::Error));
/// assert!(EventType::Debug < EventType::Info);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// For whoever looks for a fault.
    Debug,
    /// What happens when all is well.
    #[default]
    Info,
    /// What may become an error.
    Warning,
    /// What failed.
    Error,
}

impl EventType {
    /// All, the least severe first.
    pub const ALL: [EventType; 4] = [Self::Debug, Self::Info, Self::Warning, Self::Error];

    /// The name in capitals: `INFO`, `WARNING`, `ERROR`, `DEBUG`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }

    /// The event type of that name, in whatever case.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event_type| event_type.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a record comes from inside its process. Events of one lane are numbered from 1, and so are its metrics: the number rises by
/// one with every one that was offered, so that a gap is one that was dropped. Order between lanes, and between events and
/// metrics, is by time only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The number of the thread, in the order in which threads began to record.
    pub lane: u32,
    /// The number of the event among the events of its lane, or of the metric among the metrics, from 1; 0 where nobody numbered it.
    pub seq: u64,
}

/// Something that happened.
///
/// ```
/// use aldis_collect::{EventType, TelemetryEvent, Value};
///
/// let event = TelemetryEvent {
///     time_ns: 1_700_000_000_000_000_000,
///     source: "shop".into(),
///     message: "order placed".into(),
///     metadata: vec![("items".into(), 3.into())],
///     ..TelemetryEvent::default()
/// };
/// assert_eq!(event.event_type, EventType::Info);
/// assert_eq!(event.get("items"), Some(&Value::Int(3)));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TelemetryEvent {
    /// Unix nanoseconds.
    pub time_ns: u64,
    /// The part of the program that says it.
    pub source: Name,
    /// What happened.
    pub message: String,
    /// How severe it is.
    pub event_type: EventType,
    /// Key-values.
    pub metadata: Fields,
    /// Where it was recorded.
    pub origin: Origin,
}

impl TelemetryEvent {
    /// The value of the first field of that key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Bytes that it takes in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.message.len() + fields_bytes(&self.metadata)
    }
}

/// What a metric's value means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricKind {
    /// The value at a time.
    #[default]
    Gauge,
    /// What was added since the last one of the same metric.
    Delta,
}

/// Something that was measured.
///
/// ```
/// use aldis_collect::TelemetryMetric;
///
/// let metric = TelemetryMetric {
///     name: "cpu".into(),
///     value: 45.2,
///     unit: "percent".into(),
///     tags: vec![("host".into(), "a".into())],
///     ..TelemetryMetric::default()
/// };
/// assert_eq!(metric.tag("host"), Some("a"));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TelemetryMetric {
    /// Unix nanoseconds.
    pub time_ns: u64,
    /// What was measured.
    pub name: Name,
    /// The number.
    pub value: f64,
    /// Its unit; empty where it has none.
    pub unit: Name,
    /// Key-values that tell this series from others of the name.
    pub tags: Vec<(Name, Name)>,
    /// What the value means.
    pub kind: MetricKind,
    /// Where it was recorded.
    pub origin: Origin,
}

impl TelemetryMetric {
    /// The value of the first tag of that key.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    /// Bytes that it takes in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + size_of::<(Name, Name)>() * self.tags.len()
    }
}

/// Events and metrics, each in the order in which they were recorded by each thread.
///
/// ```
/// use aldis_collect::{TelemetryData, TelemetryEvent};
///
/// let mut data = TelemetryData::default();
/// assert!(data.is_empty());
/// data.events.push(TelemetryEvent::default());
/// assert_eq!(data.len(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TelemetryData {
    /// What happened.
    pub events: Vec<TelemetryEvent>,
    /// What was measured.
    pub metrics: Vec<TelemetryMetric>,
}

impl TelemetryData {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.events.len() + self.metrics.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.metrics.is_empty()
    }

    /// Adds what another holds behind what this one holds.
    pub fn append(&mut self, mut other: TelemetryData) {
        self.events.append(&mut other.events);
        self.metrics.append(&mut other.metrics);
    }
}
