//! One list of attributes while rules run over it.

use super::plan::{Op, Origin, Plan, Step};
use super::value::{put_converted, put_hash, put_text};
use super::{Inputs, Target};
use crate::draft::Draft;
use crate::index::{AttributeAt, Range32};
use crate::put::{self, len_tag};
use crate::view::ValueView;
use crate::wire::{self, Payload};

/// Which bytes a range is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// The batch.
    #[default]
    Batch,
    /// The plan's arena.
    Plan,
    /// What was made while rules ran.
    Made,
}

/// Bytes somewhere.
#[derive(Clone, Copy, Debug, Default)]
struct Text {
    place: Place,
    range: Range32,
}

impl Text {
    /// Whether the field is there at all; it may still be empty.
    fn is_there(self) -> bool {
        self.place != Place::Batch || self.range.end != 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// As it was.
    Same,
    /// Of the original list, with another key or value.
    Changed,
    /// Not of the original list.
    New,
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The whole field in the batch; empty for new ones.
    field: Range32,
    key: Text,
    value: Text,
    state: State,
    /// Bytes of the body of a changed or new one, once they are known.
    len: u32,
}

/// The list, and what it is made from. Reused from record to record.
pub(super) struct List<'a> {
    plan: &'a Plan,
    raw: &'a [u8],
    /// Encoded values of the context, by number.
    context: Vec<Option<Range32>>,
    /// Bytes that rules made; those of the context come first and stay.
    made: Vec<u8>,
    kept: usize,
    /// The original attributes in wire order, then the new ones.
    slots: Vec<Slot>,
    changed: bool,
}

impl<'a> List<'a> {
    pub(super) fn new(plan: &'a Plan, raw: &'a [u8], inputs: Inputs<'_>) -> Self {
        let mut made = Vec::new();
        let context = inputs.context.iter().map(|text| {
            text.map(|text| {
                let start = made.len() as u32;
                put_text(text, &mut made);
                Range32 { start, end: made.len() as u32 }
            })
        });
        let context = context.collect();
        let kept = made.len();
        List { plan, raw, context, made, kept, slots: Vec::new(), changed: false }
    }

    fn clear(&mut self) {
        self.made.truncate(self.kept);
        self.slots.clear();
        self.changed = false;
    }

    /// Takes the attributes that an index has found.
    pub(super) fn take(&mut self, attributes: &[AttributeAt]) {
        self.clear();
        self.slots.extend(attributes.iter().map(Slot::of));
    }

    /// Finds the attributes in the message `body`: its fields `number`.
    pub(super) fn scan(&mut self, body: Range32, number: u32) {
        self.clear();
        let mut ahead = &self.raw[body.range()];
        while !ahead.is_empty() {
            let start = body.end - ahead.len() as u32;
            // The usual field in line; what is left (groups) by the general walk.
            let usual = wire::varint(ahead).and_then(|(key, rest)| match key as u32 & 7 {
                wire::LEN => wire::delimited(rest).map(|(pair, rest)| (key as u32 >> 3, pair, rest)),
                wire::VARINT => wire::varint(rest).map(|(_, rest)| (0, &[][..], rest)),
                wire::FIXED64 => rest.get(8..).map(|rest| (0, &[][..], rest)),
                wire::FIXED32 => rest.get(4..).map(|rest| (0, &[][..], rest)),
                _ => None,
            });
            let Some((found, pair, rest)) = usual else {
                let skipped = wire::fields(ahead).next().map_or(ahead.len(), |field| field.raw.len());
                ahead = &ahead[skipped..];
                continue;
            };
            ahead = rest;
            if found == number {
                let end = body.end - rest.len() as u32;
                self.slots.push(Slot::of(&attribute_at(Range32 { start, end }, pair)));
            }
        }
    }

    /// Runs the rules for `target`, number `i` of its kind; whether anything changed.
    pub(super) fn run(&mut self, target: Target, i: usize, inputs: Inputs<'_>) -> bool {
        let plan = self.plan;
        for step in plan.steps.iter().filter(|step| step.target == target) {
            if step.only.is_none_or(|number| inputs.selections.get(number).is_some_and(|one| one.contains(i)))
            {
                self.step(step);
            }
        }
        self.changed
    }

    fn step(&mut self, step: &'a Step) {
        let plan = self.plan;
        let text = |range: Range32| &plan.arena[range.range()];
        match &step.op {
            Op::Put { key, value, absent, present } => self.put(*key, *value, *absent, *present),
            Op::DeleteOne(key) => self.each(|list, i| list.has_key(i, text(*key)), Self::remove),
            Op::DeleteMatching(matches) => self.each(|list, i| matches(list.key_text(i)), Self::remove),
            Op::HashOne(key) => self.each(|list, i| list.has_key(i, text(*key)), Self::hash),
            Op::HashMatching(matches) => self.each(|list, i| matches(list.key_text(i)), Self::hash),
            Op::Convert(key, to) => {
                if let Some(i) = self.find(text(*key)) {
                    self.make(i, |value, made| put_converted(value, *to, made));
                }
            }
            Op::Rename(from, to) => {
                if from != to
                    && let Some(i) = self.find(text(*from))
                    && text(*from) != text(*to)
                {
                    self.each(|list, i| list.has_key(i, text(*to)), Self::remove);
                    self.slots[i].key = Text { place: Place::Plan, range: *to };
                    self.touch(i);
                }
            }
            Op::Extract(key, extractor) => self.extract(text(*key), extractor.as_ref()),
        }
    }

