//! Records as OTLP: events become log records, metrics data points.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use once_cell::race::OnceBox;
use otlp::{
    Batch, Depth, Signal,
    event::{
        AttributeValue, Exemplar, LogRecord, Metric, MetricData, Number, PushError, RequestBuilder,
        SERVICE_NAME, Temporality,
    },
    limits::MAX_EVENT_VALUE_DEPTH,
};

use crate::{
    EventType, MetricKind, Origin, TelemetryData, TelemetryEvent, TelemetryMetric, Value, storage::line,
};

/// The attribute that says an event's source.
pub const SOURCE: &str = "aldis.source";
/// The attributes that say where in its process a record comes from ([`Origin`]): with host, process and [`EPOCH`], a gap in these
/// numbers is an event, or a metric, that was lost. The processor `gaps` of an engine counts them.
pub const ORIGIN: (&str, &str) = ("aldis.lane", "aldis.seq");
/// The attribute that tells one emitter of a process from another, and from one of an earlier process with the same number.
pub const EPOCH: &str = "aldis.epoch";

/// Who collects: what OTLP asks of every record and a record does not say itself.
///
/// Events become log records with their message as body and their metadata as attributes; metrics of kind gauge become gauges, of kind
/// delta monotonic sums of delta temporality. Every record says its service, host and process, and its [`Origin`]: an event in attributes,
/// a metric in those of an exemplar, as an attribute would make each measurement a series of its own. OTLP has no attribute without a
/// value: nothing becomes an empty text.
///
/// ```
/// use aldis_collect::{Emitter, TelemetryData, TelemetryEvent, TelemetryMetric};
///
/// let data = TelemetryData { events: vec![TelemetryEvent::default()], metrics: vec![TelemetryMetric::default(); 2] };
/// let batches = Emitter::here("shop").batches(&data)?;
/// assert_eq!(batches.iter().map(|batch| batch.len()).collect::<Vec<_>>(), [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitter {
    /// `service.name`.
    pub service: String,
    /// `host.name`; where it is empty nothing is said.
    pub host: String,
    /// What no other emitter of this process and host has.
    pub epoch: i64,
    /// Whether metrics have an exemplar that says their [`Origin`], so that lost ones can be counted. Some 80 bytes each.
    pub numbers_metrics: bool,
}

impl Emitter {
    /// A service on this host. Every collector needs one of its own, as each has its own numbers; clones are the same.
    pub fn here(service: impl Into<String>) -> Self {
        // A forked child waits for no thread of its parent.
        static HOST: OnceBox<String> = OnceBox::new();
        let read =
            || std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME"));
        let host =
            HOST.get_or_init(|| Box::new(read().map(|host| host.trim().to_owned()).unwrap_or_default()));
        Self { service: service.into(), host: host.clone(), epoch: new_epoch(), numbers_metrics: true }
    }

    /// An event as a log record. Of values that are deeper than requests may be ([`MAX_EVENT_VALUE_DEPTH`] levels) the lists and maps below
    /// are texts of JSON.
    pub fn log(&self, event: &TelemetryEvent) -> LogRecord {
        let mut attributes = self.attributes();
        attributes.extend(self.origin(event.origin));
        attributes.push((SOURCE.to_owned(), AttributeValue::String(event.source.to_string())));
        attributes.extend(event.metadata.iter().map(|(key, value)| (key.to_string(), attribute(value, 0))));
        LogRecord {
            time_ns: event.time_ns,
            severity_number: severity_number(event.event_type),
            severity_text: event.event_type.as_str().to_owned(),
            body: Some(AttributeValue::String(event.message.clone())),
            attributes,
            ..LogRecord::default()
        }
    }

    /// A metric as a data point.
    pub fn metric(&self, metric: &TelemetryMetric) -> Metric {
        let value = Number::Double(metric.value);
        let mut attributes = self.attributes();
        let tags = metric.tags.iter();
        attributes.extend(tags.map(|(key, tag)| (key.to_string(), AttributeValue::String(tag.to_string()))));
        Metric {
            name: metric.name.to_string(),
            unit: metric.unit.to_string(),
            data: match metric.kind {
                MetricKind::Gauge => MetricData::Gauge(value),
                MetricKind::Delta => {
                    MetricData::Sum { value, monotonic: true, temporality: Temporality::Delta }
                }
            },
            attributes,
            exemplars: self.numbers_metrics.then(|| self.exemplar(metric)).into_iter().collect(),
            time_ns: metric.time_ns,
            ..Metric::default()
        }
    }

    /// The measurement itself, with what its point leaves out.
    fn exemplar(&self, metric: &TelemetryMetric) -> Exemplar {
        Exemplar {
            value: Number::Double(metric.value),
            time_ns: metric.time_ns,
            trace_id: None,
            span_id: None,
            attributes: self.origin(metric.origin).into(),
        }
    }

    /// Everything as requests: one of logs and one of metrics, where there are any.
    ///
    /// # Errors
    /// They would be larger than requests may be: convert less at once.
    pub fn batches(&self, data: &TelemetryData) -> Result<Vec<Batch>, PushError> {
        let mut batches = Vec::new();
        let mut logs = RequestBuilder::new(Signal::Logs, Depth::Records);
        data.events.iter().try_for_each(|event| logs.push_log(&self.log(event)))?;
        let mut metrics = RequestBuilder::new(Signal::Metrics, Depth::Records);
        data.metrics.iter().try_for_each(|metric| metrics.push_metric(&self.metric(metric)))?;
        for mut builder in [logs, metrics] {
            if !builder.is_empty() {
                batches.push(builder.finish());
            }
        }
        Ok(batches)
    }

