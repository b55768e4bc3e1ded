"""What it costs to emit an event from Python, side by side: every row in turn, over and over, in one process.

    python3 check.py bench [--events N] [--rounds N] [--out FILE]

Each row emits the same event: a source, a message, a severity, and three attributes (a text, an integer that changes, a float), which
are written where the event is emitted, as programs do. The cost of the loop itself is taken off. A round runs every row once, in an
order that changes from round to round; a row's figure is the median of its rounds, with the least and the most. CPU time is that of all
threads, so that work in the background counts, too.
"""

import argparse
import json
import logging
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import opentelemetry.sdk.version
import structlog
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import aldis

INFO = aldis.EventType.INFO
NULL = open(os.devnull, "w")


class Row(NamedTuple):
    name: str
    emit: Callable[[int], None]
    """Emits so many."""
    share: float = 1.0
    """The share of the events that a round emits: slow rows emit fewer."""
    lost: Callable[[], str] = lambda: ""
    """What became of the events, where that is known."""


def empty(count: int) -> None:
    for _ in range(count):
        pass


def ours() -> List[Row]:
    collector = aldis.TelemetryCollector(aldis.TelemetryConfig(buffer_size=100_000))
    collect_event, emit, collect_metric = collector.collect_event, collector.emit, collector.collect_metric
    add = collector.counter("orders").add

    def with_dict(count: int) -> None:
        for i in range(count):
            collect_event("shop", "order placed", INFO, {"user": "ada", "items": i, "total": 12.5})

    def with_keywords(count: int) -> None:
        for i in range(count):
            emit("shop", "order placed", INFO, user="ada", items=i, total=12.5)

    def without_attributes(count: int) -> None:
        for _ in range(count):
            collect_event("shop", "order placed", INFO)

    def with_new_text(count: int) -> None:
        for i in range(count):
            collect_event("shop", f"order {i}", INFO, {"user": "ada", "items": i, "total": 12.5})

    def metric(count: int) -> None:
        for i in range(count):
            collect_metric("orders", i, "{order}", {"shop": "berlin"})

    def counter(count: int) -> None:
        for _ in range(count):
            add(1)

    streamed = aldis.TelemetryCollector(aldis.TelemetryConfig(overflow="block", block_timeout=60))
    into_memory = streamed.collect_event
    stream = aldis.TelemetryStream(streamed, aldis.MemoryStorage(max_items=10_000))
    stream.start()

    def stored(count: int) -> None:
        for i in range(count):
            into_memory("shop", "order placed", INFO, {"user": "ada", "items": i, "total": 12.5})
        streamed.flush()

    filed = aldis.TelemetryCollector(aldis.TelemetryConfig(overflow="block", block_timeout=60))
    into_file = filed.collect_event
    to_file = aldis.TelemetryStream(filed, aldis.FileStorage(_scratch(), rotate_bytes=64 << 20, keep_files=1))
    to_file.start()

    def to_lines(count: int) -> None:
        for i in range(count):
            into_file("shop", "order placed", INFO, {"user": "ada", "items": i, "total": 12.5})
        filed.flush()

    def dropped(of: aldis.TelemetryCollector) -> Callable[[], str]:
        return lambda: f"{sum(of.stats().dropped.values())} of {of.stats().emitted}"

    _kept.extend([stream, to_file])
    return [
        Row("aldis, a dict", with_dict),
        Row("aldis, keywords", with_keywords),
        Row("aldis, a dict and a new text", with_new_text),
        Row("aldis, no attributes", without_attributes),
        Row("aldis, a metric with a tag", metric),
        Row("aldis, a counter's handle", counter),
        Row("aldis, a dict, all stored in memory", stored, 0.5, dropped(streamed)),
        Row("aldis, a dict, all stored as lines of JSON", to_lines, 0.5, dropped(filed)),
    ]


_kept: List[Any] = []


def _scratch() -> str:
    import tempfile

    folder = tempfile.TemporaryDirectory()
    _kept.append(folder)
    return f"{folder.name}/t.jsonl"


def floors() -> List[Row]:
    lock = threading.Lock()

    def append(count: int) -> None:
        events: List[Dict[str, Any]] = []
        for i in range(count):
            with lock:
                events.append({"source": "shop", "message": "order placed", "user": "ada", "items": i, "total": 12.5})

    def append_as_much(count: int) -> None:
        events: List[Dict[str, Any]] = []
        now = time.time_ns
        for i in range(count):
            with lock:
                events.append({
                    "time_ns": now(), "source": "shop", "message": "order placed", "event_type": INFO,
                    "metadata": {"user": "ada", "items": i, "total": 12.5},
                })  # fmt: skip

    return [
        Row("lock + list.append({...}), flat", append),
        Row("lock + list.append({...}), with time, severity and a dict inside", append_as_much),
    ]


