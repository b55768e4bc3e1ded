"""Scrapes `aldis serve` with parsers and servers that others wrote, and compares what they read with what was sent.

    scrape.py --aldis BINARY --prometheus BINARY --promtool BINARY

The parsers are those of `prometheus_client` (text and OpenMetrics); `promtool` checks the text; a Prometheus server scrapes
protobuf with native histograms and is asked through its API. The last line is `N passed, M failed, K skipped`.
"""

import argparse
import math
import subprocess
import sys
import time
import urllib.request

from prometheus_client.openmetrics import parser as open_metrics
from prometheus_client import parser as text_format

from prometheus import Prometheus, attribute, send
from services import ANSWER_SECONDS, Aldis, Failure, run

TEXT = "text/plain;version=0.0.4"
OPEN_METRICS = "application/openmetrics-text;version=1.0.0"

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: {grpc}
      http:
        endpoint: {http}
exporters:
  prometheus:
    endpoint: 127.0.0.1:0
    enable_open_metrics: true
    created_samples: true
service:
  pipelines:
    metrics:
      receivers: [otlp]
      exporters: [prometheus]
"""

SCRAPE_CONFIG = """
global:
  scrape_interval: 5s
  scrape_timeout: 5s
scrape_configs:
  - job_name: aldis
    honor_labels: true
    static_configs:
      - targets: ["{target}"]
