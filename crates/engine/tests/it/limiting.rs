//! `memory_limiter`: what may be taken up is the limit less the spike limit, whichever of the two units each is given in.

use std::time::Instant;

use pipeline::{
    Outcome,
    memory_limit::{resident_memory, total_memory},
};

use crate::ends::{A_WHILE, Far, Near, PATIENCE, block_on, large};

/// MiB of this process that are in memory.
fn resident_mib() -> u64 {
    resident_memory().unwrap() >> 20
}

/// An engine that takes what comes, and the limit of its limiter in MiB, which the process is well below. Other tests of the process may
/// take up the difference in the moment in which it starts: then it is another one.
fn below_its_limit(interval: &str, far: &Far) -> (u64, Near) {
    let end = Instant::now() + PATIENCE;
    loop {
        let limit = resident_mib() + 150;
        let limiter =
            format!("memory_limiter: {{check_interval: {interval}, limit_mib: {limit}, spike_limit_mib: 1}}");
        let near = Near::processing(&limiter, &far.exporter("otlp", ""));
        let outcome = block_on(near.ask(large(SMALL)));
        if outcome == Outcome::DELIVERED {
            return (limit, near);
        }
        assert!(Instant::now() < end, "{interval}: {outcome:?}");
    }
}

/// The process as a whole grows over the limit: that is seen at the next look, and not before.
#[test]
fn the_process_is_looked_at_in_every_interval() {
    const GROWTH: usize = 300 << 20;
    /// A machine that swaps shows no growth.
    const MOST_GROWN: usize = 8;
    for (interval, seen) in [("10ms", true), ("1h", false)] {
        let far = Far::taking();
        let (limit, near) = below_its_limit(interval, &far);
        let mut grown = Vec::new();
        block_on(async {
            let end = Instant::now() + if seen { PATIENCE } else { 5 * A_WHILE };
            let mut refused = false;
            while !refused && Instant::now() < end {
                // Other tests give back what they took.
                while resident_mib() <= limit + 50 && grown.len() < MOST_GROWN {
                    grown.push(std::hint::black_box(vec![1_u8; GROWTH]));
                }
                refused = near.ask(large(SMALL)).await != Outcome::DELIVERED;
            }
            assert_eq!(refused, seen, "{interval}");
        });
        drop(std::hint::black_box(grown));
    }
}

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
        ("limit_mib: 4116, spike_limit_mib: 4094".to_owned(), true),
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
