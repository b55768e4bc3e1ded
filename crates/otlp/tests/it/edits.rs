//! Edit programs do what decode, change and encode do.

use std::sync::Arc;

use aldis_otlp::edit::{
    Action, Extractor, Inputs, Keys, Program, Rule, Selection, Source, Target, ValueType,
};
use aldis_otlp::event::encode_value;
use aldis_otlp::{AttributeValue, Depth};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use proptest::prelude::*;
use prost::Message;
use sha2::{Digest, Sha256};

use crate::entropy::Entropy;
use crate::oracle::{Oracle, Owner, Wiring, assert_index_is_fresh, batch, bytes};

/// Keys that requests made from entropy have, and some that they have not.
const KEYS: [&str; 6] = ["a", "service.name", "http.request.method", "", "new", "é"];

/// Splits a text at its first space into the attributes `first` and `a`.
struct AtSpace;

impl Extractor for AtSpace {
    fn extract(&self, text: &str, put: &mut dyn FnMut(&str, &str)) {
        if let Some((first, second)) = text.split_once(' ') {
            put("first", first);
            put("a", second);
        }
    }
}

/// A rule without what cannot be printed or compared.
#[derive(Clone, Debug)]
enum Change {
    Put { absent: bool, present: bool, key: &'static str, from: Given },
    Delete(Which),
    Hash(Which),
    Extract(&'static str),
    Convert(&'static str, ValueType),
    Rename(&'static str, &'static str),
}

#[derive(Clone, Debug)]
enum Given {
    Value(AttributeValue),
    Attribute(&'static str),
    Context(usize),
}

#[derive(Clone, Debug)]
enum Which {
    Key(&'static str),
    Longer(usize),
}

const CONTEXT: [Option<&str>; 2] = [Some("10.0.0.1 tenant"), None];

fn action(change: &Change) -> Action {
    let keys = |which: &Which| match *which {
        Which::Key(key) => Keys::One(key.to_owned()),
        Which::Longer(len) => Keys::Matching(Arc::new(move |key| key.len() > len)),
    };
    match change {
        Change::Put { absent, present, key, from } => {
            let source = match from {
                Given::Value(value) => Source::Value(value.clone()),
                Given::Attribute(key) => Source::Attribute((*key).to_owned()),
                Given::Context(number) => Source::Context(*number),
            };
            let key = (*key).to_owned();
            match (absent, present) {
                (true, false) => Action::Insert(key, source),
                (false, _) => Action::Update(key, source),
                (true, true) => Action::Upsert(key, source),
            }
        }
        Change::Delete(which) => Action::Delete(keys(which)),
        Change::Hash(which) => Action::Hash(keys(which)),
        Change::Extract(key) => Action::Extract((*key).to_owned(), Arc::new(AtSpace)),
        Change::Convert(key, to) => Action::Convert((*key).to_owned(), *to),
        Change::Rename(from, to) => Action::Rename((*from).to_owned(), (*to).to_owned()),
    }
}

/// Changes a list the slow way.
fn change(list: &mut Vec<KeyValue>, change: &Change) {
    let find = |list: &[KeyValue], key: &str| list.iter().position(|pair| pair.key == key);
    let matches = |which: &Which, key: &str| match *which {
        Which::Key(wanted) => key == wanted,
        Which::Longer(len) => key.len() > len,
    };
    let upsert = |list: &mut Vec<KeyValue>, key: &str, value: Option<AnyValue>| match find(list, key) {
        Some(i) => list[i].value = value,
        None => list.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() }),
    };
    match change {
        Change::Put { absent, present, key, from } => {
            let value = match from {
                Given::Value(value) => Some(Some(any_value(value))),
                Given::Attribute(key) => find(list, key).map(|i| list[i].value.clone()),
                Given::Context(number) => CONTEXT[*number].map(|context| Some(text(context))),
            };
            let allowed = if find(list, key).is_some() { *present } else { *absent };
            if let (Some(value), true) = (value, allowed) {
                upsert(list, key, value);
            }
        }
        Change::Delete(which) => list.retain(|pair| !matches(which, &pair.key)),
        Change::Hash(which) => {
            for pair in list.iter_mut().filter(|pair| matches(which, &pair.key)) {
                pair.value = Some(text(&hash(pair.value.as_ref())));
            }
        }
        Change::Extract(key) => {
            let from = find(list, key).and_then(|i| list[i].value.clone()).and_then(|value| value.value);
            if let Some(Value::StringValue(from)) = from {
                AtSpace.extract(&from, &mut |key, value| upsert(list, key, Some(text(value))));
            }
        }
        Change::Convert(key, to) => {
            if let Some(i) = find(list, key)
                && let Some(converted) = list[i].value.as_ref().and_then(|value| convert(value, *to))
            {
                list[i].value = Some(converted);
            }
        }
        Change::Rename(from, to) => {
            if from != to && find(list, from).is_some() {
                list.retain(|pair| pair.key != *to);
                if let Some(i) = find(list, from) {
                    list[i].key = (*to).to_owned();
                }
            }
        }
    }
}

fn any_value(value: &AttributeValue) -> AnyValue {
    let mut body = Vec::new();
    encode_value(value, &mut body);
    AnyValue::decode(&body[..]).expect("prost reads a value")
}

fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.to_owned())) }
}

