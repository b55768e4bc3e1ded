"""What became of records, and how they are put together before they are stored."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Dict, Tuple, Union


@dataclass(frozen=True)
class CollectorStats:
    """Where every record of a collector is, at one instant."""

    emitted: int
    """Records offered to the collector."""
    delivered: int
    """Records stored, or handed out by `flush`."""
    sampled_out: int
    """Events left out of storage by sampling."""
    aggregated: int
    """Measurements that were stored as part of an aggregate."""
    dropped: Dict[str, int]
    """Records dropped, by why."""
    buffered: int
    """Records waiting, being stored, or in open aggregates."""
    unseen: int
    """Records that went by before a listener in real time could be shown them: no loss."""
    listeners_active: bool
    """Whether listeners are called: not without `realtime_mode`."""

    @property
    def is_closed_sum(self) -> bool:
        """Whether every record is in exactly one place."""
        places = self.delivered + self.sampled_out + self.aggregated + self.buffered
        return self.emitted == places + sum(self.dropped.values())


@dataclass(frozen=True)
class SubscriberStats:
    """What became of the records shown to one listener or consumer."""

    offered: int
    """Records that it was to see."""
    delivered: int
    """Records that it took."""
    failed: int
    """Records of calls that raised."""
    lagged: int
    """Records that it missed because it was too slow."""
    pending: int
    """Records that wait for it, or that it is being shown."""

    @property
    def is_closed_sum(self) -> bool:
        """Whether every record is in exactly one place."""
        return self.offered == self.delivered + self.failed + self.lagged + self.pending


@dataclass(frozen=True)
class MemoryStats:
    """What a `MemoryStorage` holds."""

    items: int
    """Records kept."""
    bytes: int
    """Bytes that they take, about."""
    evicted: int
    """Records that made room for newer ones."""


@dataclass(frozen=True)
class FileStats:
    """What a `FileStorage` has done in this process."""

    written_records: int
    """Records written."""
    written_bytes: int
    """Bytes written, as they are in files."""
    healed: int
    """Torn last lines that were found on opening, and ended."""
    rotations: int
    """Files put aside."""
    removed_files: int
    """Files removed to keep no more than asked for."""
    syncs: int
    """Times that a file was synced."""
    bad_lines: int
    """Bad lines that readers came across, each time anew."""


@dataclass(frozen=True)
class Aggregation:
    """Stores, instead of each measurement, one metric for each window, series and function."""

    window: Union[float, timedelta]
    """Seconds, or a `timedelta`."""
    functions: Tuple[str, ...] = ("last",)
    """Of `count`, `sum`, `min`, `max`, `mean`, `last`; one at least."""
