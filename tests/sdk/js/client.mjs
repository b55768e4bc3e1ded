// Sends spans and logs with the OpenTelemetry SDK for JavaScript, and says what it sent.
//
//     client.mjs grpc|http ENDPOINT none|gzip COUNT
//
// Prints one line of JSON: the ids of the spans, the ids of the logs, and whether every flush succeeded.

import { SeverityNumber } from "@opentelemetry/api";
import { OTLPLogExporter as GrpcLogExporter } from "@opentelemetry/exporter-logs-otlp-grpc";
import { OTLPLogExporter as HttpLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPTraceExporter as GrpcTraceExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as HttpTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";

const [protocol, endpoint, compression, count] = process.argv.slice(2);
// What took too long would be sent again, and arrive twice.
const timeoutMillis = 300_000;

function exporters() {
  if (protocol === "grpc") {
    const options = { url: endpoint, compression, timeoutMillis };
    return [new GrpcTraceExporter(options), new GrpcLogExporter(options)];
  }
  return [
    new HttpTraceExporter({ url: `${endpoint}/v1/traces`, compression, timeoutMillis }),
    new HttpLogExporter({ url: `${endpoint}/v1/logs`, compression, timeoutMillis }),
  ];
}

// Passes records on and remembers whether every export succeeded: code 0 is success.
function witnessed(exporter, failures) {
  const send = exporter.export.bind(exporter);
  exporter.export = (records, done) =>
    send(records, (result) => {
      if (result.code !== 0) failures.push(String(result.error));
      done(result);
    });
  return exporter;
}

const failures = [];
const [traceExporter, logExporter] = exporters().map((exporter) => witnessed(exporter, failures));
const resource = resourceFromAttributes({ "service.name": "sdk-js" });
const queue = { maxQueueSize: 10_000, scheduledDelayMillis: 50, exportTimeoutMillis: timeoutMillis };
const tracers = new TracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor({ exporter: traceExporter, ...queue })],
});
const loggers = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter: logExporter, ...queue })],
});

const tracer = tracers.getTracer("client");
const logger = loggers.getLogger("client");
const spans = [];
const logs = [];
for (let number = 0; number < Number(count); number++) {
  const span = tracer.startSpan(`step ${number % 7}`, { attributes: { number } });
  const id = span.spanContext().spanId;
  spans.push(id);
  logs.push(`log-${id}`);
  logger.emit({ severityNumber: SeverityNumber.INFO, body: "a line of text", attributes: { "record.id": `log-${id}` } });
  span.end();
}
await tracers.forceFlush({ timeoutMillis });
await loggers.forceFlush({ timeoutMillis });
await tracers.shutdown();
await loggers.shutdown();
console.error(failures.join("\n"));
console.log(JSON.stringify({ spans, logs, flushed: failures.length === 0 }));
