"""Prometheus servers that are started for a test, and what is asked of them. And metrics for them."""

import http.client
import json
import tempfile
import time
import urllib.parse
import urllib.request

from services import ANSWER_SECONDS, START_SECONDS, Failure, Service, free_port


def attribute(key, value):
    return {"key": key, "value": {"stringValue": value}}


def send(http, metrics):
    """Sends metrics; returns what was said of them."""
    resource = [attribute("service.name", "cart"), attribute("service.namespace", "shop")]
    resource += [attribute("service.instance.id", "pod-1"), attribute("host.name", "h")]
    scope = {"scope": {"name": "lib", "version": "1"}, "metrics": metrics}
    body = {"resourceMetrics": [{"resource": {"attributes": resource}, "scopeMetrics": [scope]}]}
    request = urllib.request.Request(f"http://{http}/v1/metrics", json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
        return json.load(answer)


class Server(Service):
    """Something that stores what it is written and answers queries as Prometheus does."""

    def ask(self, query):
        return self.api(f"query?query={urllib.parse.quote(query)}")

    def api(self, path):
        with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}", timeout=ANSWER_SECONDS) as answer:
            return json.load(answer)["data"]

    def value(self, query):
        """The one value of a query, once there is one."""
        deadline = time.monotonic() + START_SECONDS
        while len(found := self.ask(query)["result"] or []) != 1 or "value" not in found[0]:
            if time.monotonic() > deadline:
                raise Failure(f"{query} gives {found}\n{self.output()}")
            time.sleep(0.1)
        return float(found[0]["value"][1])


class Prometheus(Server):
    """A whole server, which takes remote write, and scrapes what a configuration says."""

    def __init__(self, binary, config=""):
        self.binary = binary
        self.data = tempfile.TemporaryDirectory()
        self.folder = tempfile.TemporaryDirectory()
        self.config = f"{self.folder.name}/prometheus.yml"
        with open(self.config, "w") as file:
            file.write(config)
        self.address = f"127.0.0.1:{free_port()}"
        self.begin()

    def begin(self):
        command = [self.binary, f"--config.file={self.config}", f"--storage.tsdb.path={self.data.name}"]
        command += [f"--web.listen-address={self.address}", "--web.enable-remote-write-receiver", "--log.level=warn"]
        self.start("prometheus", [*command, "--enable-feature=native-histograms,exemplar-storage"])
        self.wait_for(self.is_ready)

    def is_ready(self):
        try:
            urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=ANSWER_SECONDS).close()
            return True
        except (OSError, http.client.HTTPException):
            return None

    def exemplars(self, name):
        return self.api(f"query_exemplars?query={name}&start=0&end={time.time() + 60}")
