//! What a batch promises beside reading.

use aldis_otlp::{Batch, Check, Checker, Codec, Depth, Signal, WireErrorKind};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::profiles::v1development::{
    Profile, ProfilesDictionary, ResourceProfiles, ScopeProfiles,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

fn spans(names: &[&str]) -> Bytes {
    let spans = names.iter().map(|name| Span { name: (*name).to_owned(), ..Span::default() }).collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    Bytes::from(ExportTraceServiceRequest { resource_spans }.encode_to_vec())
}

fn check(depth: Depth, request: Bytes) -> Batch {
    Checker::new(Signal::Traces, Check::Full, depth).check(request).expect("valid")
}

#[test]
fn deepening_is_checking_deeper_and_keeps_the_filter() {
    let request = spans(&["a", "b", "c"]);
    let mut batch = check(Depth::Counts, request.clone());
    assert_eq!(batch.retain(|_, i| i != 1), 1);
    batch.deepen(Depth::Attributes);
    assert_eq!(batch.depth(), Depth::Attributes);
    assert_eq!(batch.index(), check(Depth::Attributes, request).index());
    assert_eq!((batch.len(), batch.is_kept(1)), (2, false));
    assert_eq!(batch.span(2).name(), "c");
    batch.deepen(Depth::Records);
    assert_eq!(batch.depth(), Depth::Attributes, "never shallower");
}

#[test]
fn the_compressed_form_is_forgotten_by_the_first_change() {
    let mut batch = check(Depth::Records, spans(&["a", "b"]));
    batch.set_compressed(Codec::Gzip, Bytes::from_static(b"as received"));
    let held = batch.memory_bytes();
    assert!(batch.compressed(Codec::Zstd).is_none());
    assert_eq!(batch.retain(|_, _| true), 0);
    assert!(batch.compressed(Codec::Gzip).is_some(), "nothing changed");
    let untouched = batch.clone();
    assert_eq!(batch.retain(|batch, i| batch.span(i).name() == "a"), 1);
    assert!(batch.compressed(Codec::Gzip).is_none());
    assert!(batch.memory_bytes() < held);
    assert_eq!((batch.len(), untouched.len()), (1, 2), "a clone keeps its own filter");
}

#[test]
fn profiles_are_counted_and_passed_on_whole() {
    let scope = ScopeProfiles { profiles: vec![Profile::default(); 3], ..ScopeProfiles::default() };
    let resource = ResourceProfiles { scope_profiles: vec![scope; 2], ..ResourceProfiles::default() };
    let dictionary =
        Some(ProfilesDictionary { string_table: vec![String::new()], ..ProfilesDictionary::default() });
    let request = ExportProfilesServiceRequest { resource_profiles: vec![resource; 2], dictionary };
    let request = Bytes::from(request.encode_to_vec());
    let mut checker = Checker::new(Signal::Profiles, Check::Full, Depth::Attributes);
    let batch = checker.check(request.clone()).expect("valid");
    let counts = batch.counts();
    assert_eq!((counts.resources, counts.scopes, counts.records), (2, 4, 12));
    assert_eq!((batch.checked(), batch.depth()), (Check::Framing, Depth::Counts));
    assert_eq!(batch.to_wire(), request);
    let cut = checker.check(request.slice(..request.len() - 1)).expect_err("cut off");
    assert_eq!(cut.kind, WireErrorKind::Truncated);
}

#[test]
fn what_is_said_twice_is_said_once_and_unknown_fields_stay() {
    // Field 1000 of the span, a name, field 1000 again, another name; and the scope in two halves.
    let unknown = [0xc2, 0x3e, 1, b'u'];
    let span = [&unknown[..], b"\x2a\x01a", &unknown, b"\x2a\x01b"].concat();
    let scope = [b"\x0a\x03\x0a\x01s", &[0x12, span.len() as u8][..], &span, b"\x0a\x03\x12\x01v"].concat();
    let resource = [&[0x12, scope.len() as u8][..], &scope].concat();
    let request = [&[0x0a, resource.len() as u8][..], &resource].concat();
    let batch = check(Depth::Records, Bytes::from(request));
    assert_eq!(batch.span(0).name(), "b");
    assert_eq!((batch.scope_of(0).name(), batch.scope_of(0).version()), ("s", "v"));
    let raw = batch.raw().to_vec();
    assert_eq!(raw.windows(unknown.len()).filter(|part| *part == unknown).count(), 2);
    assert!(!raw.windows(3).any(|part| part == b"\x2a\x01a"), "the first name is gone");
}

/// Offset, message and fault of a refusal.
#[test]
fn a_refusal_says_where_and_what() {
    let cases: [(&[u8], usize, &str, WireErrorKind); 8] = [
        (b"\x0a\x05\x12", 1, "ExportTraceServiceRequest", WireErrorKind::Truncated),
        (b"\x0a\x80", 1, "ExportTraceServiceRequest", WireErrorKind::Truncated),
        (b"\x0b\x0c", 0, "ExportTraceServiceRequest", WireErrorKind::WrongWireType),
        (b"\x0a\x02\x0a\x05", 3, "ResourceSpans", WireErrorKind::Truncated),
        (b"\x0a\x05\x12\x03\x1a\x01\xff", 6, "ScopeSpans", WireErrorKind::NotUtf8),
        (b"\x0a\x07\x12\x05\x12\x03\x0a\x01\x00", 8, "Span", WireErrorKind::BadIdLength),
        (b"\x07\x00", 0, "ExportTraceServiceRequest", WireErrorKind::BadTag),
        (b"\xa3\x06\xac\x06", 2, "ExportTraceServiceRequest", WireErrorKind::UnbalancedGroup),
    ];
    for (request, offset, within, kind) in cases {
        let error = Checker::new(Signal::Traces, Check::Full, Depth::Counts)
            .check(Bytes::from_static(request))
            .expect_err("malformed");
        assert_eq!((error.offset, error.within, error.kind), (offset, within, kind), "{request:02x?}");
    }
}
