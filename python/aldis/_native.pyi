from datetime import datetime, timedelta
from os import PathLike
from types import TracebackType
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Literal,
    Mapping,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Type,
    Union,
    final,
)

from typing_extensions import Self, disjoint_base

from aldis._enums import Direction, EventType, Stage
from aldis._stats import Aggregation, CollectorStats, FileStats, MemoryStats, SubscriberStats

__version__: str

__all__ = [
    "__version__",
    "StageTimes",
    "TelemetryCounters",
    "TelemetryTimer",
    "Archive",
    "TelemetrySnapshot",
    "open",
    "seal",
    "verify",
    "Counter",
    "Gauge",
    "TelemetryCollector",
    "TelemetryConfig",
    "TelemetryData",
    "TelemetryEvent",
    "TelemetryMetric",
    "after_fork_in_child",
    "at_exit",
    "get_ready",
    "Records",
    "DatabaseStorage",
    "FileStorage",
    "MemoryStorage",
    "TelemetryStorage",
    "TelemetryStream",
]

_Path = Union[str, "PathLike[str]"]
_Time = Union[float, datetime, str]
_Seconds = Union[float, timedelta]
_Severity = Union[EventType, str]
_Key = Union[bytes, bytearray, str]
_StageName = Union[Stage, str]

class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...

class _Writable(Protocol):
    def write(self, data: bytes, /) -> Optional[int]: ...

class _Storage(Protocol):
    def store(self, data: TelemetryData, /) -> object: ...
    def retrieve(self, start_time: Any = ..., end_time: Any = ..., limit: Any = ..., /) -> TelemetryData: ...

_Source = Union[_Path, bytes, bytearray, _Readable]
_Target = Union[_Path, _Writable]

@final
class TelemetryConfig:
    """Settings of a `TelemetryCollector`."""
    def __new__(
        cls,
        enabled: bool = True,
        buffer_size: Optional[int] = None,
        flush_interval: Optional[_Seconds] = None,
        realtime_mode: bool = False,
        storage_backend: Optional[Literal["memory", "file", "sqlite"]] = None,
        storage_path: Optional[_Path] = None,
        *,
        overflow: Optional[Literal["drop_oldest", "drop_newest", "block"]] = None,
        block_timeout: Optional[_Seconds] = None,
        max_items: Optional[int] = None,
        max_bytes: Optional[int] = None,
    ) -> Self: ...
    @property
    def enabled(self) -> bool:
        """Whether anything is recorded at all."""
    @property
    def buffer_size(self) -> int:
        """Records that make a running stream flush, and that a collector without one holds."""
    @property
    def flush_interval(self) -> float:
        """Seconds that a record waits for the stream, at most."""
    @property
    def realtime_mode(self) -> bool:
        """Whether listeners are called, and at once."""
    @property
    def storage_backend(self) -> Literal["memory", "file", "sqlite"]:
        """Where a stream without a storage of its own stores."""
    @property
    def storage_path(self) -> Optional[str]:
        """The file or database of that backend."""
    @property
    def overflow(self) -> Literal["drop_oldest", "drop_newest", "block"]:
        """What becomes of a record for which there is no room."""
    @property
    def block_timeout(self) -> Optional[float]:
        """Seconds that whoever records waits for room, where overflow is block."""
    @property
    def max_items(self) -> int:
        """Records buffered at most while a stream runs."""
    @property
    def max_bytes(self) -> int:
        """Bytes buffered at most."""
    def replace(self, **changes: Any) -> TelemetryConfig:
        """Another one with these settings changed."""
    def __replace__(self, **changes: Any) -> TelemetryConfig: ...
    def __getnewargs_ex__(self) -> Tuple[Tuple[()], Dict[str, Any]]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class TelemetryEvent:
    """Something that happened."""
    __match_args__ = ("source", "message", "event_type", "metadata")
    def __new__(
        cls,
        source: str,
        message: str,
        event_type: Optional[_Severity] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        *,
        timestamp: Optional[_Time] = None,
        time_ns: Optional[int] = None,
        lane: int = 0,
        seq: int = 0,
    ) -> Self: ...
    @property
    def source(self) -> str:
        """The part of the program that says it."""
    @property
    def message(self) -> str:
        """What happened."""
    @property
    def event_type(self) -> EventType:
        """How severe it is."""
    @property
    def metadata(self) -> Dict[str, Any]:
        """Key-values: a new `dict` each time."""
    @property
    def timestamp(self) -> datetime:
        """When it was recorded: aware, in UTC."""
    @property
    def time_ns(self) -> int:
        """When it was recorded, in Unix nanoseconds."""
    @property
    def lane(self) -> int:
        """The number of the thread that recorded it."""
    @property
    def seq(self) -> int:
        """Its number in its lane, from 1: a gap is a record that was dropped."""
    def to_json(self) -> str:
        """Its line of JSON, without the line end."""
    @classmethod
    def from_json(cls, text: str) -> TelemetryEvent: ...
    def to_dict(self) -> Dict[str, Any]:
        """What its line of JSON says."""
    def __reduce__(self) -> Tuple[Callable[..., TelemetryEvent], Tuple[Any, ...]]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any: ...

