"""Events and metrics inside your process, collected from any thread, streamed and stored.

    import aldis

    collector = aldis.TelemetryCollector(aldis.TelemetryConfig())
    with aldis.TelemetryStream(collector, aldis.FileStorage("telemetry.jsonl")):
        collector.collect_event("app", "Started", aldis.EventType.INFO, {"pid": 42})
        collector.collect_metric("cpu", 45.2, "percent")

Sealed archives are in `aldis.archive`.
"""

from aldis import _raising as _raising
from aldis import archive as archive
from aldis import errors as errors
from aldis._enums import EventType as EventType
from aldis._native import Counter as Counter
from aldis._native import DatabaseStorage as DatabaseStorage
from aldis._native import FileStorage as FileStorage
from aldis._native import Gauge as Gauge
from aldis._native import MemoryStorage as MemoryStorage
from aldis._native import TelemetryCollector as TelemetryCollector
from aldis._native import TelemetryConfig as TelemetryConfig
from aldis._native import TelemetryData as TelemetryData
from aldis._native import TelemetryEvent as TelemetryEvent
from aldis._native import TelemetryMetric as TelemetryMetric
from aldis._native import TelemetryStorage as TelemetryStorage
from aldis._native import TelemetryStream as TelemetryStream
from aldis._native import __version__ as __version__
from aldis._process import register as _register
from aldis._stats import Aggregation as Aggregation
from aldis._stats import CollectorStats as CollectorStats
from aldis._stats import FileStats as FileStats
from aldis._stats import MemoryStats as MemoryStats
from aldis._stats import SubscriberStats as SubscriberStats
from aldis.errors import ConfigError as ConfigError
from aldis.errors import Error as Error
from aldis.errors import FlushError as FlushError
from aldis.errors import StopError as StopError
from aldis.errors import StorageError as StorageError
from aldis.errors import StreamError as StreamError

_register()

__all__ = [
    "Aggregation",
    "CollectorStats",
    "ConfigError",
    "Counter",
    "DatabaseStorage",
    "Error",
    "EventType",
    "FileStats",
    "FileStorage",
    "FlushError",
    "Gauge",
    "MemoryStats",
    "MemoryStorage",
    "StopError",
    "StorageError",
    "StreamError",
    "SubscriberStats",
    "TelemetryCollector",
    "TelemetryConfig",
    "TelemetryData",
    "TelemetryEvent",
    "TelemetryMetric",
    "TelemetryStorage",
    "TelemetryStream",
    "__version__",
    "archive",
    "errors",
]
