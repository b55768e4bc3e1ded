// Sends spans and logs with the OpenTelemetry SDK for Go, and says what it sent.
//
//	client grpc|http ENDPOINT none|gzip COUNT
//
// Prints one line of JSON: the ids of the spans, the ids of the logs, and whether every flush succeeded.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// What took too long would be sent again, and arrive twice.
const (
	exportLimit = 300 * time.Second
	flushLimit  = 300 * time.Second
)

type sent struct {
	Spans   []string `json:"spans"`
	Logs    []string `json:"logs"`
	Flushed bool     `json:"flushed"`
}

// witness passes spans on and counts the exports that failed.
type witness struct {
	sdktrace.SpanExporter
	failures int
}

func (w *witness) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := w.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		w.failures++
	}
	return err
}

func exporters(ctx context.Context, protocol, endpoint, compression string) (sdktrace.SpanExporter, sdklog.Exporter, error) {
	if protocol == "grpc" {
		traceOptions := []otlptracegrpc.Option{otlptracegrpc.WithEndpointURL(endpoint), otlptracegrpc.WithTimeout(exportLimit)}
		logOptions := []otlploggrpc.Option{otlploggrpc.WithEndpointURL(endpoint), otlploggrpc.WithTimeout(exportLimit)}
		if compression == "gzip" {
			traceOptions = append(traceOptions, otlptracegrpc.WithCompressor("gzip"))
			logOptions = append(logOptions, otlploggrpc.WithCompressor("gzip"))
		}
		spans, err := otlptracegrpc.New(ctx, traceOptions...)
		if err != nil {
			return nil, nil, err
		}
		logs, err := otlploggrpc.New(ctx, logOptions...)
		return spans, logs, err
	}
	traceCodec, logCodec := otlptracehttp.NoCompression, otlploghttp.NoCompression
	if compression == "gzip" {
		traceCodec, logCodec = otlptracehttp.GzipCompression, otlploghttp.GzipCompression
	}
	spans, err := otlptracehttp.New(ctx,
		otlptracehttp.WithEndpointURL(endpoint+"/v1/traces"), otlptracehttp.WithTimeout(exportLimit), otlptracehttp.WithCompression(traceCodec))
	if err != nil {
		return nil, nil, err
	}
	logs, err := otlploghttp.New(ctx,
		otlploghttp.WithEndpointURL(endpoint+"/v1/logs"), otlploghttp.WithTimeout(exportLimit), otlploghttp.WithCompression(logCodec))
	return spans, logs, err
}

func run(protocol, endpoint, compression string, count int) (sent, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*flushLimit)
	defer cancel()
	spanExporter, logExporter, err := exporters(ctx, protocol, endpoint, compression)
	if err != nil {
		return sent{}, err
	}
	source := resource.NewSchemaless(attribute.String("service.name", "sdk-go"))
	seen := &witness{SpanExporter: spanExporter}
	tracers := sdktrace.NewTracerProvider(
		sdktrace.WithResource(source),
		sdktrace.WithBatcher(seen, sdktrace.WithBatchTimeout(50*time.Millisecond), sdktrace.WithMaxQueueSize(10_000),
			sdktrace.WithExportTimeout(exportLimit)),
	)
	loggers := sdklog.NewLoggerProvider(
		sdklog.WithResource(source),
		sdklog.WithProcessor(sdklog.NewBatchProcessor(logExporter,
			sdklog.WithExportInterval(50*time.Millisecond), sdklog.WithMaxQueueSize(10_000),
			sdklog.WithExportTimeout(exportLimit))),
	)
	tracer, logger := tracers.Tracer("client"), loggers.Logger("client")
	var out sent
	for number := range count {
		spanCtx, span := tracer.Start(ctx, fmt.Sprintf("step %d", number%7))
		id := span.SpanContext().SpanID().String()
		span.SetAttributes(attribute.Int("number", number))
		out.Spans = append(out.Spans, id)
		out.Logs = append(out.Logs, "log-"+id)
		var record log.Record
		record.SetTimestamp(time.Now())
		record.SetSeverity(log.SeverityInfo)
		record.SetBody(attribute.StringValue("a line of text"))
		record.AddAttributes(attribute.String("record.id", "log-"+id))
		logger.Emit(spanCtx, record)
		span.End()
	}
	for _, flush := range []func(context.Context) error{
		tracers.ForceFlush, loggers.ForceFlush, tracers.Shutdown, loggers.Shutdown,
	} {
		if err := flush(ctx); err != nil {
			return sent{}, err
		}
	}
	out.Flushed = seen.failures == 0
	return out, nil
}

func main() {
	count, err := strconv.Atoi(os.Args[4])
	if err == nil {
		var out sent
		if out, err = run(os.Args[1], os.Args[2], os.Args[3], count); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
