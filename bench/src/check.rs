//! What it costs to check a request, per span: memcpy, count walk, full check at each depth, prost's decode.
//!
//! Input: the microservice demo's spans, cut into requests of twenty resources (about a thousand spans each).

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otlp::{Check, Checker, Depth, Signal, wire};
use prost::Message;

const RESOURCES_PER_REQUEST: usize = 20;
const ROUNDS: usize = 25;

/// Runs all measurements on the traces below `shared_data` and prints nanoseconds per span: the best and the median round.
pub(crate) fn command(shared_data: &Path) -> Result<(), String> {
    let requests = requests(shared_data)?;
    let mut counter = Checker::new(Signal::Traces, Check::Framing, Depth::Counts);
    let mut spans = 0;
    for request in &requests {
        spans += counter.check(request.clone()).map_err(|error| error.to_string())?.len();
    }
    let bytes: usize = requests.iter().map(Bytes::len).sum();
    println!("{} requests, {spans} spans, {:.0} B a span", requests.len(), bytes as f64 / spans as f64);

    let mut copy = Vec::with_capacity(bytes);
    let mut memcpy = |request: &Bytes| {
        copy.clear();
        copy.extend_from_slice(black_box(request));
        black_box(&copy);
    };
    report("memcpy", spans, &requests, &mut memcpy);
    report("memcpy again (A against A)", spans, &requests, &mut memcpy);
    let kinds = [
        ("count walk", Check::Framing, Depth::Counts),
        ("full check, counts", Check::Full, Depth::Counts),
        ("full check, counts again (A against A)", Check::Full, Depth::Counts),
        ("full check, records", Check::Full, Depth::Records),
        ("full check, attributes", Check::Full, Depth::Attributes),
    ];
    for (name, check, depth) in kinds {
        let mut checker = Checker::new(Signal::Traces, check, depth);
        report(name, spans, &requests, &mut |request| {
            black_box(checker.check(request.clone()).map(|batch| batch.len()).unwrap_or(0));
        });
    }
    report("prost decode", spans, &requests, &mut |request| {
        black_box(
            ExportTraceServiceRequest::decode(request.clone()).map_or(0, |tree| tree.resource_spans.len()),
        );
    });
    Ok(())
}

/// Requests of about a thousand spans.
pub(crate) fn requests(shared_data: &Path) -> Result<Vec<Bytes>, String> {
    let path = shared_data.join("otlp/hipstershop-traces.zst");
    let file = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let data = zstd::decode_all(file.as_slice()).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(regroup(&data))
}

/// The resources of all requests of the file (u32-BE length, request, …) in requests of their own.
fn regroup(mut data: &[u8]) -> Vec<Bytes> {
    let mut requests = Vec::new();
    let mut request = Vec::new();
    let mut resources = 0;
    while let Some((len, rest)) = data.split_first_chunk::<4>() {
        let (body, rest) = rest.split_at((u32::from_be_bytes(*len) as usize).min(rest.len()));
        for resource in wire::fields(body) {
            request.extend_from_slice(resource.raw);
            resources += 1;
            if resources % RESOURCES_PER_REQUEST == 0 {
                requests.push(Bytes::from(std::mem::take(&mut request)));
            }
        }
        data = rest;
    }
    if !request.is_empty() {
        requests.push(Bytes::from(request));
    }
    requests
}

pub(crate) fn report<T>(name: &str, spans: usize, requests: &[T], each: &mut dyn FnMut(&T)) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for request in requests {
                each(request);
            }
            start.elapsed().as_nanos() as f64 / spans as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{name:<40} {:>8.1} ns/span best {:>8.1} median", rounds[0], rounds[ROUNDS / 2]);
}
