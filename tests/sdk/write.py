"""Metrics that `aldis serve` writes to Prometheus servers, which are asked afterwards what they have.

    write.py --aldis BINARY --prometheus BINARY --current BINARY --collector BINARY

`--prometheus` is a whole server, which speaks remote write 1.0. `--current` is the receiver, storage and query engine of a newer
Prometheus (tests/sdk/remote_write), which speaks 2.0 too. The last line is `N passed, M failed, K skipped`.
"""

import argparse
import json
import math
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from prometheus import Prometheus, Server, attribute, send
from scrape import LABELS, SAMPLES, metrics
from services import ANSWER_SECONDS, START_SECONDS, Aldis, Collector, Failure, accepts, free_port, run

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: {grpc}
      http:
        endpoint: {http}
exporters:
  prometheusremotewrite:
    endpoint: http://ADDRESS/api/v1/write
    timeout: 300s
    SETTINGS
service:
  pipelines:
    metrics:
      receivers: [otlp]
      exporters: [prometheusremotewrite]
"""

COLLECTOR = """
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: {grpc}
      http:
        endpoint: {http}
exporters:
  otlp:
    endpoint: ADDRESS
    tls:
      insecure: true
service:
  pipelines:
    metrics:
      receivers: [otlp]
      exporters: [otlp]
