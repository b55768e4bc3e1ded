use proptest::prelude::*;

use super::*;

/// The value of a bucket's middle, by its index.
fn middle(scale: i32, index: i64) -> f64 {
    (bound(scale, index) * bound(scale, index + 1)).sqrt()
}

fn of(scale: i32, zero_threshold: f64, values: &[f64]) -> Exponential {
    let mut histogram = Exponential { scale, zero_threshold, sum: Some(0.0), ..Exponential::default() };
    for value in values {
        histogram.count += 1;
        histogram.sum = histogram.sum.map(|sum| sum + value);
        if value.abs() <= zero_threshold {
            histogram.zero_count += 1;
            continue;
        }
        let mut index = (value.abs().log2() * f64::from(scale).exp2()).ceil() as i64 - 1;
        // Logarithms are not exact.
        while bound(scale, index) >= value.abs() {
            index -= 1;
        }
        while bound(scale, index + 1) < value.abs() {
            index += 1;
        }
        let one = Dense { offset: index, counts: vec![1] };
        if *value > 0.0 { histogram.positive.add(&one) } else { histogram.negative.add(&one) }
    }
    histogram
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Adding two histograms is the histogram of both lists, at the resolution that comes out.
    #[test]
    fn sums_are_histograms_of_both(
        one in prop::collection::vec(-1e3..1e3_f64, 0..30),
        two in prop::collection::vec(-1e-3..1e9_f64, 0..30),
        scales in (-2..=8_i32, -2..=8_i32),
    ) {
        let mut sum = of(scales.0, 0.0, &one);
        sum.add(&of(scales.1, 0.0, &two));
        let both: Vec<f64> = one.iter().chain(&two).copied().collect();
        let direct = of(sum.scale, 0.0, &both);
        prop_assert_eq!(&sum.positive, &direct.positive);
        prop_assert_eq!(&sum.negative, &direct.negative);
        prop_assert_eq!((sum.count, sum.zero_count), (direct.count, direct.zero_count));
        prop_assert!(sum.scale <= scales.0.min(scales.1));
        prop_assert!(sum.positive.counts.len() <= MAX_BUCKETS);
    }

    /// Explicit buckets count what is up to their bounds, and rise.
    #[test]
    fn explicit_buckets_are_true(
        values in prop::collection::vec(prop_oneof![-1e6..1e6_f64, Just(0.0), 1e-9..1e-6_f64], 0..40),
        scale in -4..=8_i32,
    ) {
        // Away from bounds, of which only one end is included.
        let values: Vec<f64> = values.into_iter().map(|v| if v == 0.0 { v } else { v * 1.000_001 }).collect();
        let buckets = of(scale, 0.0, &values).explicit();
        prop_assert!(buckets.len() <= MAX_CONVERTED_BUCKETS + 1);
        for pair in buckets.windows(2) {
            prop_assert!(pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1, "{:?}", buckets);
        }
        for (upper, below) in buckets {
            prop_assert_eq!(values.iter().filter(|v| **v <= upper).count() as u64, below, "up to {}", upper);
        }
    }
}

#[test]
fn wide_histograms_get_coarse() {
    let mut sum = of(8, 0.0, &[1e-300]);
    sum.add(&of(8, 0.0, &[1e300]));
    assert!(sum.positive.counts.len() <= MAX_BUCKETS && sum.scale < 0, "{}", sum.scale);
    assert_eq!(sum.positive.total(), 2);
}

#[test]
fn a_wider_zero_takes_the_buckets_below_it() {
    let mut sum = of(0, 0.0, &[0.3, 3.0, -0.3]);
    sum.add(&of(0, 0.4, &[0.1, 5.0]));
    // 0.4 is within the bucket up to 0.5, which goes to zero as a whole.
    assert_eq!((sum.zero_threshold, sum.zero_count, sum.count), (0.5, 3, 5));
    assert_eq!((sum.positive.offset, sum.positive.counts.clone()), (1, vec![1, 1]));
    assert!(sum.negative.counts.is_empty());
}

#[test]
fn buckets_are_where_the_data_model_has_them() {
    assert_eq!(of(0, 0.0, &[1.0, 1.5, 2.0, 2.1]).positive, Dense { offset: -1, counts: vec![1, 2, 1] });
    let histogram = of(3, 0.0, &[middle(3, -7), middle(3, 9)]);
    assert_eq!((histogram.positive.offset, histogram.positive.counts.len()), (-7, 17));
    let mut coarse = histogram.clone();
    coarse.coarsen(3);
    assert_eq!(coarse.positive, Dense { offset: -1, counts: vec![1, 0, 1] });
}
