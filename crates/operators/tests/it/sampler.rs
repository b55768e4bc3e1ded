//! The sampler on batches against the oracle, span by span.

use aldis_operators::sample::{Decision, OtelState, Randomness, Threshold, ThresholdSampler};
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use otlp::event::{LogRecord as Log, RequestBuilder, Span};
use otlp::{AttributeValue, Check, Checker, Depth, Signal};
use proptest::prelude::*;

use crate::requests::{batch, decode, logs, metrics, traces};

fn of_id(id: &[u8]) -> Randomness {
    Randomness::of_trace_id(id.try_into().unwrap())
}

fn threshold() -> impl Strategy<Value = Threshold> {
    prop::sample::select(vec!["0", "4", "8", "a", "c", "ff", "ffffffffffffff"])
        .prop_map(|digits| Threshold::parse(digits).unwrap())
}

fn depth() -> impl Strategy<Value = Depth> {
    prop::sample::select(vec![Depth::Counts, Depth::Records, Depth::Attributes])
}

/// The index that the sampler has made is the one that checking its bytes makes.
fn assert_index_is_right(batch: &otlp::Batch) {
    let again = Checker::new(batch.signal(), Check::Full, batch.depth()).check(batch.to_wire()).unwrap();
    // A filtered batch keeps its old bytes until it is written.
    if batch.raw() == again.raw() {
        assert_eq!(batch.index(), again.index());
    }
    assert_eq!(batch.len(), again.len());
}

proptest! {
    #[test]
    fn spans_are_kept_and_noted_by_the_rule(request in traces(), threshold in threshold(), depth in depth(), first in threshold()) {
        // A first condition filters some spans before, so that the sampler meets filtered batches too.
        let mut input = batch(Signal::Traces, &request, depth);
        input.deepen(Depth::Records);
        let skipped = |id: &[u8]| first.bits() > 0 && id[0].is_multiple_of(4);
        input.retain(|batch, i| !skipped(&batch.index().records.trace_id[i]));
        let before = input.len() as u64;
        let sampled = ThresholdSampler::new().step(input, threshold).unwrap();
        prop_assert_eq!(sampled.batch.len() as u64 + sampled.removed, before);
        assert_index_is_right(&sampled.batch);

        let (mut expected, mut inconsistent, mut changed) = (request, 0, false);
        for resource in &mut expected.resource_spans {
            for scope in &mut resource.scope_spans {
                scope.spans.retain_mut(|span| {
                    if skipped(&span.trace_id) {
                        return false;
                    }
                    let before = span.trace_state.clone();
                    let state = OtelState::read(&before);
                    let randomness = state.randomness.unwrap_or_else(|| of_id(&span.trace_id));
                    let noted = match Decision::of(&state, randomness, threshold) {
                        Decision::Drop => return false,
                        Decision::Keep => return true,
                        Decision::KeepAt(threshold) => Some(threshold),
                        Decision::KeepUnknown => {
                            inconsistent += 1;
                            None
                        }
                    };
                    changed = true;
                    span.trace_state.clear();
                    state.write(&before, noted, &mut span.trace_state);
                    true
                });
            }
        }
        prop_assert_eq!(sampled.inconsistent, inconsistent);
        if changed || sampled.removed > 0 || before < sampled.batch.counts().records.into() {
            expected.resource_spans.iter_mut().for_each(|resource| resource.scope_spans.retain(|scope| !scope.spans.is_empty()));
            expected.resource_spans.retain(|resource| !resource.scope_spans.is_empty());
            let left: ExportTraceServiceRequest = decode(&sampled.batch);
            prop_assert_eq!(left, expected);
        }
    }

    #[test]
    fn logs_are_kept_with_their_traces(request in logs(), threshold in threshold(), depth in depth()) {
        let input = batch(Signal::Logs, &request, depth);
        let before = input.len() as u64;
        let sampled = ThresholdSampler::new().step(input, threshold).unwrap();
        prop_assert_eq!(sampled.batch.len() as u64 + sampled.removed, before);
        assert_index_is_right(&sampled.batch);

        let records = |request: &ExportLogsServiceRequest| -> Vec<LogRecord> {
            let scopes = request.resource_logs.iter().flat_map(|resource| resource.scope_logs.clone());
            scopes.flat_map(|scope| scope.log_records).collect()
        };
        let left = records(&decode(&sampled.batch));
        let traced = |records: &[LogRecord]| -> Vec<Vec<u8>> {
            records.iter().map(|record| record.trace_id.clone()).filter(|id| !id.is_empty()).collect()
        };
        let mut expected = traced(&records(&request));
        expected.retain(|id| threshold.keeps(of_id(id)));
        prop_assert_eq!(traced(&left), expected);

        let digits = threshold.to_string();
        for record in &left {
            let noted = record.attributes.iter().find(|entry| entry.key == "sampling.threshold");
            let noted = noted.and_then(|entry| entry.value.clone()?.value);
            let expected = (digits != "0").then(|| Value::StringValue(digits.clone()));
            prop_assert_eq!(noted, expected);
        }

        // Another stage of the same threshold changes nothing, whatever is done to the attributes meanwhile.
        let again = ThresholdSampler::new().step(sampled.batch, threshold).unwrap();
        prop_assert_eq!((again.removed, again.inconsistent), (0, 0));
        prop_assert_eq!(records(&decode(&again.batch)), left);
    }

    #[test]
    fn data_points_are_never_sampled(request in metrics(), threshold in threshold()) {
        let sampled = ThresholdSampler::new().step(batch(Signal::Metrics, &request, Depth::Counts), threshold).unwrap();
        prop_assert_eq!(sampled.removed, 0);
        prop_assert_eq!(decode::<ExportMetricsServiceRequest>(&sampled.batch), request);
    }
}

