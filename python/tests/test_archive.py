"""Sealing and opening."""

import io
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, List, Optional, Type

import pytest

from aldis import FileStorage, TelemetryData, TelemetryEvent, archive, errors
from aldis.archive import Archive, Direction, Stage, StageTimes, TelemetryCounters, TelemetrySnapshot, TelemetryTimer
from waiting import PATIENCE

KEY = bytes(range(32))
PLAIN = b"".join(b'{"n":%d,"text":"something that repeats"}\n' % n for n in range(50_000))


def sealed(plain: bytes = PLAIN, **options: Any) -> bytes:
    into = io.BytesIO()
    options = {"key": KEY, "frame_bytes": 1 << 16, **options}
    archive.seal(plain, into, **options)
    return into.getvalue()


def opened(of: bytes, **options: Any) -> bytes:
    into = io.BytesIO()
    options = options or {"key": KEY}
    archive.open(of, into, **options)
    return into.getvalue()


def test_files_are_sealed_and_opened(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(PLAIN)
    told = archive.seal(tmp_path / "plain", tmp_path / "sealed", key=KEY.hex(), workers=2)
    assert told.output is not None
    assert told.output == (tmp_path / "sealed", (tmp_path / "sealed").stat().st_size)
    assert told.bytes_ciphertext == told.bytes_compressed + told.bytes_overhead == told.output[1]
    assert (told.bytes_plaintext, told.frames_terminator, told.frames_digest) == (len(PLAIN), 1, 1)
    assert told.sanity_check() == [] and told.has_all_stages(Direction.SEAL) and not told.has_all_stages("open")
    assert told.compression_ratio == told.bytes_compressed / told.bytes_plaintext < 0.5
    assert told.throughput_bytes_per_sec > 0 and told.elapsed > 0

    back = archive.open(str(tmp_path / "sealed"), tmp_path / "back", key=KEY)
    assert (tmp_path / "back").read_bytes() == PLAIN
    assert back.has_all_stages("open") and back.sanity_check() == []
    verified = archive.verify(tmp_path / "sealed", key=KEY)
    assert verified.bytes_plaintext == len(PLAIN) and verified.output is None


def test_bytes_and_objects_are_sealed_and_opened(tmp_path: Path) -> None:
    into = io.BytesIO()
    archive.seal(io.BytesIO(PLAIN), into, password="correct horse", cost=(64, 1, 1))
    assert opened(into.getvalue(), password=b"correct horse") == PLAIN
    with open(tmp_path / "raw", "wb", buffering=0) as raw:
        archive.seal(bytearray(PLAIN), raw, key=KEY)
    with open(tmp_path / "raw", "rb") as raw:
        assert archive.verify(raw, key=KEY).bytes_plaintext == len(PLAIN)


def test_an_archive_is_the_same_for_any_number_of_workers() -> None:
    one = sealed(salt=bytes(32), workers=1)
    assert all(sealed(salt=bytes(32), workers=workers) == one for workers in (2, 3))


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        (lambda of: of[:-1], errors.TruncatedError, "truncated"),
        (lambda of: of + b"x", errors.TrailingDataError, "trailing_data"),
        (lambda of: of[:200] + bytes([of[200] ^ 1]) + of[201:], errors.CorruptError, "corrupt"),
        (lambda of: b"PK" + of[2:], errors.NotAnArchiveError, "not_an_archive"),
        (lambda of: of[:20] + bytes([of[20] ^ 1]) + of[21:], errors.HeaderDamagedError, "header_damaged"),
    ],
)
def test_what_was_changed_is_not_opened(
    change: Callable[[bytes], bytes], kind: Type[errors.ArchiveError], code: str
) -> None:
    with pytest.raises(kind) as raised:
        archive.verify(change(sealed()), key=KEY)
    assert raised.value.code == code and isinstance(raised.value, errors.Error)
    again = pickle.loads(pickle.dumps(raised.value))
    assert (type(again), str(again), again.__dict__) == (kind, str(raised.value), raised.value.__dict__)


