//! A sampling stage for whole batches.

use otlp::edit::{Action, EditError, Inputs, Program, Rule, Selection, Source, Target};
use otlp::view::ValueView;
use otlp::{Batch, Check, Depth, Signal, trace_state, wire};

use super::{Decision, OtelState, Randomness, Threshold};

/// The attribute of a log record that says what `th` says of a span: log records have no trace state. The Collector's
/// probabilistic sampler uses the same name.
pub const LOG_THRESHOLD: &str = otlp::event::SAMPLING_THRESHOLD;

/// The attribute of a log record that says what `rv` says of a span.
pub const LOG_RANDOMNESS: &str = "sampling.randomness";

/// Thins out spans and log records consistently, and notes on those kept what they stand for.
///
/// **Spans** are judged by the `rv` of their trace state, else the end of their trace id; `th` is written to the trace state.
/// **Log records** are judged by their [`LOG_RANDOMNESS`], else their trace id, so that a trace and its logs are kept or go
/// together; the threshold is written to [`LOG_THRESHOLD`]. A record that has none of these is judged by a hash of itself
/// without its attributes (and trace state), so that it is judged alike at every stage, whatever is done to its attributes.
///
/// **Data points** and profiles are never sampled: a missing point is a gap, not a smaller count. They come back as they are.
#[derive(Debug, Default)]
pub struct ThresholdSampler {
    /// Kept from batch to batch for its memory.
    decisions: Vec<Decision>,
}

/// What a sampling stage has done to a batch.
#[derive(Clone, Debug)]
pub struct Sampled {
    /// What is left; perhaps nothing.
    pub batch: Batch,
    /// Records that went.
    pub removed: u64,
    /// Records kept whose threshold was erased, since they should not have been there: their probability is unknown.
    pub inconsistent: u64,
    /// Records judged by a trace id that does not say it is random (W3C trace flag 2). Warn once: where ids are not random,
    /// neither is the sample.
    pub presumed_random: u64,
}

/// The trace flag that says that the trace id is random (W3C Trace Context level 2, §2.2.5).
const RANDOM_TRACE_ID: u32 = 2;

impl ThresholdSampler {
    /// A sampler.
    pub fn new() -> Self {
        Self::default()
    }

    /// How deep batches of a signal should be indexed. A shallower one is indexed again.
    pub fn needs(signal: Signal) -> Depth {
        match signal {
            Signal::Traces => Depth::Records,
            Signal::Logs => Depth::Attributes,
            Signal::Metrics | Signal::Profiles => Depth::Counts,
        }
    }

    /// Keeps a record if and only if its randomness is at least `threshold`, which must not depend on any record's
    /// randomness. [`Threshold::ALWAYS`] changes nothing at all, nor is a framing-checked batch changed.
    ///
    /// # Errors
    /// If the result would be too large for one request.
    pub fn step(&mut self, mut batch: Batch, threshold: Threshold) -> Result<Sampled, EditError> {
        let needs = Self::needs(batch.signal());
        let untouched =
            threshold == Threshold::ALWAYS || needs == Depth::Counts || batch.checked() == Check::Framing;
        if untouched {
            return Ok(Sampled { batch, removed: 0, inconsistent: 0, presumed_random: 0 });
        }
        batch.deepen(needs);
        let presumed_random = self.decide(&batch, threshold);
        let decisions = &self.decisions;
        let removed = batch.retain(|_, i| decisions[i] != Decision::Drop) as u64;
        let kept = decisions.iter().enumerate().filter(|(i, _)| batch.is_kept(*i));
        let inconsistent = kept.filter(|(_, decision)| **decision == Decision::KeepUnknown).count() as u64;
        if !batch.is_empty() {
            batch = match batch.signal() {
                Signal::Traces => note_on_spans(&batch, decisions)?,
                _ => note_on_logs(&batch, decisions, threshold)?,
            };
        }
        Ok(Sampled { batch, removed, inconsistent, presumed_random })
    }

    /// Judges every record that is in the batch; says how many were judged by an id that is presumed to be random.
    fn decide(&mut self, batch: &Batch, threshold: Threshold) -> u64 {
        let mut presumed = 0;
        self.decisions.clear();
        self.decisions.extend((0..batch.index().records.at.len()).map(|i| {
            if !batch.is_kept(i) {
                return Decision::Drop;
            }
            let (state, flags) = match batch.signal() {
                Signal::Traces => (OtelState::read(batch.span(i).trace_state()), batch.span(i).flags()),
                _ => (log_state(batch, i), batch.log(i).flags()),
            };
            let randomness = state.randomness.unwrap_or_else(|| {
                let id = batch.index().records.trace_id[i];
                if id == [0; 16] {
                    return itself(batch.signal(), &batch.raw()[batch.index().records.at[i].body.range()]);
                }
                presumed += u64::from(flags & RANDOM_TRACE_ID == 0);
                Randomness::of_trace_id(id)
            });
            Decision::of(&state, randomness, threshold)
        }));
        presumed
    }
}

/// What a log record's attributes say of sampling.
fn log_state(batch: &Batch, i: usize) -> OtelState<'_> {
    let attributes = batch.attributes_of(i);
    let text = |key| match attributes.get(key) {
        Some(ValueView::String(text)) => Some(text),
        _ => None,
    };
    OtelState {
        threshold: text(LOG_THRESHOLD).and_then(Threshold::parse),
        randomness: text(LOG_RANDOMNESS).and_then(Randomness::parse),
        ..OtelState::default()
    }
}

/// Randomness of a record without trace id: all its fields but attributes, their dropped count, and trace state.
pub(super) fn itself(signal: Signal, body: &[u8]) -> Randomness {
    let passed_over: &[u32] = match signal {
        Signal::Traces => &[3, 9, 10],
        _ => &[6, 7],
    };
    let fields = wire::fields(body);
    Randomness::of_parts(fields.filter(|field| !passed_over.contains(&field.number)).map(|field| field.raw))
}

fn note_on_spans(batch: &Batch, decisions: &[Decision]) -> Result<Batch, EditError> {
    trace_state::rewrite(batch, |i, text| {
        let threshold = match decisions[i] {
            Decision::Drop | Decision::Keep => return false,
            Decision::KeepAt(threshold) => Some(threshold),
            Decision::KeepUnknown => None,
        };
        let before = batch.span(i).trace_state();
        OtelState::read(before).write(before, threshold, text);
        true
    })
}

fn note_on_logs(batch: &Batch, decisions: &[Decision], threshold: Threshold) -> Result<Batch, EditError> {
    let those = |wanted: Decision| Selection::from_fn(decisions.len(), |i| decisions[i] == wanted);
    let selections = [those(Decision::KeepAt(threshold)), those(Decision::KeepUnknown)];
    let key = || LOG_THRESHOLD.to_owned();
    let program = Program::new(vec![
        Rule::new(Target::Record, Action::Upsert(key(), Source::Context(0))).only(0),
        Rule::new(Target::Record, Action::Delete(otlp::edit::Keys::One(key()))).only(1),
    ]);
    let digits = threshold.to_string();
    program.apply(batch, Inputs { context: &[Some(&digits)], selections: &selections })
}
