//! The way of an event from a call to the collector's buffer: what is called a million times a second.
//!
//! Texts that repeat, keys and sources above all, are the same objects call after call: [`Texts`] knows them by their address, asks the
//! interpreter for nothing, and has them copied straight into the buffer. Everything else is copied once into a [`Draft`], which is reused,
//! and from there into the buffer. What is nothing but known texts and numbers goes [`straight`] there. While a `dict` is walked no Python code runs that could change it: values that need some are converted afterwards.

use collect::{EventType, Value, ValueRef, limits::MAX_RECORD_BYTES};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::{PyBool, PyDict, PyFloat, PyInt, PyString},
};

pub(crate) use self::straight::Metadata;
use crate::{fields, python};

mod straight;

/// Texts that are known by their address.
const KNOWN_TEXTS: usize = 512;

/// Bytes of the longest of them.
const KNOWN_TEXT_BYTES: usize = 128;

/// Of texts that may be of this call alone, one in so many is remembered in case it is not.
const SAMPLE: u32 = 16;

/// Bytes that a draft keeps for the next one.
const SPARE_BYTES: usize = 64 << 10;

/// A text of a draft: from where to where in the draft's own text, or the place of a known text, which is left alone until the draft is
/// recorded. As small as a register: what is written in pieces and read at once waits for its pieces.
#[derive(Clone, Copy, Default)]
struct Part {
    start: u32,
    end: u32,
}

impl Part {
    /// Where a known text begins. Texts of a draft are shorter: a record is.
    const KNOWN: u32 = u32::MAX;

    #[inline]
    fn own(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    #[inline]
    fn known(slot: usize) -> Self {
        Self { start: Self::KNOWN, end: slot as u32 }
    }

    /// The place of a known text.
    #[inline]
    fn slot(self) -> Option<usize> {
        (self.start == Self::KNOWN).then_some(self.end as usize)
    }
}

/// A value of a draft.
#[derive(Clone, Copy)]
enum Drafted {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Part),
    /// The number of one that is owned beside.
    Owned(usize),
}

/// The object of a known text, and the text.
type Known = Option<(Py<PyString>, Box<str>)>;

/// Texts by the address of their object.
struct Texts {
    slots: Vec<Known>,
    /// Texts of the draft that are to be known, and where.
    fresh: Vec<(usize, Py<PyString>, Part)>,
    until_sample: u32,
}

/// An event or metric that is being written.
#[derive(Default)]
pub(crate) struct Draft {
    text: String,
    first: Part,
    second: Part,
    fields: Vec<(Part, Drafted)>,
    owned: Vec<Value>,
}

/// Writes drafts.
pub(crate) struct Pen {
    texts: Texts,
    draft: Draft,
}

/// Whether a text is likely to come again.
#[derive(Clone, Copy, PartialEq)]
enum Likely {
    Again,
    Once,
}

/// The place of an object's text.
#[inline]
fn slot_of(object: *mut pyo3::ffi::PyObject) -> usize {
    let address = object as usize;
    // Objects begin at multiples of 16.
    (address >> 4 ^ address >> 13) % KNOWN_TEXTS
}

impl Texts {
    /// A text, which is appended if it is not known.
    #[inline]
    fn part(&mut self, string: &Bound<'_, PyString>, likely: Likely, out: &mut String) -> Part {
        let slot = slot_of(string.as_ptr());
        if let Some((object, _)) = &self.slots[slot]
            && object.as_ptr() == string.as_ptr()
        {
            return Part::known(slot);
        }
        self.unknown(string, slot, likely, out)
    }

    fn unknown(
        &mut self,
        string: &Bound<'_, PyString>,
        slot: usize,
        likely: Likely,
        out: &mut String,
    ) -> Part {
        let start = out.len();
        let part = match string.encode_utf8() {
            Ok(bytes) => match std::str::from_utf8(bytes.as_bytes()) {
                Ok(text) => append(out, text),
                Err(_) => append(out, &string.to_string_lossy()),
            },
            Err(_) => append(out, &string.to_string_lossy()),
        };
        self.until_sample -= 1;
        if likely == Likely::Again || self.until_sample == 0 {
            self.until_sample = SAMPLE;
            if start <= MAX_RECORD_BYTES && out.len() - start <= KNOWN_TEXT_BYTES {
                self.fresh.push((slot, string.clone().unbind(), part));
            }
        }
        part
    }
}

impl Pen {
    pub(crate) fn new() -> Self {
        let mut slots = Vec::new();
        slots.resize_with(KNOWN_TEXTS, || None);
        let texts = Texts { slots, fresh: Vec::new(), until_sample: SAMPLE };
        Self { texts, draft: Draft::default() }
    }

