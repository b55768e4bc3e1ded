"""Events, metrics and their container as values."""

import copy
import pickle
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, List, Union

import pytest

from aldis import EventType, MemoryStorage, TelemetryConfig, TelemetryCollector, TelemetryData, TelemetryEvent, TelemetryMetric

TIME_NS = 1_700_000_000_123_456_789
EVENT = TelemetryEvent("app", "started", EventType.WARNING, {"pid": 42, "share": 0.5}, time_ns=TIME_NS, lane=3, seq=9)
METRIC = TelemetryMetric("cpu", 45.2, "percent", {"core": "0"}, time_ns=TIME_NS)


def test_an_event_has_what_it_was_made_of() -> None:
    assert (EVENT.source, EVENT.message, EVENT.event_type) == ("app", "started", EventType.WARNING)
    assert (EVENT.metadata, EVENT.time_ns, EVENT.lane, EVENT.seq) == ({"pid": 42, "share": 0.5}, TIME_NS, 3, 9)
    assert EVENT.timestamp == datetime(2023, 11, 14, 22, 13, 20, 123456, timezone.utc)
    before = datetime.now(timezone.utc)
    bare = TelemetryEvent("a", "b")
    after = datetime.now(timezone.utc)
    assert (bare.event_type, bare.metadata) == (EventType.INFO, {})
    assert before - timedelta(minutes=1) < bare.timestamp < after + timedelta(minutes=1)


def test_a_metric_has_what_it_was_made_of() -> None:
    assert (METRIC.name, METRIC.value, METRIC.unit, METRIC.tags) == ("cpu", 45.2, "percent", {"core": "0"})
    assert (METRIC.kind, METRIC.lane, METRIC.seq) == ("gauge", 0, 0)
    assert TelemetryMetric("n", 3, kind="delta").kind == "delta"
    assert TelemetryMetric("n", 3, tags={"port": 80}).tags == {"port": "80"}
    with pytest.raises(ValueError, match="gauge or delta"):
        TelemetryMetric("n", 3, kind="sum")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_values_are_equal_by_what_they_hold_and_cannot_be_changed() -> None:
    same = TelemetryEvent("app", "started", "warning", {"pid": 42, "share": 0.5}, time_ns=TIME_NS, lane=3, seq=9)
    assert same == EVENT and hash(same) == hash(EVENT) and len({same, EVENT}) == 1
    for other in (TelemetryEvent("app", "started", time_ns=TIME_NS), METRIC, "app", None):
        assert EVENT != other
    with pytest.raises(AttributeError):
        EVENT.source = "other"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    EVENT.metadata["pid"] = 43
    assert EVENT.metadata["pid"] == 42


def test_what_a_value_says_of_itself_makes_it_again() -> None:
    import datetime as datetime_module

    names = {
        "TelemetryEvent": TelemetryEvent,
        "TelemetryMetric": TelemetryMetric,
        "TelemetryData": TelemetryData,
        "EventType": EventType,
        "TelemetryConfig": TelemetryConfig,
        "datetime": datetime_module,
    }
    event = TelemetryEvent("a'b", 'c"d\n', "error", {"x": [None, True]}, timestamp=1.5)
    metric = TelemetryMetric("n", 2.5, "u", {"k": "v"}, kind="delta", timestamp=1.5)
    config = TelemetryConfig(overflow="block", block_timeout=2, storage_backend="file", storage_path="x")
    for value in (event, metric, TelemetryData([event], [metric]), TelemetryData(), config):
        assert eval(repr(value), names) == value, repr(value)
    assert "EventType.ERROR" in repr(event)


def test_values_are_pickled_and_copied() -> None:
    data = TelemetryData([EVENT], [METRIC])
    config = TelemetryConfig(buffer_size=7)
    for value in (EVENT, METRIC, data, config, EventType.ERROR):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            assert pickle.loads(pickle.dumps(value, protocol)) == value
        assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(EVENT)).lane == 3
    changed = config.replace(buffer_size=8)
    assert (changed.buffer_size, config.buffer_size) == (8, 7)


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan"), 5e-324, -0.0, 2.0**63])
def test_every_number_is_pickled_as_a_number(number: float) -> None:
    event = TelemetryEvent("a", "b", "error", {"k": number, "deep": [{"k": number}], "text": str(number)}, time_ns=5, lane=2, seq=3)
    metric = TelemetryMetric("n", number, "u", {"k": "v"}, kind="delta", time_ns=5, lane=2, seq=3)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.loads(pickle.dumps(TelemetryData([event], [metric]), protocol))
        found = data.events[0].metadata
        # What is not a number equals nothing, and its text does.
        assert [repr(found["k"]), repr(found["deep"]), found["text"]] == [repr(number), repr([{"k": number}]), str(number)]
        assert repr(data.events) == repr((event,)) and repr(data.metrics) == repr((metric,))
        assert (data.events[0].lane, data.events[0].seq, data.metrics[0].seq, data.metrics[0].kind) == (2, 3, 3, "delta")