fn text_attribute(
    key: &'static str,
    values: &'static [&'static str],
) -> impl Strategy<Value = (String, AttributeValue)> {
    prop::sample::select(values)
        .prop_map(move |text| (key.to_owned(), AttributeValue::String(text.to_owned())))
}

fn recorded_log() -> impl Strategy<Value = Log> {
    let attribute = prop_oneof![
        text_attribute("sampling.threshold", &["4", "c", "fff", "no digits"]),
        text_attribute("sampling.randomness", &["00000000000000", "c29d6a7215ced0", "short"]),
        text_attribute("service.name", &["shop"]),
        text_attribute("user", &["é", ""]),
    ];
    let trace_id = proptest::option::of("([0-9a-f]{32}|trace-[0-9]{1,5}|)");
    (trace_id, any::<u64>(), "[a-c]{0,2}", prop::collection::vec(attribute, 0..3)).prop_map(
        |(trace_id, time_ns, severity_text, mut attributes)| {
            // Of two with one key it is not said which one counts.
            let mut seen = Vec::new();
            attributes.retain(|(key, _)| {
                !seen.contains(key) && {
                    seen.push(key.clone());
                    true
                }
            });
            Log { trace_id, time_ns, severity_text, attributes, ..Log::default() }
        },
    )
}

fn recorded_span() -> impl Strategy<Value = Span> {
    ("([0-9a-f]{32}|trace-[0-9]{1,5}|)", any::<u64>(), "[a-c]{0,2}").prop_map(
        |(trace_id, start_time_ns, name)| Span {
            trace_id,
            start_time_ns,
            name,
            end_time_ns: 1,
            ..Span::default()
        },
    )
}

proptest! {
    /// A record that is judged before it is written goes or stays, and says, what a stage would make of it in a batch.
    #[test]
    fn recorded_logs_are_judged_as_in_a_batch(logs in prop::collection::vec(recorded_log(), 1..20), threshold in threshold()) {
        let mut whole = RequestBuilder::new(Signal::Logs, Depth::Attributes);
        let mut judged = RequestBuilder::new(Signal::Logs, Depth::Attributes);
        let (mut scratch, mut removed, mut inconsistent) = (Vec::new(), 0, 0);
        for log in &logs {
            whole.push_log(log).unwrap();
            match Decision::of_log(log, threshold, &mut scratch) {
                Decision::Drop => removed += 1,
                Decision::Keep => judged.push_log(log).unwrap(),
                Decision::KeepAt(threshold) => judged.push_sampled_log(log, &threshold.to_string()).unwrap(),
                Decision::KeepUnknown => {
                    inconsistent += 1;
                    judged.push_sampled_log(log, "").unwrap();
                }
            }
        }
        let sampled = ThresholdSampler::new().step(whole.finish(), threshold).unwrap();
        prop_assert_eq!((sampled.removed, sampled.inconsistent), (removed, inconsistent));
        let sorted = |batch: &otlp::Batch| {
            let mut request: ExportLogsServiceRequest = decode(batch);
            for resource in &mut request.resource_logs {
                for record in resource.scope_logs.iter_mut().flat_map(|scope| &mut scope.log_records) {
                    record.attributes.sort_by(|one, two| one.key.cmp(&two.key));
                }
            }
            // Services come in the order in which they are first met, which differs where the first was dropped.
            request.resource_logs.sort_by_key(|resource| format!("{:?}", resource.resource));
            request
        };
        prop_assert_eq!(sorted(&judged.finish()), sorted(&sampled.batch));
    }

    #[test]
    fn recorded_spans_are_judged_as_in_a_batch(spans in prop::collection::vec(recorded_span(), 1..20), threshold in threshold()) {
        let mut whole = RequestBuilder::new(Signal::Traces, Depth::Records);
        let mut judged = RequestBuilder::new(Signal::Traces, Depth::Records);
        let mut note = String::new();
        OtelState::default().write("", Some(threshold), &mut note);
        for span in &spans {
            whole.push_span(span).unwrap();
            match Decision::of_span(span, threshold, &mut Vec::new()) {
                Decision::Drop => {}
                Decision::Keep => judged.push_span(span).unwrap(),
                other => {
                    prop_assert_eq!(other, Decision::KeepAt(threshold));
                    judged.push_sampled_span(span, &note).unwrap();
                }
            }
        }
        let sampled = ThresholdSampler::new().step(whole.finish(), threshold).unwrap();
        let left: ExportTraceServiceRequest = decode(&sampled.batch);
        prop_assert_eq!(decode::<ExportTraceServiceRequest>(&judged.finish()), left);
    }
}
