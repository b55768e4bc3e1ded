"""What `aldis serve` tells of itself, held against what a Collector tells of itself with the same file and the same requests.

    own.py --aldis BINARY --collector BINARY --promtool BINARY --recorded FILE

Every `otelcol_` family of one page must be on the other, with its type and the labels of its series, as far as `DIFFERENT` does
not say why not; and what was counted must be the same. `promtool check metrics` reads the pages. `FILE` is the record of a Collector's
page that the Rust tests read: it must be what this Collector shows. The last line is `N passed, M failed, K skipped`.
"""

import argparse
import difflib
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from prometheus_client import parser

from services import ANSWER_SECONDS, START_SECONDS, Aldis, Failure, Service, accepts, dead_port, free_port, run

# A pipeline of every signal with all that counts; one whose memory limiter refuses everything; an exporter that cannot deliver, and
# one whose queue is full.
CONFIG = """
receivers:
  otlp:
    protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}
  otlp/tight:
    protocols: {{http: {{endpoint: '{tight}'}}}}
  otlp/full:
    protocols: {{http: {{endpoint: '{full}'}}}}
processors:
  memory_limiter: {{check_interval: 1s, limit_mib: 4000}}
  memory_limiter/tight: {{check_interval: 100ms, limit_mib: 2, spike_limit_mib: 1}}
  attributes: {{actions: [{{key: seen, value: yes, action: insert}}]}}
  filter:
    error_mode: ignore
    traces: {{span: ['name == "gone"']}}
    metrics: {{datapoint: ['metric.name == "gone"']}}
    logs: {{log_record: ['severity_number == 17']}}
  batch: {{timeout: 200ms, send_batch_size: 10}}
exporters:
  otlp: {{endpoint: '{sink_grpc}', tls: {{insecure: true}}}}
  otlp/tight: {{endpoint: '{sink_grpc}', tls: {{insecure: true}}}}
  otlphttp: {{endpoint: 'http://{sink_http}'}}
  otlp/dead:
    endpoint: '{nobody}'
    tls: {{insecure: true}}
    retry_on_failure: {{enabled: false}}
  otlphttp/dead:
    endpoint: 'http://{nobody}'
    retry_on_failure: {{enabled: false}}
  otlp/full:
    endpoint: '{nobody}'
    tls: {{insecure: true}}
    sending_queue: {{queue_size: 1, num_consumers: 1}}
    retry_on_failure: {{initial_interval: 1h, max_interval: 1h, max_elapsed_time: 0s}}
service:
  telemetry:
    metrics:
      level: {level}
      readers:
        - pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {page}, without_type_suffix: {plain}, without_units: {plain}}}}}}}
  pipelines:
    {pipelines}
"""
STEPS = "processors: [memory_limiter, attributes, filter, batch], exporters: [otlp, otlphttp, otlp/dead, otlphttp/dead]"
SIGNALS = ("traces", "metrics", "logs")
PIPELINES = "\n    ".join(
    [f"{signal}: {{receivers: [otlp], {STEPS}}}" for signal in SIGNALS]
    + [f"{signal}/tight: {{receivers: [otlp/tight], processors: [memory_limiter/tight], exporters: [otlp/tight]}}" for signal in SIGNALS]
    + [f"{signal}/full: {{receivers: [otlp/full], exporters: [otlp/full]}}" for signal in SIGNALS])

SINK = """
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}}}}}
exporters: {{nop: }}
service:
  pipelines:
    traces: {{receivers: [otlp], exporters: [nop]}}
    metrics: {{receivers: [otlp], exporters: [nop]}}
    logs: {{receivers: [otlp], exporters: [nop]}}
"""

# Families that only one of both has, or has otherwise, and why.
DIFFERENT = {
    "otelcol_process_runtime_total_alloc_bytes": "there is no garbage collector that counts it",
}

# Counts that depend on nothing but what was sent.
EQUAL = ("otelcol_processor_filter_", "otelcol_receiver_accepted_", "otelcol_receiver_failed_", "otelcol_exporter_sent_", "otelcol_processor_incoming_",
         "otelcol_processor_outgoing_", "otelcol_processor_memory_limiter_accepted_", "otelcol_exporter_queue_capacity")


