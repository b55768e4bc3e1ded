//! What every target holds: the check never panics, accepts what prost accepts where ids have their length, and what it
//! holds says the same to prost.

use aldis_otlp::{Check, Checker, Depth, Signal, WireErrorKind};
use bytes::Bytes;
use prost::Message;

/// Holds the check of `signal` against prost's reading of the same bytes.
pub fn agree<O: Message + Default>(signal: Signal, bytes: &[u8]) {
    let request = Bytes::copy_from_slice(bytes);
    let oracle = O::decode(bytes);
    let _ = Checker::new(signal, Check::Framing, Depth::Counts).check(request.clone());
    match Checker::new(signal, Check::Full, Depth::Attributes).check(request) {
        Ok(batch) => {
            let oracle = oracle.expect("prost accepts what is accepted");
            let held = O::decode(batch.raw().as_ref()).expect("what is held is valid");
            assert_eq!(held.encode_to_vec(), oracle.encode_to_vec(), "a rewritten request says the same");
            for i in 0..batch.len() {
                let attributes = batch.attributes_of(i).count();
                let first = &batch.index().attributes.first;
                assert_eq!(attributes, (first[i + 1] - first[i]) as usize);
                let _ = batch.resource_of(i).service_name();
            }
        }
        Err(error) if error.kind == WireErrorKind::BadIdLength => {}
        Err(error) => assert!(oracle.is_err(), "prost accepts what is refused: {error}"),
    }
}
