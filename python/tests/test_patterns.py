"""The specification's examples, as they stand there but for imports and names that they leave open."""

from pathlib import Path
from typing import Any, List

from aldis import (
    EventType,
    FileStorage,
    MemoryStorage,
    TelemetryCollector,
    TelemetryConfig,
    TelemetryData,
    TelemetryStorage,
    TelemetryStream,
)
from waiting import until


def test_simple_collection() -> None:
    collector = TelemetryCollector(TelemetryConfig())
    collector.collect_event("app", "Started", EventType.INFO)
    collector.collect_metric("cpu", 45.2, "percent")
    data = collector.flush()
    assert [(event.source, event.message, event.event_type) for event in data.events] == [
        ("app", "Started", EventType.INFO)
    ]
    assert [(metric.name, metric.value, metric.unit) for metric in data.metrics] == [("cpu", 45.2, "percent")]


def test_real_time_monitoring() -> None:
    alerts: List[str] = []
    alert = alerts.append

    config = TelemetryConfig(realtime_mode=True)
    collector = TelemetryCollector(config)

    def monitor(data: TelemetryData) -> None:
        for metric in data.metrics:
            if metric.name == "cpu" and metric.value > 80:
                alert(f"High CPU: {metric.value}%")

    collector.add_listener(monitor)
    collector.collect_metric("cpu", 12.0)
    collector.collect_metric("cpu", 93.5)
    until(lambda: alerts)
    assert alerts == ["High CPU: 93.5%"]


def test_persistent_storage(tmp_path: Path) -> None:
    collector = TelemetryCollector(TelemetryConfig(flush_interval=0.01))
    storage = FileStorage(tmp_path / "log/telemetry.jsonl")
    stream = TelemetryStream(collector, storage)
    stream.start()
    # Data is automatically persisted
    collector.collect_event("app", "Started")
    until(lambda: storage.retrieve().events)
    stream.stop()
    assert (tmp_path / "log/telemetry.jsonl").read_text().count("\n") == 1


def test_multi_consumer_processing() -> None:
    monitored: List[TelemetryData] = []
    shown: List[TelemetryData] = []
    checked: List[TelemetryData] = []
    send_to_monitoring, update_dashboard, check_alerts = monitored.append, shown.append, checked.append
    collector, storage = TelemetryCollector(TelemetryConfig()), MemoryStorage()
    stream = TelemetryStream(collector, storage)

    # Add multiple consumers
    stream.add_consumer(lambda d: send_to_monitoring(d))
    stream.add_consumer(lambda d: update_dashboard(d))
    stream.add_consumer(lambda d: check_alerts(d))

    stream.start()
    collector.collect_event("app", "Started", EventType.INFO)
    stream.stop()
    assert monitored == shown == checked
    assert monitored[0].events[0].message == "Started"
    assert storage.retrieve() == monitored[0]


def test_configuration_examples() -> None:
    config = TelemetryConfig(
        enabled=True,
        buffer_size=1000,      # Large buffer
        flush_interval=10.0,   # Flush every 10s
        realtime_mode=False,   # Disable for performance
        storage_backend="file",
        storage_path="/var/log/telemetry/data.jsonl"
    )
    assert (config.storage_backend, config.storage_path) == ("file", "/var/log/telemetry/data.jsonl")
    config = TelemetryConfig(
        enabled=True,
        buffer_size=10,        # Small buffer
        flush_interval=0.5,    # Flush every 500ms
        realtime_mode=True,    # Enable real-time
        storage_backend="memory"
    )
    assert (config.buffer_size, config.flush_interval) == (10, 0.5)
    config = TelemetryConfig(
        enabled=True,
        buffer_size=5,
        flush_interval=1.0,
        realtime_mode=True,
        storage_backend="memory"
    )
    assert config.realtime_mode


def test_custom_storage_backend_and_consumer() -> None:
    stored: List[TelemetryData] = []

    class DatabaseStorage(TelemetryStorage):
        def store(self, data: TelemetryData) -> None:
            # Store in database
            stored.append(data)

        def retrieve(self, start_time: Any = None, end_time: Any = None, limit: Any = None) -> TelemetryData:
            # Query from database
            return stored[0]

    alerts: List[object] = []
    actions: List[object] = []
    send_alert, trigger_action, threshold = alerts.append, actions.append, 10

    def custom_consumer(data: TelemetryData) -> None:
        # Process events
        for event in data.events:
            if event.event_type == EventType.ERROR:
                send_alert(event)

        # Process metrics
        for metric in data.metrics:
            if metric.value > threshold:
                trigger_action(metric)

    collector = TelemetryCollector(TelemetryConfig())
    stream = TelemetryStream(collector, DatabaseStorage())
    stream.add_consumer(custom_consumer)
    stream.start()
    collector.collect_event("db", "slow", EventType.WARNING)
    collector.collect_event("db", "gone", EventType.ERROR)
    collector.collect_metric("queue", 9)
    collector.collect_metric("queue", 11)
    collector.flush()
    stream.stop()
    assert [event.message for data in stored for event in data.events] == ["slow", "gone"]
    assert [len(alerts), len(actions)] == [1, 1]
    assert stream.storage.retrieve() is stored[0]
