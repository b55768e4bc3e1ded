//! Choosing, keeping, merging.

use proptest::prelude::*;

use super::*;
use crate::{Item, batcher::tests::batch};

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1_700_000_000 * SECOND;

fn export(outcome: &Outcome) -> Export<'_> {
    Export {
        exporter: "otlp",
        signal: Signal::Traces,
        records: 5,
        attempts: 2,
        started_ns: NOW,
        ended_ns: NOW + 7,
        outcome,
    }
}

proptest! {
    #[test]
    fn no_second_has_more_requests_than_a_burst_and_the_rate(
        rate in 1u32..50,
        steps in prop::collection::vec(0u64..SECOND / 4, 1..400),
    ) {
        let tracer = Tracer::new(rate, 10);
        let (mut now, mut chosen) = (NOW, Vec::new());
        for step in steps {
            now += step;
            if tracer.sample(now).is_some() {
                chosen.push(now);
            }
        }
        prop_assert_eq!(chosen.first().copied(), chosen.first().map(|first| (*first).min(now)));
        for (i, from) in chosen.iter().enumerate() {
            let within = chosen[i..].iter().take_while(|at| **at < from + SECOND).count();
            prop_assert!(within <= 2 * rate as usize, "{within} in a second at {rate}");
        }
    }
}

#[test]
fn quiet_engines_trace_every_request() {
    let tracer = Tracer::new(4, 10);
    assert!((0..40).all(|i| tracer.sample(NOW + i * SECOND / 4).is_some()));
}

#[test]
fn what_finds_no_room_is_counted() {
    let tracer = Tracer::new(100, 3);
    let traced = Traced::new(&tracer, tracer.sample(NOW).unwrap());
    (0..5).for_each(|_| traced.exported(&export(&Outcome::DELIVERED)));
    assert_eq!(tracer.counts(), TracerCounts { made: 5, dropped: 2, waiting: 3 });
    assert_eq!(tracer.take(2).len(), 2);
    assert_eq!(tracer.take(2).len(), 1);
    assert_eq!(tracer.counts(), TracerCounts { made: 5, dropped: 2, waiting: 0 });
}

#[test]
fn what_is_exported_is_the_child_of_its_request_and_linked_to_several() {
    let tracer = Tracer::new(1000, 100);
    let requests: Vec<SpanContext> = (0..40).filter_map(|_| tracer.sample(NOW)).collect();
    let item = |request: &SpanContext| {
        let mut item = Item::new(batch(0..2));
        item.context.traced = Some(Box::new(Traced::new(&tracer, *request)));
        item
    };
    let failure = Outcome::unavailable("nobody there");
    let exported = |item: Item, outcome: &Outcome| {
        item.context.traced.as_deref().unwrap().exported(&export(outcome));
        tracer.take(1).remove(0)
    };
    // What is cut has the parent of the whole.
    for piece in item(&requests[0]).split(1, 0) {
        let span = exported(piece, &failure);
        let context = SpanContext { span_id: span.context.span_id, ..requests[0] };
        assert_eq!((span.context, span.parent), (context, Some(requests[0].span_id)));
        assert_eq!(span.error.as_deref(), Some("nobody there"));
        assert!(span.attributes.contains(&("items.failed", AttributeValue::Int(5))));
    }
    // What is merged names everybody, up to a bound; what nobody traces changes nothing.
    let mut several: Vec<Item> = requests.iter().map(item).collect();
    several.insert(1, Item::new(batch(0..1)));
    let span = exported(Item::merge(several).unwrap(), &Outcome::Delivered { rejected: 2 });
    assert_eq!((span.parent, span.links.len(), span.error), (None, MAX_LINKS, None));
    assert_eq!(span.links, requests[..MAX_LINKS]);
    assert_eq!(span.dropped_links as usize, requests.len() - MAX_LINKS);
    assert!(!requests.iter().any(|request| request.trace_id == span.context.trace_id));
    let counts = [("items.sent", AttributeValue::Int(3)), ("items.failed", AttributeValue::Int(2))];
    assert!(counts.iter().all(|count| span.attributes.contains(count)));
    // Pieces of one request that are joined again are that request's.
    let pieces = item(&requests[1]).split(1, 0);
    assert_eq!(exported(Item::merge(pieces).unwrap(), &failure).parent, Some(requests[1].span_id));
}
