"""Certificates for a test: a CA, and what it signed for the listeners and the clients of this machine."""

import os
import subprocess
import tempfile

NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


class Certificates:
    """Files in a folder of their own. Both sides of every connection show a certificate of the same CA."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.ca = self.path("ca.pem")
        openssl("req", "-x509", *new_key(self.path("ca-key.pem")), "-out", self.ca, "-subj", "/CN=CA of a test")
        self.server = self.sign("server", ["-addext", NAMES])
        # Without an extension it would be of X.509 version 1, which rustls does not read.
        self.client = self.sign("client", ["-addext", "subjectAltName=DNS:client"])

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def sign(self, name, extensions):
        """The files of a new certificate and of its key."""
        certificate, key, request = (self.path(f"{name}{end}") for end in (".pem", "-key.pem", ".csr"))
        openssl("req", *new_key(key), "-out", request, "-subj", f"/CN={name}", *extensions)
        by = ("-CA", self.ca, "-CAkey", self.path("ca-key.pem"), "-CAcreateserial", "-copy_extensions", "copy")
        openssl("x509", "-req", "-in", request, *by, "-days", "2", "-out", certificate)
        return certificate, key

    def of_listener(self):
        """`tls` of a listener that wants certificates of its clients."""
        certificate, key = self.server
        return f"{{cert_file: {certificate}, key_file: {key}, client_ca_file: {self.ca}}}"

    def of_client(self):
        """`tls` of an exporter."""
        certificate, key = self.client
        return f"{{ca_file: {self.ca}, cert_file: {certificate}, key_file: {key}}}"

    def environment(self):
        """What tells an SDK the same."""
        certificate, key = self.client
        return {
            "OTEL_EXPORTER_OTLP_CERTIFICATE": self.ca,
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": certificate,
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": key,
        }


def new_key(path):
    return "-newkey", "rsa:2048", "-nodes", "-keyout", path


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)