    /// Begins a draft.
    pub(crate) fn begin(&mut self) {
        self.draft.text.clear();
        self.draft.fields.clear();
        self.draft.owned.clear();
        self.texts.fresh.clear();
    }

    /// Records what is drafted.
    #[inline]
    pub(crate) fn record(&mut self, record: impl FnOnce(Drawn<'_>) -> bool) -> bool {
        let is_taken = record(Drawn { draft: &self.draft, known: &self.texts.slots });
        if !self.texts.fresh.is_empty() {
            self.learn();
        }
        self.draft.trim();
        is_taken
    }

    /// Knows the draft's texts from now on.
    #[cold]
    fn learn(&mut self) {
        for (slot, object, part) in std::mem::take(&mut self.texts.fresh) {
            let text = self.draft.text(part, &[]).into();
            // What was there is a plain text: nothing runs at its end.
            self.texts.slots[slot] = Some((object, text));
        }
    }

    /// Takes out what is drafted, with all its texts.
    #[cold]
    pub(crate) fn take(&mut self) -> Box<Draft> {
        let mut draft = Box::new(std::mem::take(&mut self.draft));
        let known = &self.texts.slots;
        let own = |part: &mut Part, text: &mut String| {
            if let Some(slot) = part.slot() {
                let start = text.len();
                text.push_str(known_text(known, slot));
                *part = Part::own(start, text.len());
            }
        };
        let Draft { text, first, second, fields, .. } = &mut *draft;
        own(first, text);
        own(second, text);
        for (key, drafted) in fields {
            own(key, text);
            if let Drafted::Text(part) = drafted {
                own(part, text);
            }
        }
        draft
    }

    #[inline]
    fn part(&mut self, string: &Bound<'_, PyString>, likely: Likely) -> Part {
        self.texts.part(string, likely, &mut self.draft.text)
    }

    fn text_argument(&mut self, of: &Bound<'_, PyAny>, name: &str, likely: Likely) -> PyResult<Part> {
        if let Ok(string) = of.cast_exact::<PyString>() {
            return Ok(self.part(string, likely));
        }
        // An object of a subclass may hold others, and is not to be kept.
        match of.cast::<PyString>() {
            Ok(string) => Ok(self.draft.push(&fields::text(string))),
            Err(_) => Err(PyTypeError::new_err(format!("{name} takes a str"))),
        }
    }

    /// Source and message, or name and unit.
    pub(crate) fn head(
        &mut self,
        (first, first_name): (&Bound<'_, PyAny>, &str),
        second: Option<(&Bound<'_, PyAny>, &str)>,
    ) -> PyResult<()> {
        self.draft.first = self.text_argument(first, first_name, Likely::Again)?;
        self.draft.second = match second {
            Some((second, name)) => self.text_argument(second, name, Likely::Once)?,
            None => Part::default(),
        };
        Ok(())
    }

    /// Key-values.
    pub(crate) fn fields(&mut self, py: Python<'_>, metadata: Metadata<'_, '_>) -> PyResult<()> {
        let mut odd = Vec::new();
        let is_plain = match metadata {
            Metadata::None => true,
            Metadata::Mapping(mapping) => match mapping.cast_exact::<PyDict>() {
                Ok(dict) => dict.iter().all(|(key, value)| self.field(&key, &value, &mut odd)),
                Err(_) => false,
            },
            Metadata::Named(names, values) => {
                let mut all = names.iter_borrowed().zip(values);
                all.all(|(key, value)| self.field(&key, value, &mut odd))
            }
        };
        if !is_plain {
            return match metadata {
                Metadata::Mapping(mapping) => self.any_fields(&mapping),
                named => named.keywords(py)?.map_or(Ok(()), |named| self.any_fields(&named)),
            };
        }
        for (at, value) in odd {
            self.draft.fields[at].1 = Drafted::Owned(self.draft.owned.len());
            self.draft.owned.push(fields::value(&value)?);
        }
        Ok(())
    }

    /// Takes a key-value; a value that may need Python code later. `false`: the key is no plain text.
    #[inline]
    fn field<'py>(
        &mut self,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
        odd: &mut Vec<(usize, Bound<'py, PyAny>)>,
    ) -> bool {
        let Ok(key) = key.cast_exact::<PyString>() else { return false };
        let key = self.part(key, Likely::Again);
        if !self.simple(key, value) {
            odd.push((self.draft.fields.len(), value.clone()));
            self.draft.fields.push((key, Drafted::Null));
        }
        true
    }

    /// Takes a value that needs no Python code. `false`: it may.
    #[inline]
    fn simple(&mut self, key: Part, value: &Bound<'_, PyAny>) -> bool {
        if let Ok(string) = value.cast_exact::<PyString>() {
            let text = self.part(string, Likely::Once);
            self.draft.fields.push((key, Drafted::Text(text)));
        } else if value.is_exact_instance_of::<PyInt>() {
            let Ok(int) = value.extract() else { return false };
            self.draft.fields.push((key, Drafted::Int(int)));
        } else if let Ok(double) = value.cast_exact::<PyFloat>() {
            self.draft.fields.push((key, Drafted::Double(double.value())));
        } else if let Ok(bool) = value.cast_exact::<PyBool>() {
            self.draft.fields.push((key, Drafted::Bool(bool.is_true())));
        } else if value.is_none() {
            self.draft.fields.push((key, Drafted::Null));
        } else {
            return false;
        }
        true
    }

    /// Begins the fields anew, with the texts of the head alone: what is left of others would count towards the size of a record.
    fn forget_fields(&mut self) {
        let Draft { text, first, second, fields, .. } = &mut self.draft;
        fields.clear();
        let own = |part: &Part| if part.slot().is_some() { 0 } else { part.end as usize };
        let end = own(first).max(own(second));
        text.truncate(end);
        self.texts.fresh.retain(|(_, _, part)| part.end as usize <= end);
    }

    /// Key-values of a mapping that is no plain `dict` of texts.
    fn any_fields(&mut self, mapping: &Bound<'_, PyAny>) -> PyResult<()> {
        self.forget_fields();
        for (key, value) in fields::fields(mapping)? {
            let key = self.draft.push(&key);
            self.draft.fields.push((key, Drafted::Owned(self.draft.owned.len())));
            self.draft.owned.push(value);
        }
        Ok(())
    }

    /// Key-values whose values are texts.
    pub(crate) fn tags(&mut self, mapping: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(dict) = mapping.cast_exact::<PyDict>() {
            let mut is_plain = true;
            for (key, value) in dict {
                let (Ok(key), Ok(value)) = (key.cast_exact::<PyString>(), value.cast_exact::<PyString>())
                else {
                    is_plain = false;
                    break;
                };
                let key = self.part(key, Likely::Again);
                let value = self.part(value, Likely::Once);
                self.draft.fields.push((key, Drafted::Text(value)));
            }
            if is_plain {
                return Ok(());
            }
        }
        self.forget_fields();
        for (key, tag) in fields::tags(mapping)? {
            let field = (self.draft.push(&key), Drafted::Text(self.draft.push(&tag)));
            self.draft.fields.push(field);
        }
        Ok(())
    }
}

/// Appends a text, but no more than makes a record too large: that is counted as such all the same, whatever its texts would have said.
fn append(out: &mut String, text: &str) -> Part {
    let start = out.len();
    let room = (MAX_RECORD_BYTES + 1).saturating_sub(start);
    out.push_str(&text[..text.ceil_char_boundary(room)]);
    Part::own(start, out.len())
}

impl Draft {
    fn push(&mut self, text: &str) -> Part {
        append(&mut self.text, text)
    }

    #[inline]
    fn text<'a>(&'a self, part: Part, known: &'a [Known]) -> &'a str {
        match part.slot() {
            Some(slot) => known_text(known, slot),
            None => self.text.get(part.start as usize..part.end as usize).unwrap_or_default(),
        }
    }

    /// Of [`Pen::take`].
    pub(crate) fn drawn(&self) -> Drawn<'_> {
        Drawn { draft: self, known: &[] }
    }

    /// Lets go of what a large one took.
    fn trim(&mut self) {
        if self.text.capacity() > SPARE_BYTES {
            *self = Self::default();
        }
    }
}

#[inline]
fn known_text(known: &[Known], slot: usize) -> &str {
    known.get(slot).and_then(Option::as_ref).map_or("", |(_, text)| text)
}

/// A draft that is recorded.
#[derive(Clone, Copy)]
pub(crate) struct Drawn<'a> {
    draft: &'a Draft,
    known: &'a [Known],
}

impl<'a> Drawn<'a> {
    #[inline]
    fn text(self, part: Part) -> &'a str {
        self.draft.text(part, self.known)
    }

