//! OTLP/JSON against the official descriptors, for every signal.

use aldis_otlp::{Check, Checker, Depth, Signal, WireError, WireErrorKind, json};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message;
use serde_json::Value;

use crate::descriptors::Descriptors;
use crate::entropy::Entropy;
use crate::rewire;

const REQUESTS: [(Signal, &str); 4] = [
    (Signal::Traces, ".opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest"),
    (Signal::Logs, ".opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest"),
    (Signal::Metrics, ".opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest"),
    (Signal::Profiles, ".opentelemetry.proto.collector.profiles.v1development.ExportProfilesServiceRequest"),
];

fn written(signal: Signal, check: Check, wire: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut text = Vec::new();
    json::append(&Checker::new(signal, check, Depth::Counts).check(wire.to_vec().into())?, &mut text)?;
    Ok(text)
}

fn text_of(signal: Signal, check: Check, wire: &[u8]) -> Vec<u8> {
    written(signal, check, wire).expect("a request")
}

fn parsed(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text)))
}

/// What prost makes of a request of any signal, once more encoded: nothing twice, nothing unknown.
fn accepted(signal: Signal, wire: &[u8]) -> Option<Vec<u8>> {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(wire).ok().map(|request| request.encode_to_vec()),
        Signal::Logs => ExportLogsServiceRequest::decode(wire).ok().map(|request| request.encode_to_vec()),
        Signal::Metrics => {
            ExportMetricsServiceRequest::decode(wire).ok().map(|request| request.encode_to_vec())
        }
        Signal::Profiles => {
            ExportProfilesServiceRequest::decode(wire).ok().map(|request| request.encode_to_vec())
        }
    }
}

fn canonical(signal: Signal, wire: &[u8]) -> Vec<u8> {
    accepted(signal, wire).expect("a request")
}

/// A field that the tables do not have, or have under another name, number or type, would be missing or differ here.
#[test]
fn every_field_of_the_official_messages_is_written_and_read() {
    let descriptors = Descriptors::read();
    for (signal, request) in REQUESTS {
        // As many choices as the largest oneof has members.
        for choice in 0..8 {
            let wire = descriptors.full(request, choice, 9);
            let expected = descriptors.to_json(request, &wire);
            assert_eq!(parsed(&text_of(signal, Check::Full, &wire)), expected, "{signal} {choice}");
            let read = json::to_wire(signal, expected.to_string().as_bytes()).expect("it is OTLP/JSON");
            assert_eq!(canonical(signal, &read), canonical(signal, &wire), "{signal} {choice}");
        }
    }
}

fn any_request(signal: Signal, chance: &[u8]) -> Vec<u8> {
    let mut entropy = Entropy::new(chance);
    match signal {
        Signal::Traces => entropy.traces().encode_to_vec(),
        Signal::Logs => entropy.logs().encode_to_vec(),
        Signal::Metrics => entropy.metrics().encode_to_vec(),
        Signal::Profiles => entropy.profiles().encode_to_vec(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn text_and_bytes_say_the_same(chance in prop::collection::vec(any::<u8>(), 0..1500)) {
        let descriptors = Descriptors::read();
        for (signal, request) in REQUESTS {
            let wire = any_request(signal, &chance);
            let expected = descriptors.to_json(request, &wire);
            prop_assert_eq!(&parsed(&text_of(signal, Check::Full, &wire)), &expected);
            let text = expected.to_string();
            let read = json::to_wire(signal, text.as_bytes()).expect("it is OTLP/JSON");
            prop_assert!(read.len() <= json::most_wire_bytes(text.as_bytes()), "{}", text);
            // Back to JSON, for NaN is not equal to itself.
            prop_assert_eq!(descriptors.to_json(request, &canonical(signal, &read)), expected);
        }
    }

    /// However the request was encoded, and whether it was checked in full before or is only now.
    #[test]
    fn every_encoding_becomes_the_same_text(
        chance in prop::collection::vec(any::<u8>(), 0..800),
        order in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let descriptors = Descriptors::read();
        for (signal, request) in REQUESTS {
            let name = signal.name();
            let wire = any_request(signal, &chance);
            let text = text_of(signal, Check::Full, &wire);
            let descending = rewire::descending(name, &wire);
            let scrambled = rewire::scrambled(name, &wire, &mut Entropy::new(&order));
            // Some of it has unknown fields that are malformed, which the full check refuses as prost does.
            let Some(meant) = accepted(signal, &scrambled) else { continue };
            let meant = descriptors.to_json(request, &meant);
            for check in [Check::Full, Check::Framing] {
                prop_assert_eq!(&parsed(&text_of(signal, check, &descending)), &parsed(&text));
                let text = match written(signal, check, &scrambled) {
                    // The one thing asked for that prost does not ask for.
                    Err(WireError { kind: WireErrorKind::BadIdLength, .. }) => continue,
                    text => text.expect("prost takes it"),
                };
                let read = json::to_wire(signal, &text).expect("what is written can be read");
                prop_assert_eq!(&descriptors.to_json(request, &canonical(signal, &read)), &meant);
            }
        }
    }

    /// A framing-checked batch is refused where it is malformed inside, whatever is wrong with it.
    #[test]
    fn what_prost_refuses_is_not_written(
        chance in prop::collection::vec(any::<u8>(), 0..600),
        damage in prop::collection::vec(any::<(u16, u8)>(), 1..4),
    ) {
        for (signal, _) in REQUESTS {
            let mut wire = any_request(signal, &chance);
            for (at, byte) in &damage {
                let at = usize::from(*at) % wire.len().max(1);
                if let Some(place) = wire.get_mut(at) { *place = *byte }
            }
            let text = written(signal, Check::Framing, &wire);
            // Ids must have their length too, which prost does not ask for.
            prop_assert!(accepted(signal, &wire).is_some() || text.is_err());
            prop_assert!(text.is_err() || serde_json::from_slice::<Value>(&text.unwrap_or_default()).is_ok());
        }
    }
}