@final
class TelemetryMetric:
    """Something that was measured."""
    __match_args__ = ("name", "value", "unit", "tags")
    def __new__(
        cls,
        name: str,
        value: float,
        unit: str = "",
        tags: Optional[Mapping[str, Any]] = None,
        *,
        kind: Literal["gauge", "delta"] = "gauge",
        timestamp: Optional[_Time] = None,
        time_ns: Optional[int] = None,
        lane: int = 0,
        seq: int = 0,
    ) -> Self: ...
    @property
    def name(self) -> str:
        """What was measured."""
    @property
    def value(self) -> float:
        """The number."""
    @property
    def unit(self) -> str:
        """Its unit; empty where it has none."""
    @property
    def tags(self) -> Dict[str, str]:
        """Key-values that tell this series from others of the name: a new `dict` each time."""
    @property
    def kind(self) -> Literal["gauge", "delta"]:
        """`gauge`: the value at a time. `delta`: what was added since the last one."""
    @property
    def timestamp(self) -> datetime:
        """When it was recorded: aware, in UTC."""
    @property
    def time_ns(self) -> int:
        """When it was recorded, in Unix nanoseconds."""
    @property
    def lane(self) -> int:
        """The number of the thread that recorded it."""
    @property
    def seq(self) -> int:
        """Its number in its lane, from 1: a gap is a record that was dropped."""
    def to_json(self) -> str:
        """Its line of JSON, without the line end."""
    @classmethod
    def from_json(cls, text: str) -> TelemetryMetric: ...
    def to_dict(self) -> Dict[str, Any]:
        """What its line of JSON says."""
    def __reduce__(self) -> Tuple[Callable[..., TelemetryMetric], Tuple[Any, ...]]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any: ...

@final
class TelemetryData:
    """Events and metrics, each in the order in which they were recorded by each thread."""
    __match_args__ = ("events", "metrics")
    def __new__(
        cls,
        events: Optional[Iterable[TelemetryEvent]] = None,
        metrics: Optional[Iterable[TelemetryMetric]] = None,
    ) -> Self: ...
    @property
    def events(self) -> Tuple[TelemetryEvent, ...]:
        """What happened."""
    @property
    def metrics(self) -> Tuple[TelemetryMetric, ...]:
        """What was measured."""
    def to_jsonl(self) -> str:
        """Events, then metrics, a line of JSON for each, as `FileStorage` writes them."""
    @classmethod
    def from_jsonl(cls, text: str) -> TelemetryData: ...
    def __iter__(self) -> Iterator[Union[TelemetryEvent, TelemetryMetric]]: ...
    def __len__(self) -> int: ...
    def __add__(self, other: TelemetryData, /) -> TelemetryData: ...
    def __radd__(self, other: Any, /) -> Any: ...
    def __reduce__(self) -> Tuple[Type[TelemetryData], Tuple[Any, ...]]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Counter:
    """A metric that counts: what was added since the last flush becomes one metric at the next."""
    def add(self, count: int = 1) -> None:
        """Adds."""
    @property
    def pending(self) -> int:
        """What was added and not recorded yet."""

