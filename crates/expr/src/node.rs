//! The compiled form: a tree of operations whose names are resolved, and how it is evaluated.
//!
//! Truth has three values, as in CEL with *null* in the place of its errors: `false && null` is false and `true || null`
//! is true, on either side; otherwise null stays null. So operands may be evaluated in any order.

use std::borrow::Cow;
use std::cmp::Ordering;

use otlp::Batch;
use otlp::view::{Attributes, ValueView};
use regex::Regex;

use crate::ast::{Arithmetic, Comparison};
use crate::environment::{Id, Owner, Read, Row};
use crate::function::{self, Function};
use crate::set::LiteralSet;
use crate::value::{self, List};
use crate::{Level, Value, arithmetic};

/// One operation on what its operands yield.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Constant(Value<'static>),
    Field(&'static Row),
    /// A whole map of attributes.
    Attributes(Owner),
    /// The value under a key known now.
    Attribute(Owner, Box<str>),
    HasAttribute(Owner, Box<str>),
    /// The value under a computed key or at a computed place.
    Index(Box<[Node; 2]>),
    Has(Box<[Node; 2]>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    If(Box<[Node; 3]>),
    Compare(Comparison, Box<[Node; 2]>),
    /// A comparison whose right side is known now.
    CompareConstant(Comparison, Box<Node>, Value<'static>),
    /// Whether being this id is as said.
    IsId(fn(&Batch, usize) -> Id, Id, bool),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    InSet(Box<Node>, LiteralSet),
    Matches(Box<Node>, Regex),
    /// Functions of one argument have null as their second.
    Call(Function, Box<[Node; 2]>),
    List(Vec<Node>),
    /// An operation that is the same for all records of a resource or scope, with the number of its slot.
    Shared(usize, Level, Box<Node>),
}

/// Where an expression reads from.
pub(crate) trait Source<'a>: Copy {
    fn field(self, read: Read) -> Value<'a>;
    fn id(self, read: fn(&Batch, usize) -> Id) -> Option<Id>;
    fn attributes(self, owner: Owner) -> Option<Attributes<'a>>;
    fn attribute(self, owner: Owner, key: &str) -> Option<ValueView<'a>>;
    /// What the shared operation of this slot yielded, if that is known.
    fn shared(self, slot: usize) -> Option<Value<'a>>;
}

/// No record: for operations on literals alone.
#[derive(Clone, Copy)]
pub(crate) struct Nowhere;

impl<'a> Source<'a> for Nowhere {
    fn field(self, _: Read) -> Value<'a> {
        Value::Null
    }
    fn id(self, _: fn(&Batch, usize) -> Id) -> Option<Id> {
        None
    }
    fn attributes(self, _: Owner) -> Option<Attributes<'a>> {
        None
    }
    fn attribute(self, _: Owner, _: &str) -> Option<ValueView<'a>> {
        None
    }
    fn shared(self, _: usize) -> Option<Value<'a>> {
        None
    }
}

/// A record of a batch, with what its resource and scope are known to yield.
#[derive(Clone, Copy)]
pub(crate) struct InBatch<'a> {
    pub(crate) batch: &'a Batch,
    pub(crate) record: usize,
    /// By slot; may be empty.
    pub(crate) shared: &'a [Value<'a>],
}

impl<'a> Source<'a> for InBatch<'a> {
    #[inline]
    fn field(self, read: Read) -> Value<'a> {
        match read {
            Read::Value(read) => read(self.batch, self.record),
            Read::Id(read) => Value::String(Cow::Owned(read(self.batch, self.record).text())),
        }
    }
    #[inline]
    fn id(self, read: fn(&Batch, usize) -> Id) -> Option<Id> {
        Some(read(self.batch, self.record))
    }
    #[inline]
    fn attributes(self, owner: Owner) -> Option<Attributes<'a>> {
        Some(owner.attributes(self.batch, self.record))
    }
    #[inline]
    fn attribute(self, owner: Owner, key: &str) -> Option<ValueView<'a>> {
        owner.attribute(self.batch, self.record, key)
    }
    #[inline]
    fn shared(self, slot: usize) -> Option<Value<'a>> {
        self.shared.get(slot).map(Value::borrowed)
    }
}

