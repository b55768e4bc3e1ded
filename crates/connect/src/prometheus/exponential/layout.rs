//! Buckets as native histograms write them.

use super::Dense;

/// Empty buckets in a row up to which they are written out: a new span costs more.
const MAX_GAP: usize = 2;

/// Spans of adjacent buckets, and what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::prometheus) struct Layout {
    /// The gap to the span before (the first bucket's number for the first), and how many buckets it has.
    pub(in crate::prometheus) spans: Vec<(i64, u64)>,
    /// Each count as the difference to the one before.
    pub(in crate::prometheus) deltas: Vec<i64>,
}

impl Dense {
    /// Its buckets in spans.
    pub(in crate::prometheus) fn layout(&self) -> Layout {
        let mut layout = Layout::default();
        // Native buckets are numbered by their upper bound, one higher than OpenTelemetry's.
        let mut gap = self.offset + 1;
        let mut rest = &self.counts[..];
        let mut before = 0_i64;
        while !rest.is_empty() {
            let empty = rest.iter().take_while(|count| **count == 0).count();
            gap += empty as i64;
            rest = &rest[empty..];
            let length = span_length(rest);
            if length == 0 {
                break;
            }
            layout.spans.push((gap, length as u64));
            for count in &rest[..length] {
                let count = i64::try_from(*count).unwrap_or(i64::MAX);
                layout.deltas.push(count - before);
                before = count;
            }
            rest = &rest[length..];
            gap = 0;
        }
        layout
    }
}

/// How many buckets follow each other without a long gap.
fn span_length(counts: &[u64]) -> usize {
    let mut length = 0;
    for (i, count) in counts.iter().enumerate() {
        if *count > 0 {
            length = i + 1;
        } else if i - length >= MAX_GAP {
            break;
        }
    }
    length
}
