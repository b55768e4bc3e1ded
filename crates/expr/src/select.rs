//! A whole batch at once.

use otlp::Batch;

use crate::node::{InBatch, Node};
use crate::{Expression, Level, Value};

/// One bit per record of a batch, numbered as its index numbers them.
///
/// Keep one and use it for batch after batch: its memory is reused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    words: Vec<u64>,
    len: usize,
}

impl Selection {
    /// Whether record `record` is selected; records beyond the batch are not.
    #[inline]
    pub fn contains(&self, record: usize) -> bool {
        self.words.get(record / 64).is_some_and(|word| word >> (record % 64) & 1 == 1)
    }

    /// How many records the batch has, selected or not.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the batch has no record.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many records are selected.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn reset(&mut self, len: usize) {
        self.words.clear();
        self.words.resize(len.div_ceil(64), 0);
        self.len = len;
    }

    #[inline]
    fn insert(&mut self, record: usize) {
        self.words[record / 64] |= 1 << (record % 64);
    }
}

impl Expression {
    /// Selects the records of the batch for which the expression is true: those for which [`Expression::matches`] says so,
    /// but for the ones filtered out before.
    ///
    /// What depends on the resource or scope alone is evaluated once for each; where that decides, their records are not
    /// looked at. At most one allocation, however many records there are.
    ///
    /// # Panics
    /// As [`Expression::evaluate`].
    pub fn select(&self, batch: &Batch, selection: &mut Selection) {
        let index = batch.index();
        selection.reset(index.records.at.len());
        let mut shared = vec![Value::Null; self.plan.slots];
        let mut resource = None;
        for scope in &index.scopes {
            let records = scope.first_record as usize..(scope.first_record + scope.records) as usize;
            if records.is_empty() {
                continue;
            }
            let record = records.start;
            if resource != Some(scope.resource) {
                resource = Some(scope.resource);
                fill(&self.plan.root, Level::Resource, batch, record, &mut shared);
            }
            let mut known = known(&self.plan.root, Level::Resource, &shared);
            if known.is_none() {
                fill(&self.plan.root, Level::Scope, batch, record, &mut shared);
                known = self::known(&self.plan.root, Level::Scope, &shared);
            }
            match known {
                Some(Some(true)) => {
                    records.filter(|i| batch.is_kept(*i)).for_each(|i| selection.insert(i));
                }
                Some(_) => {}
                None => {
                    for i in records {
                        let source = InBatch { batch, record: i, shared: &shared };
                        if batch.is_kept(i) && self.plan.root.truth(source) == Some(true) {
                            selection.insert(i);
                        }
                    }
                }
            }
        }
    }
}

/// Evaluates the shared parts of this level.
fn fill<'a>(node: &'a Node, level: Level, batch: &'a Batch, record: usize, shared: &mut [Value<'a>]) {
    match node {
        Node::Shared(slot, of, part) if *of == level => {
            shared[*slot] = part.value(InBatch { batch, record, shared: &[] });
        }
        Node::Shared(..) => {}
        _ => node.operands().iter().for_each(|operand| fill(operand, level, batch, record, shared)),
    }
}

/// Its truth, if the parts shared at this level or above decide it.
fn known(node: &Node, level: Level, shared: &[Value<'_>]) -> Option<Option<bool>> {
    let decisive = match node {
        Node::Constant(value) => return Some(value.as_bool()),
        Node::Shared(slot, of, _) => return (*of <= level).then(|| shared[*slot].as_bool()),
        Node::Not(operand) => return known(operand, level, shared).map(|truth| truth.map(|truth| !truth)),
        Node::And(_) => false,
        Node::Or(_) => true,
        _ => return None,
    };
    let mut result = Some(Some(!decisive));
    for operand in node.operands() {
        match known(operand, level, shared) {
            Some(Some(truth)) if truth == decisive => return Some(Some(decisive)),
            Some(Some(_)) => {}
            Some(None) => result = result.map(|_| None),
            None => result = None,
        }
    }
    result
}
