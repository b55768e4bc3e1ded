//! Rules made ready: keys and values encoded once, into one arena.

use std::sync::Arc;

use super::{Action, Extractor, KeyPredicate, Keys, Rule, Source, Target, ValueType};
use crate::event::encode_value;
use crate::index::Range32;

/// A rule ready to run.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) target: Target,
    pub(super) only: Option<usize>,
    pub(super) op: Op,
}

/// What a step does. Ranges are of the plan's arena.
#[derive(Clone)]
pub(super) enum Op {
    Put { key: Range32, value: Origin, absent: bool, present: bool },
    DeleteOne(Range32),
    DeleteMatching(KeyPredicate),
    HashOne(Range32),
    HashMatching(KeyPredicate),
    Extract(Range32, Arc<dyn Extractor>),
    Convert(Range32, ValueType),
    Rename(Range32, Range32),
}

/// Where a new value comes from.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    /// The encoded `AnyValue` in the arena.
    Value(Range32),
    /// The attribute whose key is in the arena.
    Attribute(Range32),
    Context(usize),
}

/// The steps of a program.
#[derive(Clone, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) arena: Vec<u8>,
}

impl Plan {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        let mut plan = Plan::default();
        for rule in rules {
            let op = plan.op(rule.action);
            plan.steps.push(Step { target: rule.target, only: rule.only, op });
        }
        plan
    }

    pub(super) fn has(&self, target: Target) -> bool {
        self.steps.iter().any(|step| step.target == target)
    }

    /// How many attributes a record may have more, those extracted from others not counted.
    pub(super) fn most_added(&self) -> usize {
        let adds =
            |step: &&Step| step.target == Target::Record && matches!(step.op, Op::Put { absent: true, .. });
        self.steps.iter().filter(adds).count()
    }

    fn op(&mut self, action: Action) -> Op {
        match action {
            Action::Insert(key, source) => self.put(&key, &source, true, false),
            Action::Update(key, source) => self.put(&key, &source, false, true),
            Action::Upsert(key, source) => self.put(&key, &source, true, true),
            Action::Delete(Keys::One(key)) => Op::DeleteOne(self.text(&key)),
            Action::Delete(Keys::Matching(matches)) => Op::DeleteMatching(matches),
            Action::Hash(Keys::One(key)) => Op::HashOne(self.text(&key)),
            Action::Hash(Keys::Matching(matches)) => Op::HashMatching(matches),
            Action::Extract(key, extractor) => Op::Extract(self.text(&key), extractor),
            Action::Convert(key, to) => Op::Convert(self.text(&key), to),
            Action::Rename(from, to) => Op::Rename(self.text(&from), self.text(&to)),
        }
    }

    fn put(&mut self, key: &str, source: &Source, absent: bool, present: bool) -> Op {
        let value = match source {
            Source::Value(value) => {
                let start = self.arena.len() as u32;
                encode_value(value, &mut self.arena);
                Origin::Value(Range32 { start, end: self.arena.len() as u32 })
            }
            Source::Attribute(key) => Origin::Attribute(self.text(key)),
            Source::Context(number) => Origin::Context(*number),
        };
        Op::Put { key: self.text(key), value, absent, present }
    }

    fn text(&mut self, text: &str) -> Range32 {
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(text.as_bytes());
        Range32 { start, end: self.arena.len() as u32 }
    }
}
