#![no_main]

use aldis_otlp::Signal;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::agree::<ExportMetricsServiceRequest>(
    Signal::Metrics,
    bytes
));
