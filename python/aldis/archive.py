"""Sealed archives: streams compressed, encrypted and verified in frames.

    from aldis import archive

    archive.seal("telemetry.jsonl", "telemetry.sealed", password="correct horse")
    snapshot = archive.open("telemetry.sealed", "telemetry.jsonl", password="correct horse")
    print(snapshot.compression_ratio, snapshot.elapsed)
"""

from aldis._enums import Direction as Direction
from aldis._enums import Stage as Stage
from aldis._native import Archive as Archive
from aldis._native import StageTimes as StageTimes
from aldis._native import TelemetryCounters as TelemetryCounters
from aldis._native import TelemetrySnapshot as TelemetrySnapshot
from aldis._native import TelemetryTimer as TelemetryTimer
from aldis._native import open as open
from aldis._native import seal as seal
from aldis._native import verify as verify

__all__ = [
    "Archive",
    "Direction",
    "Stage",
    "StageTimes",
    "TelemetryCounters",
    "TelemetrySnapshot",
    "TelemetryTimer",
    "open",
    "seal",
    "verify",
]
