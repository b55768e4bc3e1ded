"""The collector: what is recorded, counted, shown, and what goes wrong around it."""

import gc
import sys
import threading
import time
import weakref
from datetime import timedelta
from typing import Any, Dict, List

import pytest

import aldis
from aldis import EventType, TelemetryCollector, TelemetryConfig, TelemetryData, TelemetryStorage, TelemetryStream
from waiting import PATIENCE, until


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> List[Any]:
    """What went to `sys.unraisablehook`."""
    raised: List[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda of: raised.append((of.exc_type, str(of.exc_value))))
    return raised


def test_arguments_by_position_and_by_keyword_say_the_same() -> None:
    collector = TelemetryCollector()
    collector.collect_event("a", "b", EventType.ERROR, {"k": 1})
    collector.collect_event(source="a", message="b", event_type="error", metadata={"k": 1})
    collector.emit("a", "b", EventType.ERROR, k=1)
    collector.collect_metric("n", 1, "u", {"t": "x"})
    collector.collect_metric(name="n", value=1.0, unit="u", tags={"t": "x"})
    data = collector.flush()
    said = [(event.source, event.message, event.event_type, event.metadata) for event in data.events]
    assert said == [("a", "b", EventType.ERROR, {"k": 1})] * 3
    assert [(metric.name, metric.value, metric.unit, metric.tags) for metric in data.metrics] == [
        ("n", 1.0, "u", {"t": "x"})
    ] * 2
    assert [record.seq for record in data] == [1, 2, 3, 1, 2]


def test_keywords_may_be_named_as_parameters_are() -> None:
    collector = TelemetryCollector()
    collector.emit("a", "b", source="s", message="m", event_type="t", metadata=1)
    assert collector.flush().events[0].metadata == {"source": "s", "message": "m", "event_type": "t", "metadata": 1}


def test_many_fields_and_texts_that_come_again_or_not() -> None:
    collector = TelemetryCollector(TelemetryConfig(buffer_size=5000))
    expected = []
    for number in range(2000):
        message = f"message {number % 7}" if number % 2 else "the same"
        metadata = {f"key {number % 600}": message, "n": number, "x" * (number % 300): "y" * (number % 200)}
        metadata.update({f"more {field}": field for field in range(number % 20)})
        collector.collect_event(f"source {number % 3}", message, metadata=metadata)
        expected.append((f"source {number % 3}", message, metadata))
    assert [(event.source, event.message, event.metadata) for event in collector.flush().events] == expected


class Text(str):
    """A `str` of another class."""


@pytest.mark.parametrize(
    "value, kept",
    [
        ("ada", "ada"),
        (Text("ada"), "ada"),
        (-1, -1),
        (2**63 - 1, 2**63 - 1),
        (2**63, str(2**63)),
        (True, True),
        (None, None),
        (2.5, 2.5),
        (["a", {"b": 1}], ["a", {"b": 1}]),
        ("\ud800", "\N{REPLACEMENT CHARACTER}" * 3),
    ],
)
@pytest.mark.parametrize("beside", [0, 1, 7, 8, 9])
def test_what_was_recorded_before_is_recorded_the_same_whichever_way(value: Any, kept: Any, beside: int) -> None:
    collector = TelemetryCollector()
    more = {f"field {number}": number for number in range(beside)}
    # Names that no text of a program has.
    unusual: Dict[str, Any] = {"".join(["meta", "data"]): {**more, "k": value}, "".join(["sour", "ce"]): "a"}
    for _ in range(3):
        collector.collect_event("a", "b", EventType.WARNING, {**more, "k": value})
        collector.emit("a", "b", EventType.WARNING, **more, k=value)
        collector.emit("a", "b", EventType.WARNING, **more, **{Text("k"): value})
        collector.collect_event(metadata={**more, "k": value}, event_type="WARNING", message="b", source="a")
        collector.collect_event(event_type=EventType.WARNING, message="b", **unusual)
        TelemetryCollector.emit(collector, Text("a"), "b", EventType.WARNING, **more, k=value)
    said = [(event.source, event.message, event.event_type, event.metadata) for event in collector.flush().events]
    assert said == [("a", "b", EventType.WARNING, {**more, "k": kept})] * 18


