//! A program sends a span of its own through a pipeline to an OTLP endpoint.
//!
//! The endpoint is a sink in this process, so that the example runs anywhere: `cargo run --example basic_usage`. The
//! specification's `with_weaver_registry` and `with_adaptive_sampling` come with the libraries that they belong to.
#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aldis::telemetry::*;
use connect::otlp::{
    GrpcSettings, ReceiverSettings,
    sink::{Sink, SinkSettings},
};
use pipeline::Shards;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shards = Shards::start(1, "sink")?;
    let grpc = GrpcSettings { endpoint: "127.0.0.1:0".to_owned(), ..GrpcSettings::default() };
    let receiver = ReceiverSettings { grpc: Some(grpc), http: None, ..ReceiverSettings::default() };
    let sink = Sink::start(SinkSettings { receiver, ..SinkSettings::default() }, &shards)?;
    let endpoint = sink.grpc_addr().ok_or("the sink has no address")?.to_string();

    // Create pipeline
    let pipeline = TelemetryPipeline::builder()
        .with_batch_size(1000)
        .with_flush_interval(Duration::from_millis(100))
        .with_exporter(Arc::new(OtlpExporter::new(OtlpConfig::default().with_endpoint(endpoint))))
        .with_exporter(Arc::new(PrometheusExporter::new()))
        .build()?;

    // Record events
    pipeline
        .record_span(Span {
            name: "workflow.execute".to_string(),
            trace_id: "trace-123".to_string(),
            span_id: "span-456".to_string(),
            parent_span_id: None,
            attributes: vec![
                ("workflow.id".to_string(), AttributeValue::String("wf-001".to_string())),
                ("workflow.pattern".to_string(), AttributeValue::String("Sequence".to_string())),
            ],
            duration_ns: 1_500_000,
            status: SpanStatus::Ok,
            start_time_ns: now(),
            end_time_ns: now() + 1_500_000,
        })
        .await?;

    // Everything leaves before the numbers are read.
    let left = pipeline.shutdown(Duration::from_secs(5));

    // Get stats
    let stats = pipeline.stats();
    println!(
        "Events: {}, Dropped: {}, Avg latency: {}µs",
        stats.events_received, stats.events_dropped, stats.avg_processing_latency_us
    );

    let arrived = sink.stop(Instant::now() + Duration::from_secs(1));
    println!(
        "Arrived: {} span in {} request; left behind: {}",
        arrived.records,
        arrived.requests,
        !left.is_clean()
    );
    Ok(())
}
