//! Consistent probability sampling: the arithmetic by scripts, the promises by statistics.

use aldis_operators::sample::{Decision, OtelState, Pressure, Probability, Randomness, Threshold};
use proptest::prelude::*;

use crate::script::{lines, unquote};

/// `1/3`, `2^-8`, `1-0x54*2^-8` or a decimal number.
fn number(text: &str) -> f64 {
    if let Some((hex, power)) = text.strip_prefix("1-0x").and_then(|rest| rest.split_once("*2^-")) {
        let hex = u64::from_str_radix(hex, 16).unwrap();
        return 1.0 - hex as f64 * 2f64.powi(-power.parse::<i32>().unwrap());
    }
    if let Some(power) = text.strip_prefix("2^-") {
        return 2f64.powi(-power.parse::<i32>().unwrap());
    }
    match text.split_once('/') {
        Some((a, b)) => a.parse::<f64>().unwrap() / b.parse::<f64>().unwrap(),
        None => text.parse().unwrap(),
    }
}

#[test]
fn probabilities_become_the_digits_of_the_script() {
    for (at, line) in lines("threshold/probability.script") {
        let words: Vec<_> = line.split_whitespace().collect();
        let p = Probability::new(number(words[0]));
        let digits = match &words[1..] {
            ["invalid"] => {
                assert!(p.is_err(), "line {at}");
                continue;
            }
            ["exact", digits] => {
                assert_eq!(Threshold::exact(p.unwrap()).to_string(), *digits, "line {at}");
                digits
            }
            ["precision", n, digits] => {
                let threshold = Threshold::new(p.unwrap(), n.parse().unwrap());
                assert_eq!(threshold.to_string(), *digits, "line {at}");
                digits
            }
            _ => panic!("line {at} is not understood"),
        };
        assert_eq!(Threshold::parse(digits).unwrap().to_string(), *digits, "line {at}");
    }
}

#[test]
fn digits_are_read_as_the_script_says() {
    for (at, line) in lines("threshold/digits.script") {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["th", digits, "invalid"] => assert_eq!(Threshold::parse(unquote(digits)), None, "line {at}"),
            ["th", digits, p] => {
                assert_eq!(Threshold::parse(digits).unwrap().probability().get(), number(p), "line {at}");
            }
            ["rv", digits, valid] => {
                assert_eq!(Randomness::parse(unquote(digits)).is_some(), valid == "valid", "line {at}");
            }
            _ => panic!("line {at} is not understood"),
        }
    }
}

#[test]
fn trace_states_are_read_and_written_as_the_script_says() {
    let mut input = String::new();
    let mut cases = 0;
    for (at, line) in lines("threshold/tracestate.script") {
        if let Some(rest) = line.strip_prefix("th ") {
            let (th, rv) = rest.split_once(" rv ").unwrap();
            let state = OtelState::read(&input);
            assert_eq!(state.threshold, Threshold::parse(th), "line {at}");
            assert_eq!(state.randomness, Randomness::parse(rv), "line {at}");
            cases += 1;
            continue;
        }
        let (mark, text) = line.split_at(1);
        let text = unquote(text);
        let threshold = match mark {
            "<" => {
                text.clone_into(&mut input);
                continue;
            }
            ">" => Threshold::parse("3"),
            "!" => None,
            _ => panic!("line {at} is not understood"),
        };
        let mut written = String::new();
        let state = OtelState::read(&input);
        state.write(&input, threshold, &mut written);
        assert_eq!(written, text, "line {at}");
        let again = OtelState::read(&written);
        assert_eq!((again.threshold, again.randomness), (threshold, state.randomness), "line {at}");
    }
    assert!(cases > 15);
}

#[test]
fn stages_do_what_the_script_says() {
    for (at, line) in lines("threshold/stages.script") {
        let words: Vec<_> = line.split_whitespace().collect();
        let [before, r, t, "->", after] = words[..] else { panic!("line {at} is not understood") };
        let before = unquote(before);
        let state = OtelState::read(before);
        let randomness = state.randomness.unwrap_or(Randomness::parse(r).unwrap());
        let decision = Decision::of(&state, randomness, Threshold::parse(t).unwrap());
        let mut written = String::new();
        match decision {
            Decision::Drop => {
                assert_eq!(after, "dropped", "line {at}");
                continue;
            }
            Decision::Keep => written.push_str(before),
            Decision::KeepAt(threshold) => state.write(before, Some(threshold), &mut written),
            Decision::KeepUnknown => state.write(before, None, &mut written),
        }
        assert_eq!(written, unquote(after), "line {at}");
    }
}