def test_calls_that_are_not_as_they_should_be_say_so() -> None:
    collector: Any = TelemetryCollector()
    of_class: Any = TelemetryCollector
    calls: List[Any] = [
        lambda: collector.collect_event("a", "b", source="c"),
        lambda: collector.collect_event("a", "b", None, None, None),
        lambda: collector.collect_event(message="b"),
        lambda: collector.collect_event(),
        lambda: collector.emit(),
        lambda: of_class.emit(1, "a", "b"),
        lambda: of_class.collect_event("a", "b", "c"),
    ]
    words = ["source", "positional", "source", "2 required positional", "emit()", "TelemetryCollector", "TelemetryCollector"]
    for call, word in zip(calls, words):
        with pytest.raises(TypeError) as raised:
            call()
        assert word in str(raised.value), raised.value
    assert collector.stats().emitted == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda c: c.collect_event(1, "b"),
        lambda c: c.collect_event("a", None),
        lambda c: c.collect_event("a"),
        lambda c: c.collect_event("a", "b", 7),
        lambda c: c.collect_event("a", "b", "loud"),
        lambda c: c.collect_event("a", "b", EventType.INFO, [1]),
        lambda c: c.collect_event("a", "b", colour=1),
        lambda c: c.emit("a"),
        lambda c: c.emit("a", "b", EventType.INFO, {}),
        lambda c: c.collect_metric("a", "b"),
        lambda c: c.collect_metric("a", 1, 2),
        lambda c: c.add_listener(3),
        lambda c: c.counter("n").add(-1),
        lambda c: c.flush(-1),
    ],
)
def test_what_is_wrong_is_refused_and_records_nothing(wrong: Any) -> None:
    collector = TelemetryCollector()
    with pytest.raises((TypeError, ValueError, OverflowError)):
        wrong(collector)
    collector.collect_event("a", "b")
    assert len(collector.flush()) == 1


def test_a_ring_keeps_the_newest_and_counts_the_rest() -> None:
    collector = TelemetryCollector(TelemetryConfig(buffer_size=3))
    for number in range(5):
        collector.collect_event("app", str(number))
    stats = collector.stats()
    assert (stats.emitted, stats.buffered, stats.dropped["displaced"]) == (5, 3, 2)
    assert stats.is_closed_sum
    assert [event.message for event in collector.flush().events] == ["2", "3", "4"]


def test_a_record_is_as_large_as_its_texts_whatever_was_read_on_the_way() -> None:
    collector = TelemetryCollector(TelemetryConfig(max_bytes=64 << 20))
    large = "x" * 600_000

    class Text(str):
        pass

    # What is no plain dict of texts is read again from the start: nothing counts twice.
    assert collector.collect_metric("n", 1, "u", {"a": large, "b": Text("y")})
    mixed: Any = {"a": large, 1: "y"}
    assert collector.collect_event("a", "b", EventType.INFO, mixed)
    # More than a record may have is not even copied.
    assert not collector.collect_event("a", "\N{EURO SIGN}" * (32 << 20))
    assert not collector.collect_event("a", "b", EventType.INFO, {f"{i}": large for i in range(8)})
    assert collector.collect_event("a", "b", EventType.INFO, {"k": "after it"})
    data = collector.flush()
    assert [metric.tags for metric in data.metrics] == [{"a": large, "b": "y"}]
    assert [event.metadata for event in data.events] == [{"a": large, "1": "y"}, {"k": "after it"}]
    assert collector.stats().dropped["too_large"] == 2


def test_what_is_too_large_too_deep_or_too_late_is_a_counted_drop() -> None:
    collector = TelemetryCollector()
    endless: List[Any] = []
    endless.append(endless)
    assert not collector.collect_event("a", "x" * (2 << 20))
    assert not collector.collect_event("a", "b", metadata={"k": endless})
    collector.close()
    collector.close()
    assert not collector.collect_metric("n", 1)
    assert collector.stats().dropped == {
        "queue_full": 0, "displaced": 0, "too_large": 2, "after_close": 1, "storage_error": 0, "suppressed": 0,
    }
    assert collector.stats().is_closed_sum


def test_keys_and_levels_are_taken_up_to_their_limits() -> None:
    def levels(count: int) -> List[Any]:
        return [levels(count - 1)] if count > 1 else []

    collector = TelemetryCollector()
    for taken in ({"k" * 65_535: 1}, {"k": levels(32)}, {f"{i}": None for i in range(65_535)}):
        assert collector.collect_event("a", "b", metadata=taken)
    for beyond in ({"k" * 65_536: 1}, {"k": levels(33)}, {f"{i}": None for i in range(65_536)}):
        assert not collector.collect_event("a", "b", metadata=beyond)
    assert collector.stats().dropped["too_large"] == 3


def test_a_disabled_collector_takes_nothing() -> None:
    collector = TelemetryCollector(TelemetryConfig(enabled=False))
    assert not collector.collect_event("a", "b") and not collector.collect_metric("n", 1)
    assert collector.stats().emitted == 0


