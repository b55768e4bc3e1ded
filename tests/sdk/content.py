"""What Aldis sends as OTLP/JSON says the same as what it received, to two readers that are not ours.

One request of each signal with every kind of field goes to `aldis serve` as protobuf and leaves as JSON. The readers are
protobuf's own JSON parser, once the ids that OTLP writes in hexadecimal are in base64 as it wants them, and a Collector,
which passes on protobuf. The other way round, `aldis load` reads a file of what the Collector writes as JSON.
"""

import base64
import difflib
import functools
import gzip
import http.server
import json
import queue
import subprocess
import tempfile
import threading
import urllib.request

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import ExportProfilesServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from services import Aldis, Collector, Failure

ARRIVE_SECONDS = 300
IDS = {"traceId", "spanId", "parentSpanId", "profileId"}
PATHS = {
    "traces": ("/v1/traces", ExportTraceServiceRequest),
    "logs": ("/v1/logs", ExportLogsServiceRequest),
    "metrics": ("/v1/metrics", ExportMetricsServiceRequest),
    "profiles": ("/v1development/profiles", ExportProfilesServiceRequest),
}

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: {{grpc}}
      http:
        endpoint: {{http}}
exporters:
  {kind}:
    endpoint: {target}
    encoding: {encoding}
    compression: {compression}
    # What took too long would be sent again, and arrive twice.
    timeout: 300s
service:
  pipelines:
    {signal}:
      receivers: [otlp]
      exporters: [{kind}]
"""


class Inbox(http.server.ThreadingHTTPServer):
    """Takes every request over HTTP and keeps it: content type, path, body."""

    def __init__(self):
        self.came = queue.Queue()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def take(self, service):
        try:
            return self.came.get(timeout=ARRIVE_SECONDS)
        except queue.Empty:
            raise Failure(f"nothing arrived\n{service.output()}") from None


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.came.put((self.headers["content-type"], self.path, body))
        self.send_response(200)
        self.send_header("content-type", self.headers["content-type"])
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def cases(aldis, collector):
    """Titles and tests."""
    readers = [("JSON of {} read by protobuf", by_protobuf)]
    if collector:
        readers.append(("JSON of {} read by Collector", functools.partial(by_collector, collector)))
        readers.append(("JSON of {} from Collector loaded", functools.partial(loaded, collector)))
    return [
        (title.format(signal), functools.partial(reader, aldis, signal))
        for title, reader in readers
        for signal in PATHS
    ]


def config(kind, target, encoding, compression, signal):
    return CONFIG.format(kind=kind, target=target, encoding=encoding, compression=compression, signal=signal)


def by_protobuf(aldis, signal):
    inbox = Inbox()
    service = Aldis(aldis, config("otlphttp", inbox.url(), "json", "gzip", signal))
    try:
        sent = send(service, signal)
        kind, path, body = inbox.take(service)
    finally:
        service.stop()
        inbox.shutdown()
    if (kind, path) != ("application/json", PATHS[signal][0]):
        raise Failure(f"{kind} to {path}")
    read = json_format.ParseDict(in_base64(json.loads(body)), PATHS[signal][1]())
    same(sent, read)


def by_collector(collector, aldis, signal):
    """The Collector passes on the same, whether it read our JSON or the protobuf that we were sent."""
    inbox = Inbox()
    services = [Collector(collector, config("otlp_http", inbox.url(), "proto", "none", signal))]
    try:
        target = f"http://{services[0].http}"
        services.append(Aldis(aldis, config("otlphttp", target, "json", "none", signal)))
        bodies = []
        for service in services:
            send(service, signal)
            bodies.append(inbox.take(services[0])[2])
    finally:
        for service in reversed(services):
            service.stop()
        inbox.shutdown()
    same(*(PATHS[signal][1].FromString(body) for body in bodies))


def loaded(collector, aldis, signal):
    """Lines as the Collector's exporters write them, in a compressed file, are sent as what they say."""
    inbox = Inbox()
    service = Collector(collector, config("otlp_http", inbox.url(), "json", "none", signal))
    try:
        send(service, signal)
        _, _, line = inbox.take(service)
        with tempfile.NamedTemporaryFile(suffix=".json.gz") as file:
            file.write(gzip.compress(line + b"\n" + line + b"\n"))
            file.flush()
            command = [aldis, "load", file.name, "--protocol", "http", "--endpoint", inbox.url(), "--requests", "2"]
            subprocess.run(command, check=True, capture_output=True, timeout=ARRIVE_SECONDS)
        bodies = [inbox.take(service)[2] for _ in range(2)]
    finally:
        service.stop()
        inbox.shutdown()
    meant = json_format.ParseDict(in_base64(json.loads(line)), PATHS[signal][1]())
    for body in bodies:
        same(meant, PATHS[signal][1].FromString(body))


