"""The end of the interpreter, children, and signals: each in an interpreter of its own, which must end by itself and well."""

import subprocess
import sys
from pathlib import Path
from typing import Sequence

import pytest

from aldis import FileStorage
from waiting import PATIENCE

PRELUDE = f"""
import faulthandler, os, sys, threading, time
faulthandler.dump_traceback_later({PATIENCE}, exit=True)
import aldis
from aldis import *
path = sys.argv[1]
"""


def run(program: str, folder: Path, expected: int = 0) -> str:
    """Runs a program; what it wrote to its standard output. It must say nothing else, and end with that code."""
    command: Sequence[str] = [sys.executable, "-X", "dev", "-c", PRELUDE + program, str(folder / "t.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE)
    assert (done.returncode, done.stderr) == (expected, ""), (done.returncode, done.stderr)
    return done.stdout


def stored(folder: Path) -> Sequence[str]:
    return [event.message for event in FileStorage(folder / "t.jsonl").retrieve().events]


def test_a_running_stream_stores_everything_at_exit(tmp_path: Path) -> None:
    run(
        """
collector = TelemetryCollector()
stream = TelemetryStream(collector, FileStorage(path))
stream.start()
for number in range(1000):
    collector.collect_event("a", str(number))
""",
        tmp_path,
    )
    assert stored(tmp_path) == [str(number) for number in range(1000)]


def test_a_storage_in_python_is_called_at_exit(tmp_path: Path) -> None:
    said = run(
        """
class Printing(TelemetryStorage):
    def store(self, data):
        time.sleep(0.1)
        print("stored", len(data), flush=True)
    def retrieve(self, start_time=None, end_time=None, limit=None):
        return TelemetryData()

collector = TelemetryCollector(TelemetryConfig(flush_interval=100))
stream = TelemetryStream(collector, Printing())
stream.add_consumer(lambda data: print("consumed", len(data), flush=True))
stream.start()
collector.collect_event("a", "b")
""",
        tmp_path,
    )
    assert sorted(said.split("\n")) == ["", "consumed 1", "stored 1"]


@pytest.mark.parametrize("ending", ["pass", "sys.exit(3)", "raise SystemExit(3)"])
def test_busy_listeners_and_daemons_do_not_hold_up_the_end(ending: str, tmp_path: Path) -> None:
    program = f"""
collector = TelemetryCollector(TelemetryConfig(realtime_mode=True, flush_interval=0.001))
stream = TelemetryStream(collector, MemoryStorage())
stream.start()
collector.add_listener(lambda data: time.sleep(0.05))
stream.add_consumer(lambda data: [str(event) for event in data.events])
def emit():
    while True:
        collector.collect_event("a", "b", metadata={{"k": "v"}})
        time.sleep(0)
for _ in range(3):
    threading.Thread(target=emit, daemon=True).start()
time.sleep(0.3)
{ending}
"""
    run(program, tmp_path, 3 if "3" in ending else 0)


def test_a_listener_that_never_returns_does_not_hold_up_the_end_for_long(tmp_path: Path) -> None:
    run(
        """
collector = TelemetryCollector(TelemetryConfig(realtime_mode=True))
inside = threading.Event()
def hangs(data):
    inside.set()
    while True:
        time.sleep(0.01)
collector.add_listener(hangs)
collector.collect_event("a", "b")
inside.wait()
""",
        tmp_path,
    )


def test_a_storage_that_hangs_does_not_hold_up_the_end_for_long(tmp_path: Path) -> None:
    # It is given up before it returns: the program ends by itself, and nothing of it comes back.
    said = run(
        """
class Hanging(TelemetryStorage):
    def store(self, data):
        print("stores", flush=True)
        time.sleep(3600)
        print("returned", flush=True)
    def retrieve(self, start_time=None, end_time=None, limit=None):
        return TelemetryData()

collector = TelemetryCollector()
stream = TelemetryStream(collector, Hanging())
stream.start()
collector.collect_event("a", "b")
""",
        tmp_path,
    )
    assert said == "stores\n"


def test_objects_that_live_until_the_very_end_end_well(tmp_path: Path) -> None:
    run(
        """
class Keeper(TelemetryStorage):
    def store(self, data):
        self.kept = data
    def retrieve(self, start_time=None, end_time=None, limit=None):
        return self.kept

class Late:
    def __del__(self):
        collector.collect_event("late", "b")
        collector.stats()

import builtins
collector = builtins.collector = TelemetryCollector(TelemetryConfig(realtime_mode=True))
stream = builtins.stream = TelemetryStream(collector, Keeper())
stream.start()
collector.add_listener(lambda data: None)
collector.collect_event("a", "b")
cycle = [collector, stream, Late()]
cycle.append(cycle)
scan = builtins.scan = iter(FileStorage(path))
""",
        tmp_path,
    )


def test_a_forked_child_begins_empty_and_has_its_own_stream(tmp_path: Path) -> None:
    said = run(
        """
import warnings
warnings.simplefilter("ignore")
collector = TelemetryCollector(TelemetryConfig(flush_interval=100, realtime_mode=True))
stream = TelemetryStream(collector, FileStorage(path))
stream.start()
collector.add_listener(lambda data: None)
collector.collect_event("a", "of the parent")
pid = os.fork()
if pid == 0:
    assert collector.stats().emitted == 0
    collector.collect_event("a", "of the child")
    collector.flush()
    stream.stop()
    os._exit(0)
print(os.waitpid(pid, 0)[1])
collector.flush()
print(collector.stats().delivered)
""",
        tmp_path,
    )
    assert said == "0\n1\n"
    assert sorted(stored(tmp_path)) == ["of the child", "of the parent"]


def test_a_forked_child_scans_anew(tmp_path: Path) -> None:
    said = run(
        """
import warnings
warnings.simplefilter("ignore")
storage = FileStorage(path)
for _ in range(10):
    storage.store(TelemetryData([TelemetryEvent("a", "b")] * 1000))
scan, other, taken = iter(storage), iter(storage), []
next(scan)
next(other)
threads = [threading.Thread(target=lambda: taken.extend(scan)) for _ in range(2)]
for thread in threads:
    thread.start()
codes = []
for _ in range(10):
    pid = os.fork()
    if pid == 0:
        try:
            next(scan)
        except StorageError as error:
            del other
            os._exit(0 if "scan anew" in str(error) else 1)
        os._exit(2)
    codes.append(os.waitpid(pid, 0)[1])
for thread in threads:
    thread.join()
print(codes, len(taken))
""",
        tmp_path,
    )
    assert said == f"{[0] * 10} 9999\n"


def test_forks_under_fire_hang_no_child(tmp_path: Path) -> None:
    said = run(
        """
import warnings
warnings.simplefilter("ignore")
class Slow(TelemetryStorage):
    def store(self, data):
        time.sleep(0.002)
    def retrieve(self, start_time=None, end_time=None, limit=None):
        return TelemetryData()

collector = TelemetryCollector(TelemetryConfig(flush_interval=0.001, realtime_mode=True))
stream = TelemetryStream(collector, Slow())
stream.add_consumer(lambda data: len(data.events))
stream.start()
collector.add_listener(lambda data: [event.metadata for event in data.events])
class Odd:
    def __str__(self):
        time.sleep(0.0001)
        return "odd"
going = True
def emit():
    while going:
        collector.collect_event("a", "b", metadata={"k": "v", "odd": Odd()})
threads = [threading.Thread(target=emit) for _ in range(3)]
for thread in threads:
    thread.start()
codes = []
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        for number in range(100):
            collector.collect_event("child", str(number), metadata={"odd": Odd()})
        collector.flush(200)
        stats = collector.stats()
        os._exit(0 if stats.is_closed_sum and stats.delivered == 100 else 1)
    codes.append(os.waitpid(pid, 0)[1])
going = False
for thread in threads:
    thread.join()
print(codes)
""",
        tmp_path,
    )
    assert said == f"{[0] * 20}\n"


def test_a_listener_may_fork(tmp_path: Path) -> None:
    said = run(
        """
import warnings
warnings.simplefilter("ignore")
collector = TelemetryCollector(TelemetryConfig(realtime_mode=True))
codes = []
def forks(data):
    pid = os.fork()
    if pid == 0:
        collector.collect_event("child", "b")
        os._exit(0 if len(collector.flush()) == 1 else 1)
    codes.append(os.waitpid(pid, 0)[1])
collector.add_listener(forks)
collector.collect_event("a", "b")
while not codes:
    time.sleep(0.01)
print(codes)
""",
        tmp_path,
    )
    assert said == "[0]\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_store_what_they_collect(method: str, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        """
import sys
from aldis import *

collector = TelemetryCollector(TelemetryConfig(flush_interval=100))
stream = TelemetryStream(collector, FileStorage(sys.argv[1]))

def work(number):
    if not collector.is_streaming:
        stream.start()
    collector.collect_event("child", str(number))
    return TelemetryEvent("a", str(number), time_ns=1)
"""
    )
    said = run(
        f"""
import multiprocessing, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {str(tmp_path)!r})
import work
context = multiprocessing.get_context({method!r})
with context.Pool(2) as pool:
    events = pool.map(work.work, range(10))
    pool.close()
    pool.join()
print([event.message for event in events] == [str(number) for number in range(10)])
""",
        tmp_path,
    )
    assert said == "True\n"
    assert sorted(stored(tmp_path), key=int) == [str(number) for number in range(10)]


def test_ctrl_c_ends_a_flush_that_waits(tmp_path: Path) -> None:
    said = run(
        """
import signal
let_go = threading.Event()
class Sleepy(TelemetryStorage):
    def store(self, data):
        # Only the flush asks for it, and waits now.
        os.kill(os.getpid(), signal.SIGINT)
        let_go.wait(600)
    def retrieve(self, start_time=None, end_time=None, limit=None):
        return TelemetryData()

collector = TelemetryCollector(TelemetryConfig(flush_interval=3600))
stream = TelemetryStream(collector, Sleepy())
stream.start()
collector.collect_event("a", "b")
try:
    collector.flush(600)
except KeyboardInterrupt:
    print("interrupted")
let_go.set()
""",
        tmp_path,
    )
    assert said == "interrupted\n"


def test_ctrl_c_ends_a_scan_that_waits(tmp_path: Path) -> None:
    said = run(
        """
import signal
storage = FileStorage(path)
# A line of zeros without an end, which takes no room: who looks for a record in it waits.
os.truncate(path, 1 << 40)
scan = storage.scan()
begins = threading.Event()
def interrupt():
    begins.wait()
    # So that it waits by then. Where it does not yet, it is interrupted all the same.
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)
thread = threading.Thread(target=interrupt)
thread.start()
try:
    begins.set()
    next(scan)
except KeyboardInterrupt:
    print("interrupted")
thread.join()
# Lets the thread go that reads.
os.truncate(path, 0)
""",
        tmp_path,
    )
    assert said == "interrupted\n"
