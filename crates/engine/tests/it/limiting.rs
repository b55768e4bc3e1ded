//! `memory_limiter`: what may be taken up is the limit less the spike limit, whichever of the two units each is given in.

use pipeline::{Outcome, memory_limit::total_memory};

use crate::ends::{Far, Near, block_on, large};

/// Bytes of a request that is in memory all the time.
const SMALL: usize = 1 << 18;
/// Bytes of a request for which half of the rows below leave no room beside it.
const LARGE: usize = 3 << 20;

#[test]
fn what_would_exceed_the_limit_less_the_spike_limit_is_refused() {
    let half_mib = (total_memory().unwrap() / 100 * 50) >> 20;
    let (above, below) = (half_mib + 2, half_mib - 1);
    let rows = [
        ("limit_mib: 4096".to_owned(), true),
        ("limit_mib: 4096, spike_limit_mib: 4094".to_owned(), false),
        (format!("limit_percentage: 60, spike_limit_mib: {below}"), true),
        (format!("limit_percentage: 50, spike_limit_mib: {below}"), false),
        (format!("limit_mib: {above}, spike_limit_percentage: 40"), true),
        (format!("limit_mib: {above}, spike_limit_percentage: 50"), false),
    ];
    for (settings, takes_large) in rows {
        let limiter = format!("memory_limiter: {{check_interval: 1s, {settings}}}");
        let far = Far::holding();
        let near = Near::processing(&limiter, &far.exporter("otlp", ""));
        assert_eq!(block_on(near.ask(large(SMALL))), Outcome::DELIVERED, "{settings}");
        let outcome = block_on(near.ask(large(LARGE)));
        match takes_large {
            true => assert_eq!(outcome, Outcome::DELIVERED, "{settings}"),
            false => assert!(matches!(outcome, Outcome::Retry { .. }), "{settings}: {outcome:?}"),
        }
    }
}