def send(service, signal):
    """Sends one request as protobuf; it is returned."""
    request = json_format.ParseDict(in_base64(REQUESTS[signal]), PATHS[signal][1]())
    post = urllib.request.Request(
        f"http://{service.http}{PATHS[signal][0]}",
        data=request.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
    )
    with urllib.request.urlopen(post, timeout=ARRIVE_SECONDS) as answer:
        if answer.status != 200:
            raise Failure(f"HTTP {answer.status}")
    return request


def same(sent, arrived):
    # Compared as text, so that NaN is equal to itself and the difference can be read.
    lines = (str(request).splitlines() for request in (sent, arrived))
    if difference := list(difflib.unified_diff(*lines, "sent", "arrived", lineterm="")):
        raise Failure("\n".join(difference))


def in_base64(value):
    """The same document with its ids as protobuf's JSON writes them."""
    if isinstance(value, list):
        return [in_base64(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(item)).decode() if key in IDS else in_base64(item)
        for key, item in value.items()
    }


TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"

ATTRIBUTES = [
    {"key": "text", "value": {"stringValue": 'é "quoted"\n\t\\ \u0001 😀'}},
    {"key": "int", "value": {"intValue": "-9223372036854775808"}},
    {"key": "yes", "value": {"boolValue": True}},
    {"key": "large", "value": {"doubleValue": 1e300}},
    {"key": "small", "value": {"doubleValue": 5e-324}},
    {"key": "bytes", "value": {"bytesValue": "AP/+"}},
    {
        "key": "list",
        "value": {"arrayValue": {"values": [{"stringValue": ""}, {"intValue": "7"}, {"doubleValue": "-Infinity"}]}},
    },
    {"key": "map", "value": {"kvlistValue": {"values": [{"key": "in", "value": {"doubleValue": -0.5}}]}}},
]
AROUND = {"resource": {"attributes": ATTRIBUTES, "droppedAttributesCount": 2}, "schemaUrl": "https://example.org/1"}
SCOPE = {
    "scope": {"name": "scope", "version": "1.2", "attributes": ATTRIBUTES[:1], "droppedAttributesCount": 1},
    "schemaUrl": "https://example.org/2",
}
TIMES = {"startTimeUnixNano": "1700000000000000001", "timeUnixNano": "18446744073709551615"}
EXEMPLARS = [
    {"timeUnixNano": "3", "asInt": "-4", "traceId": TRACE, "spanId": SPAN, "filteredAttributes": ATTRIBUTES[:2]},
    {"timeUnixNano": "4", "asDouble": 0.1},
]
POINT = {**TIMES, "attributes": ATTRIBUTES[:1], "flags": 1}