impl Node {
    /// What it yields.
    pub(crate) fn value<'a, S: Source<'a>>(&'a self, source: S) -> Value<'a> {
        match self {
            Node::Constant(value) => value.borrowed(),
            Node::Field(row) => source.field(row.read),
            Node::Attributes(owner) => source.attributes(*owner).map_or(Value::Null, Value::Map),
            Node::Attribute(owner, key) => source.attribute(*owner, key).map_or(Value::Null, Value::from),
            Node::Index(operands) => {
                let [base, index] = operands.as_ref();
                element(base.value(source), &index.value(source)).unwrap_or(Value::Null)
            }
            Node::Negate(operand) => arithmetic::negate(&operand.value(source)),
            Node::If(branches) => {
                let [condition, then, otherwise] = branches.as_ref();
                match condition.truth(source) {
                    Some(true) => then.value(source),
                    Some(false) => otherwise.value(source),
                    None => Value::Null,
                }
            }
            Node::Arithmetic(operator, operands) => {
                let [left, right] = operands.as_ref();
                arithmetic::apply(*operator, left.value(source), right.value(source))
            }
            Node::Call(function, arguments) => {
                let [first, second] = arguments.as_ref();
                function::apply(*function, [first.value(source), second.value(source)])
            }
            Node::List(elements) => {
                Value::List(List::Owned(elements.iter().map(|element| element.value(source)).collect()))
            }
            Node::Shared(slot, _, node) => source.shared(*slot).unwrap_or_else(|| node.value(source)),
            Node::HasAttribute(..)
            | Node::Has(_)
            | Node::Not(_)
            | Node::And(_)
            | Node::Or(_)
            | Node::Compare(..)
            | Node::CompareConstant(..)
            | Node::IsId(..)
            | Node::In(_)
            | Node::InSet(..)
            | Node::Matches(..) => self.truth(source).into(),
        }
    }

    /// Whether it yields true or false; `None` for anything else.
    pub(crate) fn truth<'a, S: Source<'a>>(&'a self, source: S) -> Option<bool> {
        match self {
            Node::And(operands) => all(operands.iter().map(|operand| operand.truth(source)), false),
            Node::Or(operands) => all(operands.iter().map(|operand| operand.truth(source)), true),
            Node::Not(operand) => operand.truth(source).map(|truth| !truth),
            Node::CompareConstant(comparison, operand, constant) => {
                Some(compare(*comparison, &operand.value(source), constant))
            }
            Node::Compare(comparison, operands) => {
                let [left, right] = operands.as_ref();
                Some(compare(*comparison, &left.value(source), &right.value(source)))
            }
            Node::IsId(read, id, expected) => source.id(*read).map(|actual| (actual == *id) == *expected),
            Node::HasAttribute(owner, key) => Some(source.attribute(*owner, key).is_some()),
            Node::Has(operands) => {
                let [base, index] = operands.as_ref();
                Some(element(base.value(source), &index.value(source)).is_some())
            }
            Node::In(operands) => {
                let [needle, hay] = operands.as_ref();
                Some(contains(&hay.value(source), &needle.value(source)))
            }
            Node::InSet(needle, set) => Some(set.contains(&needle.value(source))),
            Node::Matches(operand, regex) => match operand.value(source) {
                Value::String(text) => Some(regex.is_match(&text)),
                _ => Some(false),
            },
            _ => self.value(source).as_bool(),
        }
    }

    /// Its operands.
    pub(crate) fn operands(&self) -> &[Node] {
        match self {
            Node::Constant(_)
            | Node::Field(_)
            | Node::Attributes(_)
            | Node::Attribute(..)
            | Node::HasAttribute(..)
            | Node::IsId(..) => &[],
            Node::Not(one)
            | Node::Negate(one)
            | Node::CompareConstant(_, one, _)
            | Node::InSet(one, _)
            | Node::Matches(one, _)
            | Node::Shared(_, _, one) => std::slice::from_ref(one),
            Node::Index(two)
            | Node::Has(two)
            | Node::Compare(_, two)
            | Node::Arithmetic(_, two)
            | Node::In(two)
            | Node::Call(_, two) => two.as_slice(),
            Node::If(three) => three.as_slice(),
            Node::And(many) | Node::Or(many) | Node::List(many) => many,
        }
    }

    /// Its operands, to be replaced.
    pub(crate) fn operands_mut(&mut self) -> &mut [Node] {
        match self {
            Node::Constant(_)
            | Node::Field(_)
            | Node::Attributes(_)
            | Node::Attribute(..)
            | Node::HasAttribute(..)
            | Node::IsId(..) => &mut [],
            Node::Not(one)
            | Node::Negate(one)
            | Node::CompareConstant(_, one, _)
            | Node::InSet(one, _)
            | Node::Matches(one, _)
            | Node::Shared(_, _, one) => std::slice::from_mut(one),
            Node::Index(two)
            | Node::Has(two)
            | Node::Compare(_, two)
            | Node::Arithmetic(_, two)
            | Node::In(two)
            | Node::Call(_, two) => two.as_mut_slice(),
            Node::If(three) => three.as_mut_slice(),
            Node::And(many) | Node::Or(many) | Node::List(many) => many,
        }
    }

    /// The level that it reads; `None` where it reads nothing.
    pub(crate) fn level(&self) -> Option<Level> {
        let own = match self {
            Node::Field(row) => Some(row.level),
            Node::Attributes(owner) | Node::Attribute(owner, _) | Node::HasAttribute(owner, _) => {
                Some(owner.level())
            }
            Node::IsId(..) => Some(Level::Record),
            _ => None,
        };
        self.operands().iter().map(Node::level).fold(own, Option::max)
    }

    /// Whether it reads attributes of records.
    pub(crate) fn reads_attributes(&self) -> bool {
        match self {
            Node::Attributes(owner) | Node::Attribute(owner, _) | Node::HasAttribute(owner, _) => {
                *owner == Owner::Record
            }
            _ => self.operands().iter().any(Node::reads_attributes),
        }
    }
}

/// `||` over truths where `decisive` is true, `&&` where it is false: the decisive truth wins, then null.
fn all(truths: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut result = Some(!decisive);
    for truth in truths {
        match truth {
            Some(truth) if truth == decisive => return Some(decisive),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

/// Compares. Values without a common order are not equal, and neither before nor behind each other.
#[inline]
fn compare(comparison: Comparison, left: &Value<'_>, right: &Value<'_>) -> bool {
    match comparison {
        Comparison::Equal => value::equal(left, right),
        Comparison::NotEqual => !value::equal(left, right),
        Comparison::Less => left.order(right) == Some(Ordering::Less),
        Comparison::LessOrEqual => left.order(right).is_some_and(Ordering::is_le),
        Comparison::Greater => left.order(right) == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => left.order(right).is_some_and(Ordering::is_ge),
    }
}

fn contains(hay: &Value<'_>, needle: &Value<'_>) -> bool {
    match (hay, needle) {
        (Value::List(list), needle) => list.iter().any(|element| value::equal(&element, needle)),
        (Value::Map(map), Value::String(key)) => map.get(key).is_some(),
        _ => false,
    }
}

/// The value under the key or at the place, if it is there.
fn element<'a>(base: Value<'a>, index: &Value<'_>) -> Option<Value<'a>> {
    let place = |place: &i64| usize::try_from(*place).ok();
    match (base, index) {
        (Value::Map(map), Value::String(key)) => map.get(key).map(Value::from),
        (Value::List(List::Wire(mut array)), Value::Int(i)) => array.nth(place(i)?).map(Value::from),
        (Value::List(List::Borrowed(values)), Value::Int(i)) => values.get(place(i)?).map(Value::borrowed),
        (Value::List(List::Owned(mut values)), Value::Int(i)) => {
            let i = place(i)?;
            (i < values.len()).then(|| values.swap_remove(i))
        }
        _ => None,
    }
}
