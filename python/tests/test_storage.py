"""Storages: those of the library, those that are written in Python, and the stream before them."""

import json
import sqlite3
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, List, Type

import pytest

import aldis
from aldis import (
    Aggregation,
    DatabaseStorage,
    EventType,
    FileStats,
    FileStorage,
    MemoryStats,
    MemoryStorage,
    StorageError,
    TelemetryCollector,
    TelemetryConfig,
    TelemetryData,
    TelemetryEvent,
    TelemetryMetric,
    TelemetryStorage,
    TelemetryStream,
    archive,
)
from aldis.errors import (
    AlreadyStreamingError,
    FlushStoppedError,
    FlushTimeoutError,
    NotSyncedError,
    StopError,
    StopFromWithinError,
    WhileStoringError,
)
from waiting import PATIENCE, until

EVENTS = [TelemetryEvent("a", str(second), metadata={"n": second}, timestamp=second) for second in (5, 3, 9, 7)]
METRICS = [TelemetryMetric("m", 1.5, timestamp=6)]
DATA = TelemetryData(EVENTS, METRICS)


def storages(folder: Path) -> Dict[str, TelemetryStorage]:
    return {
        "memory": MemoryStorage(),
        "file": FileStorage(folder / "t.jsonl"),
        "zstd": FileStorage(str(folder / "t.jsonl.zst"), compression=3),
        "database": DatabaseStorage(folder / "t.db"),
    }


@pytest.mark.parametrize("kind", ["memory", "file", "zstd", "database"])
def test_what_is_stored_is_found_by_its_time(kind: str, tmp_path: Path) -> None:
    with storages(tmp_path)[kind] as storage:
        assert isinstance(storage, TelemetryStorage)
        storage.store(DATA)
        storage.tick()
        found = storage.retrieve()
        assert [event.message for event in found.events] == ["3", "5", "7", "9"]
        assert list(found.metrics) == METRICS
        since = datetime(1970, 1, 1, 0, 0, 5, tzinfo=timezone.utc)
        assert [event.message for event in storage.retrieve(since, 9.0).events] == ["5", "7"]
        assert [event.message for event in storage.retrieve("1970-01-01T00:00:05Z", since + timedelta(seconds=1)).events] == ["5"]
        assert len(storage.retrieve(limit=3)) == 3 and not storage.retrieve(limit=0)
        assert [event.message for event in storage.retrieve(end_time=4).events] == ["3"]
        with pytest.raises(ValueError):
            storage.retrieve(limit=-1)


def test_memory_is_bounded() -> None:
    storage = MemoryStorage(max_items=2)
    storage.store(DATA)
    assert isinstance(storage.stats(), MemoryStats)
    assert (len(storage), storage.stats().items, storage.stats().evicted) == (2, 2, 3)


def test_a_file_is_lines_that_others_read(tmp_path: Path) -> None:
    path = tmp_path / "deep/t.jsonl"
    storage = FileStorage(path, sync="every_batch")
    storage.store(DATA)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [record.to_dict() for record in DATA]
    assert path.read_text() == DATA.to_jsonl()
    assert storage.stats().written_records == 5 and storage.stats().syncs >= 1
    assert Path(storage.path) == path and repr(storage) == f"FileStorage({str(path)!r})"


