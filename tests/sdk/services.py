"""Systems that are started for a test: `aldis serve`, and a Collector."""

import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time

# What starts, stops, answers or arrives may take so long on a machine that has other work.
START_SECONDS = 300
STOP_SECONDS = 300
ANSWER_SECONDS = 300


class Service:
    """A running system with a configuration in the Collector's form, in which `{grpc}` and `{http}` are where to listen."""

    def __init__(self, name, command, listen, config):
        text = config.format(grpc=listen[0], http=listen[1])
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "config.yaml")
        with open(path, "w") as file:
            file.write(text)
        self.start(name, [*command, "--config", path])
        self.grpc, self.http = listen

    def start(self, name, command):
        self.name = name
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.said = []
        self.reader = threading.Thread(target=lambda: self.said.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def wait_for(self, ready):
        """Waits until `ready` returns something; that is returned."""
        deadline = time.monotonic() + START_SECONDS
        while (found := ready()) is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise Failure(f"{self.name} did not start\n{self.output()}")
            time.sleep(0.02)
        return found

    def output(self):
        return b"".join(self.said).decode(errors="replace")

    def stop(self, expected=0):
        """SIGTERM, as an init system stops it; the exit code is part of the test."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failure(f"{self.name} did not stop within {STOP_SECONDS} s of SIGTERM") from None
        finally:
            self.folder.cleanup()
        if code != expected:
            raise Failure(f"{self.name} ended with {code}, not {expected}\n{self.output()}")


class Aldis(Service):
    """`aldis serve` on ports that the system chooses; it writes down which."""

    def __init__(self, binary, config):
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            addresses = file.name
        command = [binary, "serve", "--metrics", "127.0.0.1:0", "--addresses-file", addresses]
        super().__init__("aldis", command, ("127.0.0.1:0", "127.0.0.1:0"), config)
        self.wait_for(lambda: os.path.exists(addresses) or None)
        with open(addresses) as file:
            self.bound = {entry["protocol"]: entry["address"] for entry in json.load(file)["addresses"]}
        os.unlink(addresses)
        self.grpc, self.http = self.bound["grpc"], self.bound["http"]


class Collector(Service):
    """A Collector, which must be told its ports."""

    # Profiles are behind a gate there as long as their protocol is in development.
    GATES = ["--feature-gates=service.profilesSupport"]

    def __init__(self, binary, config):
        quiet = ["--config", "yaml:service::telemetry::metrics::level: none", *self.GATES]
        listen = (f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
        super().__init__("collector", [binary, *quiet], listen, config)
        for address in listen:
            self.wait_for(lambda: accepts(address))


def accepts(address):
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
        return True
    except OSError:
        return None


class Failure(Exception):
    """A test failed; the text says how."""


def ports():
    """Ports that the system gives nobody who does not ask for one of them, least of all a connection."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            first, last = map(int, file.read().split())
    except OSError:
        first, last = 32768, 60999
    return range(10_000, first) if first > 11_000 else range(last + 1, 65_536) if last < 64_000 else range(10_000, 32_768)


GIVEN = set()


def free_port():
    """Where nobody listens, and nobody else begins to before whoever is told this port."""
    while True:
        port = random.choice(ports())
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in GIVEN:
            GIVEN.add(port)
            return port


def dead_port():
    """Where nobody listens as long as the socket that comes with it is there."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    return held, held.getsockname()[1]


def run(tests):
    """Runs functions that take nothing, by name, and tells of each; the exit code."""
    failed = 0
    for name, test in tests:
        try:
            test()
            print(f"{name} ... ok", flush=True)
        except Exception as failure:
            failed += 1
            print(f"{name} ... FAILED: {failure!r}\n{failure}", flush=True)
    print(f"{len(tests) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0
