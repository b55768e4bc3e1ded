"""Commands of `aldis`, counted, through a real Collector: three invocations sum to three.

    usage.py --aldis BINARY --collector BINARY

The Collector takes OTLP/JSON over HTTP, as it is sent, and hands on protobuf over gRPC, which is read here. The last line is
`N passed, M failed, K skipped`.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.metrics.v1 import metrics_pb2

import services
from services import Collector, Failure

ARRIVE_SECONDS = 300
INVOCATIONS = 3

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: {{grpc}}
      http:
        endpoint: {{http}}
exporters:
  otlp:
    endpoint: {target}
    tls: {{{{insecure: true}}}}
service:
  pipelines:
    metrics:
      receivers: [otlp]
      exporters: [otlp]
"""


class Backend(metrics_service_pb2_grpc.MetricsServiceServicer):
    """Adds up cumulative sums: the last value of each series that has a start of its own."""

    def __init__(self):
        self.lock = threading.Lock()
        self.last = {}
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(self, self.server)
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def Export(self, request, context):
        with self.lock:
            for resource in request.resource_metrics:
                attributes = {a.key: a.value.string_value for a in resource.resource.attributes}
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        self.take(attributes, metric)
        return metrics_service_pb2.ExportMetricsServiceResponse()

    def take(self, resource, metric):
        cumulative = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
        assert metric.sum.is_monotonic and metric.sum.aggregation_temporality == cumulative, metric
        for point in metric.sum.data_points:
            assert point.start_time_unix_nano < point.time_unix_nano, point
            labels = tuple((a.key, a.value.string_value) for a in point.attributes)
            series = (metric.name, tuple(sorted(resource.items())), labels, point.start_time_unix_nano)
            self.last[series] = max(self.last.get(series, (0, 0)), (point.time_unix_nano, point.as_int))

    def sums(self):
        with self.lock:
            sums = collections.Counter()
            for (name, resource, labels, _), (_, value) in self.last.items():
                sums[name, dict(resource)["service.name"], labels] += value
            return sums


def invocations_are_summed(options):
    backend = Backend()
    collector = Collector(options.collector, CONFIG.format(target=backend.address))
    with tempfile.TemporaryDirectory() as home:
        run = lambda *words: subprocess.run(
            [options.aldis, *words], env={"HOME": home}, check=True, capture_output=True, text=True
        ).stdout
        # The longest that it takes.
        settings = pathlib.Path(home, ".config/aldis")
        settings.mkdir(parents=True, mode=0o700)
        (settings / "config.toml").write_text('[telemetry]\ntimeout = "10s"\n')
        run("telemetry", "enable", "--endpoint", f"http://{collector.http}")
        for _ in range(INVOCATIONS):
            run("config", "schema")
        run("completions", "bash")
        deadline = time.monotonic() + ARRIVE_SECONDS
        while backend.sums().total() < INVOCATIONS and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)  # for what should not come
        status = run("telemetry", "status")
    collector.stop()
    expected = {("aldis_command_invocation", "aldis", (("command_name", "config schema"),)): INVOCATIONS}
    if backend.sums() != expected:
        raise Failure(f"{backend.sums()}, not {expected}\n{status}\n{collector.output()}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--aldis", required=True, type=os.path.abspath)
    parser.add_argument("--collector", required=True, type=os.path.abspath)
    options = parser.parse_args()
    return services.run([("invocations through a Collector are summed", lambda: invocations_are_summed(options))])


if __name__ == "__main__":
    sys.exit(main())