class Telling(Service):
    """One of both, with its page."""

    def __init__(self, name, command, sink, level="normal", plain="true"):
        ports = {key: f"127.0.0.1:{free_port()}" for key in ("grpc", "http", "tight", "full")}
        self.held, nobody = dead_port()
        ports["nobody"] = f"127.0.0.1:{nobody}"
        self.ports = ports
        self.page = f"127.0.0.1:{free_port()}"
        told = {"page": self.page.split(":")[1], "level": level, "plain": plain, "pipelines": PIPELINES}
        config = CONFIG.format(**ports, **told, sink_grpc=sink.grpc, sink_http=sink.http)
        super().__init__(name, command, (ports["grpc"], ports["http"]), config.replace("{", "{{").replace("}", "}}"))
        for address in (ports["grpc"], ports["http"], ports["tight"], ports["full"], self.page):
            self.wait_for(lambda: accepts(address))

    def text(self):
        with urllib.request.urlopen(f"http://{self.page}/metrics", timeout=ANSWER_SECONDS) as answer:
            return answer.read().decode()

    def families(self):
        """By name. The parser gives counters `_total`, which they have on neither page; that is in the names of samples only."""
        found = parser.text_string_to_metric_families(self.text())
        return {family.name: Family(family) for family in found if family.name.startswith(("otelcol_", "target_info"))}

    def settled(self):
        """The families, once everything that was sent is counted where it ends."""
        deadline, before = time.monotonic() + START_SECONDS, None
        while True:
            families = self.families()
            values = {name: family.values for name, family in families.items() if name.startswith(EQUAL)}
            if values == before and is_over(families):
                return families
            if time.monotonic() > deadline:
                return families
            before = values
            time.sleep(0.5)


def is_over(families):
    """Whether two exporters have sent all that reaches them, and two could send none of it; one had no room; and batches of both kinds left."""
    for records in ("spans", "metric_points", "log_records"):
        for what in ("sent", "send_failed"):
            counted = by_exporter(families, f"otelcol_exporter_{what}_{records}").values()
            if sum(count >= KEPT for count in counted) < 2:
                return False
        if not any(by_exporter(families, f"otelcol_exporter_enqueue_failed_{records}").values()):
            return False
    return all(f"otelcol_processor_batch_{trigger}_trigger_send" in families for trigger in ("batch_size", "timeout"))


def by_exporter(families, name):
    """The values of a family for each exporter but the one that gets what a limiter lets through before it sees that it is over."""
    counted = {}
    for (_, *labels), value in (families[name].values if name in families else {}).items():
        exporter = dict(labels)["exporter"]
        if "tight" not in exporter:
            counted[exporter] = counted.get(exporter, 0) + value
    return counted


class Family:
    """Type, label names of series, and values by labels."""

    def __init__(self, family):
        self.kind = family.type
        own = [({k: v for k, v in sample.labels.items() if k != "le"}, sample) for sample in family.samples]
        self.labels = {tuple(sorted(labels)) for labels, _ in own}
        self.series = {tuple(sorted(labels.items())) for labels, _ in own}
        self.values = {(sample.name, *sorted(sample.labels.items())): sample.value for sample in family.samples}

    def lines(self, name):
        return [" ".join(filter(None, (name, self.kind, ",".join(labels)))) for labels in sorted(self.labels)]


# Records of a signal that are left of those that are sent over both protocols once the filter has taken the first of each many.
MANY, FEW = 12, 1
KEPT = 2 * (MANY - 1 + FEW)

SERVICES = {"traces": "trace.v1.TraceService", "metrics": "metrics.v1.MetricsService", "logs": "logs.v1.LogsService"}


def request(signal, records):
    """A request of so many records; where there are several the filter takes out the first."""
    names = ["gone" if i == 0 and records > 1 else "kept" for i in range(records)]
    now = time.time_ns()
    if signal == "traces":
        made = trace_service_pb2.ExportTraceServiceRequest()
        spans = made.resource_spans.add().scope_spans.add().spans
        for name in names:
            spans.add(trace_id=b"\x01" * 16, span_id=b"\x02" * 8, name=name, kind=2, start_time_unix_nano=now, end_time_unix_nano=now)
    elif signal == "metrics":
        made = metrics_service_pb2.ExportMetricsServiceRequest()
        metrics = made.resource_metrics.add().scope_metrics.add().metrics
        for name in names:
            metrics.add(name=name).gauge.data_points.add(time_unix_nano=now, as_int=1)
    else:
        made = logs_service_pb2.ExportLogsServiceRequest()
        logs = made.resource_logs.add().scope_logs.add().log_records
        for name in names:
            logs.add(time_unix_nano=now, severity_number=17 if name == "gone" else 9)
    return made


def send(service):
    """Twelve records, which are a batch at once, and one that waits, of every signal, over both protocols; one that a limiter refuses."""
    channel = grpc.insecure_channel(service.grpc)
    for signal in SIGNALS:
        many, few = request(signal, MANY), request(signal, FEW)
        path = f"/opentelemetry.proto.collector.{SERVICES[signal]}/Export"
        call = channel.unary_unary(path, request_serializer=lambda made: made.SerializeToString(), response_deserializer=bytes)
        for made in (many, few):
            call(made, timeout=ANSWER_SECONDS)
            post(service.http, signal, made, 200)
            time.sleep(0.3)
        # A limiter needs a moment to see that it is over.
        deadline = time.monotonic() + START_SECONDS
        while post(service.ports["tight"], signal, many, None) == 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        # One that is sent again and again, one that waits, one that finds no room.
        for _ in range(3):
            post(service.ports["full"], signal, few, None)
    channel.close()