def test_errors_say_where() -> None:
    whole = sealed()
    with pytest.raises(errors.TruncatedError) as truncated:
        archive.verify(whole[:-1], key=KEY)
    assert truncated.value.offset == len(whole) - 1 and isinstance(truncated.value, EOFError)
    with pytest.raises(errors.TrailingDataError) as trailing:
        archive.verify(whole + b"x", key=KEY)
    assert trailing.value.offset == len(whole)
    with pytest.raises(errors.CorruptError) as corrupt:
        archive.verify(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], key=KEY)
    assert corrupt.value.frame == 0 and corrupt.value.offset > 0


def test_keys_and_passwords_are_told_apart() -> None:
    whole = sealed(context=b"purpose")
    with pytest.raises(errors.WrongKeyError):
        opened(whole, key=bytes(32), context=b"purpose")
    with pytest.raises(errors.WrongKeyError):
        opened(whole, key=KEY, context=b"another")
    assert opened(whole, key=KEY, context=b"purpose") == PLAIN
    with pytest.raises(errors.NeedsKeyError):
        opened(whole, password="x")
    with pytest.raises(errors.NeedsPasswordError):
        opened(sealed(key=None, password="x", cost=(64, 1, 1)), key=KEY)
    with pytest.raises(errors.KeyFormatError):
        opened(whole, key=b"short")
    for wrong in ({}, {"key": KEY, "password": "x"}):
        with pytest.raises(TypeError):
            archive.verify(whole, **wrong)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_settings_outside_of_their_limits_are_refused() -> None:
    for name, wrong in (("level", 99), ("frame_bytes", 5000), ("workers", 1000), ("salt", b"short")):
        with pytest.raises(ValueError):
            archive.seal(PLAIN, io.BytesIO(), key=KEY, **{name: wrong})  # type: ignore[arg-type] # pyright: ignore
    with pytest.raises(errors.SettingsError):
        sealed(level=99)
    with pytest.raises(errors.TooLongError):
        opened(sealed(), key=KEY, max_plaintext_bytes=10)


def test_what_stood_at_the_target_stays_when_opening_fails(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    with pytest.raises(errors.TruncatedError):
        archive.open(sealed()[:-1], tmp_path / "target", key=KEY)
    assert (tmp_path / "target").read_text() == "old" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(FileNotFoundError) as raised:
        archive.verify(tmp_path / "missing", key=KEY)
    assert raised.value.filename == str(tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        archive.seal(PLAIN, tmp_path / "no/such/folder", key=KEY)


class Failing(io.RawIOBase):
    """Reads a little, then raises."""

    def read(self, size: int = -1) -> bytes:
        raise PermissionError("not you")

    def write(self, data: Any) -> int:
        raise PermissionError("not you")


def test_what_an_object_raises_comes_out_as_it_was_raised() -> None:
    for run in (
        lambda: archive.verify(Failing(), key=KEY),
        lambda: archive.seal(Failing(), io.BytesIO(), key=KEY),
        lambda: archive.seal(PLAIN, Failing(), key=KEY),
        lambda: archive.open(sealed(), Failing(), key=KEY),
    ):
        with pytest.raises(PermissionError, match="not you"):
            run()
    with pytest.raises(TypeError, match="binary"):
        archive.verify(io.StringIO("text"), key=KEY)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError):
        archive.verify(7, key=KEY)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_ctrl_c_ends_sealing(tmp_path: Path) -> None:
    class Endless:
        sent = False

        def read(self, size: int) -> bytes:
            if not self.sent:
                self.sent = True
                os.kill(os.getpid(), signal.SIGINT)
            return bytes(size)

    with pytest.raises(KeyboardInterrupt):
        archive.seal(Endless(), tmp_path / "target", key=KEY)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["seal(pipe, io.BytesIO(), key=key)", "open(pipe, io.BytesIO(), key=key)", "verify(pipe, key=key)"])