#[test]
fn trace_states_stay_within_their_bounds() {
    let full = format!("ot=x:{}", "_".repeat(254));
    assert_eq!(OtelState::read(&full).threshold, None);
    let mut out = String::new();
    OtelState::read(&full).write(&full, Threshold::parse("3"), &mut out);
    assert_eq!(out, full, "no room for th: the entry is kept, the probability unknown");

    let too_long = format!("ot=th:8;x:{}", "_".repeat(250));
    assert_eq!(OtelState::read(&too_long), OtelState::default());

    let crowd: Vec<_> = (0..32).map(|i| format!("v{i}=x")).collect();
    out.clear();
    OtelState::read("").write(&crowd.join(","), Threshold::parse("3"), &mut out);
    assert_eq!(out, format!("ot=th:3,{}", crowd[..31].join(",")), "the rightmost goes");
}

#[test]
fn randomness_is_the_end_of_the_trace_id() {
    let half = Threshold::exact(Probability::new(0.5).unwrap());
    let id = |tail: [u8; 7]| {
        let mut id = [0xee; 16];
        id[9..].copy_from_slice(&tail);
        Randomness::of_trace_id(id)
    };
    assert!(!half.keeps(id([0; 7])));
    assert!(!half.keeps(id([0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])));
    assert!(half.keeps(id([0x80, 0, 0, 0, 0, 0, 0])));
    assert!(half.keeps(id([0xff; 7])));
    assert_eq!(id([0xab, 0xcd, 0xef, 1, 2, 3, 4]).to_string(), "abcdef01020304");
}

/// A sequence that is uniform but needs no generator: multiples of an odd constant, mixed (SplitMix64).
fn randomness(i: u64) -> Randomness {
    let mut z = i.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Randomness::from_bits((z ^ (z >> 31)) >> 8).unwrap()
}

/// Runs a record through stages; how many it stands for in the end, if it survives.
fn weight_after(stages: &[Threshold], randomness: Randomness) -> Option<f64> {
    let mut state = OtelState::default();
    for &stage in stages {
        match Decision::of(&state, randomness, stage) {
            Decision::Drop => return None,
            Decision::Keep => {}
            Decision::KeepAt(threshold) => state.threshold = Some(threshold),
            Decision::KeepUnknown => unreachable!("every stage goes by the rule"),
        }
    }
    Some(state.threshold.map_or(1.0, Threshold::adjusted_count))
}

/// The sum of weights estimates the truth: variance of each record's weight is (1 − p) / p.
fn assert_unbiased(stages: &[Threshold], randomness: impl Fn(u64) -> Randomness) {
    let n = 40_000;
    let estimate: f64 = (0..n).filter_map(|i| weight_after(stages, randomness(i))).sum();
    let p = stages.iter().map(|stage| stage.probability().get()).fold(1.0, f64::min);
    let sigma = (n as f64 * (1.0 - p) / p).sqrt();
    assert!((estimate - n as f64).abs() <= 4.0 * sigma, "{estimate} for {n}, p = {p}, sigma = {sigma}");
}

#[test]
fn counts_are_unbiased() {
    for p in [1.0, 0.99, 0.9, 0.5, 1.0 / 3.0, 0.1, 0.01, 0.002] {
        let p = Probability::new(p).unwrap();
        assert_unbiased(&[Threshold::exact(p)], randomness);
        assert_unbiased(&[Threshold::new(p, 4)], randomness);
        assert_unbiased(&[Threshold::new(p, 1)], |i| {
            Randomness::of_parts([&i.to_le_bytes()[..], b"x"].into_iter())
        });
    }
}

#[test]
fn counts_are_unbiased_through_two_stages() {
    for (first, second) in [(0.5, 0.1), (0.1, 0.5), (0.3, 0.3), (1.0, 0.05), (0.05, 1.0)] {
        let threshold = |p| Threshold::new(Probability::new(p).unwrap(), 4);
        assert_unbiased(&[threshold(first), threshold(second)], randomness);
    }
}