def post(address, signal, made, wanted):
    asked = urllib.request.Request(f"http://{address}/v1/{signal}", made.SerializeToString())
    asked.add_header("Content-Type", "application/x-protobuf")
    try:
        with urllib.request.urlopen(asked, timeout=ANSWER_SECONDS) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    if wanted is not None and status != wanted:
        raise Failure(f"{address} answers {signal} with {status}")
    return status


def families_are_the_collectors(pages, options):
    ours, theirs = pages
    told = []
    for name in sorted(ours.keys() | theirs.keys()):
        if name in DIFFERENT:
            if name in ours:
                told.append(f"{name} is here, although {DIFFERENT[name]}")
        elif name not in theirs:
            told.append(f"{name}: the Collector has no such metric")
        elif name not in ours:
            told.append(f"{name} is only there: {sorted(theirs[name].labels)}")
        elif ours[name].kind != theirs[name].kind:
            told.append(f"{name} is a {ours[name].kind}, not a {theirs[name].kind}")
        elif ours[name].labels != theirs[name].labels:
            told.append(f"{name} has labels {sorted(ours[name].labels)}, not {sorted(theirs[name].labels)}")
    if told:
        raise Failure("\n".join(told))


def counts_are_the_collectors(pages, options):
    ours, theirs = pages
    told, seen = [], 0
    for name in sorted(ours.keys() & theirs.keys()):
        if not name.startswith(EQUAL):
            continue
        for labels, value in theirs[name].values.items():
            labels_of = dict(labels[1:])
            # How often a limiter is asked depends on when it sees that it is over.
            if any("tight" in value for value in labels_of.values()):
                continue
            seen += 1
            if (got := without_ports(ours[name]).get(unported(labels))) != value:
                told.append(f"{labels} is {got}, not {value}")
    if told or seen < 30:
        raise Failure("\n".join(told) or f"only {seen} counts were compared")


def unported(labels):
    """Each has ports of its own where nobody listens."""
    return tuple(label for label in labels if label[0] != "server_port")


def without_ports(family):
    return {unported(labels): value for labels, value in family.values.items()}


def the_record_is_what_this_collector_shows(pages, options):
    """Name, type, and the labels of series; `ALDIS_BLESS=1` writes it anew."""
    lines = [line for name, family in sorted(pages[1].items()) for line in family.lines(name)]
    path = pathlib.Path(options.recorded)
    comments = [line for line in path.read_text().splitlines() if line.startswith("#")]
    wanted = "\n".join([*comments, *lines]) + "\n"
    if os.environ.get("ALDIS_BLESS"):
        path.write_text(wanted)
    elif path.read_text() != wanted:
        told = difflib.unified_diff(path.read_text().splitlines(), wanted.splitlines(), "recorded", "shown", lineterm="")
        raise Failure("\n".join(told))


def promtool(options, text):
    ended = subprocess.run([options.promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    return ended.returncode, (ended.stdout + ended.stderr).strip().splitlines()


TESTS = [families_are_the_collectors, counts_are_the_collectors, the_record_is_what_this_collector_shows]


def pages(options, sink):
    """The pages of both, after the same requests; and what promtool says of ours, in every form."""
    found = []
    commands = (("aldis", [options.aldis, "serve"]), ("collector", [options.collector]))
    for name, command in commands:
        service = Telling(name, command, sink)
        try:
            send(service)
            found.append(service.settled())
        finally:
            stop(service)
    return found


def stop(service):
    """What cannot be delivered is none of this."""
    service.process.kill()
    service.process.wait()
    service.folder.cleanup()
    service.held.close()


def promtool_reads_the_page(options, sink):
    told = []
    for plain in ("true", "false"):
        service = Telling("aldis", [options.aldis, "serve"], sink, "detailed", plain)
        try:
            send(service)
            service.settled()
            code, lines = promtool(options, service.text())
        finally:
            stop(service)
        # The Collector's names are its own: without suffixes, of which promtool says so. Nothing else may be said.
        lines = [line for line in lines if plain == "false" or "_total" not in line]
        if lines or code not in (0, 3):
            told += [f"suffixes: {plain == 'false'}: {line}" for line in [f"exit code {code}", *lines]]
    if told:
        raise Failure("\n".join(told))


def main():
    arguments = argparse.ArgumentParser()
    for name in ("--aldis", "--collector", "--promtool", "--recorded"):
        arguments.add_argument(name, required=True)
    options = arguments.parse_args()
    sink = Aldis(options.aldis, SINK)
    try:
        compared = pages(options, sink)
        tests = [(test.__name__, lambda test=test: test(compared, options)) for test in TESTS]
        return run([*tests, (promtool_reads_the_page.__name__, lambda: promtool_reads_the_page(options, sink))])
    finally:
        sink.stop()


if __name__ == "__main__":
    sys.exit(main())
