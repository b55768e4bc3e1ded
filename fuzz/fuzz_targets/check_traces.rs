#![no_main]

use aldis_otlp::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::agree::<ExportTraceServiceRequest>(Signal::Traces, bytes));