    fn put(&mut self, key: Range32, value: Origin, absent: bool, present: bool) {
        let plan = self.plan;
        let found = self.find(&plan.arena[key.range()]);
        if if found.is_some() { !present } else { !absent } {
            return;
        }
        let value = match value {
            Origin::Value(range) => Some(Text { place: Place::Plan, range }),
            Origin::Attribute(key) => self.find(&plan.arena[key.range()]).map(|i| self.slots[i].value),
            Origin::Context(number) => {
                let range = self.context.get(number).copied().flatten();
                range.map(|range| Text { place: Place::Made, range })
            }
        };
        let Some(value) = value else { return };
        self.upsert(found, Text { place: Place::Plan, range: key }, value);
    }

    fn upsert(&mut self, found: Option<usize>, key: Text, value: Text) {
        self.changed = true;
        match found {
            Some(i) => {
                self.slots[i].value = value;
                self.touch(i);
            }
            None => {
                self.slots.push(Slot { field: Range32::default(), key, value, state: State::New, len: 0 });
            }
        }
    }

    fn extract(&mut self, key: &[u8], extractor: &dyn super::Extractor) {
        let Some(i) = self.find(key) else { return };
        // The text may be moved by what is made from it.
        let ValueView::String(text) = ValueView::of(self.bytes(self.slots[i].value)) else { return };
        let text = text.to_owned();
        extractor.extract(&text, &mut |key, value| {
            let found = self.find(key.as_bytes());
            let start = self.made.len() as u32;
            self.made.extend_from_slice(key.as_bytes());
            let key = Range32 { start, end: self.made.len() as u32 };
            put_text(value, &mut self.made);
            let value = Range32 { start: key.end, end: self.made.len() as u32 };
            let made = |range| Text { place: Place::Made, range };
            self.upsert(found, made(key), made(value));
        });
    }

    fn remove(&mut self, i: usize) {
        self.slots[i].state = State::Gone;
        self.changed = true;
    }

    fn hash(&mut self, i: usize) {
        self.make(i, put_hash);
    }

    /// Replaces the value of attribute `i` by what `make` appends for it, if it appends anything.
    fn make(&mut self, i: usize, make: impl FnOnce(ValueView<'_>, &mut Vec<u8>)) {
        let value = self.slots[i].value;
        let start = self.made.len();
        if value.place == Place::Made {
            // Bytes cannot be read while more are appended behind them.
            let copy = self.made[value.range.range()].to_vec();
            make(ValueView::of(&copy), &mut self.made);
        } else {
            make(ValueView::of(elsewhere(self.raw, self.plan, value)), &mut self.made);
        }
        if self.made.len() > start {
            let range = Range32 { start: start as u32, end: self.made.len() as u32 };
            self.slots[i].value = Text { place: Place::Made, range };
            self.touch(i);
        }
    }

    fn touch(&mut self, i: usize) {
        self.changed = true;
        if self.slots[i].state == State::Same {
            self.slots[i].state = State::Changed;
        }
    }

    /// Calls `change` with the number of each attribute that is still there and for which `which` holds.
    fn each(&mut self, which: impl Fn(&Self, usize) -> bool, change: impl Fn(&mut Self, usize)) {
        for i in 0..self.slots.len() {
            if self.slots[i].state != State::Gone && which(self, i) {
                change(self, i);
            }
        }
    }

    /// The first attribute with this key.
    #[inline]
    fn find(&self, key: &[u8]) -> Option<usize> {
        self.slots.iter().position(|slot| {
            // The length tells most apart.
            slot.key.range.len() == key.len() && slot.state != State::Gone && self.bytes(slot.key) == key
        })
    }

    #[inline]
    fn has_key(&self, i: usize, key: &[u8]) -> bool {
        let slot = &self.slots[i].key;
        slot.range.len() == key.len() && self.bytes(*slot) == key
    }

    fn key_text(&self, i: usize) -> &str {
        // Keys are UTF-8: those of the batch were checked, the others are from texts.
        std::str::from_utf8(self.bytes(self.slots[i].key)).unwrap_or_default()
    }

    #[inline]
    fn bytes(&self, text: Text) -> &[u8] {
        match text.place {
            Place::Made => &self.made[text.range.range()],
            _ => elsewhere(self.raw, self.plan, text),
        }
    }

    /// Bytes that the message around the list has with the changes, if it had `len`.
    pub(super) fn new_len(&mut self, mut len: usize) -> usize {
        for i in 0..self.slots.len() {
            let slot = &self.slots[i];
            if slot.state == State::Same {
                continue;
            }
            len -= slot.field.len();
            if slot.state != State::Gone {
                let pair = self.pair_len(slot);
                len += put::len_field(pair);
                self.slots[i].len = pair as u32;
            }
        }
        len
    }

    /// Bytes of the body of a changed attribute.
    fn pair_len(&self, slot: &Slot) -> usize {
        let text = |text: Text| if text.is_there() { put::len_field(text.range.len()) } else { 0 };
        text(slot.key) + text(slot.value) + self.others(slot).map(<[u8]>::len).sum::<usize>()
    }

    /// Fields of an attribute of the batch that are neither key nor value.
    fn others(&self, slot: &Slot) -> impl Iterator<Item = &'a [u8]> {
        let field = wire::fields(&self.raw[slot.field.range()]).next();
        let pair = match field.map(|field| field.payload) {
            Some(Payload::Bytes(pair)) => pair,
            _ => &[],
        };
        wire::fields(pair).filter(|field| !matches!(field.number, 1 | 2)).map(|field| field.raw)
    }