@final
class Gauge:
    """A metric that has a value: the last one set before a flush is recorded by it."""
    def set(self, value: float) -> None:
        """Sets the value."""

@final
class TelemetryCollector:
    """Collects events and metrics from all threads of a program.

    Recording writes into a buffer of the calling thread and returns; it waits for nobody, unless the configuration says so.
    """
    def __new__(cls, config: Optional[TelemetryConfig] = None) -> Self: ...
    @property
    def config(self) -> TelemetryConfig:
        """Its configuration."""
    def collect_event(
        self,
        source: str,
        message: str,
        event_type: Optional[_Severity] = None,
        metadata: Optional[Mapping[str, Any]] = None,
    ) -> bool:
        """Records an event, now; INFO unless said. False: it was not taken, and is counted as dropped, or collecting is disabled."""
    def emit(self, source: str, message: str, event_type: Optional[_Severity] = ..., /, **metadata: Any) -> bool:
        """As `collect_event`, with metadata as keywords."""
    def collect_metric(
        self,
        name: str,
        value: float,
        unit: Optional[str] = None,
        tags: Optional[Mapping[str, Any]] = None,
    ) -> bool:
        """Records a measurement, now. False: it was not taken, and is counted as dropped, or collecting is disabled."""
    def counter(self, name: str, unit: str = "", tags: Optional[Mapping[str, Any]] = None) -> Counter:
        """A metric that counts what happens between flushes."""
    def gauge(self, name: str, unit: str = "", tags: Optional[Mapping[str, Any]] = None) -> Gauge:
        """A metric that has a value: the last one before a flush is recorded."""
    def add_listener(self, listener: Callable[[TelemetryData], object]) -> int:
        """Shows records to `listener` as soon as they are recorded, if `realtime_mode` is set, on a thread of its own.

        What it raises goes to `sys.unraisablehook`, and is counted. Its number.
        """
    def remove_listener(self, listener: Union[int, Callable[[TelemetryData], object]]) -> bool:
        """Shows a listener nothing any more. False: there is no such listener."""
    def listener_stats(self, listener: int) -> Optional[SubscriberStats]:
        """What became of the records shown to a listener."""
    def listener_error(self, listener: int) -> Optional[str]:
        """The last error of a listener."""
    def flush(self, timeout: Optional[_Seconds] = None) -> TelemetryData:
        """With a running stream a barrier: returns, with nothing, once everything accepted before is stored and synced.

        Without one: hands out what is buffered. The timeout is 30 seconds.
        """
    def close(self) -> None:
        """Takes nothing any more: what is recorded from now on is counted as dropped."""
    @property
    def is_streaming(self) -> bool:
        """Whether a stream takes what is recorded."""
    def stats(self) -> CollectorStats:
        """Where every record is."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        _type: Optional[Type[BaseException]] = ...,
        _error: Optional[BaseException] = ...,
        _traceback: Optional[TracebackType] = ...,
        /,
    ) -> None: ...

@disjoint_base
class TelemetryStorage:
    """Keeps records and finds them again: the base of all storages. A stream calls `store` on one thread, batch by batch."""
    def __new__(cls, *_arguments: Any, **_keywords: Any) -> Self: ...
    def store(self, data: TelemetryData) -> None:
        """Stores a batch. `StorageError(..., stored=n)` says that the first `n` records are stored all the same."""
    def retrieve(
        self,
        start_time: Optional[_Time] = None,
        end_time: Optional[_Time] = None,
        limit: Optional[int] = None,
    ) -> TelemetryData:
        """The records from `start_time` to before `end_time`, the oldest first, `limit` of them at most."""
    def sync(self) -> None:
        """Makes what was stored survive a crash of the machine, as far as this storage can."""
    def tick(self) -> None:
        """Does what is due by now: called about every flush interval of a stream."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        _type: Optional[Type[BaseException]] = ...,
        _error: Optional[BaseException] = ...,
        _traceback: Optional[TracebackType] = ...,
        /,
    ) -> None: ...