fn hash(value: Option<&AnyValue>) -> String {
    let digest = match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => Sha256::digest(text),
        Some(Value::BoolValue(yes)) => Sha256::digest([u8::from(*yes)]),
        Some(Value::IntValue(number)) => Sha256::digest(number.to_le_bytes()),
        Some(Value::DoubleValue(number)) => Sha256::digest(number.to_le_bytes()),
        _ => return String::new(),
    };
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// To numbers only: how values become text is a table beside the code.
fn convert(value: &AnyValue, to: ValueType) -> Option<AnyValue> {
    let value = match (value.value.as_ref(), to) {
        (Some(Value::DoubleValue(number)), ValueType::Int) => Value::IntValue(*number as i64),
        (Some(Value::BoolValue(yes)), ValueType::Int) => Value::IntValue(i64::from(*yes)),
        (Some(Value::StringValue(text)), ValueType::Int) => Value::IntValue(text.parse().ok()?),
        (Some(Value::IntValue(number)), ValueType::Double) => Value::DoubleValue(*number as f64),
        (Some(Value::BoolValue(yes)), ValueType::Double) => Value::DoubleValue(f64::from(u8::from(*yes))),
        (Some(Value::StringValue(text)), ValueType::Double) => Value::DoubleValue(text.parse().ok()?),
        _ => return None,
    };
    Some(AnyValue { value: Some(value) })
}

fn arb_key() -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(&KEYS[..])
}

fn arb_change() -> impl Strategy<Value = Change> {
    let value = prop_oneof![
        ".{0,300}".prop_map(AttributeValue::String),
        any::<i64>().prop_map(AttributeValue::Int),
        Just(AttributeValue::Array(vec![AttributeValue::Bool(true)])),
        Just(AttributeValue::String("GET /cart".into())),
    ];
    let from = prop_oneof![
        value.prop_map(Given::Value),
        arb_key().prop_map(Given::Attribute),
        (0..2usize).prop_map(Given::Context)
    ];
    let which =
        || prop_oneof![3 => arb_key().prop_map(Which::Key), 1 => (0..15usize).prop_map(Which::Longer)];
    let to = prop_oneof![Just(ValueType::Int), Just(ValueType::Double)];
    prop_oneof![
        3 => (arb_key(), from, 0..3usize).prop_map(|(key, from, kind)| {
            Change::Put { absent: kind != 1, present: kind != 0, key, from }
        }),
        1 => which().prop_map(Change::Delete),
        1 => which().prop_map(Change::Hash),
        1 => arb_key().prop_map(Change::Extract),
        1 => (arb_key(), to).prop_map(|(key, to)| Change::Convert(key, to)),
        1 => (arb_key(), arb_key()).prop_map(|(from, to)| Change::Rename(from, to)),
    ]
}

#[derive(Clone, Debug)]
struct Plan {
    rules: Vec<(Target, Option<u64>, Change)>,
}

