//! The OpenTelemetry SDK for Rust: its batch processors with exporters that keep nothing, and its counters.

use std::time::Duration;

use opentelemetry::{
    KeyValue,
    logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity},
    metrics::{BoundCounter, Counter, MeterProvider as _},
    trace::{Span as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, SdkLogger, SdkLoggerProvider},
    metrics::{
        PeriodicReader, SdkMeterProvider, Temporality, data::ResourceMetrics, exporter::PushMetricExporter,
    },
    trace::{BatchSpanProcessor, SdkTracer, SdkTracerProvider, SpanData, SpanExporter},
};

use super::{Gate, Order, Subject, items, total};

/// Keeps nothing.
#[derive(Debug)]
struct Nowhere(Gate);

impl LogExporter for Nowhere {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.0.pass(batch.iter().count() as u64);
        Ok(())
    }
}

impl SpanExporter for Nowhere {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.pass(batch.len() as u64);
        Ok(())
    }
}

impl PushMetricExporter for Nowhere {
    async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Delta
    }
}

pub(super) struct Logs {
    provider: SdkLoggerProvider,
    logger: SdkLogger,
    gate: Gate,
}

/// With the queue that is the default (2048), or a longer one.
pub(super) fn logs(order: &Order, queue: Option<usize>) -> Result<Logs, String> {
    let gate = order.gate();
    let mut processor = BatchLogProcessor::builder(Nowhere(gate.clone()));
    if let Some(queue) = queue {
        let config = BatchConfigBuilder::default().with_max_queue_size(queue);
        processor = processor.with_batch_config(config.with_max_export_batch_size(8192).build());
    }
    let provider = SdkLoggerProvider::builder().with_log_processor(processor.build()).build();
    let logger = provider.logger("shop");
    Ok(Logs { provider, logger, gate })
}

impl Subject for Logs {
    fn record(&mut self, number: usize) {
        let mut record = self.logger.create_log_record();
        record.set_timestamp(std::time::SystemTime::now());
        record.set_severity_number(Severity::Info);
        record.set_body(AnyValue::from("order placed"));
        record.add_attribute("user", "ada");
        record.add_attribute("items", items(number));
        record.add_attribute("total", total(number));
        self.logger.emit(record);
    }

    fn finish(self) -> Result<u64, String> {
        self.provider.shutdown_with_timeout(Duration::from_secs(30)).map_err(|error| error.to_string())?;
        Ok(self.gate.through())
    }
}

pub(super) struct Spans {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    gate: Gate,
}

pub(super) fn spans(order: &Order) -> Result<Spans, String> {
    let gate = order.gate();
    let processor = BatchSpanProcessor::builder(Nowhere(gate.clone())).build();
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    let tracer = provider.tracer("shop");
    Ok(Spans { provider, tracer, gate })
}

impl Subject for Spans {
    fn record(&mut self, number: usize) {
        let attributes = [
            KeyValue::new("user", "ada"),
            KeyValue::new("items", items(number)),
            KeyValue::new("total", total(number)),
        ];
        self.tracer.span_builder("order placed").with_attributes(attributes).start(&self.tracer).end();
    }

    fn finish(self) -> Result<u64, String> {
        self.provider.shutdown_with_timeout(Duration::from_secs(30)).map_err(|error| error.to_string())?;
        Ok(self.gate.through())
    }
}

fn meters() -> (SdkMeterProvider, Counter<u64>) {
    let reader = PeriodicReader::builder(Nowhere(Gate::new(false))).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let counter = provider.meter("shop").u64_counter("orders").build();
    (provider, counter)
}

fn attributes() -> [KeyValue; 3] {
    [KeyValue::new("method", "GET"), KeyValue::new("status", "200"), KeyValue::new("path", "/orders")]
}

pub(super) struct Adding {
    _provider: SdkMeterProvider,
    counter: Counter<u64>,
    attributes: [KeyValue; 3],
    added: u64,
}

pub(super) fn counter(_: &Order) -> Result<Adding, String> {
    let (provider, counter) = meters();
    Ok(Adding { _provider: provider, counter, attributes: attributes(), added: 0 })
}

impl Subject for Adding {
    fn record(&mut self, _: usize) {
        self.counter.add(1, &self.attributes);
        self.added += 1;
    }

    fn finish(self) -> Result<u64, String> {
        Ok(self.added)
    }
}

pub(super) struct AddingBound {
    _provider: SdkMeterProvider,
    counter: BoundCounter<u64>,
    added: u64,
}

pub(super) fn bound(_: &Order) -> Result<AddingBound, String> {
    let (provider, counter) = meters();
    Ok(AddingBound { _provider: provider, counter: counter.bind(&attributes()), added: 0 })
}

impl Subject for AddingBound {
    fn record(&mut self, _: usize) {
        self.counter.add(1);
        self.added += 1;
    }

    fn finish(self) -> Result<u64, String> {
        Ok(self.added)
    }
}
