"""The scenarios that the tests of the Rust crates execute, too: every step says the same, byte for byte."""

import hashlib
import io
import json
import re
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Union

import pytest

import aldis
from aldis import archive
from waiting import PATIENCE, until

FOLDER = Path(__file__).parents[2] / "tests/parity"
TIMES = "read|compress|encrypt|decrypt|decompress|write|elapsed|throughput_bytes_per_sec"
Step = Dict[str, Any]


def without(text: str, keys: str) -> str:
    """Numbers behind these keys become 0: those that no two runs have in common."""
    return re.sub(rf'"({keys})":[-+.e0-9]+', r'"\1":0', text)


def digest(of: bytes) -> str:
    return f"{len(of)} bytes {hashlib.sha256(of).hexdigest()}"


def told(snapshot: archive.TelemetrySnapshot) -> str:
    return without(snapshot.to_json(), TIMES)


def time(ns: Optional[int]) -> Optional[datetime]:
    return None if ns is None else datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=ns / 1000)


class Scripted(aldis.MemoryStorage):
    """Does what a scenario says, and keeps what it stores, if it stores it."""

    def __new__(cls, *_: object, **__: object) -> "Scripted":
        return super().__new__(cls)

    def __init__(self, within: Callable[[str], None], stores: List[str], cannot_sync: bool = False) -> None:
        self.within = within
        self.stores = stores
        self.cannot_sync = cannot_sync
        self.calls = 0
        self.go = threading.Event()

    def store(self, data: aldis.TelemetryData) -> None:
        does = self.stores[min(self.calls, len(self.stores) - 1)]
        self.calls += 1
        self.within(does)
        if does == "fails":
            raise aldis.StorageError("on purpose")
        if does == "holds":
            self.go.wait(2 * PATIENCE)
        super().store(data)

    def sync(self) -> None:
        if self.cannot_sync:
            raise aldis.StorageError("on purpose")


