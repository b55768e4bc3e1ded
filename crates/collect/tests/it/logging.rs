//! What other facades say.

use std::sync::Arc;

use aldis_collect::{
    EventType, LogSink, MemoryStorage, TelemetryConfig, TelemetryStorage, TelemetryStream, TracingLayer,
    Value,
};
use log::Log;
use tracing_subscriber::layer::SubscriberExt;

use crate::scenes::{PATIENCE, collector, messages, patient};

#[test]
fn events_of_tracing_are_collected_with_their_fields() {
    let collector = collector(TelemetryConfig::default());
    let subscriber = tracing_subscriber::registry().with(TracingLayer::new(&collector));
    tracing::subscriber::with_default(subscriber, || {
        let span = tracing::info_span!("a span is no event", inside = 1);
        let _inside = span.enter();
        tracing::error!(target: "t", a = -1_i64, b = 2_u64, c = 0.5, d = true, e = "text", f = ?Some(1), g = %"shown", "of {}", 7);
        tracing::trace!(only = u64::MAX);
    });
    let events = collector.flush_within(PATIENCE).unwrap().events;
    assert_eq!(events.len(), 2);
    assert_eq!(
        (&*events[0].source, &*events[0].message, events[0].event_type),
        ("t", "of 7", EventType::Error)
    );
    let text = |text: &str| Value::String(text.to_owned());
    let expected = [
        ("a", Value::Int(-1)),
        ("b", Value::Int(2)),
        ("c", Value::Double(0.5)),
        ("d", Value::Bool(true)),
        ("e", text("text")),
        ("f", text("Some(1)")),
        ("g", text("shown")),
    ];
    assert_eq!(events[0].metadata, expected.map(|(key, value)| (key.into(), value)));
    assert_eq!((&*events[1].message, events[1].event_type), ("", EventType::Debug));
    assert_eq!(events[1].get("only"), Some(&Value::Double(u64::MAX as f64)));
}

#[test]
fn records_of_log_are_collected_and_a_flush_is_a_flush() {
    let collector = collector(patient());
    let sink = LogSink::new(&collector);
    let levels =
        [log::Level::Error, log::Level::Warn, log::Level::Info, log::Level::Debug, log::Level::Trace];
    for level in levels {
        sink.log(&log::Record::builder().level(level).target("t").args(format_args!("n{}", 1)).build());
    }
    // Without a stream a flush would hand records out, and there is nobody to take them.
    sink.flush();
    assert_eq!(collector.stats().buffered, 5);
    let storage = Arc::new(MemoryStorage::new());
    let stream = TelemetryStream::new(&collector, storage.clone());
    stream.start().unwrap();
    sink.flush();
    let stored = storage.retrieve(None, None, None).unwrap();
    assert_eq!(messages(&stored), ["n1"; 5]);
    let types = [EventType::Error, EventType::Warning, EventType::Info, EventType::Debug, EventType::Debug];
    assert_eq!(stored.events.iter().map(|event| event.event_type).collect::<Vec<_>>(), types);
}

#[test]
fn a_storage_that_logs_into_its_own_collector_ends() {
    struct Logging(LogSink);
    impl TelemetryStorage for Logging {
        fn store(&self, _: &aldis_collect::TelemetryData) -> Result<(), aldis_collect::StorageError> {
            self.0.log(&log::Record::builder().args(format_args!("stored")).build());
            Ok(())
        }
        fn retrieve(
            &self,
            _: Option<u64>,
            _: Option<u64>,
            _: Option<usize>,
        ) -> Result<aldis_collect::TelemetryData, aldis_collect::StorageError> {
            Ok(aldis_collect::TelemetryData::default())
        }
    }
    let collector = collector(patient());
    let stream = TelemetryStream::new(&collector, Logging(LogSink::new(&collector)));
    stream.start().unwrap();
    crate::scenes::event(&collector, "1");
    collector.flush_within(PATIENCE).unwrap();
    assert_eq!((collector.stats().delivered, collector.stats().dropped.suppressed), (1, 1));
    stream.stop_within(PATIENCE).unwrap();
}
