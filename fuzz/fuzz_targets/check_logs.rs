#![no_main]

use aldis_otlp::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::agree::<ExportLogsServiceRequest>(Signal::Logs, bytes));