def test_other_threads_go_on_while_something_is_read(what: str, tmp_path: Path) -> None:
    """It reads a pipe that only another thread of Python fills: with the GIL held it would wait forever."""
    program = f"""
import faulthandler, io, os, sys, threading
faulthandler.dump_traceback_later({PATIENCE}, exit=True)
from aldis import archive
pipe, key = sys.argv[1], b"k" * 32
os.mkfifo(pipe)
into = io.BytesIO()
archive.seal(os.urandom(1 << 20), into, key=key)
def fill():
    with open(pipe, "wb") as target:
        # In pieces, so that the thread is let in again and again.
        for start in range(0, len(into.getvalue()), 10_000):
            target.write(into.getvalue()[start:start + 10_000])
thread = threading.Thread(target=fill)
thread.start()
archive.{what}
thread.join()
print("done")
"""
    command = [sys.executable, "-c", program, str(tmp_path / "pipe")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_parts_are_opened_alone(tmp_path: Path) -> None:
    (tmp_path / "sealed").write_bytes(sealed())
    for source in (tmp_path / "sealed", sealed(), io.BytesIO(sealed())):
        with Archive(source, key=KEY) as parts:
            assert len(parts) == parts.plaintext_bytes == len(PLAIN)
            assert parts.read(70_000, 70_010) == PLAIN[70_000:70_010]
            assert parts.read(len(PLAIN) - 3) == PLAIN[-3:]
            assert parts.snapshot().frames_data < 4
            into = io.BytesIO()
            parts.copy(into, 10, 20)
            assert into.getvalue() == PLAIN[10:20]
            parts.copy(tmp_path / "part", 10, 20)
            assert (tmp_path / "part").read_bytes() == PLAIN[10:20]
            assert parts.times is None
        with pytest.raises(ValueError, match="closed"):
            parts.read()


def test_lines_are_found_by_their_time(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "t.jsonl")
    storage.store(TelemetryData([TelemetryEvent("a", "x" * 50, timestamp=second) for second in range(5000)]))
    archive.seal(tmp_path / "t.jsonl", tmp_path / "sealed", key=KEY, times=["time_ns"], frame_bytes=1 << 16)
    with Archive(tmp_path / "sealed", key=KEY) as parts:
        epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
        assert parts.times == (epoch, datetime(1970, 1, 1, 1, 23, 19, tzinfo=timezone.utc))
        into = io.BytesIO()
        assert parts.copy_lines(into, 100, "1970-01-01T00:01:43Z", times=["time_ns"]) == 3
        assert parts.copy_lines(io.BytesIO(), 100, times=["another"]) == 0
        found = TelemetryData.from_jsonl(into.getvalue().decode())
        assert [event.time_ns // 10**9 for event in found.events] == [100, 101, 102]


def test_a_snapshot_is_a_value() -> None:
    told = archive.seal(PLAIN, io.BytesIO(), key=KEY)
    assert TelemetrySnapshot.from_json(told.to_json()) == told == pickle.loads(pickle.dumps(told))
    assert told.to_dict() == json.loads(told.to_json())
    elsewhere = told.attach_output("elsewhere", 7)
    assert elsewhere != told and elsewhere.output == (Path("elsewhere"), 7)
    assert elsewhere.sanity_check() == ["the output is as long as neither the archive nor the plaintext"]
    assert repr(told).startswith("TelemetrySnapshot(frames_data=")
    with pytest.raises(ValueError):
        TelemetrySnapshot.from_json("{}")
    with pytest.raises(ValueError):
        told.has_all_stages("sideways")
    with pytest.raises(AttributeError):
        told.frames_data = 3  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]


def test_counters_and_timers_make_snapshots() -> None:
    counters, timer = TelemetryCounters(), TelemetryTimer()
    counters.add_header(96)
    counters.add_encrypt_data(4000, 1000, 32)
    other = TelemetryCounters()
    other.add_digest(72)
    other.add_terminator(72)
    counters += other
    assert (counters.bytes_ciphertext, counters.bytes_overhead, counters.frames_digest) == (1272, 272, 1)
    with timer.measure(Stage.COMPRESS):
        pass
    timer.add("write", 1.5)
    counters.add_timer(timer)
    counters.end()
    told = counters.snapshot()
    assert told.compression_ratio == 0.25 and told.sanity_check() == []
    assert told.stage_times.write == told.stage_times.get(Stage.WRITE) == 1.5 and told.stage_times.compress > 0
    assert timer.elapsed > 0 and "frames_data=1" in repr(counters)
    same = TelemetryCounters()
    same.add_decrypt_data(4000, 1000, 32)
    same.add_index(240)
    same.add_digest(0)
    same.add_terminator(0)
    assert same == counters and same != TelemetryCounters()


def test_stage_times_are_values() -> None:
    stages = [Stage.READ, Stage.COMPRESS, Stage.ENCRYPT, Stage.DECRYPT, Stage.DECOMPRESS, Stage.WRITE]
    assert stages == list(Stage) == [name for name, _ in StageTimes()] and Direction.OPEN == "open"
    times = StageTimes(read=1, write=2.5)
    assert times + StageTimes(read=0.5) == StageTimes(read=1.5, write=2.5)
    assert (times.total(), dict(times)["write"], times.decrypt) == (3.5, 2.5, 0)
    assert pickle.loads(pickle.dumps(times)) == times == eval(repr(times))
    with pytest.raises(ValueError):
        StageTimes(sleep=1)


class Calling(io.BytesIO):
    """A target or source that has something done whenever it is used."""

    def __init__(self, bytes_: bytes = b"", run: Callable[[], object] = lambda: None) -> None:
        super().__init__(bytes_)
        self.run = run
        self.said: List[object] = []

    def call(self) -> None:
        try:
            self.said.append(self.run())
        except ValueError as error:
            self.said.append(str(error))

    def write(self, data: Any) -> int:
        self.call()
        return super().write(data)

    def read(self, size: Optional[int] = -1) -> bytes:
        self.call()
        return super().read(size)


def test_what_an_archive_calls_may_ask_it(tmp_path: Path) -> None:
    source = Calling(sealed())
    with Archive(source, key=KEY) as parts:
        into = Calling(run=lambda: (len(parts), parts.plaintext_bytes, parts.times))
        parts.copy(into, 0, 10)
        assert (into.getvalue(), into.said) == (PLAIN[:10], [(len(PLAIN), len(PLAIN), None)])
        calls: List[Callable[[], object]] = [parts.snapshot, parts.close, parts.read, lambda: parts.copy(tmp_path / "no", 0, 1)]
        for call in calls:
            into = Calling(run=call)
            parts.copy(into, 0, 10)
            assert (into.getvalue(), into.said) == (PLAIN[:10], ["the archive is in use"])
        source.run, source.said = parts.snapshot, []
        assert parts.read(0, 10) == PLAIN[:10]
        assert set(source.said) == {"the archive is in use"}
        source.run = lambda: None
        with pytest.raises(PermissionError):
            parts.copy(Failing())
        # It can be used again, and is closed but once.
        assert parts.read(0, 10) == PLAIN[:10] and not (tmp_path / "no").exists()


def test_an_archive_without_times_says_so() -> None:
    with Archive(sealed(), key=KEY) as parts:
        into = io.BytesIO()
        with pytest.raises(errors.NoTimesError, match="no frame has a time"):
            parts.copy_lines(into, 0, times=["n"])
        assert (parts.times, into.getvalue()) == (None, b"")


def test_no_time_has_no_lines(tmp_path: Path) -> None:
    with Archive(sealed(times=["n"]), key=KEY) as parts:
        parts.copy_lines(tmp_path / "empty", 20, 10, times=["n"])
        assert (tmp_path / "empty").read_bytes() == b""
        parts.copy_lines(tmp_path / "empty", 10, 10, times=["n"])
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    with pytest.raises(ValueError, match="closed"):
        parts.copy_lines(io.BytesIO(), 20, 10, times=["n"])


def test_a_target_takes_no_more_than_it_is_given() -> None:
    class Boasting(io.BytesIO):
        def write(self, data: Any) -> int:
            return super().write(data) + 1

    class Full(io.RawIOBase):
        def write(self, data: Any) -> None:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride]
            return None

    class Silent:
        taken = b""

        def write(self, data: bytes) -> None:
            self.taken += data

    runs: List[Callable[[Any], object]] = [
        lambda target: archive.seal(PLAIN, target, key=KEY),
        lambda target: archive.open(sealed(), target, key=KEY),
        lambda target: Archive(sealed(), key=KEY).copy(target),
    ]
    for run in runs:
        with pytest.raises(TypeError, match="more bytes than it was given"):
            run(Boasting())
        with pytest.raises(BlockingIOError):
            run(Full())
    silent = Silent()
    archive.open(sealed(), silent, key=KEY)
    assert silent.taken == PLAIN