"""


def point(now, **fields):
    labels = [attribute("http.route", '/a"\\\nb'), attribute("z", "ünï")]
    start = {"startTimeUnixNano": str(now - 60 * 10**9), "timeUnixNano": str(now), "attributes": labels}
    return start | fields


def metrics(now):
    """One metric of every kind."""
    exemplar = {"asDouble": 0.5, "timeUnixNano": str(now), "traceId": "00" * 15 + "01", "spanId": "00" * 7 + "02"}
    sums = {"aggregationTemporality": 2}
    data = [
        ("http.requests", "{request}", "sum", sums | {"isMonotonic": True}, point(now, asInt="42", exemplars=[exemplar])),
        ("queue.length", "", "sum", sums, point(now, asInt="-3")),
        ("memory.usage", "By", "gauge", {}, point(now, asDouble=1.5e9)),
        ("cpu.utilization", "1", "gauge", {}, point(now, asDouble=0.25)),
        (
            "rpc.duration",
            "s",
            "histogram",
            sums,
            point(now, count="6", sum=4.5, bucketCounts=["1", "2", "3"], explicitBounds=[0.25, 1], exemplars=[exemplar]),
        ),
        (
            "native.duration",
            "s",
            "exponentialHistogram",
            sums,
            point(now, count="8", sum=33, scale=1, zeroCount="1", positive={"offset": -1, "bucketCounts": ["1", "2", "0", "4"]}),
        ),
        (
            "rpc.latency",
            "ms",
            "summary",
            {},
            point(now, count="4", sum=10, quantileValues=[{"quantile": 0.5, "value": 2}, {"quantile": 0.99, "value": 7}]),
        ),
    ]
    return [
        {"name": name, "unit": unit, "description": f"What {name} says.", kind: rest | {"dataPoints": [points]}}
        for name, unit, kind, rest, points in data
    ]


# What every reader must find: samples by name and the label that tells them apart.
SAMPLES = {
    ("http_requests_total", ""): 42,
    ("queue_length", ""): -3,
    ("memory_usage_bytes", ""): 1.5e9,
    ("cpu_utilization_ratio", ""): 0.25,
    ("rpc_duration_seconds_bucket", "0.25"): 1,
    ("rpc_duration_seconds_bucket", "1.0"): 3,
    ("rpc_duration_seconds_bucket", "+Inf"): 6,
    ("rpc_duration_seconds_sum", ""): 4.5,
    ("rpc_duration_seconds_count", ""): 6,
    ("rpc_latency_milliseconds", "0.5"): 2,
    ("rpc_latency_milliseconds", "0.99"): 7,
    ("rpc_latency_milliseconds_sum", ""): 10,
    ("rpc_latency_milliseconds_count", ""): 4,
    ("target_info", ""): 1,
}
# An exponential histogram where there are only explicit buckets.
CONVERTED = {
    ("native_duration_seconds_bucket", "0.0"): 1,
    ("native_duration_seconds_bucket", "1.0"): 2,
    ("native_duration_seconds_bucket", "2.0"): 4,
    ("native_duration_seconds_bucket", "4.0"): 8,
    ("native_duration_seconds_bucket", "+Inf"): 8,
    ("native_duration_seconds_sum", ""): 33,
    ("native_duration_seconds_count", ""): 8,
}
LABELS = {"http_route": '/a"\\\nb', "z": "ünï", "job": "shop/cart", "instance": "pod-1"}


def send_all(aldis, now):
    if (said := send(aldis.http, metrics(now))).get("partialSuccess"):
        raise Failure(f"not everything was taken: {said}")


def get(url, accept):
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def distinct(labels):
    value = labels.get("le", labels.get("quantile", ""))
    return value if value in ("", "+Inf") else str(float(value))


def compare(families, expected):
    """The samples, by name, are these, and have these labels."""
    found = {}
    for family in families:
        for sample in family.samples:
            found[sample.name, distinct(sample.labels)] = sample.value
            wanted = LABELS if sample.name != "target_info" else {"job": "shop/cart", "host_name": "h"}
            if any(sample.labels.get(key) != value for key, value in wanted.items()):
                raise Failure(f"labels of {sample.name}: {sample.labels}")
    for key, value in expected.items():
        if found.get(key) != value:
            raise Failure(f"{key} is {found.get(key)}, not {value}")


def text_is_read(options, aldis, page):
    kind, text = get(page, TEXT)
    if "version=0.0.4" not in kind:
        raise Failure(f"content type {kind}")
    compare(text_format.text_string_to_metric_families(text), SAMPLES | CONVERTED)


def open_metrics_is_read(options, aldis, page):
    kind, text = get(page, OPEN_METRICS)
    if "application/openmetrics-text" not in kind:
        raise Failure(f"content type {kind}")
    families = list(open_metrics.text_string_to_metric_families(text))
    compare(families, SAMPLES | CONVERTED)
    units = {family.name: family.unit for family in families}
    if units["memory_usage_bytes"] != "bytes" or units["cpu_utilization_ratio"] != "ratio":
        raise Failure(f"units {units}")
    exemplars = {sample.name for family in families for sample in family.samples if sample.exemplar}
    if exemplars != {"http_requests_total", "rpc_duration_seconds_bucket"}:
        raise Failure(f"exemplars of {exemplars}")


def promtool_finds_no_fault(options, aldis, page):
    _, text = get(page, TEXT)
    ended = subprocess.run([options.promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    # Its exit code says too that it dislikes names (`milliseconds`); only what it cannot read counts here.
    if ended.returncode not in (0, 3) or "error while" in ended.stderr:
        raise Failure(f"promtool ended with {ended.returncode}\n{ended.stdout}{ended.stderr}")


def server_stores_what_was_sent(options, aldis, page):
    server = Prometheus(options.prometheus, SCRAPE_CONFIG.format(target=aldis.bound["prometheus"]))
    try:
        server.value("up == 1")
        for (name, label), value in SAMPLES.items():
            kind = "quantile" if name == "rpc_latency_milliseconds" else "le"
            query = f'{name}{{job="shop/cart"' + (f',{kind}="{label}"' if label else "") + "}"
            if (got := server.value(query)) != value:
                raise Failure(f"{query} is {got}, not {value}")
        native = "native_duration_seconds"
        for function, value in (("histogram_count", 8), ("histogram_sum", 33)):
            if (got := server.value(f"{function}({native})")) != value:
                raise Failure(f"{function} is {got}, not {value}")
        # The last bucket ends at 2^1.5, and the one that holds the median at 2^0.5: an index that is off by one shows.
        for quantile, low, high in ((1, 2.000001, 2**1.5 * 1.000001), (0.5, 1.000001, 2**0.5 * 1.000001)):
            got = server.value(f"histogram_quantile({quantile}, {native})")
            if math.isnan(got) or not low <= got <= high:
                raise Failure(f"quantile {quantile} is {got}, not within {low} and {high}")
    finally:
        server.stop()


TESTS = [text_is_read, open_metrics_is_read, promtool_finds_no_fault, server_stores_what_was_sent]


def main():
    arguments = argparse.ArgumentParser()
    for name in ("--aldis", "--prometheus", "--promtool"):
        arguments.add_argument(name, required=True)
    options = arguments.parse_args()
    aldis = Aldis(options.aldis, CONFIG)
    try:
        send_all(aldis, time.time_ns())
        page = f"http://{aldis.bound['prometheus']}/metrics"
        return run([(test.__name__, lambda test=test: test(options, aldis, page)) for test in TESTS])
    finally:
        aldis.stop()


if __name__ == "__main__":
    sys.exit(main())