    /// Writes a field where it is read: one that is made elsewhere and copied is waited for.
    #[inline]
    fn field(self, (key, drafted): (Part, Drafted), to: &mut (&'a str, ValueRef<'a>)) {
        to.0 = self.text(key);
        match drafted {
            Drafted::Null => to.1 = ValueRef::Null,
            Drafted::Bool(bool) => to.1 = ValueRef::Bool(bool),
            Drafted::Int(int) => to.1 = ValueRef::Int(int),
            Drafted::Double(double) => to.1 = ValueRef::Double(double),
            Drafted::Text(part) => to.1 = ValueRef::String(self.text(part)),
            Drafted::Owned(at) => to.1 = self.draft.owned.get(at).map_or(ValueRef::Null, ValueRef::from),
        }
    }

    #[inline]
    fn tag(self, (key, drafted): (Part, Drafted), to: &mut (&'a str, &'a str)) {
        to.0 = self.text(key);
        if let Drafted::Text(part) = drafted {
            to.1 = self.text(part);
        }
    }

    /// Does something with the fields, without an allocation if there are few.
    #[inline]
    fn with_all<T: Copy, R>(
        self,
        none: T,
        write: impl Fn(Self, (Part, Drafted), &mut T),
        run: impl FnOnce(&[T]) -> R,
    ) -> R {
        match self.draft.fields.len() {
            0 => run(&[]),
            1..=4 => self.with_few::<4, T, R>(none, write, run),
            5..=8 => self.with_few::<8, T, R>(none, write, run),
            many => {
                let mut all = vec![none; many];
                all.iter_mut().zip(&self.draft.fields).for_each(|(to, field)| write(self, *field, to));
                run(&all)
            }
        }
    }

