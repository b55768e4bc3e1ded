//! A real request: 24 MB of spans from a microservice demo.

use std::path::PathBuf;

use aldis_otlp::{Check, Checker, Depth, Signal};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::compare;

/// The requests of the file; `None`, loudly, where it is absent.
fn requests() -> Option<Vec<Bytes>> {
    let shared = std::env::var_os("ALDIS_SHARED_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = shared.join("otlp/hipstershop-traces.zst");
    let Ok(file) = std::fs::read(&path) else {
        eprintln!("SKIPPED: {} is not there", path.display());
        return None;
    };
    let mut data = Bytes::from(zstd::decode_all(file.as_slice()).expect("a zstd file"));
    let mut requests = Vec::new();
    while let Some((len, _)) = data.split_first_chunk::<4>() {
        let len = u32::from_be_bytes(*len) as usize;
        requests.push(data.slice(4..4 + len));
        data = data.slice(4 + len..);
    }
    Some(requests)
}

#[test]
fn every_span_reads_as_prost_reads_it() {
    let Some(requests) = requests() else { return };
    let mut records = 0;
    let mut resources = 0;
    for request in requests {
        let expected = ExportTraceServiceRequest::decode(request.clone()).expect("prost reads it");
        for depth in [Depth::Records, Depth::Attributes] {
            let batch =
                Checker::new(Signal::Traces, Check::Full, depth).check(request.clone()).expect("valid");
            assert_eq!(batch.raw(), &request, "nothing had to be rewritten");
            compare::traces(&batch, &expected);
        }
        let framed = Checker::new(Signal::Traces, Check::Framing, Depth::Records)
            .check(request.clone())
            .expect("valid");
        let counted = Checker::new(Signal::Traces, Check::Full, Depth::Counts).check(request).expect("valid");
        assert_eq!(framed.counts(), counted.counts());
        records += counted.counts().records;
        resources += counted.counts().resources;
    }
    assert_eq!((records, resources), (86_583, 1_699));
}