def test_counters_and_gauges() -> None:
    collector = TelemetryCollector()
    orders, depth = collector.counter("orders", "{order}", {"shop": "berlin"}), collector.gauge("depth")
    orders.add()
    orders.add(4)
    assert orders.pending == 5
    depth.set(3)
    depth.set(1)
    found = {metric.name: (metric.value, metric.kind, metric.tags) for metric in collector.flush().metrics}
    assert found == {"orders": (5.0, "delta", {"shop": "berlin"}), "depth": (1.0, "gauge", {})}
    assert not collector.flush()


class Talkative:
    """Its text records in the collector, changes the metadata, and lets other threads go on."""

    def __init__(self, collector: TelemetryCollector, metadata: Dict[str, Any]) -> None:
        self.collector, self.metadata = collector, metadata

    def __str__(self) -> str:
        time.sleep(0.001)
        self.collector.collect_event("inner", "said", metadata={"k": "v"})
        self.metadata["more"] = 1
        self.metadata.pop("first", None)
        return "talkative"


def test_values_may_run_code_that_records_and_changes_the_metadata() -> None:
    collector = TelemetryCollector(TelemetryConfig(buffer_size=10_000))

    def record() -> None:
        for _ in range(50):
            metadata: Dict[str, Any] = {"first": 1}
            metadata["talk"] = Talkative(collector, metadata)
            metadata["last"] = "x"
            collector.collect_event("outer", "said", metadata=metadata)

    threads = [threading.Thread(target=record) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = collector.flush().events
    outer = [event.metadata for event in events if event.source == "outer"]
    assert outer == [{"first": 1, "talk": "talkative", "last": "x"}] * 150
    assert len(events) == 300


def test_a_value_whose_text_raises_raises_and_records_nothing() -> None:
    class Mute:
        def __str__(self) -> str:
            raise RuntimeError("mute")

    collector = TelemetryCollector()
    with pytest.raises(RuntimeError, match="mute"):
        collector.collect_event("a", "b", metadata={"k": Mute()})
    assert collector.stats().emitted == 0


def test_listeners_that_raise_are_isolated_and_counted(unraisable: List[Any]) -> None:
    collector = TelemetryCollector(TelemetryConfig(realtime_mode=True))
    seen: List[str] = []

    def fails(data: TelemetryData) -> None:
        raise KeyError("listener")

    bad = collector.add_listener(fails)
    good = collector.add_listener(lambda data: seen.extend(event.message for event in data.events))
    collector.collect_event("a", "one")
    until(lambda: seen == ["one"])
    until(lambda: collector.listener_error(bad))
    assert collector.listener_error(bad) == "KeyError: 'listener'"
    assert unraisable == [(KeyError, "'listener'")]

    def delivered() -> int:
        of_good = collector.listener_stats(good)
        assert of_good is not None and of_good.is_closed_sum
        return of_good.delivered

    # It is counted once the listener returned.
    until(lambda: delivered() == 1)
    assert collector.remove_listener(fails) and not collector.remove_listener(bad)
    assert collector.remove_listener(good)
    assert collector.listener_stats(good) is None


def test_subscribers_are_removed_by_what_equals_them() -> None:
    class Audience:
        def hear(self, data: TelemetryData) -> None:
            pass

    class Odd:
        """Its comparison uses the collector."""

        def __call__(self, data: TelemetryData) -> None:
            pass

        def __eq__(self, other: object) -> bool:
            collector.remove_listener(0)
            raise KeyError("odd")

        __hash__ = None  # type: ignore[assignment] # pyright: ignore[reportAssignmentType]

    collector = TelemetryCollector(TelemetryConfig(realtime_mode=True))
    stream = TelemetryStream(collector)
    audience, another = Audience(), Audience()
    places: List[Any] = [
        (collector.add_listener, collector.remove_listener),
        (stream.add_consumer, stream.remove_consumer),
    ]
    for add, remove in places:
        number = add(audience.hear)
        assert not remove(another.hear)
        for wrong in (remove, collector.listener_stats, collector.listener_error, stream.consumer_stats, stream.consumer_error):
            with pytest.raises(TypeError, match="bool"):
                wrong(True)
        assert remove(audience.hear) and not remove(audience.hear) and not remove(number)
        odd = Odd()
        add(odd)
        with pytest.raises(KeyError, match="odd"):
            remove(audience.hear)
        assert remove(odd)


@pytest.mark.parametrize("long", [1e19, 1e300, 10**17, timedelta.max])
def test_a_wait_may_be_as_long_as_anybody_says(long: Any) -> None:
    collector = TelemetryCollector()
    with TelemetryStream(collector) as stream:
        collector.collect_event("a", "b")
        collector.flush(long)
        stream.stop(timeout=long)
    assert collector.stats().delivered == 1
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="timeout takes seconds"):
            collector.flush(wrong)