proptest! {
    /// Whatever survives p survives every larger one.
    #[test]
    fn inclusion_is_monotone(r in 0..1u64 << 56, a in 1e-9..=1.0f64, b in 1e-9..=1.0f64, digits in 1..15u32) {
        let r = Randomness::from_bits(r).unwrap();
        let threshold = |p| Threshold::new(Probability::new(p).unwrap(), digits);
        let (less, more) = (threshold(a.min(b)), threshold(a.max(b)));
        prop_assert!(less >= more);
        prop_assert!(!less.keeps(r) || more.keeps(r));
    }

    /// Two stages are one: the stricter, in either order.
    #[test]
    fn two_stages_compose_to_the_stricter(r in 0..1u64 << 56, a in 0..1u64 << 56, b in 0..1u64 << 56) {
        let r = Randomness::from_bits(r).unwrap();
        let (a, b) = (Threshold::from_bits(a).unwrap(), Threshold::from_bits(b).unwrap());
        let both = weight_after(&[a, b], r);
        prop_assert_eq!(both, weight_after(&[b, a], r));
        prop_assert_eq!(both, weight_after(&[a.max(b)], r));
    }

    /// Digits say exactly what they are made from.
    #[test]
    fn digits_round_trip(bits in 0..1u64 << 56, zeros in 0..56u32) {
        let threshold = Threshold::from_bits(bits >> zeros << zeros).unwrap();
        prop_assert_eq!(Threshold::parse(&threshold.to_string()), Some(threshold));
        let randomness = Randomness::from_bits(bits).unwrap();
        prop_assert_eq!(Randomness::parse(&randomness.to_string()), Some(randomness));
    }

    /// Rounding changes neither the chance to be kept nor the chance to go by more than half a unit of the last digit.
    #[test]
    fn precision_is_kept(exponent in -36.0..0.0f64, near_one: bool, digits in 1..9u32) {
        let small = 2f64.powf(exponent).min(0.5);
        let p = if near_one { 1.0 - small } else { small };
        prop_assume!(p >= Probability::MIN.get() && p < 1.0);
        let rounded = Threshold::new(Probability::new(p).unwrap(), digits).probability().get();
        let unit = 16f64.powi(-(digits as i32));
        let smaller_side = p.min(1.0 - p);
        // A digit behind the leading ones is worth between 1 and 16 units of the side that is small.
        prop_assert!((rounded - p).abs() <= smaller_side * 16.0 * unit / 2.0 + 2f64.powi(-52), "{} for {}", rounded, p);
    }

    /// Nothing panics, and what is written can be read.
    #[test]
    fn any_text_is_a_trace_state(text in "(ot=|th:|rv:|;|,|=|[a-z0-9]|[ -~é]){0,40}", th: bool) {
        let threshold = th.then(|| Threshold::parse("3").unwrap());
        let state = OtelState::read(&text);
        let mut out = String::new();
        state.write(&text, threshold, &mut out);
        let again = OtelState::read(&out);
        prop_assert_eq!((again.threshold, again.randomness), (threshold, state.randomness));
        let mut twice = String::new();
        again.write(&out, threshold, &mut twice);
        prop_assert_eq!(out, twice);
    }

    /// Fuller never keeps more, below the mark everything is kept, and a full queue still keeps some.
    #[test]
    fn pressure_is_monotone(low in 0.0..1.0f64, halvings in 1..56u32, a in -0.5..1.5f64, b in -0.5..1.5f64) {
        let pressure = Pressure::new(low, halvings);
        prop_assert!(pressure.at(a.min(b)) <= pressure.at(a.max(b)));
        prop_assert_eq!(pressure.at(low.min(0.99) - 1e-9), Threshold::ALWAYS);
        prop_assert_eq!(pressure.at(1.0).probability().get(), 2f64.powi(-(halvings as i32)));
        prop_assert_eq!(pressure.at(f64::NAN), pressure.at(1.0));
    }

    /// With hysteresis the threshold is never lower than the map says, and never higher than half a step away from it.
    #[test]
    fn hysteresis_stays_within_half_a_step(path in prop::collection::vec(0.0..1.0f64, 1..50)) {
        let mut pressure = Pressure::default();
        for fullness in path {
            let now = pressure.step(fullness);
            prop_assert!(now >= pressure.at(fullness));
            prop_assert!(now <= pressure.at(fullness + 0.025));
        }
    }
}

/// A queue that fills at three times the rate it is emptied settles short of full, and its consumer never waits.
#[test]
fn pressure_settles_an_overloaded_queue() {
    let mut pressure = Pressure::default();
    let (capacity, served_per_step) = (10_000.0, 10.0);
    for overload in [1.5, 3.0, 30.0, 300.0] {
        let mut queued: f64 = 0.0;
        let mut fullest: f64 = 0.0;
        for step in 0..20_000 {
            let kept = pressure.step(queued / capacity).probability().get();
            queued += served_per_step * overload * kept;
            fullest = fullest.max(queued);
            assert!(queued >= served_per_step || step < 10, "the consumer starves at {overload}x");
            queued -= served_per_step.min(queued);
        }
        assert!(fullest <= capacity, "{overload}x overflows");
        assert!(queued >= capacity * 0.4, "{overload}x: {queued} is left");
    }
}