@disjoint_base
class MemoryStorage(TelemetryStorage):
    """Keeps the records stored last, bounded in records and bytes. A forked child's is empty."""
    def __new__(cls, max_items: Optional[int] = None, max_bytes: Optional[int] = None) -> Self: ...
    def stats(self) -> MemoryStats:
        """What it holds."""
    def __len__(self) -> int: ...

@disjoint_base
class FileStorage(TelemetryStorage):
    """Stores each record as a line of JSON behind the last, each batch by one `write(2)`."""
    def __new__(
        cls,
        path: _Path,
        *,
        sync: Union[Literal["never", "every_batch"], _Seconds, None] = None,
        compression: Optional[int] = None,
        rotate_bytes: Optional[int] = None,
        keep_files: Optional[int] = None,
    ) -> Self: ...
    @property
    def path(self) -> PathLike[str]:
        """The file that is written."""
    def scan(self, start_time: Optional[_Time] = None, end_time: Optional[_Time] = None) -> Records:
        """Iterates over records in the order in which they were stored, in constant memory."""
    def __iter__(self) -> Records: ...
    def rebuild_index(self) -> None:
        """Reads all files and writes their indexes anew."""
    def stats(self) -> FileStats:
        """What it has done in this process."""

@disjoint_base
class DatabaseStorage(TelemetryStorage):
    """Stores each batch as a transaction in a SQLite database, in the tables `events` and `metrics`."""
    def __new__(cls, path: _Path, *, sync_every_batch: bool = False, max_records: Optional[int] = None) -> Self: ...
    @property
    def path(self) -> PathLike[str]:
        """The database."""

@final
class Records:
    """An iterator over records."""
    def __iter__(self) -> Self: ...
    def __next__(self) -> Union[TelemetryEvent, TelemetryMetric]: ...

@final
class TelemetryStream:
    """Takes what a collector buffers, in the background: shows it to consumers, and stores it."""
    def __new__(
        cls,
        collector: TelemetryCollector,
        storage: Optional[_Storage] = None,
        *,
        sampling: Optional[Dict[EventType, float]] = None,
        aggregation: Optional[Aggregation] = None,
    ) -> Self: ...
    @property
    def collector(self) -> TelemetryCollector:
        """The collector that it takes from."""
    @property
    def storage(self) -> Any:
        """The storage: the one that was given, or that the configuration names."""
    def add_consumer(self, consumer: Callable[[TelemetryData], object]) -> int:
        """Shows everything that the stream takes to `consumer`, on a thread of its own, batch by batch. Its number."""
    def remove_consumer(self, consumer: Union[int, Callable[[TelemetryData], object]]) -> bool:
        """Shows a consumer nothing any more. False: there is no such consumer."""
    def consumer_stats(self, consumer: int) -> Optional[SubscriberStats]:
        """What became of the records shown to a consumer."""
    def consumer_error(self, consumer: int) -> Optional[str]:
        """The last error of a consumer."""
    @property
    def storage_error(self) -> Optional[str]:
        """The last error of the storage."""
    def start(self) -> None:
        """Begins to take from the collector, what it holds already first."""
    def stop(self, timeout: Optional[_Seconds] = None) -> None:
        """Stores what was accepted before the call, waits for consumers, and leaves the collector to itself. The timeout is 30 seconds.

        A consumer or the storage of the stream that asks for it gets a `StopFromWithinError` at once: it would wait for itself.
        """
    def __del__(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        _type: Optional[Type[BaseException]] = ...,
        _error: Optional[BaseException] = ...,
        _traceback: Optional[TracebackType] = ...,
        /,
    ) -> None: ...