class Scenario:
    """What steps act upon, and a method for each."""

    stream: aldis.TelemetryStream

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = 0
        self.collector = aldis.TelemetryCollector()
        self.storage: Any = None
        self.streams = False
        self.listeners: List[int] = []
        self.consumers: List[int] = []
        self.told: List[str] = []
        self.sealed = self.whole = b""

    def run(self, step: Step) -> str:
        arguments = {name: value for name, value in step.items() if name != "do"}
        do: Callable[..., object] = getattr(self, "do_" + step["do"])
        try:
            said = do(**arguments)
        except archive_errors as error:
            return f"error {error.code}: {error}"
        except aldis.ConfigError as error:
            return f"error {error.code} {error}"
        except aldis.Error as error:
            return f"error {error.code}"
        if isinstance(said, bool):
            return str(said).lower()
        return "ok" if said is None else str(said)

    def within(self, does: str) -> None:
        """What code that the library calls does, and is told."""
        told = "ok"
        try:
            if does == "flushes":
                self.collector.flush()
            elif does == "stops":
                self.stream.stop()
            elif does == "stopped":
                told = self.stopped_by_another()
            elif does == "records":
                told = "taken" if self.collector.collect_event("within", "said") else "dropped"
            else:
                return
        except aldis.Error as error:
            told = error.code
        self.told.append(f"{does}: {told}")

    def stopped_by_another(self) -> str:
        """Stops the stream on another thread: this one stores, and would be told no."""
        told = ["ok"]

        def stop() -> None:
            try:
                self.stream.stop(0)
            except aldis.Error as error:
                told.append(error.code)

        thread = threading.Thread(target=stop)
        thread.start()
        thread.join()
        return told[-1]

    def do_collector(self, settings: Optional[Dict[str, Any]] = None) -> str:
        self.collector = aldis.TelemetryCollector(aldis.TelemetryConfig(**(settings or {})))
        self.listeners = []
        config = self.collector.config
        wait = "none" if config.block_timeout is None else round(config.block_timeout * 1000)
        return (
            f"enabled={config.enabled:d} buffer_size={config.buffer_size} "
            f"flush_interval={round(config.flush_interval * 1000)} realtime_mode={config.realtime_mode:d} "
            f"storage_backend={config.storage_backend} storage_path={config.storage_path or 'none'} "
            f"overflow={config.overflow} block_timeout={wait} max_items={config.max_items} max_bytes={config.max_bytes}"
        )

    def do_event(self, source: str, message: str, **more: Any) -> bool:
        return self.collector.collect_event(source, message, **more)

    def do_metric(self, name: str, value: float, **more: Any) -> bool:
        return self.collector.collect_metric(name, value, **more)

    def do_counter(self, name: str, add: List[int], **more: Any) -> int:
        counter = self.collector.counter(name, **more)
        for count in add:
            counter.add(count)
        return counter.pending

    def do_gauge(self, name: str, set: List[float], **more: Any) -> None:
        gauge = self.collector.gauge(name, **more)
        for value in set:
            gauge.set(value)

    def do_flush(self, timeout: float = PATIENCE) -> str:
        return without(self.collector.flush(timeout).to_jsonl(), "time_ns")

    def do_listener(self, does: str, times: int = 1) -> int:
        for _ in range(times):
            self.listeners.append(self.collector.add_listener(self.subscriber(does)))
        return self.listeners[-1]

    def do_consumer(self, does: str, times: int = 1) -> int:
        for _ in range(times):
            self.consumers.append(self.stream.add_consumer(self.subscriber(does)))
        return self.consumers[-1]

    def subscriber(self, does: str) -> Callable[[aldis.TelemetryData], None]:
        def call(data: aldis.TelemetryData) -> None:
            self.within(does)
            if does == "fails":
                raise RuntimeError("on purpose")

        return call

    def do_remove_listener(self, listener: int) -> bool:
        return self.collector.remove_listener(self.listeners[listener - 1])

    def do_remove_consumer(self, consumer: int) -> bool:
        return self.stream.remove_consumer(self.consumers[consumer - 1])

    def do_heard(self, offered: int, listener: int = 0, consumer: int = 0) -> str:
        def stats() -> Optional[aldis.SubscriberStats]:
            if listener:
                return self.collector.listener_stats(self.listeners[listener - 1])
            return self.stream.consumer_stats(self.consumers[consumer - 1])

        def has_heard() -> bool:
            of = stats()
            return of is None or (of.offered, of.pending) == (offered, 0)

        until(has_heard)
        of = stats()
        if listener:
            error = self.collector.listener_error(self.listeners[listener - 1])
        else:
            error = self.stream.consumer_error(self.consumers[consumer - 1])
        said = "none"
        if of is not None:
            said = (
                f"offered={of.offered} delivered={of.delivered} failed={of.failed} lagged={of.lagged} "
                f"pending={of.pending} is_closed_sum={of.is_closed_sum:d}"
            )
        return f"{said} error={error or 'none'}"

    def do_storing(self) -> None:
        # What was not taken when a stream is stopped stays in the collector.
        until(lambda: self.storage.calls > 0)

    def do_let_go(self) -> None:
        self.storage.go.set()

    def do_settled(self, buffered: int) -> str:
        until(lambda: self.collector.stats().buffered == buffered)
        return self.do_stats()

    def do_told(self) -> str:
        told, self.told = sorted(self.told), []
        return ", ".join(told)

    def do_close(self) -> None:
        self.collector.close()

    def do_stats(self) -> str:
        stats = self.collector.stats()
        dropped = " ".join(f"{reason}={count}" for reason, count in stats.dropped.items())
        return (
            f"emitted={stats.emitted} delivered={stats.delivered} sampled_out={stats.sampled_out} "
            f"aggregated={stats.aggregated} buffered={stats.buffered} {dropped} "
            f"listeners_active={stats.listeners_active:d} is_closed_sum={stats.is_closed_sum:d}"
        )

    def do_storage(self, kind: str, **more: Any) -> None:
        self.files += 1
        self.path = self.folder / str(self.files)
        if kind == "scripted":
            self.storage = Scripted(self.within, **more)
        elif kind == "folder":
            self.storage = aldis.FileStorage(self.folder)
        elif kind == "memory":
            self.storage = aldis.MemoryStorage()
        elif kind == "sqlite":
            self.storage = aldis.DatabaseStorage(self.path)
        else:
            self.storage = aldis.FileStorage(self.path, compression=3 if kind == "zstd" else None)

    def do_store(self, lines: str) -> None:
        self.storage.store(aldis.TelemetryData.from_jsonl(lines))

    def do_retrieve(
        self, start_ns: Optional[int] = None, end_ns: Optional[int] = None, limit: Optional[int] = None
    ) -> str:
        lines: str = self.storage.retrieve(time(start_ns), time(end_ns), limit).to_jsonl()
        return without(lines, "time_ns") if self.streams else lines

    def do_scan(self) -> str:
        return "\n".join(record.to_json() for record in self.storage)

    def do_file(self) -> str:
        return self.path.read_text()

    def do_stream(
        self, sampling: Optional[Dict[str, float]] = None, aggregation: Optional[Dict[str, Any]] = None
    ) -> None:
        shares = {aldis.EventType(of): share for of, share in (sampling or {}).items()}
        put_together = None
        if aggregation is not None:
            put_together = aldis.Aggregation(aggregation["window"], tuple(aggregation["functions"]))
        self.stream = aldis.TelemetryStream(self.collector, self.storage, sampling=shares, aggregation=put_together)
        self.streams, self.consumers = True, []

    def do_start(self) -> None:
        self.stream.start()

    def do_second_stream(self) -> None:
        aldis.TelemetryStream(self.collector, aldis.MemoryStorage()).start()

    def do_stop(self, timeout: float = PATIENCE) -> None:
        self.stream.stop(timeout)

    def do_seal(self, text: str, repeat: int, salt: str, **more: Any) -> str:
        into = io.BytesIO()
        snapshot = archive.seal((text * repeat).encode(), into, salt=bytes.fromhex(salt), **written(more))
        self.sealed = self.whole = into.getvalue()
        return f"{digest(self.sealed)}\n{told(snapshot)}"

    def do_open(self, **more: Any) -> str:
        into = io.BytesIO()
        snapshot = archive.open(self.sealed, into, workers=1, **written(more))
        return f"{digest(into.getvalue())}\n{told(snapshot)}"

    def do_verify(self, **more: Any) -> str:
        return told(archive.verify(self.sealed, workers=1, **written(more)))

    def do_range(self, start: int, stop: int, **more: Any) -> str:
        with archive.Archive(self.sealed, **written(more)) as parts:
            part = parts.read(start, stop).decode()
            return f"of {parts.plaintext_bytes}: {part}"

    def do_damage(self, cut: int = 0, append: str = "", at: Optional[int] = None) -> None:
        sealed = bytearray(self.sealed)
        if at is not None:
            sealed[at] ^= 1
        self.sealed = bytes(sealed)[: len(sealed) - cut] + append.encode()

    def do_given(self, hex: str) -> None:
        self.sealed = bytes.fromhex(hex)

    def do_restore(self) -> None:
        self.sealed = self.whole

    def do_snapshot(self, json: str, output: Optional[List[Union[str, int]]] = None) -> str:
        try:
            snapshot = archive.TelemetrySnapshot.from_json(json)
        except ValueError:
            return "error"
        if output:
            snapshot = snapshot.attach_output(str(output[0]), int(output[1]))
        violations = "; ".join(snapshot.sanity_check())
        stages = f"seal={snapshot.has_all_stages('seal'):d} open={snapshot.has_all_stages('open'):d}"
        total = round(snapshot.stage_times.total() * 1e9)
        return f"{snapshot.to_json()}\n{violations}\n{stages} total={total}"

    def do_counters(self, calls: List[List[Any]]) -> str:
        counters, twice = archive.TelemetryCounters(), archive.TelemetryCounters()
        for name, *numbers in calls:
            getattr(counters, name)(*numbers)
        twice.merge(counters)
        twice += counters
        return f"{told(counters.snapshot())}\n{told(twice.snapshot())}"


