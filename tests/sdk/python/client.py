"""Sends spans and logs with the OpenTelemetry SDK for Python, and says what it sent.

    client.py grpc|http ENDPOINT none|gzip COUNT

Prints one line of JSON: the ids of the spans, the ids of the logs, and whether every flush succeeded.
"""

import json
import logging
import sys

from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from grpc import Compression as GrpcCompression

# What took too long would be sent again, and arrive twice.
EXPORT_SECONDS = 300
FLUSH_MS = 600_000


class Witness(SpanExporter):
    """Passes spans on and remembers whether every export succeeded: `force_flush` alone does not say."""

    def __init__(self, inner):
        self.inner = inner
        self.failures = 0

    def export(self, spans):
        result = self.inner.export(spans)
        self.failures += result is not SpanExportResult.SUCCESS
        return result

    def shutdown(self):
        self.inner.shutdown()


def exporters(protocol, endpoint, compression):
    if protocol == "grpc":
        codec = {"none": GrpcCompression.NoCompression, "gzip": GrpcCompression.Gzip}[compression]
        options = {"endpoint": endpoint, "insecure": endpoint.startswith("http://"), "compression": codec, "timeout": EXPORT_SECONDS}
        return GrpcSpanExporter(**options), GrpcLogExporter(**options)
    codec = {"none": HttpCompression.NoCompression, "gzip": HttpCompression.Gzip}[compression]
    return (
        HttpSpanExporter(endpoint=f"{endpoint}/v1/traces", compression=codec, timeout=EXPORT_SECONDS),
        HttpLogExporter(endpoint=f"{endpoint}/v1/logs", compression=codec, timeout=EXPORT_SECONDS),
    )


def main():
    protocol, endpoint, compression, count = sys.argv[1:]
    resource = Resource.create({"service.name": "sdk-python"})
    span_exporter, log_exporter = exporters(protocol, endpoint, compression)

    witness = Witness(span_exporter)
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(witness, schedule_delay_millis=50))
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(BatchLogRecordProcessor(log_exporter, schedule_delay_millis=50))
    logger = logging.getLogger("sdk-python")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(LoggingHandler(logger_provider=loggers))

    tracer = tracers.get_tracer("client")
    spans, logs = [], []
    for number in range(int(count)):
        with tracer.start_as_current_span(f"step {number % 7}", attributes={"number": number}) as span:
            identity = f"{span.get_span_context().span_id:016x}"
            spans.append(identity)
            logs.append(f"log-{identity}")
            logger.info("a line of text", extra={"record.id": logs[-1]})
    flushed = tracers.force_flush(FLUSH_MS) and loggers.force_flush(FLUSH_MS) and witness.failures == 0
    tracers.shutdown()
    loggers.shutdown()
    print(json.dumps({"spans": spans, "logs": logs, "flushed": bool(flushed)}))


main()