@final
class StageTimes:
    """Busy seconds by stage, summed over all workers: the sum may exceed the time that has passed."""
    def __new__(cls, **seconds: _Seconds) -> Self: ...
    @property
    def read(self) -> float: ...
    @property
    def compress(self) -> float: ...
    @property
    def encrypt(self) -> float: ...
    @property
    def decrypt(self) -> float: ...
    @property
    def decompress(self) -> float: ...
    @property
    def write(self) -> float: ...
    def get(self, stage: _StageName) -> float:
        """The seconds of one stage."""
    def total(self) -> float:
        """The seconds of all stages together."""
    def __iter__(self) -> Iterator[Tuple[str, float]]: ...
    def __add__(self, other: StageTimes, /) -> StageTimes: ...
    def __radd__(self, other: Any, /) -> Any: ...
    def __getnewargs_ex__(self) -> Tuple[Tuple[()], Dict[str, float]]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class TelemetryTimer:
    """A monotonic clock that was started, and the busy times that were measured since."""
    def __new__(cls) -> Self: ...
    def measure(self, stage: _StageName) -> _Measure:
        """A context manager that adds the time that it was open."""
    def add(self, stage: _StageName, busy: _Seconds) -> None:
        """Adds time that was measured elsewhere."""
    @property
    def elapsed(self) -> float:
        """Seconds since it was started."""
    @property
    def stage_times(self) -> StageTimes:
        """Busy times so far."""

class _Measure(Protocol):
    def __enter__(self) -> None: ...
    def __exit__(
        self,
        _type: Optional[Type[BaseException]] = ...,
        _error: Optional[BaseException] = ...,
        _traceback: Optional[TracebackType] = ...,
        /,
    ) -> None: ...

