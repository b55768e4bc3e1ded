//! The usage patterns and extension points of the specification, as they are written there, in Rust.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use aldis_collect::*;

use crate::scenes::{PATIENCE, wait_until};

#[test]
fn pattern_1_simple_collection() {
    let collector = TelemetryCollector::new(TelemetryConfig::default()).unwrap();
    collector.collect_event("app", "Started", EventType::Info, &[]);
    collector.collect_metric("cpu", 45.2, "percent", &[]);

    let data = collector.flush().unwrap();
    assert_eq!((&*data.events[0].source, &*data.events[0].message), ("app", "Started"));
    assert_eq!(
        (&*data.metrics[0].name, data.metrics[0].value, &*data.metrics[0].unit),
        ("cpu", 45.2, "percent")
    );
}

#[test]
fn pattern_2_real_time_monitoring() {
    let (alert, alerts) = mpsc::channel();
    let config = TelemetryConfig { realtime_mode: true, ..TelemetryConfig::default() };
    let collector = TelemetryCollector::new(config).unwrap();

    let monitor = move |data: &TelemetryData| {
        for metric in &data.metrics {
            if metric.name == "cpu" && metric.value > 80.0 {
                alert.send(format!("High CPU: {}%", metric.value)).unwrap();
            }
        }
    };

    collector.add_listener(monitor).unwrap();

    collector.collect_metric("cpu", 45.2, "percent", &[]);
    collector.collect_metric("cpu", 99.0, "percent", &[]);
    assert_eq!(alerts.recv_timeout(PATIENCE).unwrap(), "High CPU: 99%");
}

#[test]
fn pattern_4_multi_consumer_processing() {
    let collector = TelemetryCollector::new(TelemetryConfig::default()).unwrap();
    let storage = Arc::new(MemoryStorage::new());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let send_to = |place: &'static str| {
        let seen = seen.clone();
        move |data: &TelemetryData| seen.lock().unwrap().push((place, data.len()))
    };
    let (send_to_monitoring, update_dashboard, check_alerts) =
        (send_to("monitoring"), send_to("dashboard"), send_to("alerts"));

    let stream = TelemetryStream::new(&collector, storage.clone());

    // Add multiple consumers
    stream.add_consumer(move |d| send_to_monitoring(d)).unwrap();
    stream.add_consumer(move |d| update_dashboard(d)).unwrap();
    stream.add_consumer(move |d| check_alerts(d)).unwrap();

    stream.start().unwrap();

    collector.collect_event("app", "Started", EventType::Info, &[]);
    stream.stop().unwrap();
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    assert_eq!(seen, [("alerts", 1), ("dashboard", 1), ("monitoring", 1)]);
    assert_eq!(storage.stats().items, 1);
}

#[test]
fn the_configurations_of_the_specification_are_valid() {
    let high_volume = TelemetryConfig {
        enabled: true,
        buffer_size: 1000,                       // Large buffer
        flush_interval: Duration::from_secs(10), // Flush every 10s
        realtime_mode: false,                    // Disable for performance
        storage_backend: StorageBackend::File,
        storage_path: Some("/var/log/telemetry/data.jsonl".into()),
        ..TelemetryConfig::default()
    };
    let monitoring = TelemetryConfig {
        enabled: true,
        buffer_size: 10, // Small buffer
        flush_interval: Duration::from_millis(500),
        realtime_mode: true, // Enable real-time
        storage_backend: StorageBackend::Memory,
        ..TelemetryConfig::default()
    };
    let development = TelemetryConfig {
        enabled: true,
        buffer_size: 5,
        flush_interval: Duration::from_secs(1),
        realtime_mode: true,
        storage_backend: StorageBackend::Memory,
        ..TelemetryConfig::default()
    };
    for config in [high_volume, monitoring, development] {
        assert_eq!(config.validate(), Ok(()));
    }
    let default = TelemetryConfig::default();
    assert_eq!(
        (default.enabled, default.buffer_size, default.flush_interval),
        (true, 1000, Duration::from_secs(1))
    );
    assert_eq!((default.realtime_mode, default.storage_backend.as_str()), (false, "memory"));
    assert_eq!(default.storage_path, None);
}

#[test]
fn settings_out_of_range_are_named() {
    let with = |change: fn(&mut TelemetryConfig)| {
        let mut config = TelemetryConfig::default();
        change(&mut config);
        TelemetryCollector::new(config).map(drop).map_err(|error| error.setting)
    };
    assert_eq!(with(|_| {}), Ok(()));
    assert_eq!(with(|config| config.buffer_size = 0), Err("buffer_size"));
    assert_eq!(with(|config| config.buffer_size = config.max_items + 1), Err("buffer_size"));
    assert_eq!(with(|config| config.max_items = limits::MAX_BUFFER_ITEMS + 1), Err("max_items"));
    assert_eq!(with(|config| config.max_bytes = limits::MIN_BUFFER_BYTES - 1), Err("max_bytes"));
    assert_eq!(with(|config| config.flush_interval = Duration::ZERO), Err("flush_interval"));
    assert_eq!(with(|config| config.overflow = Overflow::Block(Duration::MAX)), Err("overflow"));
    assert_eq!(with(|config| config.storage_backend = StorageBackend::File), Err("storage_path"));
    assert_eq!("sqlite".parse(), Ok(StorageBackend::Sqlite));
    assert_eq!("postgres".parse::<StorageBackend>().unwrap_err().setting, "storage_backend");
}

/// Extension point: a custom storage backend.
#[derive(Default)]
struct DatabaseStorage {
    rows: Mutex<TelemetryData>,
}

impl TelemetryStorage for DatabaseStorage {
    fn store(&self, data: &TelemetryData) -> Result<(), StorageError> {
        // Store in database
        self.rows.lock().unwrap().append(data.clone());
        Ok(())
    }

    fn retrieve(
        &self,
        start_time: Option<u64>,
        end_time: Option<u64>,
        limit: Option<usize>,
    ) -> Result<TelemetryData, StorageError> {
        // Query from database
        let mut rows = self.rows.lock().unwrap().clone();
        rows.select(start_time, end_time, limit);
        Ok(rows)
    }
}

/// Extension point: custom consumers.
#[test]
fn custom_storage_and_custom_consumers() {
    let collector = TelemetryCollector::new(TelemetryConfig::default()).unwrap();
    let storage = Arc::new(DatabaseStorage::default());
    let stream = TelemetryStream::new(&collector, storage.clone());
    let told = Arc::new(Mutex::new(Vec::new()));
    let (sent, threshold) = (told.clone(), 90.0);

    let custom_consumer = move |data: &TelemetryData| {
        // Process events
        for event in &data.events {
            if event.event_type == EventType::Error {
                sent.lock().unwrap().push(format!("alert: {}", event.message));
            }
        }

        // Process metrics
        for metric in &data.metrics {
            if metric.value > threshold {
                sent.lock().unwrap().push(format!("action: {}", metric.name));
            }
        }
    };

    stream.add_consumer(custom_consumer).unwrap();

    stream.start().unwrap();
    collector.collect_event("db", "gone", EventType::Error, &[]);
    collector.collect_event("db", "back", EventType::Info, &[]);
    collector.collect_metric("load", 91.0, "percent", &[]);
    collector.flush().unwrap();
    wait_until("both are told", || told.lock().unwrap().len() == 2);
    assert_eq!(*told.lock().unwrap(), ["alert: gone", "action: load"]);
    assert_eq!(storage.retrieve(None, None, Some(2)).unwrap().len(), 2);
}