def test_data_is_a_sequence_of_its_records() -> None:
    data = TelemetryData([EVENT], [METRIC, METRIC])
    assert (len(data), list(data)) == (3, [EVENT, METRIC, METRIC])
    assert not TelemetryData() and data
    assert data + TelemetryData([EVENT]) == TelemetryData([EVENT, EVENT], [METRIC, METRIC])
    assert data.events is data.events
    with pytest.raises(TypeError):
        TelemetryData([METRIC])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]


def test_lines_of_json_come_back() -> None:
    data = TelemetryData([EVENT], [METRIC, TelemetryMetric("nan", float("inf"))])
    lines = data.to_jsonl()
    assert lines.count("\n") == 3
    assert TelemetryData.from_jsonl(lines) == data
    assert TelemetryEvent.from_json(EVENT.to_json()) == EVENT
    assert TelemetryMetric.from_json(METRIC.to_json()) == METRIC
    for wrong in ("", "{}", METRIC.to_json(), lines):
        with pytest.raises(ValueError):
            TelemetryEvent.from_json(wrong)
    with pytest.raises(ValueError, match="line 2"):
        TelemetryData.from_jsonl(EVENT.to_json() + "\nnonsense\n")


def test_a_dict_says_what_the_line_says() -> None:
    import json

    delta = TelemetryMetric("n", 1, kind="delta")
    for record in (EVENT, METRIC, delta):
        assert record.to_dict() == json.loads(record.to_json())
        assert list(record.to_dict()) == list(json.loads(record.to_json()))


@pytest.mark.parametrize(
    ("given", "expected_ns"),
    [
        (1.5, 1_500_000_000),
        (2, 2_000_000_000),
        (0, 0),
        (datetime(2023, 11, 14, 22, 13, 20, 123456, timezone.utc), 1_700_000_000_123_456_000),
        (datetime(2023, 11, 15, 0, 13, 20, 1, timezone(timedelta(hours=2))), 1_700_000_000_000_001_000),
        ("2023-11-14T22:13:20.123456Z", 1_700_000_000_123_456_000),
        ("2023-11-15T00:13:20+02:00", 1_700_000_000_000_000_000),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000_123_456_789),
        ("2023-11-14 22:13:20.1z", 1_700_000_000_100_000_000),
        ("2023-11-14T22:13:20,0000001+00", 1_700_000_000_000_000_100),
        ("2023-11-15T03:43:20.12+05:30", 1_700_000_000_120_000_000),
        ("20231115T034320.12345678+0530", 1_700_000_000_123_456_780),
        ("2023-11-14T21:19:52-00:53:28", 1_700_000_000_000_000_000),
        ("2023-11-14T22:13Z", 1_699_999_980_000_000_000),
        ("2554-07-21T23:34:33.709551615Z", 2**64 - 1),
    ],
)
def test_times_are_seconds_datetimes_or_texts(given: Union[float, datetime, str], expected_ns: int) -> None:
    assert TelemetryEvent("a", "b", timestamp=given).time_ns == expected_ns


def test_a_naive_datetime_is_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Etc/GMT+3")
    time.tzset()
    try:
        naive = datetime(2023, 11, 14, 19, 13, 20)
        assert TelemetryEvent("a", "b", timestamp=naive).time_ns == 1_700_000_000_000_000_000
        assert naive.timestamp() == 1_700_000_000
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), "yesterday-ish", object(), True])
def test_what_is_no_time_is_refused(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        TelemetryEvent("a", "b", timestamp=wrong)
    with pytest.raises(ValueError):
        TelemetryEvent("a", "b", timestamp=1.0, time_ns=1)


@pytest.mark.parametrize(
    "text",
    ["10", "01/02/2020", "Tue, 14 Nov 2023 22:13:20 +0000", "2023-02-29", "2023-11-14T22:13:20.Z", "2023-11-14T22:13:20.1234567890Z"]
    + ["2023-11-14T2213:20", "2023-11-14T22:13:20+05:60", "2023-11-14Z", "٢٠٢٣-11-14", ""],
)
def test_a_text_that_is_no_iso_8601_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        TelemetryEvent("a", "b", timestamp=text)
    with pytest.raises(ValueError, match="ISO 8601"):
        MemoryStorage().retrieve(start_time=text)


BEFORE_ALL = [-1, -1e-9, -(2**200), datetime(1960, 1, 1, tzinfo=timezone.utc), datetime.min, "1969-12-31T23:59:59.999999999Z"]
AFTER_ALL = [2**34 + 2**31, 2.0**70, 2**200, datetime.max, "2554-07-21T23:34:33.709551616Z", "9999-12-31T23:59:59-12:00"]


@pytest.mark.parametrize("outside", BEFORE_ALL + AFTER_ALL)
def test_a_time_that_no_record_has_is_refused(outside: Any) -> None:
    for made in (lambda: TelemetryEvent("a", "b", timestamp=outside), lambda: TelemetryMetric("n", 1, timestamp=outside)):
        with pytest.raises(ValueError, match="1970-01-01 to 2554-07-21"):
            made()


def test_a_range_may_begin_and_end_outside_of_every_time() -> None:
    storage = MemoryStorage()
    storage.store(TelemetryData([TelemetryEvent("a", "b", time_ns=0), TelemetryEvent("a", "b", time_ns=5), TelemetryEvent("a", "b", time_ns=6)]))
    for start in BEFORE_ALL:
        for end in AFTER_ALL:
            assert len(storage.retrieve(start, end)) == 3
    # A bound is read to the nanosecond.
    exact = storage.retrieve("1970-01-01T00:00:00.000000005Z", "1970-01-01T00:00:00.000000006Z")
    assert [event.time_ns for event in exact.events][:1] == [5]
    assert not storage.retrieve("1970-01-01T00:00:00.000000007Z")


class Colour(Enum):
    RED = 1


class Index:
    def __index__(self) -> int:
        return 7


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        (True, True),
        (-(2**63), -(2**63)),
        (2**63, "9223372036854775808"),
        (0.1, 0.1),
        ("ü\0", "ü\0"),
        ("\ud800", "\ufffd\ufffd\ufffd"),
        ([1, (2, [])], [1, [2, []]]),
        ({"a": {1: None}}, {"a": {"1": None}}),
        (b"x", "b'x'"),
        (Colour.RED, "Colour.RED"),
        (Index(), 7),
        (datetime(2020, 1, 2), "2020-01-02 00:00:00"),
    ],
)
def test_metadata_takes_anything(given: Any, kept: Any) -> None:
    event = TelemetryEvent("a", "b", metadata={"k": given})
    assert event.metadata == {"k": kept}
    assert type(event.metadata["k"]) is type(kept)
    # A collector takes the same way.
    collector = TelemetryCollector()
    assert collector.collect_event("a", "b", metadata={"k": given})
    assert collector.emit("a", "b", k=given)
    assert [event.metadata for event in collector.flush().events] == [{"k": kept}] * 2


