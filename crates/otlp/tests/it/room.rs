//! What a check takes is known before.

use aldis_otlp::{Check, Checker, Depth, Signal, limits::MAX_KEPT_SCRATCH_BYTES};
use bytes::Bytes;

use crate::hipstershop;

/// A field of this number with these bodies, one behind the other.
fn fields(number: u8, bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for body in bodies {
        out.push(number << 3 | 2);
        let mut length = body.len();
        while length >= 0x80 {
            out.push(length as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend(body);
    }
    out
}

fn empty(count: usize) -> Vec<Vec<u8>> {
    vec![Vec::new(); count]
}

/// The densest requests that there are, by what they are full of.
fn dense() -> Vec<(&'static str, Signal, Vec<u8>)> {
    let of_scope = |members: Vec<u8>| fields(1, &[fields(2, &[members])]);
    let one_record = |number, count| of_scope(fields(2, &[fields(number, &empty(count))]));
    let metric = |metric: Vec<u8>| of_scope(fields(2, &[metric]));
    let mut all = vec![
        ("nothing", Signal::Traces, Vec::new()),
        ("resources", Signal::Traces, fields(1, &empty(9_000))),
        ("scopes", Signal::Logs, fields(1, &[fields(2, &empty(9_000))])),
        ("spans", Signal::Traces, of_scope(fields(2, &empty(9_000)))),
        ("logs", Signal::Logs, of_scope(fields(2, &empty(9_000)))),
        ("metrics", Signal::Metrics, of_scope(fields(2, &empty(9_000)))),
        ("span attributes", Signal::Traces, one_record(9, 9_000)),
        ("log attributes", Signal::Logs, one_record(6, 9_000)),
    ];
    // Gauge, sum, histogram, exponential histogram, summary, with the number of their points' attributes.
    for (data, attributes) in [(5, 7), (7, 7), (9, 9), (10, 1), (11, 7)] {
        all.push(("points", Signal::Metrics, metric(fields(data, &[fields(1, &empty(9_000))]))));
        let point = fields(attributes, &empty(9_000));
        all.push(("point attributes", Signal::Metrics, metric(fields(data, &[fields(1, &[point])]))));
    }
    all
}

#[test]
fn what_is_needed_is_what_is_taken() {
    for depth in [Depth::Counts, Depth::Records, Depth::Attributes] {
        for (what, signal, request) in dense() {
            let mut checker = Checker::new(signal, Check::Full, depth);
            let needed = checker.needed_bytes(&request).expect("valid");
            let most = checker.most_bytes(request.len());
            let batch = checker.check(Bytes::from(request.clone())).expect("valid");
            let index = batch.index().memory_bytes();
            assert_eq!((needed - request.len()) / 3, index, "{depth:?} of {what} of {signal}");
            assert!(needed <= most + 12, "{depth:?} of {what} of {signal}: {needed} of {most}");
            assert!(checker.scratch_bytes() <= 2 * index.max(512), "columns double");
        }
    }
    let framing = Checker::new(Signal::Logs, Check::Framing, Depth::Attributes);
    assert_eq!((framing.most_bytes(1000), framing.needed_bytes(&[])), (0, Ok(0)));
}

#[test]
fn real_requests_need_what_they_take() {
    let Some(requests) = hipstershop::requests() else { return };
    let mut checker = Checker::new(Signal::Traces, Check::Full, Depth::Attributes);
    for request in requests {
        let needed = checker.needed_bytes(&request).expect("valid");
        let batch = checker.check(request.clone()).expect("valid");
        assert_eq!((needed - request.len()) / 3, batch.index().memory_bytes());
    }
}

#[test]
fn scratch_is_kept_for_the_next_request_unless_it_is_huge() {
    let spans = |count| Bytes::from(fields(1, &[fields(2, &[fields(2, &empty(count))])]));
    let mut checker = Checker::new(Signal::Traces, Check::Full, Depth::Records);
    checker.check(spans(1000)).expect("valid");
    let kept = checker.scratch_bytes();
    assert!(kept >= 1000 * 58, "{kept}");
    checker.check(spans(500)).expect("valid");
    assert_eq!(checker.scratch_bytes(), kept, "it is used again");
    let huge = spans(300_000);
    checker.check(huge.clone()).expect("valid");
    assert_eq!(checker.scratch_bytes(), 0, "released at once, not when the next one comes");
    // Neither its resources nor a fault behind it keep it.
    checker.check(Bytes::from(fields(1, &empty(600_000)))).expect("valid");
    assert_eq!(checker.scratch_bytes(), 0);
    let mut damaged = huge.to_vec();
    damaged.push(0x0a);
    assert!(checker.check(damaged.into()).is_err());
    assert!(checker.scratch_bytes() <= MAX_KEPT_SCRATCH_BYTES);
}