REQUESTS = {
    "traces": {
        "resourceSpans": [
            {
                **AROUND,
                "scopeSpans": [
                    {
                        **SCOPE,
                        "spans": [
                            {
                                "traceId": TRACE,
                                "spanId": SPAN,
                                "parentSpanId": SPAN[::-1],
                                "traceState": "a=b,c=d",
                                "flags": 257,
                                "name": "GET /cart",
                                "kind": 2,
                                "startTimeUnixNano": "1700000000000000001",
                                "endTimeUnixNano": "1700000000000000002",
                                "attributes": ATTRIBUTES,
                                "droppedAttributesCount": 3,
                                "events": [{"timeUnixNano": "5", "name": "event", "attributes": ATTRIBUTES[:2]}],
                                "droppedEventsCount": 4,
                                "links": [{"traceId": TRACE, "spanId": SPAN, "attributes": ATTRIBUTES[:1], "flags": 1}],
                                "droppedLinksCount": 5,
                                "status": {"code": 2, "message": "no"},
                            },
                            {"traceId": TRACE, "spanId": SPAN, "name": "bare"},
                        ],
                    }
                ],
            }
        ]
    },
    "logs": {
        "resourceLogs": [
            {
                **AROUND,
                "scopeLogs": [
                    {
                        **SCOPE,
                        "logRecords": [
                            {
                                "timeUnixNano": "1700000000000000001",
                                "observedTimeUnixNano": "1700000000000000002",
                                "severityNumber": 17,
                                "severityText": "ERROR",
                                "body": {"kvlistValue": {"values": ATTRIBUTES}},
                                "attributes": ATTRIBUTES,
                                "droppedAttributesCount": 1,
                                "flags": 1,
                                "traceId": TRACE,
                                "spanId": SPAN,
                                "eventName": "event",
                            }
                        ],
                    }
                ],
            }
        ]
    },
    "metrics": {
        "resourceMetrics": [
            {
                **AROUND,
                "scopeMetrics": [
                    {
                        **SCOPE,
                        "metrics": [
                            {
                                "name": "gauge",
                                "description": "d",
                                "unit": "1",
                                "metadata": ATTRIBUTES[:1],
                                "gauge": {"dataPoints": [{**POINT, "asDouble": "NaN"}]},
                            },
                            {
                                "name": "sum",
                                "sum": {
                                    "dataPoints": [{**POINT, "asInt": "-5", "exemplars": EXEMPLARS}],
                                    "aggregationTemporality": 2,
                                    "isMonotonic": True,
                                },
                            },
                            {
                                "name": "histogram",
                                "histogram": {
                                    "dataPoints": [
                                        {
                                            **POINT,
                                            "count": "3",
                                            "sum": 1.5,
                                            "bucketCounts": ["1", "2"],
                                            "explicitBounds": [0.5],
                                            "min": 0.25,
                                            "max": "Infinity",
                                            "exemplars": EXEMPLARS,
                                        }
                                    ],
                                    "aggregationTemporality": 1,
                                },
                            },
                            {
                                "name": "exponential",
                                "exponentialHistogram": {
                                    "dataPoints": [
                                        {
                                            **POINT,
                                            "count": "6",
                                            "sum": 1.5,
                                            "scale": -2,
                                            "zeroCount": "1",
                                            "positive": {"offset": -3, "bucketCounts": ["1", "2"]},
                                            "negative": {"offset": 4, "bucketCounts": ["2"]},
                                            "zeroThreshold": 0.001,
                                            "min": -1,
                                            "max": 1,
                                        }
                                    ],
                                    "aggregationTemporality": 2,
                                },
                            },
                            {
                                "name": "summary",
                                "summary": {
                                    "dataPoints": [
                                        {
                                            **POINT,
                                            "count": "2",
                                            "sum": 3,
                                            "quantileValues": [{"quantile": 0.5, "value": 1.5}],
                                        }
                                    ]
                                },
                            },
                        ],
                    }
                ],
            }
        ]
    },
    "profiles": {
        "resourceProfiles": [
            {
                **AROUND,
                "scopeProfiles": [
                    {
                        **SCOPE,
                        "profiles": [
                            {
                                "sampleType": {"typeStrindex": 1, "unitStrindex": 2},
                                "samples": [
                                    {
                                        "stackIndex": 1,
                                        "values": ["7", "-8"],
                                        "attributeIndices": [1],
                                        "linkIndex": 1,
                                        "timestampsUnixNano": ["1700000000000000001", "1700000000000000002"],
                                    }
                                ],
                                "timeUnixNano": "1700000000000000000",
                                "durationNano": "1000000000",
                                "periodType": {"typeStrindex": 3, "unitStrindex": 2},
                                "period": "10000000",
                                "profileId": TRACE,
                                "droppedAttributesCount": 1,
                                "originalPayloadFormat": "pprof",
                                "originalPayload": "AP/+",
                                "attributeIndices": [1],
                            }
                        ],
                    }
                ],
            }
        ],
        "dictionary": {
            "mappingTable": [
                {},
                {
                    "memoryStart": "4096",
                    "memoryLimit": "18446744073709551615",
                    "fileOffset": "1",
                    "filenameStrindex": 4,
                    "attributeIndices": [1],
                },
            ],
            "locationTable": [
                {},
                {
                    "mappingIndex": 1,
                    "address": "4711",
                    "lines": [{"functionIndex": 1, "line": "12", "column": "34"}],
                    "attributeIndices": [1],
                },
            ],
            "functionTable": [{}, {"nameStrindex": 5, "systemNameStrindex": 5, "filenameStrindex": 4, "startLine": "9"}],
            "linkTable": [{}, {"traceId": TRACE, "spanId": SPAN}],
            "stringTable": ["", "cpu", "nanoseconds", "wall", "main.rs", "main", "thread"],
            "attributeTable": [{}, {"keyStrindex": 6, "value": {"intValue": "3"}, "unitStrindex": 2}],
            "stackTable": [{}, {"locationIndices": [1]}],
        },
    },
}
