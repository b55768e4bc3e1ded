//! From a collector inside a program (crate `collect`) to the network: to any OTLP endpoint, to whoever scrapes, to wherever an exporter
//! leads. The program needs no async runtime.
//!
//! ```
//! use std::sync::Arc;
//! use aldis_connect::{collect::to_pipeline, prometheus::PrometheusExporter};
//! use collect::{Emitter, MemoryStorage, TelemetryCollector, TelemetryConfig, TelemetryStream};
//! use pipeline::TelemetryPipeline;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // `OtlpExporter` sends them: events as log records, metrics as metrics. `PrometheusExporter` shows the metrics.
//! let exporter = PrometheusExporter::new();
//! let pipeline = TelemetryPipeline::builder().with_exporter(Arc::new(exporter.clone())).build()?;
//!
//! let collector = TelemetryCollector::new(TelemetryConfig::default())?;
//! let stream = TelemetryStream::new(&collector, MemoryStorage::new());
//! stream.add_consumer(to_pipeline(&Arc::new(pipeline), Emitter::here("shop")))?;
//! stream.start()?;
//! collector.collect_metric("queue.depth", 3.0, "", &[]);
//! stream.stop()?;
//! # Ok(())
//! # }
//! ```

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use collect::{Emitter, Failure, TelemetryData};
use pipeline::{RecordError, TelemetryPipeline};

/// A consumer for a [`collect::TelemetryStream`], or a listener for a collector, that records everything in a pipeline: events as log
/// records, metrics as data points.
///
/// What the pipeline does not take it counts, and the consumer counts as failed: these records, and no others of their batch. Where the
/// pipeline's strategy is to block, the consumer waits for room; what it misses meanwhile is counted as lagged, and nobody else waits.
pub fn to_pipeline(
    pipeline: &Arc<TelemetryPipeline>,
    emitter: Emitter,
) -> impl Fn(&TelemetryData) -> Result<(), Failure> + Send + Sync + use<> {
    let pipeline = pipeline.clone();
    move |data| {
        let logs = data.events.iter().map(|event| wait_for(pipeline.record_log(emitter.log(event))));
        let points =
            data.metrics.iter().map(|metric| wait_for(pipeline.record_metric(emitter.metric(metric))));
        let refused: Vec<RecordError> = logs.chain(points).filter_map(Result::err).collect();
        match refused.last() {
            None => Ok(()),
            Some(error) => {
                let (refused, all) = (refused.len(), data.len());
                Err(Failure::of(refused as u64, format!("{refused} of {all} were not taken: {error}")))
            }
        }
    }
}

/// Waits on this thread, which may be any but a runtime's: a consumer has its own.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    // As good as always it is ready at once.
    if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return result;
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}