    #[inline]
    fn with_few<const N: usize, T: Copy, R>(
        self,
        none: T,
        write: impl Fn(Self, (Part, Drafted), &mut T),
        run: impl FnOnce(&[T]) -> R,
    ) -> R {
        let mut few = [none; N];
        few.iter_mut().zip(&self.draft.fields).for_each(|(to, field)| write(self, *field, to));
        run(&few[..self.draft.fields.len()])
    }

    /// Records it as an event.
    #[inline]
    pub(crate) fn event(self, into: &collect::TelemetryCollector, event_type: EventType) -> bool {
        let (source, message) = (self.text(self.draft.first), self.text(self.draft.second));
        let record = |fields: &[_]| into.collect_event(source, message, event_type, fields);
        self.with_all(("", ValueRef::Null), Self::field, record)
    }

    /// Records it as a metric.
    #[inline]
    pub(crate) fn metric(self, into: &collect::TelemetryCollector, value: f64) -> bool {
        let (name, unit) = (self.text(self.draft.first), self.text(self.draft.second));
        self.with_all(("", ""), Self::tag, |tags: &[_]| into.collect_metric(name, value, unit, tags))
    }
}

/// The enumeration, and its members in the order of [`EventType::ALL`].
static EVENT_TYPES: PyOnceLock<[Py<PyAny>; 4]> = PyOnceLock::new();
static EVENT_TYPE: python::Known = python::Known::new("aldis._enums", "EventType");

pub(crate) fn event_types(py: Python<'_>) -> PyResult<&[Py<PyAny>; 4]> {
    EVENT_TYPES.get_or_try_init(py, || {
        let member = |event_type: EventType| {
            Ok::<_, PyErr>(EVENT_TYPE.get(py)?.getattr(event_type.as_str())?.unbind())
        };
        let [debug, info, warning, error] = EventType::ALL;
        Ok([member(debug)?, member(info)?, member(warning)?, member(error)?])
    })
}

/// A member of the enumeration, or its name.
#[inline]
pub(crate) fn event_type(of: Option<&Bound<'_, PyAny>>) -> PyResult<EventType> {
    let Some(of) = of else { return Ok(EventType::Info) };
    let members = event_types(of.py())?;
    match members.iter().position(|member| member.is(of)) {
        Some(at) => Ok(EventType::ALL[at]),
        None => named_event_type(of),
    }
}

#[cold]
fn named_event_type(of: &Bound<'_, PyAny>) -> PyResult<EventType> {
    if of.is_none() {
        return Ok(EventType::Info);
    }
    let named = of.cast::<PyString>().ok().and_then(|text| EventType::from_text(&fields::text(text)));
    named.ok_or_else(|| PyValueError::new_err("event_type takes an EventType: DEBUG, INFO, WARNING, ERROR"))
}

/// The member of an event type.
pub(crate) fn event_type_object(py: Python<'_>, event_type: EventType) -> PyResult<Bound<'_, PyAny>> {
    Ok(event_types(py)?[event_type as usize].bind(py).clone())
}
