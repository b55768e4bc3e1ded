//! Events of `tracing`, and records of `log`, as events of a collector.

use std::fmt;

use tracing_core::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use crate::{EventType, TelemetryCollector, Value, ValueRef};

/// A layer for `tracing-subscriber` that collects every event: its target is the source, its field `message` the message, its other
/// fields are the metadata; `TRACE` and `DEBUG` are debug. Spans, and what they say, are not collected.
///
/// ```
/// use aldis_collect::{EventType, TelemetryCollector, TelemetryConfig, TracingLayer};
/// use tracing_subscriber::layer::SubscriberExt;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let collector = TelemetryCollector::new(TelemetryConfig::default())?;
/// let subscriber = tracing_subscriber::registry().with(TracingLayer::new(&collector));
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::warn!(target: "shop", items = 3, "stock is low");
/// });
/// let event = collector.flush()?.events.remove(0);
/// assert_eq!((&*event.source, &*event.message, event.event_type), ("shop", "stock is low", EventType::Warning));
/// assert_eq!(event.get("items"), Some(&3.into()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TracingLayer {
    collector: TelemetryCollector,
}

impl TracingLayer {
    /// A layer that collects there.
    pub fn new(collector: &TelemetryCollector) -> Self {
        Self { collector: collector.clone() }
    }
}

impl<S: Subscriber> Layer<S> for TracingLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let event_type = match *metadata.level() {
            Level::ERROR => EventType::Error,
            Level::WARN => EventType::Warning,
            Level::INFO => EventType::Info,
            _ => EventType::Debug,
        };
        let mut fields = Said::default();
        event.record(&mut fields);
        let refs: Vec<(&str, ValueRef<'_>)> =
            fields.others.iter().map(|(key, value)| (*key, value.into())).collect();
        self.collector.collect_event(metadata.target(), &fields.message, event_type, &refs);
    }
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Said {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.others.push((field.name(), value.into()));
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.add(field, format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.add(field, value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, i64::try_from(value).map_or(Value::Double(value as f64), Value::Int));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }
}

/// A sink for the `log` facade that collects every record: its target is the source, its key-values are the metadata; `Trace` and `Debug`
/// are debug.
///
/// ```
/// use aldis_collect::{LogSink, TelemetryCollector, TelemetryConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let collector = TelemetryCollector::new(TelemetryConfig::default())?;
/// LogSink::new(&collector).install(log::LevelFilter::Info)?;
/// log::info!(target: "shop", items = 3; "order placed");
/// log::debug!("not collected");
/// let data = collector.flush()?;
/// assert_eq!((data.len(), &*data.events[0].message), (1, "order placed"));
/// assert_eq!(data.events[0].get("items"), Some(&3.into()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LogSink {
    collector: TelemetryCollector,
}

impl LogSink {
    /// A sink that collects there.
    pub fn new(collector: &TelemetryCollector) -> Self {
        Self { collector: collector.clone() }
    }

    /// Makes it the program's logger, for records up to a level.
    ///
    /// # Errors
    /// There is one already.
    pub fn install(self, most: log::LevelFilter) -> Result<(), log::SetLoggerError> {
        log::set_boxed_logger(Box::new(self))?;
        log::set_max_level(most);
        Ok(())
    }
}

impl log::Log for LogSink {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        self.collector.config().enabled
    }

    fn log(&self, record: &log::Record<'_>) {
        let event_type = match record.level() {
            log::Level::Error => EventType::Error,
            log::Level::Warn => EventType::Warning,
            log::Level::Info => EventType::Info,
            log::Level::Debug | log::Level::Trace => EventType::Debug,
        };
        let mut pairs = Pairs(Vec::new());
        // The visitor never fails, and a source that does has said what it could.
        let _ = record.key_values().visit(&mut pairs);
        let refs: Vec<(&str, ValueRef<'_>)> =
            pairs.0.iter().map(|(key, value)| (&**key, value.into())).collect();
        let formatted;
        let message = match record.args().as_str() {
            Some(text) => text,
            None => {
                formatted = record.args().to_string();
                &formatted
            }
        };
        self.collector.collect_event(record.target(), message, event_type, &refs);
    }

    fn flush(&self) {
        if self.collector.is_streaming() {
            // There is nobody to tell: statistics do.
            let _ = self.collector.flush();
        }
    }
}

struct Pairs(Vec<(String, Value)>);

impl<'kvs> log::kv::VisitSource<'kvs> for Pairs {
    fn visit_pair(
        &mut self,
        key: log::kv::Key<'kvs>,
        value: log::kv::Value<'kvs>,
    ) -> Result<(), log::kv::Error> {
        let value = if let Some(bool) = value.to_bool() {
            Value::Bool(bool)
        } else if let Some(int) = value.to_i64() {
            Value::Int(int)
        } else if let Some(double) = value.to_f64() {
            Value::Double(double)
        } else {
            Value::String(value.to_string())
        };
        self.0.push((key.to_string(), value));
        Ok(())
    }
}