    fn origin(&self, Origin { lane, seq }: Origin) -> [(String, AttributeValue); 3] {
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        [(ORIGIN.0, lane.into()), (ORIGIN.1, seq), (EPOCH, self.epoch)]
            .map(|(key, number)| (key.to_owned(), AttributeValue::Int(number)))
    }

    fn attributes(&self) -> Vec<(String, AttributeValue)> {
        let mut attributes = vec![
            (SERVICE_NAME.to_owned(), AttributeValue::String(self.service.clone())),
            ("process.pid".to_owned(), AttributeValue::Int(std::process::id().into())),
        ];
        if !self.host.is_empty() {
            attributes.push(("host.name".to_owned(), AttributeValue::String(self.host.clone())));
        }
        attributes
    }
}

/// The time in nanoseconds since 1970, or one more than the last.
fn new_epoch() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_nanos()).unwrap_or(0);
    let later = |last: i64| Some(now.max(last + 1));
    // Both what it was and what it is now are none of anybody else's.
    LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later).map_or(now, |last| now.max(last + 1))
}

/// OTLP logs data model, § Severity Fields.
fn severity_number(event_type: EventType) -> u8 {
    match event_type {
        EventType::Debug => 5,
        EventType::Info => 9,
        EventType::Warning => 13,
        EventType::Error => 17,
    }
}

/// A value at a level. Lists and maps that are too deep for a request are carried as their JSON.
fn attribute(value: &Value, level: usize) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::String(String::new()),
        Value::Bool(bool) => AttributeValue::Bool(*bool),
        Value::Int(int) => AttributeValue::Int(*int),
        Value::Double(double) => AttributeValue::Double(*double),
        Value::String(text) => AttributeValue::String(text.clone()),
        Value::List(_) | Value::Map(_) if level == MAX_EVENT_VALUE_DEPTH => {
            AttributeValue::String(line::value_text(value))
        }
        Value::List(list) => {
            AttributeValue::Array(list.iter().map(|item| attribute(item, level + 1)).collect())
        }
        Value::Map(fields) => AttributeValue::Map(
            fields.iter().map(|(key, value)| (key.to_string(), attribute(value, level + 1))).collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_says_is_said_in_otlp() {
        let event = TelemetryEvent {
            time_ns: 7,
            source: "cart".into(),
            message: "full".into(),
            event_type: EventType::Error,
            metadata: vec![("sizes".into(), Value::List(vec![Value::Int(1), Value::Null]))],
            origin: Origin { lane: 2, seq: 9 },
        };
        let metric = TelemetryMetric {
            time_ns: 8,
            name: "orders".into(),
            value: 3.0,
            unit: "{order}".into(),
            tags: vec![("shop".into(), "berlin".into())],
            kind: MetricKind::Delta,
            origin: Origin { lane: 2, seq: 10 },
        };
        let emitter = Emitter { service: "shop".into(), host: "a".into(), epoch: 77, numbers_metrics: true };
        let text = |text: &str| AttributeValue::String(text.to_owned());
        let log = emitter.log(&event);
        let of = |attributes: &[(String, AttributeValue)], key: &str| {
            attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone()).unwrap()
        };
        assert_eq!((log.time_ns, log.severity_number, &*log.severity_text), (7, 17, "ERROR"));
        assert_eq!(log.body, Some(text("full")));
        assert_eq!(of(&log.attributes, "service.name"), text("shop"));
        assert_eq!(of(&log.attributes, "host.name"), text("a"));
        assert_eq!(of(&log.attributes, "process.pid"), AttributeValue::Int(std::process::id().into()));
        assert_eq!(
            (of(&log.attributes, ORIGIN.0), of(&log.attributes, ORIGIN.1)),
            (AttributeValue::Int(2), AttributeValue::Int(9))
        );
        assert_eq!(of(&log.attributes, EPOCH), AttributeValue::Int(77));
        assert_ne!(Emitter::here("shop").epoch, Emitter::here("shop").epoch);
        assert_eq!(of(&log.attributes, SOURCE), text("cart"));
        assert_eq!(
            of(&log.attributes, "sizes"),
            AttributeValue::Array(vec![AttributeValue::Int(1), text("")])
        );
        let point = emitter.metric(&metric);
        assert_eq!((&*point.name, &*point.unit, point.time_ns), ("orders", "{order}", 8));
        let value = Number::Double(3.0);
        assert_eq!(point.data, MetricData::Sum { value, monotonic: true, temporality: Temporality::Delta });
        assert_eq!(of(&point.attributes, "shop"), text("berlin"));
        assert!(
            point.attributes.iter().all(|(key, _)| key != ORIGIN.1),
            "each point would be a series of its own"
        );
        let [exemplar] = &point.exemplars[..] else { panic!("{:?}", point.exemplars) };
        assert_eq!((exemplar.time_ns, exemplar.value), (8, value));
        let of_exemplar = [ORIGIN.0, ORIGIN.1, EPOCH].map(|key| of(&exemplar.attributes, key));
        assert_eq!(of_exemplar, [2, 10, 77].map(AttributeValue::Int));
        let plain = Emitter { numbers_metrics: false, ..emitter.clone() };
        assert!(plain.metric(&metric).exemplars.is_empty());
        let gauge = emitter.metric(&TelemetryMetric { kind: MetricKind::Gauge, ..metric });
        assert_eq!(gauge.data, MetricData::Gauge(value));
    }
}