def test_event_types_are_ordered_and_named() -> None:
    assert EventType.DEBUG < EventType.INFO < EventType.WARNING < EventType.ERROR
    assert EventType.ERROR >= EventType.ERROR and not EventType.ERROR <= EventType.INFO
    assert max(EventType) is EventType.ERROR
    assert EventType("error") is EventType.ERROR is EventType["ERROR"]
    with pytest.raises(ValueError):
        EventType("fatal")
    with pytest.raises(TypeError):
        assert EventType.ERROR < 3  # type: ignore[operator] # pyright: ignore[reportOperatorIssue]


def test_pydantic_validates_and_serialises_models() -> None:
    pydantic = pytest.importorskip("pydantic", minversion="2")

    class Report(pydantic.BaseModel):  # type: ignore[misc, name-defined, unused-ignore]
        event: TelemetryEvent
        metrics: List[TelemetryMetric]

    report = Report(
        event={"source": "app", "message": "m", "event_type": "error", "timestamp": "2023-11-14T22:13:20Z"},
        metrics=[METRIC, METRIC.to_json()],
    )
    assert report.event == TelemetryEvent("app", "m", EventType.ERROR, time_ns=1_700_000_000_000_000_000)
    assert report.metrics == [METRIC, METRIC]
    assert Report.model_validate_json(report.model_dump_json()) == report
    assert report.model_dump()["event"]["event_type"] == "ERROR"
    late = {"source": "app", "message": "m", "time_ns": 2**70}
    for wrong in ({"source": "app"}, {"source": 1, "message": "m"}, 7, {**EVENT.to_dict(), "colour": 1}, late):
        with pytest.raises(pydantic.ValidationError):
            Report(event=wrong, metrics=[])


def test_configurations_are_validated() -> None:
    from aldis import ConfigError, Error

    default = TelemetryConfig()
    assert (default.enabled, default.buffer_size, default.flush_interval) == (True, 1000, 1.0)
    assert (default.realtime_mode, default.storage_backend, default.storage_path) == (False, "memory", None)
    assert TelemetryConfig(flush_interval=timedelta(seconds=2)).flush_interval == 2.0
    wrong: List[Any] = [
        ({"buffer_size": 0}, "buffer_size"),
        ({"flush_interval": 0}, "flush_interval"),
        ({"storage_backend": "redis"}, "storage_backend"),
        ({"storage_backend": "file"}, "storage_path"),
        ({"overflow": "explode"}, "overflow"),
        ({"overflow": "block"}, "block_timeout"),
        ({"block_timeout": 1}, "block_timeout"),
        ({"max_bytes": 1}, "max_bytes"),
    ]
    for settings, setting in wrong:
        with pytest.raises(ConfigError) as raised:
            TelemetryConfig(**settings)
        assert (raised.value.setting, raised.value.code) == (setting, "config")
        assert isinstance(raised.value, Error) and isinstance(raised.value, ValueError)
        again = pickle.loads(pickle.dumps(raised.value))
        assert (str(again), again.setting) == (str(raised.value), setting)
