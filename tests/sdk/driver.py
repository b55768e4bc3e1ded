"""Runs an OpenTelemetry SDK's client through `aldis serve` and compares the ids that it sent with those that arrived.

    driver.py --aldis BINARY [--collector BINARY] [--content] -- CLIENT…

The client is called with `grpc|http ENDPOINT none|gzip COUNT` and prints one line of JSON (see `python/client.py`). With
`--collector` the topologies are client -> Collector -> Aldis -> receiver, and client -> Aldis -> Collector -> receiver. With
`--tls` every connection is encrypted in further cases, and both sides of it show certificates. With `--content` what Aldis sends as JSON is compared field by field too (see `content.py`).
The last line is `N passed, M failed, K skipped`.
"""

import argparse
import collections
import concurrent.futures
import functools
import json
import os
import shutil
import subprocess
import sys
import threading
import time

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

import content
from certificates import Certificates
from services import Aldis, Collector, Failure

RECORDS = 700
ARRIVE_SECONDS = 300
CLIENT_SECONDS = 900

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: {{grpc}}
        {listener}
      http:
        endpoint: {{http}}
        {listener}
exporters:
  {exporter}:
    endpoint: {target}
    compression: none
    # What took too long would be sent again, and arrive twice.
    timeout: 300s
    tls: {client}
service:
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [{exporter}]
    logs:
      receivers: [otlp]
      exporters: [{exporter}]
"""


class Receiver(trace_service_pb2_grpc.TraceServiceServicer, logs_service_pb2_grpc.LogsServiceServicer):
    """Counts how often each id arrives."""

    def __init__(self, certificates=None):
        self.lock = threading.Lock()
        self.spans = collections.Counter()
        self.logs = collections.Counter()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self.server)
        logs_service_pb2_grpc.add_LogsServiceServicer_to_server(Logs(self), self.server)
        free = "127.0.0.1:0"
        if certificates:
            port = self.server.add_secure_port(free, credentials(certificates))
        else:
            port = self.server.add_insecure_port(free)
        self.address = f"127.0.0.1:{port}"
        self.server.start()

    def Export(self, request, context):
        ids = [
            span.span_id.hex()
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        with self.lock:
            self.spans.update(ids)
        return trace_service_pb2.ExportTraceServiceResponse()

    def take(self, spans, logs):
        """Waits until so many have come, then hands out what came."""
        deadline = time.monotonic() + ARRIVE_SECONDS
        while time.monotonic() < deadline:
            with self.lock:
                if self.spans.total() >= spans and self.logs.total() >= logs:
                    break
            time.sleep(0.02)
        time.sleep(0.2)  # for what should not come
        with self.lock:
            taken = self.spans, self.logs
            self.spans, self.logs = collections.Counter(), collections.Counter()
        return taken


def credentials(certificates):
    """Of a server that wants certificates of its clients."""
    certificate, key, ca = (read(path) for path in (*certificates.server, certificates.ca))
    return grpc.ssl_server_credentials([(key, certificate)], root_certificates=ca, require_client_auth=True)


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Logs(logs_service_pb2_grpc.LogsServiceServicer):
    def __init__(self, receiver):
        self.receiver = receiver

    def Export(self, request, context):
        ids = [
            attribute.value.string_value
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
            for attribute in record.attributes
            if attribute.key == "record.id"
        ]
        with self.receiver.lock:
            self.receiver.logs.update(ids)
        return logs_service_pb2.ExportLogsServiceResponse()


def send(client, protocol, service, compression, receiver, certificates):
    """Runs the client; every id that it says it sent must have arrived once, and no other."""
    scheme, told = ("https", certificates.environment()) if certificates else ("http", {})
    endpoint = f"{scheme}://{service.grpc if protocol == 'grpc' else service.http}"
    line = [*client, protocol, endpoint, compression, str(RECORDS)]
    # `requests` prefers these to what the SDK tells it.
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_CA_BUNDLE")} | told
    done = subprocess.run(line, capture_output=True, text=True, timeout=CLIENT_SECONDS, env=environment)
    if done.returncode != 0:
        raise Failure(f"the client ended with {done.returncode}\n{done.stderr}")
    sent = json.loads(done.stdout.strip().splitlines()[-1])
    if len(sent["spans"]) != RECORDS:
        raise Failure(f"the client sent {len(sent['spans'])} spans, not {RECORDS}")
    spans, logs = receiver.take(len(sent["spans"]), len(sent["logs"]))
    if not sent["flushed"]:
        raise Failure(f"a flush failed\n{done.stderr}\n{service.output()}")
    compare("spans", sent["spans"], spans)
    compare("logs", sent["logs"], logs)


def compare(kind, sent, arrived):
    sent = collections.Counter(sent)
    lost, extra = sent - arrived, arrived - sent
    if lost or extra:
        raise Failure(f"{kind}: {sent.total()} sent, {lost.total()} lost, {extra.total()} more than sent")


def cases(options):
    """The kinds of services from the client's side to the receiver's, protocol, compression."""
    protocols, codecs = ("grpc", "http"), ("none", "gzip")
    if options.collector:
        orders = ((Collector, Aldis), (Aldis, Collector))
        return [(order, protocol, "gzip") for order in orders for protocol in protocols]
    return [((Aldis,), protocol, codec) for protocol in protocols for codec in codecs]


def twice(text):
    """What is formatted once more has its braces twice."""
    return text.replace("{", "{{").replace("}", "}}")


def run_case(options, kinds, protocol, compression, receiver, certificates=None):
    listener = f"tls: {certificates.of_listener()}" if certificates else ""
    client = certificates.of_client() if certificates else "{insecure: true}"
    scheme = "https" if certificates else "http"
    services, target, exporter = [], receiver.address, "otlp"
    try:
        # From the receiver's side: each needs the address of the next. The receiver speaks gRPC only.
        for kind in reversed(kinds):
            binary = options.aldis if kind is Aldis else options.collector
            words = {"listener": twice(listener), "client": twice(client)}
            services.append(kind(binary, CONFIG.format(**words, exporter=exporter, target=target)))
            exporter = "otlphttp" if protocol == "http" else "otlp"
            target = f"{scheme}://{services[-1].http}" if protocol == "http" else services[-1].grpc
        send(options.client, protocol, services[-1], compression, receiver, certificates)
    finally:
        for service in reversed(services):
            service.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--aldis", required=True)
    parser.add_argument("--collector")
    parser.add_argument("--content", action="store_true")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("client", nargs="+")
    options = parser.parse_args()
    receiver = Receiver()
    passed = failed = 0
    tests = [
        (
            f"{' -> '.join(kind.__name__ for kind in kinds)} {protocol} {compression}",
            functools.partial(run_case, options, kinds, protocol, compression, receiver),
        )
        for kinds, protocol, compression in cases(options)
    ]
    skipped = 0
    if options.tls and shutil.which("openssl"):
        certificates = Certificates()
        secure = Receiver(certificates)
        tests += [
            (
                f"{' -> '.join(kind.__name__ for kind in kinds)} {protocol} TLS",
                functools.partial(run_case, options, kinds, protocol, compression, secure, certificates),
            )
            for kinds, protocol, compression in cases(options)
            if compression == "gzip"
        ]
    elif options.tls:
        skipped = 1
        print("skipped: TLS: there is no openssl to make certificates with")
    if options.content:
        tests += content.cases(options.aldis, options.collector)
    for title, test in tests:
        try:
            test()
            passed += 1
            print(f"{title} ... ok")
        except Exception as error:  # one case must not end the others
            failed += 1
            print(f"{title} ... FAILED\n  {error}")
    receiver.server.stop(None)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


main()
