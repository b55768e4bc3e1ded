//! Judging records before they are written into a request.

use otlp::{
    AttributeValue, Signal, TraceId,
    event::{LogRecord, Span, encode_log, encode_span},
};

use super::{Decision, LOG_RANDOMNESS, LOG_THRESHOLD, OtelState, Randomness, Threshold, sampler};

impl Decision {
    /// What becomes of a span that was just recorded and hence has no trace state. It is judged as a
    /// [`super::ThresholdSampler`] would judge it in a batch: by its trace id, else by itself. `scratch` is kept for its
    /// memory.
    pub fn of_span(span: &Span, threshold: Threshold, scratch: &mut Vec<u8>) -> Self {
        if threshold == Threshold::ALWAYS {
            return Self::Keep;
        }
        let randomness = of_trace(&span.trace_id).unwrap_or_else(|| {
            scratch.clear();
            encode_span(span, scratch);
            sampler::itself(Signal::Traces, scratch)
        });
        Self::of(&OtelState::default(), randomness, threshold)
    }

    /// What becomes of a log record that was just recorded, as [`Decision::of_span`] tells of a span. Its attributes may
    /// say what was done to it before ([`LOG_THRESHOLD`], [`LOG_RANDOMNESS`]).
    ///
    /// ```
    /// use aldis_operators::sample::{Decision, Threshold};
    /// use otlp::LogRecord;
    ///
    /// let half = Threshold::parse("8").unwrap();
    /// let log = LogRecord { trace_id: Some("0af7651916cd43dd84d29d6a7215ced0".into()), ..LogRecord::default() };
    /// assert_eq!(Decision::of_log(&log, half, &mut Vec::new()), Decision::KeepAt(half));
    /// ```
    pub fn of_log(log: &LogRecord, threshold: Threshold, scratch: &mut Vec<u8>) -> Self {
        if threshold == Threshold::ALWAYS {
            return Self::Keep;
        }
        let text = |key| match log.attributes.iter().find(|(name, _)| name == key) {
            Some((_, AttributeValue::String(text))) => Some(text.as_str()),
            _ => None,
        };
        let state = OtelState {
            threshold: text(LOG_THRESHOLD).and_then(Threshold::parse),
            randomness: text(LOG_RANDOMNESS).and_then(Randomness::parse),
            ..OtelState::default()
        };
        let of_trace = || log.trace_id.as_deref().and_then(of_trace);
        let randomness = state.randomness.or_else(of_trace).unwrap_or_else(|| {
            scratch.clear();
            encode_log(log, scratch);
            sampler::itself(Signal::Logs, scratch)
        });
        Self::of(&state, randomness, threshold)
    }
}

/// The randomness of a trace, where the text names one.
fn of_trace(text: &str) -> Option<Randomness> {
    let id = TraceId::from_text(text);
    (!id.is_zero()).then(|| Randomness::of_trace_id(id.0))
}