def test_a_listener_may_call_back_into_the_collector() -> None:
    collector = TelemetryCollector(TelemetryConfig(realtime_mode=True))
    done: List[object] = []

    def calls_back(data: TelemetryData) -> None:
        collector.collect_event("listener", "heard")
        collector.stats()
        collector.counter("heard").add()
        extra = collector.add_listener(lambda data: None)
        collector.remove_listener(extra)
        done.append(collector.flush(1))

    collector.add_listener(calls_back)
    collector.collect_event("a", "one")
    until(lambda: done)
    # What a listener records is shown to no listener.
    assert collector.stats().emitted <= 3


def test_without_real_time_mode_listeners_are_not_called() -> None:
    collector = TelemetryCollector()
    called: List[object] = []
    collector.add_listener(called.append)
    collector.collect_event("a", "b")
    collector.flush()
    assert not called and not collector.stats().listeners_active


def test_threads_lose_nothing_and_repeat_nothing() -> None:
    collector = TelemetryCollector(TelemetryConfig(flush_interval=0.001))
    storage = aldis.MemoryStorage()

    def record(name: int) -> None:
        for number in range(5000):
            collector.collect_event(f"thread {name}", str(number), metadata={"n": number})

    with TelemetryStream(collector, storage):
        threads = [threading.Thread(target=record, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    by_thread: Dict[str, List[int]] = {}
    for event in storage.retrieve().events:
        by_thread.setdefault(event.source, []).append(event.metadata["n"])
    assert by_thread == {f"thread {name}": list(range(5000)) for name in range(4)}
    assert collector.stats().is_closed_sum and collector.stats().delivered == 20_000


def test_blocking_waits_for_a_storage_in_python_without_a_deadlock() -> None:
    stored: List[int] = []

    class Slow(TelemetryStorage):
        def store(self, data: TelemetryData) -> None:
            time.sleep(0.001)
            stored.append(len(data))

        def retrieve(self, start_time: Any = None, end_time: Any = None, limit: Any = None) -> TelemetryData:
            return TelemetryData()

    config = TelemetryConfig(buffer_size=8, max_items=8, overflow="block", block_timeout=PATIENCE)
    collector = TelemetryCollector(config)

    def record() -> None:
        for number in range(100):
            assert collector.collect_event("a", str(number), metadata={"n": number})
            assert collector.collect_metric("n", number)

    with TelemetryStream(collector, Slow()):
        threads = [threading.Thread(target=record) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(stored) == 600 and collector.stats().delivered == 600


def test_a_collector_that_is_dropped_leaves_nothing_behind() -> None:
    collector = TelemetryCollector(TelemetryConfig(realtime_mode=True))
    listener = Talkative(TelemetryCollector(), {})
    collector.add_listener(lambda data, kept=listener: None)
    gone = weakref.ref(listener)
    collector.collect_event("a", "b")
    del collector, listener
    gc.collect()
    # What a thread of the library let go of goes when the library is next called.
    until(lambda: TelemetryData() is not None and gone() is None)


def test_a_collector_says_where_its_records_are_and_closes_at_the_end_of_with() -> None:
    with TelemetryCollector() as collector:
        collector.collect_event("a", "b")
        assert repr(collector) == (
            "<TelemetryCollector: emitted 1 = delivered 0 + sampled out 0 + aggregated 0 + buffered 1>"
        )
        assert collector.config == TelemetryConfig()
    assert not collector.collect_event("a", "c")
    assert len(collector.flush()) == 1


def test_a_collector_has_so_many_listeners_and_no_more() -> None:
    collector = TelemetryCollector()
    for _ in range(64):
        collector.add_listener(print)
    with pytest.raises(aldis.errors.TooManySubscribersError) as raised:
        collector.add_listener(print)
    assert raised.value.code == "too_many_subscribers" and isinstance(raised.value, aldis.StreamError)


def test_handles_and_statistics_are_of_their_classes() -> None:
    collector = TelemetryCollector()
    assert isinstance(collector.counter("c"), aldis.Counter) and isinstance(collector.gauge("g"), aldis.Gauge)
    assert isinstance(collector.stats(), aldis.CollectorStats)
    number = collector.add_listener(print)
    assert collector.listener_stats(number) == aldis.SubscriberStats(0, 0, 0, 0, 0)
    assert issubclass(aldis.errors.FlushTimeoutError, aldis.FlushError)