def peers() -> List[Row]:
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(), structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(NULL),
        cache_logger_on_first_use=True,
    )
    struct = structlog.get_logger().bind()
    logger = logging.getLogger("bench")
    logger.propagate = False
    handler = logging.StreamHandler(NULL)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s %(user)s %(items)s %(total)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)

    class Nowhere:
        """Takes everything at once."""

        def export(self, batch: Any) -> Any:
            from opentelemetry.sdk._logs.export import LogRecordExportResult

            return LogRecordExportResult.SUCCESS

        def shutdown(self) -> None:
            pass

        def force_flush(self, timeout_millis: int = 0) -> bool:
            return True

    class NoSpans(Nowhere):
        def export(self, batch: Any) -> Any:
            from opentelemetry.sdk.trace.export import SpanExportResult

            return SpanExportResult.SUCCESS

    logs = LoggerProvider()
    logs.add_log_record_processor(BatchLogRecordProcessor(Nowhere()))  # type: ignore[arg-type] # pyright: ignore
    otel_logger = logs.get_logger("shop")
    spans = TracerProvider()
    spans.add_span_processor(BatchSpanProcessor(NoSpans()))  # type: ignore[arg-type] # pyright: ignore
    tracer = spans.get_tracer("shop")
    meters = MeterProvider(metric_readers=[InMemoryMetricReader()])
    counter = meters.get_meter("shop").create_counter("orders")

    def structured(count: int) -> None:
        for i in range(count):
            struct.info("order placed", source="shop", user="ada", items=i, total=12.5)

    def logged(count: int) -> None:
        for i in range(count):
            logger.info("order placed", extra={"user": "ada", "items": i, "total": 12.5})

    def otel_log(count: int) -> None:
        for i in range(count):
            otel_logger.emit(
                LogRecord(
                    timestamp=time.time_ns(),
                    severity_number=SeverityNumber.INFO,
                    body="order placed",
                    attributes={"user": "ada", "items": i, "total": 12.5},
                )
            )

    def otel_span(count: int) -> None:
        for i in range(count):
            tracer.start_span("order placed", attributes={"user": "ada", "items": i, "total": 12.5}).end()

    def otel_counter(count: int) -> None:
        for _ in range(count):
            counter.add(1, {"shop": "berlin"})

    _kept.extend([logs, spans, meters])
    return [
        Row("structlog, JSON to /dev/null", structured, 0.05),
        Row("logging, a line to /dev/null", logged, 0.05),
        Row("opentelemetry-sdk, log record, batch processor", otel_log, 0.02),
        Row("opentelemetry-sdk, span, batch processor", otel_span, 0.02),
        Row("opentelemetry-sdk, counter with an attribute", otel_counter, 0.05),
    ]


def measure(row: Row, events: int) -> Tuple[float, float]:
    """Nanoseconds for one event: of the wall clock, and of CPU time of all threads."""
    count = max(int(events * row.share), 1000)
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    row.emit(count)
    return (time.perf_counter_ns() - wall) / count, (time.process_time_ns() - cpu) / count


def commit() -> str:
    asked = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True)
    return asked.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000, help="events in a round of a row")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="a file for the run, as JSON")
    options = parser.parse_args()
    rows = [Row("the loop alone", empty), *ours(), *floors(), *peers()]
    took: Dict[str, List[Tuple[float, float]]] = {row.name: [] for row in rows}
    for number in range(options.rounds + 1):
        order = rows[number % len(rows) :] + rows[: number % len(rows)]
        for row in order:
            one = measure(row, options.events)
            # The first round warms up.
            if number > 0:
                took[row.name].append(one)
    loop = statistics.median(wall for wall, _ in took["the loop alone"])
    loop_cpu = statistics.median(cpu for _, cpu in took["the loop alone"])
    result: Dict[str, Any] = {
        "date": date.today().isoformat(),
        "commit": commit(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        "versions": {
            "aldis": aldis.__version__,
            "structlog": structlog.__version__,
            "opentelemetry-sdk": opentelemetry.sdk.version.__version__,
        },
        "events": options.events,
        "rounds": options.rounds,
        "rows": [],
    }
    print(f"{'ns for an event':64} {'median':>8} {'least':>8} {'most':>8} {'CPU':>8}  lost")
    for row in rows[1:]:
        wall = [wall - loop for wall, _ in took[row.name]]
        cpu = statistics.median(cpu - loop_cpu for _, cpu in took[row.name])
        figures = {"median": statistics.median(wall), "least": min(wall), "most": max(wall), "cpu": cpu}
        result["rows"].append({"name": row.name, **{name: round(ns, 1) for name, ns in figures.items()}, "lost": row.lost()})
        print(f"{row.name:64}", *(f"{ns:8.0f}" for ns in figures.values()), "", row.lost(), flush=True)
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