fn arb_plan() -> impl Strategy<Value = Plan> {
    let target =
        prop_oneof![1 => Just(Target::Resource), 1 => Just(Target::Scope), 3 => Just(Target::Record)];
    let only = prop::option::weighted(0.3, any::<u64>());
    prop::collection::vec((target, only, arb_change()), 0..6).prop_map(|rules| Plan { rules })
}

fn selected(bits: Option<u64>, i: usize) -> bool {
    bits.is_none_or(|bits| bits >> (i % 64) & 1 == 1)
}

/// Applies the plan with prost.
fn edit_slowly<O: Oracle>(read: &mut O, plan: &Plan) {
    let mut seen = [0usize; 3];
    read.visit(&mut |owner| {
        let target = match &owner {
            Owner::Resource(_) => Target::Resource,
            Owner::Scope(_) => Target::Scope,
            Owner::Record(_) => Target::Record,
        };
        let mut empty = Vec::new();
        let number = seen[target as usize];
        seen[target as usize] += 1;
        let run = |list: &mut Vec<KeyValue>| {
            for (to, only, rule) in &plan.rules {
                if *to == target && selected(*only, number) {
                    change(list, rule);
                }
            }
        };
        match owner {
            Owner::Record(list) => run(list),
            Owner::Resource(Some(resource)) => run(&mut resource.attributes),
            Owner::Scope(Some(scope)) => run(&mut scope.attributes),
            Owner::Resource(none) => {
                run(&mut empty);
                if !empty.is_empty() {
                    none.get_or_insert_default().attributes = empty;
                }
            }
            Owner::Scope(none) => {
                run(&mut empty);
                if !empty.is_empty() {
                    none.get_or_insert_default().attributes = empty;
                }
            }
        }
    });
}

fn edits_like_prost<O: Oracle>(seed: &[u8], wiring: Wiring, depth: Depth, bits: u64, plan: &Plan) {
    let Some((mut batch, mut read)) = batch::<O>(&mut Entropy::new(seed), wiring, depth) else { return };
    let rules: Vec<Rule> = plan
        .rules
        .iter()
        .enumerate()
        .map(|(i, (target, only, change))| {
            let rule = Rule::new(*target, action(change));
            if only.is_some() { rule.only(i) } else { rule }
        })
        .collect();
    let selections: Vec<Selection> =
        plan.rules.iter().map(|(_, only, _)| Selection::from_fn(64, |i| selected(*only, i))).collect();
    assert!(batch.counts().records <= 64, "a selection has a bit for each");
    // Numbers of a selection are those of the unfiltered request.
    edit_slowly(&mut read, plan);
    let keep = |i: usize| bits >> (i % 64) & 1 == 1;
    batch.retain(|_, i| keep(i));
    let inputs = Inputs { context: &CONTEXT, selections: &selections };
    let edited = Program::new(rules.clone()).apply(&batch, inputs).expect("it can be edited");
    let written = O::decode(edited.raw().clone()).expect("prost reads what was written");
    if rules.is_empty() && batch.len() == batch.counts().records as usize {
        assert_eq!(edited.raw(), batch.raw());
        return;
    }
    let mut i = 0;
    read.retain(&mut || {
        i += 1;
        keep(i - 1)
    });
    assert_eq!(bytes(&written), bytes(&read));
    assert_eq!(edited.depth(), depth);
    assert_index_is_fresh(&edited);
}

fn arb_wiring() -> impl Strategy<Value = Wiring> {
    prop_oneof![Just(Wiring::Ascending), Just(Wiring::Descending), Just(Wiring::Scrambled)]
}

fn arb_depth() -> impl Strategy<Value = Depth> {
    prop_oneof![Just(Depth::Counts), Just(Depth::Records), Just(Depth::Attributes)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn edits(seed in prop::collection::vec(any::<u8>(), 0..1500), wiring in arb_wiring(), depth in arb_depth(),
             bits in prop_oneof![Just(u64::MAX), any::<u64>()], plan in arb_plan()) {
        edits_like_prost::<ExportTraceServiceRequest>(&seed, wiring, depth, bits, &plan);
        edits_like_prost::<ExportLogsServiceRequest>(&seed, wiring, depth, bits, &plan);
        edits_like_prost::<ExportMetricsServiceRequest>(&seed, wiring, depth, bits, &plan);
    }
}