archive_errors = aldis.errors.ArchiveError


def written(more: Dict[str, Any]) -> Dict[str, Any]:
    """Arguments as Python has them."""
    if "context" in more:
        more["context"] = more["context"].encode()
    if "cost" in more:
        more["cost"] = tuple(more["cost"])
    return more


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_every_step_says_what_it_says_in_rust(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What subscribers raise on purpose.
    monkeypatch.setattr(sys, "unraisablehook", lambda of: None)
    scenario = Scenario(tmp_path)
    transcript = ""
    for number, step in enumerate(json.loads(path.read_text()), 1):
        transcript += f"# {number} {step['do']}\n{scenario.run(step).rstrip()}\n"
    assert transcript == path.with_suffix(".expected").read_text()


def test_there_are_scenarios() -> None:
    assert len(list(FOLDER.glob("*.json"))) >= 7


NOT_IN_A_SCENARIO = {
    "error": "the base of all, which nothing raises",
    "flush": "the base of what a flush raises",
    "stream": "the base of what a stream raises",
    "archive": "the base of what archives raise",
    "thread": "the system must refuse a thread: naming.rs of aldis-collect",
    "failed": "an archive must be used after its error, which Python has no way to: the tests of aldis-archive",
    "line_too_long": "a line of 256 MiB: the tests of aldis-archive",
    "no_times": "lines by their time are no step of scenarios: test_archive.py",
    "panicked": "a bug of the program: the tests of aldis-archive",
    "too_many_frames": "four billion frames: the tests of aldis-archive",
}
"""Codes that no scenario comes to, and why."""


def test_every_code_is_in_a_scenario_or_there_is_a_reason() -> None:
    codes = {kind.code for kind in vars(aldis.errors).values() if isinstance(kind, type) and issubclass(kind, aldis.Error)}
    said = "".join(path.read_text() for path in FOLDER.glob("*.expected"))
    # What subscribers and storages were told is there, too.
    found = {code for code in codes if re.search(rf"\b(error|flushes:|stops:) {code}\b", said)}
    assert sorted(codes - found) == sorted(NOT_IN_A_SCENARIO)