"""

V2 = "protobuf_message: io.prometheus.write.v2.Request"
DIRECT = "remote_write_queue: {{enabled: false}}"
SECOND = 10**9
# The exit code of an engine that could not deliver everything.
UNDELIVERED = 5


class Current(Server):
    """The receiving half of a current version."""

    def __init__(self, binary):
        self.data = tempfile.TemporaryDirectory()
        self.address = f"127.0.0.1:{free_port()}"
        self.start("current", [binary, "-data", self.data.name, "-listen", self.address])
        self.wait_for(lambda: accepts(self.address))

    def exemplars(self, name):
        return self.api(f"exemplars?query={name}")["result"]

    def messages(self):
        with urllib.request.urlopen(f"http://{self.address}/content-types", timeout=ANSWER_SECONDS) as answer:
            return json.load(answer)

    def stop(self):
        self.process.kill()
        self.process.wait()


class Written:
    """`aldis serve` that writes to a server."""

    def __init__(self, options, server, *settings, ends_with=0):
        text = CONFIG.replace("ADDRESS", server.address).replace("SETTINGS", "\n    ".join(settings))
        self.aldis = Aldis(options.aldis, text)
        self.ends_with = ends_with

    def __enter__(self):
        return self.aldis

    def __exit__(self, *_):
        self.aldis.stop(self.ends_with)


def gauge(name, time_ns, value, **labels):
    attributes = [attribute(key, value) for key, value in labels.items()]
    data = {"timeUnixNano": str(time_ns), "asDouble": value, "attributes": attributes}
    return {"name": name, "gauge": {"dataPoints": [data]}}


def compare(server):
    """The server has what was sent, to the last bit and label."""
    for (name, label), value in SAMPLES.items():
        kind = "quantile" if name == "rpc_latency_milliseconds" else "le"
        label = label.removesuffix(".0")
        query = f'{name}{{job="shop/cart"' + (f',{kind}="{label}"' if label else "") + "}"
        if (got := server.value(query)) != value:
            raise Failure(f"{query} is {got}, not {value}")
        found = server.ask(query)["result"][0]["metric"]
        wanted = LABELS if name != "target_info" else {"job": "shop/cart", "instance": "pod-1", "host_name": "h"}
        if any(found.get(key) != text for key, text in wanted.items()):
            raise Failure(f"labels of {name}: {found}")
    native = "native_duration_seconds"
    for function, value in (("histogram_count", 8), ("histogram_sum", 33)):
        if (got := server.value(f"{function}({native})")) != value:
            raise Failure(f"{function} is {got}, not {value}")
    # The last bucket ends at 2^1.5, and the one that holds the third value at 2^0.5: an index that is off by one shows.
    for quantile, low, high in ((1, 2.000001, 2**1.5 * 1.000001), (0.4, 1.000001, 2**0.5 * 1.000001)):
        got = server.value(f"histogram_quantile({quantile}, {native})")
        if math.isnan(got) or not low <= got <= high:
            raise Failure(f"quantile {quantile} is {got}, not within {low} and {high}")
    for name in ("http_requests_total", "rpc_duration_seconds_bucket"):
        if "00000000000000000000000000000001" not in json.dumps(server.exemplars(name)):
            raise Failure(f"exemplars of {name}: {server.exemplars(name)}")


def a_series_ends(server, http, now):
    """Where a point says that there is none, queries find none."""
    send(http, [gauge("gone", now - 2 * SECOND, 1.0)])
    server.value("gone")
    ended = gauge("gone", now - SECOND, 0.0)
    ended["gauge"]["dataPoints"][0] |= {"flags": 1}
    send(http, [ended])
    deadline = time.monotonic() + START_SECONDS
    while server.ask("gone")["result"]:
        if time.monotonic() > deadline:
            raise Failure(f"gone is {server.ask('gone')}")
        time.sleep(0.1)
    if (got := server.value("count_over_time(gone[1h])")) != 1:
        raise Failure(f"gone had {got} values")


def prometheus_stores_what_was_written(options):
    server = Prometheus(options.prometheus)
    with Written(options, server) as aldis:
        now = time.time_ns()
        send(aldis.http, metrics(now))
        compare(server)
        a_series_ends(server, aldis.http, now)
    server.stop()


def current_prometheus_stores_what_was_written(options):
    for settings, message in (([V2], "application/x-protobuf;proto=io.prometheus.write.v2.Request"), ([], "application/x-protobuf")):
        server = Current(options.current)
        with Written(options, server, *settings) as aldis:
            now = time.time_ns()
            send(aldis.http, metrics(now))
            compare(server)
            a_series_ends(server, aldis.http, now)
            if set(server.messages()) != {message}:
                raise Failure(f"{message} expected: {server.messages()}")
            # It was told when the counter began, and made that a sample of zero.
            samples = server.value("count_over_time(http_requests_total[1h])")
            if samples != (2 if settings else 1):
                raise Failure(f"{samples} samples of the counter")
        server.stop()


def what_does_not_know_2_0_is_written_1_0(options):
    server = Prometheus(options.prometheus)
    with Written(options, server, V2) as aldis:
        send(aldis.http, metrics(time.time_ns()))
        compare(server)
    server.stop()


def what_a_collector_sends_arrives(options):
    server = Prometheus(options.prometheus)
    with Written(options, server) as aldis:
        collector = Collector(options.collector, COLLECTOR.replace("ADDRESS", aldis.grpc))
        send(collector.http, metrics(time.time_ns()))
        compare(server)
        collector.stop()
    server.stop()


def a_restart_loses_nothing(options):
    """The server is killed and comes back while points keep coming."""
    server = Prometheus(options.prometheus)
    begun = time.time_ns() - 300 * SECOND
    with Written(options, server, "retry_on_failure: {{initial_interval: 100ms, max_interval: 500ms}}") as aldis:
        for i in range(200):
            if i == 60:
                server.process.kill()
                server.process.wait()
            if i == 140:
                server.begin()
            send(aldis.http, [gauge("kept", begun + i * SECOND, float(i), which=which) for which in ("a", "b")])
        deadline = time.monotonic() + START_SECONDS
        while (got := server.value("sum(count_over_time(kept[1h]))")) < 400 and time.monotonic() < deadline:
            time.sleep(0.2)
        if got != 400 or (total := server.value("sum(sum_over_time(kept[1h]))")) != 2 * sum(range(200)):
            raise Failure(f"{got} of 400 points arrived")
    server.stop()


def what_is_refused_is_counted(options):
    """A point older than what is there: 1.0 refuses the request, 2.0 the point; the exit code says that not all was delivered."""
    now = time.time_ns()
    server = Prometheus(options.prometheus)
    with Written(options, server, DIRECT, "target_info: {{enabled: false}}", ends_with=UNDELIVERED) as aldis:
        send(aldis.http, [gauge("late", now, 1.0)])
        try:
            send(aldis.http, [gauge("late", now - 60 * SECOND, 2.0)])
            raise Failure("a sample out of order was taken")
        except urllib.error.HTTPError as refused:
            said = refused.read().decode(errors="replace")
            if "HTTP 400" not in said or "out of order" not in said:
                raise Failure(f"{refused.code}: {said}") from None
    server.stop()
    server = Current(options.current)
    with Written(options, server, V2, DIRECT, ends_with=UNDELIVERED) as aldis:
        send(aldis.http, [gauge("late", now, 1.0)])
        late = [gauge("late", now - 60 * SECOND, 2.0), gauge("fine", now, 3.0), gauge("too", now, 4.0)]
        said = send(aldis.http, late)
        if said.get("partialSuccess", {}).get("rejectedDataPoints") != "1":
            raise Failure(f"said of a late point: {said}")
        if server.value("fine") != 3 or server.value("too") != 4:
            raise Failure("what came with a late point is not there")
    server.stop()


TESTS = [
    prometheus_stores_what_was_written,
    current_prometheus_stores_what_was_written,
    what_does_not_know_2_0_is_written_1_0,
    what_a_collector_sends_arrives,
    a_restart_loses_nothing,
    what_is_refused_is_counted,
]


def main():
    arguments = argparse.ArgumentParser()
    for name in ("--aldis", "--prometheus", "--current", "--collector"):
        arguments.add_argument(name, required=True)
    options = arguments.parse_args()
    return run([(test.__name__, lambda test=test: test(options)) for test in TESTS])


if __name__ == "__main__":
    sys.exit(main())