def test_threads_that_share_an_iterator_get_each_record_once(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "t.jsonl")
    storage.store(TelemetryData([TelemetryEvent("a", "b", time_ns=n) for n in range(20_000)]))
    shared = storage.scan()
    taken: List[List[int]] = [[] for _ in range(4)]

    def take(into: List[int]) -> None:
        for record in shared:
            into.append(record.time_ns)
            # Slower than what is read: batches wait for threads, and threads for each other.
            time.sleep(0)

    threads = [threading.Thread(target=take, args=(into,)) for into in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(n for into in taken for n in into) == list(range(20_000))
    assert all(into == sorted(into) for into in taken)


def test_a_file_is_iterated_in_the_order_in_which_it_was_stored(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "t.jsonl")
    for start in range(0, 5000, 500):
        storage.store(TelemetryData([TelemetryEvent("a", str(n), time_ns=n) for n in range(start, start + 500)]))
    assert [record.time_ns for record in storage] == list(range(5000))
    assert [record.time_ns for record in storage.scan(time_of(10), time_of(20))] == list(range(10_000)[10:20])
    # Whoever stops early holds up nobody.
    few = iter(storage)
    assert [next(few).time_ns for _ in range(3)] == [0, 1, 2]
    del few
    storage.store(DATA)
    assert sum(1 for _ in storage) == 5005


def time_of(ns: int) -> float:
    return ns / 1e9


def test_files_rotate_and_bad_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('nonsense\n{"torn')
    storage = FileStorage(path, rotate_bytes=4096, keep_files=2)
    for number in range(200):
        storage.store(TelemetryData([TelemetryEvent("a", "x" * 100, time_ns=number)]))
    stats = storage.stats()
    assert isinstance(stats, FileStats)
    assert stats.healed == 1 and stats.rotations > 2 and stats.removed_files == stats.rotations - 2
    storage.rebuild_index()
    assert list(storage)[-1].time_ns == 199


def test_what_cannot_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for opening in (
        lambda: FileStorage(tmp_path / "folder"),
        lambda: FileStorage(tmp_path / "t", compression=99),
        lambda: DatabaseStorage(tmp_path / "folder"),
    ):
        with pytest.raises(StorageError) as raised:
            opening()
        assert raised.value.code == "storage" and str(raised.value)
    with pytest.raises(ValueError):
        FileStorage(tmp_path / "t", sync="often")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_a_database_is_one_that_others_query(tmp_path: Path) -> None:
    storage = DatabaseStorage(tmp_path / "t.db", max_records=100)
    storage.store(DATA)
    database = sqlite3.connect(str(tmp_path / "t.db"))
    assert database.execute("SELECT count(*) FROM events").fetchone() == (4,)
    database.close()
    assert Path(storage.path) == tmp_path / "t.db"


@pytest.mark.parametrize(
    ("backend", "kind"), [("memory", MemoryStorage), ("file", FileStorage), ("sqlite", DatabaseStorage)]
)
def test_a_stream_without_a_storage_takes_that_of_the_configuration(
    backend: Any, kind: Type[TelemetryStorage], tmp_path: Path
) -> None:
    path = None if backend == "memory" else tmp_path / "t"
    collector = TelemetryCollector(TelemetryConfig(storage_backend=backend, storage_path=path))
    with TelemetryStream(collector) as stream:
        assert type(stream.storage) is kind and stream.collector is collector
        collector.collect_event("a", "b")
        assert not collector.flush() and collector.is_streaming
        assert stream.storage.retrieve().events[0].message == "b"
    assert not collector.is_streaming


class Recording(TelemetryStorage):
    """Keeps batches, and does what a test wants before."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.batches: List[TelemetryData] = []
        self.calls: List[str] = []

    def before(self, data: TelemetryData) -> None:
        pass

    def store(self, data: TelemetryData) -> None:
        self.calls.append("store")
        self.before(data)
        self.batches.append(data)

    def retrieve(self, start_time: Any = None, end_time: Any = None, limit: Any = None) -> TelemetryData:
        return sum(self.batches, TelemetryData())

    def sync(self) -> None:
        self.calls.append("sync")

    def tick(self) -> None:
        self.calls.append("tick")


def test_a_storage_written_in_python_is_stored_into_synced_and_told_of_ticks() -> None:
    collector = TelemetryCollector(TelemetryConfig(flush_interval=0.005))
    storage = Recording("named")
    with TelemetryStream(collector, storage) as stream:
        assert stream.storage is storage
        collector.collect_event("a", "b")
        collector.flush()
        # Ticks come when they do.
        assert [call for call in storage.calls if call != "tick"] == ["store", "sync"]
        until(lambda: "tick" in storage.calls)
    assert [event.message for event in storage.retrieve().events] == ["b"]


def test_any_object_with_the_methods_is_a_storage() -> None:
    class Plain:
        def __init__(self) -> None:
            self.stored: List[TelemetryData] = []

        def store(self, data: TelemetryData) -> None:
            self.stored.append(data)

        def retrieve(self, start_time: Any = None, end_time: Any = None, limit: Any = None) -> TelemetryData:
            return self.stored[0]

    collector, storage = TelemetryCollector(), Plain()
    with TelemetryStream(collector, storage):
        collector.collect_event("a", "b")
    assert len(storage.stored) == 1
    with pytest.raises(TypeError, match="store"):
        TelemetryStream(collector, object())  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_what_a_subclass_overrides_counts() -> None:
    class Upper(MemoryStorage):
        def store(self, data: TelemetryData) -> None:
            super().store(TelemetryData([TelemetryEvent(e.source, e.message.upper()) for e in data.events]))

    collector, storage = TelemetryCollector(), Upper(10)
    with TelemetryStream(collector, storage):
        collector.collect_event("a", "loud")
    assert storage.retrieve().events[0].message == "LOUD"


def test_the_subclass_of_the_documentation_takes_arguments_of_its_own(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/python.md").read_text()
    (example,) = [part.split("```")[0] for part in text.split("```python\n") if part.startswith("class Daily(")]
    names: Dict[str, Any] = {"aldis": aldis}
    exec(example, names)
    names["Daily"](tmp_path, day="monday").store(DATA)
    assert len(FileStorage(tmp_path / "monday.jsonl").retrieve()) == len(DATA)


def test_a_base_class_alone_stores_nothing() -> None:
    with pytest.raises(NotImplementedError):
        TelemetryStorage().store(DATA)
    with pytest.raises(NotImplementedError):
        TelemetryStorage().retrieve()
    TelemetryStorage().sync()


def test_a_storage_that_raises_is_counted_and_told_of() -> None:
    class Full(Recording):
        def before(self, data: TelemetryData) -> None:
            if len(self.calls) == 1:
                raise StorageError("full", stored=2)
            raise OSError("the disk is gone")

    # All of them in one batch.
    collector = TelemetryCollector(TelemetryConfig(flush_interval=3600))
    stream = TelemetryStream(collector, Full())
    with stream:
        for number in range(5):
            collector.collect_event("a", str(number))
        collector.flush()
        assert stream.storage_error == "StorageError: full"
        assert (collector.stats().delivered, collector.stats().dropped["storage_error"]) == (2, 3)
        collector.collect_event("a", "more")
        collector.flush()
        assert stream.storage_error == "OSError: the disk is gone"
    assert collector.stats().is_closed_sum and collector.stats().dropped["storage_error"] == 4


def test_a_storage_that_cannot_sync_fails_a_flush() -> None:
    class Unsynced(Recording):
        def sync(self) -> None:
            raise OSError("no")

    collector = TelemetryCollector()
    with pytest.raises(StopError) as stopped:
        with TelemetryStream(collector, Unsynced()):
            collector.collect_event("a", "b")
            with pytest.raises(NotSyncedError) as raised:
                collector.flush()
            assert raised.value.code == "not_synced"
            collector.collect_event("a", "b")
    assert (stopped.value.is_synced, stopped.value.unstored) == (False, 0)


def test_a_storage_that_uses_its_own_collector_neither_waits_nor_loops() -> None:
    raised: List[BaseException] = []
    collector = TelemetryCollector()

    class Nosy(Recording):
        def before(self, data: TelemetryData) -> None:
            assert not collector.collect_event("storage", "storing")
            try:
                collector.flush()
            except WhileStoringError as error:
                raised.append(error)

    with TelemetryStream(collector, Nosy()):
        collector.collect_event("a", "b")
        collector.flush()
    assert len(raised) == 1 and collector.stats().dropped["suppressed"] == 1


def test_a_storage_that_sleeps_holds_up_who_flushes_and_nobody_else() -> None:
    let_go = threading.Event()

    class Sleepy(Recording):
        def before(self, data: TelemetryData) -> None:
            let_go.wait(2 * PATIENCE)

    collector = TelemetryCollector(TelemetryConfig(flush_interval=0.001))
    storage = Sleepy()
    stream = TelemetryStream(collector, storage)
    stream.start()
    collector.collect_event("a", "b")
    with pytest.raises(FlushTimeoutError) as raised:
        collector.flush(timeout=0.2)
    assert raised.value.remaining == 1 and raised.value.code == "flush_timeout"
    assert isinstance(raised.value, TimeoutError)
    # What was not taken when a stream is stopped stays in the collector.
    until(lambda: storage.calls)
    with pytest.raises(StopError) as stopped:
        stream.stop(timeout=timedelta(milliseconds=50))
    assert stopped.value.unstored == 1
    let_go.set()
    until(lambda: collector.stats().buffered == 0)


def test_only_one_stream_takes_from_a_collector() -> None:
    collector = TelemetryCollector()
    with TelemetryStream(collector), pytest.raises(AlreadyStreamingError) as raised:
        TelemetryStream(collector).start()
    assert raised.value.code == "already_streaming"


def test_consumers_are_isolated_and_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys, "unraisablehook", lambda of: None)
    collector = TelemetryCollector()
    stream = TelemetryStream(collector)

    def fails(data: TelemetryData) -> None:
        raise ValueError("no")

    seen: List[TelemetryData] = []
    bad, good, removed = stream.add_consumer(fails), stream.add_consumer(seen.append), stream.add_consumer(print)
    assert stream.remove_consumer(print) and not stream.remove_consumer(removed)
    with stream:
        collector.collect_event("a", "b")
    stats = stream.consumer_stats(bad)
    assert stats is not None and (stats.offered, stats.failed) == (1, 1) and stats.is_closed_sum
    assert stream.consumer_error(bad) == "ValueError: no" and stream.consumer_error(good) is None
    assert len(seen) == 1 and stream.consumer_stats(99) is None


def test_sampling_and_aggregation() -> None:
    collector = TelemetryCollector()
    # Not over before the flush closes it.
    aggregation = Aggregation(window=timedelta(days=99_000), functions=("sum", "count"))
    stream = TelemetryStream(collector, sampling={EventType.DEBUG: 0.0}, aggregation=aggregation)
    with stream:
        collector.collect_event("a", "b", EventType.DEBUG)
        collector.collect_event("a", "c")
        collector.collect_metric("n", 2)
        collector.collect_metric("n", 3)
        collector.flush()
        found = stream.storage.retrieve()
    assert [event.message for event in found.events] == ["c"]
    assert {metric.tags["aggregate"]: metric.value for metric in found.metrics} == {"sum": 5.0, "count": 2.0}
    assert (collector.stats().sampled_out, collector.stats().aggregated) == (1, 2)
    for wrong in ({EventType.DEBUG: 2.0}, {"loud": 0.5}):
        with pytest.raises(ValueError):
            TelemetryStream(collector, sampling=wrong)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    for functions in (("median",), ()):
        with pytest.raises(ValueError):
            TelemetryStream(collector, aggregation=Aggregation(1, functions))


def test_a_stream_that_is_dropped_stores_what_there_is(tmp_path: Path) -> None:
    collector = TelemetryCollector()
    storage = Recording()
    stream = TelemetryStream(collector, storage)
    stream.start()
    collector.collect_event("a", "b")
    del stream
    until(lambda: storage.batches)
    assert not collector.is_streaming


def test_a_consumer_that_does_not_return_is_told_of_by_stop() -> None:
    entered, let_go = threading.Event(), threading.Event()

    def consume(data: TelemetryData) -> None:
        entered.set()
        let_go.wait(2 * PATIENCE)

    collector = TelemetryCollector()
    stream = TelemetryStream(collector)
    number = stream.add_consumer(consume)
    stream.start()
    collector.collect_event("a", "b")
    # Stored, so that the time of the stop is the consumer's alone.
    collector.flush(PATIENCE)
    until(entered.is_set)
    with pytest.raises(StopError) as stopped:
        stream.stop(timeout=0.3)
    assert stopped.value.unseen == {number: 1} and stopped.value.unstored == 0
    let_go.set()


@pytest.mark.parametrize("wait", [0, 0.2])
def test_a_flush_that_waits_takes_nothing_when_the_stream_is_stopped(wait: float) -> None:
    let_go = threading.Event()

    class Sleepy(Recording):
        def before(self, data: TelemetryData) -> None:
            let_go.wait(2 * PATIENCE)

    collector = TelemetryCollector(TelemetryConfig(flush_interval=100))
    storage = Sleepy()
    stream = TelemetryStream(collector, storage)
    stream.start()
    collector.collect_event("a", "under way")
    flushed: List[object] = []

    def flush() -> None:
        try:
            flushed.append(collector.flush(PATIENCE))
        except FlushStoppedError as error:
            flushed.append((error.code, error.remaining))

    thread = threading.Thread(target=flush)
    thread.start()
    until(lambda: storage.calls)
    # At once, and after the flush has looked for signals.
    time.sleep(wait)
    collector.collect_event("a", "left")
    with pytest.raises(StopError) as stopped:
        stream.stop(0)
    assert stopped.value.unstored == 2
    thread.join()
    assert flushed == [("flush_stopped", 2)]
    assert [event.message for event in collector.flush().events] == ["left"]
    let_go.set()
    until(lambda: collector.stats().delivered == 2)


def test_a_stream_is_not_stopped_from_within() -> None:
    raised: List[StopError] = []
    collector = TelemetryCollector(TelemetryConfig(flush_interval=100))

    def stop() -> None:
        try:
            stream.stop()
        except StopError as error:
            raised.append(error)

    class Stopping(Recording):
        def before(self, data: TelemetryData) -> None:
            stop()

    storage = Stopping()
    stream = TelemetryStream(collector, storage)
    number = stream.add_consumer(lambda data: stop())
    stream.start()
    collector.collect_event("a", "1")
    collector.flush()
    until(lambda: len(raised) == 2)
    assert [(type(error), error.code) for error in raised] == [(StopFromWithinError, "stop_from_within")] * 2
    assert "wait for itself" in str(raised[0])
    # It goes on, and another thread may stop it.
    assert collector.is_streaming
    collector.collect_event("a", "2")
    stream.stop()
    assert len(storage.batches) == 2 and not collector.is_streaming
    stats = stream.consumer_stats(number)
    assert stats is not None and stats.delivered == 2


def test_a_path_may_be_any_bytes(tmp_path: Path) -> None:
    import os

    path = Path(os.fsdecode(os.fsencode(tmp_path / "t") + b"\xff.jsonl"))
    try:
        path.touch()
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    config = TelemetryConfig(storage_backend="file", storage_path=path)
    assert config.storage_path == os.fspath(path) and eval(repr(config)) == config
    assert config.replace(buffer_size=7).storage_path == os.fspath(path)
    collector = TelemetryCollector(config)
    with TelemetryStream(collector) as stream:
        collector.collect_event("a", "b")
        assert isinstance(stream.storage, FileStorage) and Path(stream.storage.path) == path
        assert eval(repr(stream.storage)).path == stream.storage.path
    assert len(path.read_bytes().splitlines()) == 1
    sealed = path.with_suffix(".sealed")
    snapshot = archive.seal(path, sealed, key=b"k" * 32)
    assert snapshot.output is not None and Path(snapshot.output[0]) == sealed
