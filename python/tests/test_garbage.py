"""What nothing else knows goes, though it knows itself: cycles through listeners, consumers, storages and sources."""

import gc
import io
import threading
import weakref
from typing import Any, Callable, List, Optional

import pytest

from aldis import (
    MemoryStorage,
    TelemetryCollector,
    TelemetryConfig,
    TelemetryData,
    TelemetryStorage,
    TelemetryStream,
    archive,
)
from waiting import PATIENCE, until


class Program:
    """Knows what it uses, and is known by it."""

    collector: TelemetryCollector
    stream: Optional[TelemetryStream] = None
    other: Any = None

    def __init__(self) -> None:
        self.seen: List[TelemetryData] = []

    def hear(self, data: TelemetryData) -> None:
        self.seen.append(data)


class Keeping(TelemetryStorage):
    """A storage that knows who uses it. What it stored outlives it."""

    def __init__(self, stored: List[str], program: Program) -> None:
        self.stored = stored
        self.program = program

    def store(self, data: TelemetryData) -> None:
        self.stored.extend(event.message for event in data.events)

    def retrieve(self, start_time: Any = None, end_time: Any = None, limit: Any = None) -> TelemetryData:
        return TelemetryData()


def gone(of: Callable[[], Any]) -> bool:
    gc.collect()
    # What a thread of the library let go of goes when the library is next called.
    TelemetryData()
    return of() is None


def listens(program: Program, running: bool) -> None:
    program.collector = TelemetryCollector(TelemetryConfig(realtime_mode=running))
    program.collector.add_listener(program.hear)
    program.collector.collect_event("a", "b")
    until(lambda: program.seen or not running)


def listens_as_an_object(program: Program, running: bool) -> None:
    class Listener:
        def __init__(self) -> None:
            self.collector = program.collector
            self.program = program

        def __call__(self, data: TelemetryData) -> None:
            program.seen.append(data)

    program.collector = TelemetryCollector(TelemetryConfig(realtime_mode=running))
    program.other = Listener()
    program.collector.add_listener(program.other)


def consumes(program: Program, running: bool) -> None:
    program.collector = TelemetryCollector()
    program.stream = TelemetryStream(program.collector)
    program.stream.add_consumer(program.hear)
    if running:
        program.stream.start()
        program.collector.collect_event("a", "b")
        program.collector.flush()


def stores(program: Program, running: bool) -> None:
    program.collector = TelemetryCollector()
    program.stream = TelemetryStream(program.collector, Keeping([], program))
    if running:
        program.stream.start()


def stores_into_a_subclass(program: Program, running: bool) -> None:
    class Own(MemoryStorage):
        known: Any = None

    program.collector = TelemetryCollector()
    storage = Own()
    storage.known = program
    program.stream = TelemetryStream(program.collector, storage)
    if running:
        program.stream.start()


def reads_an_archive(program: Program, running: bool) -> None:
    class Source(io.BytesIO):
        known: Any = None

    sealed = io.BytesIO()
    archive.seal(b"text" * 1000, sealed, key=b"k" * 32)
    source = Source(sealed.getvalue())
    program.other = archive.Archive(source, key=b"k" * 32)
    source.known = program
    if running:
        assert program.other.read(0, 4) == b"text"


@pytest.mark.parametrize("running", [False, True], ids=["idle", "running"])
@pytest.mark.parametrize(
    "connect", [listens, listens_as_an_object, consumes, stores, stores_into_a_subclass, reads_an_archive]
)
def test_a_program_that_its_parts_know_goes(connect: Callable[[Program, bool], None], running: bool) -> None:
    program = Program()
    connect(program, running)
    held = weakref.ref(program)
    gc.collect()
    assert held() is program and (program.stream is None or program.stream.storage is not None)
    del program
    until(lambda: gone(held))


def test_what_is_garbage_stores_what_it_has_before_it_goes() -> None:
    stored: List[str] = []
    # Whatever the order in which it was made.
    for storage_first in (True, False):
        program = Program()
        storage = Keeping(stored, program) if storage_first else None
        program.collector = TelemetryCollector(TelemetryConfig(flush_interval=100))
        program.stream = TelemetryStream(program.collector, storage or Keeping(stored, program))
        program.stream.add_consumer(program.hear)
        program.stream.start()
        program.collector.collect_event("a", str(storage_first))
        held = weakref.ref(program)
        del program, storage
        until(lambda: gone(held))
    assert stored == ["True", "False"]


def test_garbage_that_is_found_by_its_own_consumer_goes_and_waits_for_nobody() -> None:
    stored: List[str] = []
    looked = threading.Event()
    let_go = threading.Event()

    def looks(data: TelemetryData) -> None:
        let_go.wait(2 * PATIENCE)
        gc.collect()
        looked.set()

    program = Program()
    program.collector = TelemetryCollector(TelemetryConfig(flush_interval=100))
    program.stream = TelemetryStream(program.collector, Keeping(stored, program))
    program.stream.add_consumer(looks)
    program.stream.start()
    program.collector.collect_event("a", "1")
    program.collector.flush()
    program.collector.collect_event("a", "2")
    held = weakref.ref(program)
    gc.disable()
    try:
        del program
        let_go.set()
        assert looked.wait(PATIENCE)
    finally:
        gc.enable()
    # Another thread stops it, while nobody can see it any more.
    until(lambda: gone(held) and len(stored) == 2)
    assert stored == ["1", "2"]


def test_what_is_known_stays() -> None:
    program = Program()
    listens(program, True)
    listener = weakref.WeakMethod(program.hear)
    collector = program.collector
    held = weakref.ref(program)
    del program
    for _ in range(3):
        gc.collect()
    # The collector is known, and knows its listener.
    assert held() is not None and listener() is not None
    collector.collect_event("a", "more")
    until(lambda: len(held().seen) == 2)  # type: ignore[union-attr] # pyright: ignore[reportOptionalMemberAccess]
    del collector
    until(lambda: gone(held))


def test_texts_that_hold_others_are_not_kept() -> None:
    class Text(str):
        known: Any = None

    collector = TelemetryCollector()
    source, message, key = Text("a"), Text("b"), Text("k")
    source.known = message.known = key.known = collector
    held = [weakref.ref(text) for text in (source, message, key)]
    for _ in range(50):
        collector.collect_event(source, message, metadata={key: message})
        collector.collect_metric(source, 1, message, {key: message})
    data = collector.flush()
    assert {(e.source, e.message, e.metadata["k"]) for e in data.events} == {("a", "b", "b")}
    assert {(m.name, m.unit, m.tags["k"]) for m in data.metrics} == {("a", "b", "b")}
    del source, message, key
    until(lambda: all(gone(of) for of in held))