    /// Appends the message `body` around the list as it is now, [`List::new_len`] having been asked: changed attributes where they were, new ones at the end, under
    /// the tag of the field. `draft` is told of each attribute if `indexed`.
    pub(super) fn write(&self, body: Range32, tag: u8, indexed: bool, draft: &mut Draft) {
        let mut copied = body.start;
        let mut by = draft.position().wrapping_sub(copied);
        for slot in &self.slots {
            if slot.state == State::Same {
                if indexed {
                    draft.push_attribute(slot.at().moved(by));
                }
                continue;
            }
            if slot.state != State::New && !slot.field.is_empty() {
                draft.out.extend_from_slice(&self.raw[copied as usize..slot.field.start as usize]);
                copied = slot.field.end;
            } else if copied < body.end {
                draft.out.extend_from_slice(&self.raw[copied as usize..body.end as usize]);
                copied = body.end;
            }
            if slot.state != State::Gone {
                let at = self.write_slot(slot, tag, draft);
                if indexed {
                    draft.push_attribute(at);
                }
            }
            by = draft.position().wrapping_sub(copied);
        }
        draft.out.extend_from_slice(&self.raw[copied as usize..body.end as usize]);
    }

    fn write_slot(&self, slot: &Slot, tag: u8, draft: &mut Draft) -> AttributeAt {
        let start = draft.position();
        put::open(tag, slot.len as usize, &mut draft.out);
        let mut field = |tag: u8, text: Text| {
            if !text.is_there() {
                return Range32::default();
            }
            put::open(tag, text.range.len(), &mut draft.out);
            let start = draft.position();
            draft.out.extend_from_slice(self.bytes(text));
            Range32 { start, end: draft.position() }
        };
        let (key, value) = (field(len_tag(1), slot.key), field(len_tag(2), slot.value));
        self.others(slot).for_each(|other| draft.out.extend_from_slice(other));
        AttributeAt { field: Range32 { start, end: draft.position() }, key, value }
    }
}

impl Slot {
    #[inline]
    fn of(at: &AttributeAt) -> Self {
        let text = |range| Text { place: Place::Batch, range };
        Slot { field: at.field, key: text(at.key), value: text(at.value), state: State::Same, len: 0 }
    }

    /// Where an unchanged attribute was.
    #[inline]
    fn at(&self) -> AttributeAt {
        AttributeAt { field: self.field, key: self.key.range, value: self.value.range }
    }
}

/// What is not made by rules.
#[inline]
fn elsewhere<'a>(raw: &'a [u8], plan: &'a Plan, text: Text) -> &'a [u8] {
    match text.place {
        Place::Plan => &plan.arena[text.range.range()],
        _ => &raw[text.range.range()],
    }
}

/// Where key and value are in a field whose body is `pair`, which it ends with.
#[inline]
fn attribute_at(field: Range32, pair: &[u8]) -> AttributeAt {
    let start = field.end - pair.len() as u32;
    // Nearly always a key, then a value, both shorter than 128 bytes.
    if let [0x0a, key @ 0..=0x7f, rest @ ..] = pair
        && let Some([0x12, value @ 0..=0x7f, rest @ ..]) = rest.get(usize::from(*key)..)
        && rest.len() == usize::from(*value)
    {
        let end = start + 2 + u32::from(*key);
        return AttributeAt {
            field,
            key: Range32 { start: start + 2, end },
            value: Range32 { start: end + 2, end: field.end },
        };
    }
    let mut at = AttributeAt { field, ..AttributeAt::default() };
    let mut end = start;
    for part in wire::fields(pair) {
        end += part.raw.len() as u32;
        if let Payload::Bytes(bytes) = part.payload {
            let range = Range32 { start: end - bytes.len() as u32, end };
            match part.number {
                1 => at.key = range,
                2 => at.value = range,
                _ => {}
            }
        }
    }
    at
}