@final
class TelemetryCounters:
    """Counts of a pipeline while it runs. Equal are those with equal counts."""
    def __new__(cls) -> Self: ...
    @property
    def frames_data(self) -> int: ...
    @property
    def frames_terminator(self) -> int: ...
    @property
    def frames_digest(self) -> int: ...
    @property
    def bytes_plaintext(self) -> int: ...
    @property
    def bytes_compressed(self) -> int: ...
    @property
    def bytes_ciphertext(self) -> int: ...
    @property
    def bytes_overhead(self) -> int: ...
    @property
    def stage_times(self) -> StageTimes: ...
    def add_header(self, bytes: int) -> None:
        """The header of an archive."""
    def add_encrypt_data(self, plaintext: int, compressed: int, overhead: int) -> None:
        """A data frame that was sealed."""
    def add_decrypt_data(self, plaintext: int, compressed: int, overhead: int) -> None:
        """A data frame that was opened."""
    def add_terminator(self, bytes: int) -> None:
        """The frame that ends an archive."""
    def add_digest(self, bytes: int) -> None:
        """The frame with the digest of the plaintext."""
    def add_index(self, bytes: int) -> None:
        """A frame of the index: overhead, and no data frame."""
    def add_timer(self, timer: TelemetryTimer) -> None:
        """Takes in the busy times of a timer, and the earlier of both starts."""
    def end(self) -> None:
        """The clock stops now."""
    def merge(self, other: TelemetryCounters) -> None:
        """Adds another's counts and stage times; the earlier start and the later end stay."""
    def __iadd__(self, other: TelemetryCounters, /) -> Self: ...
    def snapshot(self) -> TelemetrySnapshot:
        """An immutable copy."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@final
class TelemetrySnapshot:
    """What a pipeline did, at its end. Always finite."""
    @classmethod
    def from_json(cls, text: str) -> TelemetrySnapshot: ...
    def to_json(self) -> str:
        """As JSON; times are seconds."""
    def to_dict(self) -> Dict[str, Any]:
        """As what its JSON says."""
    @property
    def frames_data(self) -> int:
        """Frames that hold a part of the stream."""
    @property
    def frames_terminator(self) -> int:
        """Frames that end an archive."""
    @property
    def frames_digest(self) -> int:
        """Frames that hold the digest of the plaintext."""
    @property
    def bytes_plaintext(self) -> int:
        """Bytes of the stream as it was given, or came back."""
    @property
    def bytes_compressed(self) -> int:
        """Bytes of the stream after compression."""
    @property
    def bytes_ciphertext(self) -> int:
        """Bytes of the archive: compressed and overhead."""
    @property
    def bytes_overhead(self) -> int:
        """Bytes of the archive that are no part of the stream."""
    @property
    def compression_ratio(self) -> float:
        """Compressed by plaintext bytes: below 1 is good; 0 where there is no plaintext."""
    @property
    def throughput_bytes_per_sec(self) -> float:
        """Plaintext bytes by seconds that have passed; 0 where no time has."""
    @property
    def stage_times(self) -> StageTimes:
        """Busy time by stage, summed over workers."""
    @property
    def elapsed(self) -> float:
        """Seconds that have passed from start to end."""
    @property
    def output(self) -> Optional[Tuple[PathLike[str], int]]:
        """Path and length of the file that was written, if it was one."""
    def sanity_check(self) -> List[str]:
        """Every identity of a whole archive that does not hold, in words."""
    def has_all_stages(self, direction: Union[Direction, str]) -> bool:
        """Whether every stage of this direction was measured."""
    def attach_output(self, path: _Path, bytes: int) -> TelemetrySnapshot:
        """The same, with where the result went and how long that file is."""
    def __reduce__(self) -> Tuple[Callable[[str], TelemetrySnapshot], Tuple[str]]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Archive:
    """An archive whose end and index were verified, of which parts are opened as they are asked for."""
    def __new__(
        cls,
        source: _Source,
        *,
        key: Optional[_Key] = None,
        password: Optional[_Key] = None,
        context: Optional[bytes] = None,
    ) -> Self: ...
    @property
    def plaintext_bytes(self) -> int:
        """Bytes of the stream."""
    @property
    def times(self) -> Optional[Tuple[datetime, datetime]]:
        """The first and the last time of its lines, if it was sealed with their times."""
    def read(self, start: int = 0, stop: Optional[int] = None) -> bytes:
        """The bytes of the stream from `start` to before `stop`."""
    def copy(self, target: _Target, start: int = 0, stop: Optional[int] = None) -> None:
        """Writes the bytes from `start` to before `stop`."""
    def copy_lines(
        self,
        target: _Target,
        start_time: Optional[_Time] = None,
        end_time: Optional[_Time] = None,
        *,
        times: Sequence[str],
    ) -> int:
        """Writes the lines with a time from `start_time` to before `end_time`; how many."""
    def snapshot(self) -> TelemetrySnapshot:
        """What was read and opened so far."""
    def close(self) -> None:
        """Lets go of the file."""
    def __len__(self) -> int: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        _type: Optional[Type[BaseException]] = ...,
        _error: Optional[BaseException] = ...,
        _traceback: Optional[TracebackType] = ...,
        /,
    ) -> None: ...

def seal(
    source: _Source,
    target: _Target,
    *,
    key: Optional[_Key] = None,
    password: Optional[_Key] = None,
    level: int = 3,
    workers: int = 0,
    frame_bytes: int = ...,
    context: Optional[bytes] = None,
    cost: Optional[Tuple[int, int, int]] = None,
    salt: Optional[bytes] = None,
    times: Optional[Sequence[str]] = None,
) -> TelemetrySnapshot:
    """Seals a path, bytes, or what can be read into a path, which appears when it is whole, or what can be written.

    `workers` is 0 for one on each CPU; the archive is the same for any number. `times` names the ends of keys that say the times of
    lines of JSON, so that they can be found by them. `cost` is what a password costs to check: KiB, passes, lanes.
    """

def open(
    source: _Source,
    target: _Target,
    *,
    key: Optional[_Key] = None,
    password: Optional[_Key] = None,
    workers: int = 0,
    context: Optional[bytes] = None,
    max_plaintext_bytes: Optional[int] = None,
) -> TelemetrySnapshot:
    """Opens an archive. A path appears when the end was verified; what is written elsewhere is authentic, but maybe not all."""

def verify(
    source: _Source,
    *,
    key: Optional[_Key] = None,
    password: Optional[_Key] = None,
    workers: int = 0,
    context: Optional[bytes] = None,
    max_plaintext_bytes: Optional[int] = None,
) -> TelemetrySnapshot:
    """Reads an archive to its end and forgets what it holds."""

def at_exit(patience: float) -> List[int]:
    """Stops running streams, then lets no thread of the library into the interpreter any more; the threads that stay inside."""

def get_ready() -> None:
    """Looks up what may be needed when modules are gone."""

def after_fork_in_child() -> None:
    """Only the thread that forked is in a child."""
