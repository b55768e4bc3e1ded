//! Changes to attributes, fused into one forward copy.
//!
//! A [`Program`] is a list of [`Rule`]s. [`Program::apply`] walks a batch once, from front to back; for each resource, scope and
//! record it runs the rules in order, each on what the ones before left, writes the result, and remembers where it wrote
//! what: the index of the new batch is never read back from its bytes. A record that no rule changes is copied as it is, and
//! records that were filtered out are dropped on the way. Unknown fields, events and links survive byte for byte.
//!
//! Keys that occur twice in one list are malformed, but happen: reading takes the first, deleting and hashing take all, so that
//! nothing meant to go stays behind.
//!
//! ```
//! use aldis_otlp::edit::{Action, Inputs, Keys, Program, Rule, Source, Target};
//! use aldis_otlp::event::{RequestBuilder, Span};
//! use aldis_otlp::{AttributeValue, Depth, Signal};
//!
//! let mut builder = RequestBuilder::new(Signal::Traces, Depth::Attributes);
//! builder.push_span(&Span {
//!     attributes: vec![("user.email".into(), AttributeValue::String("ada@example.org".into()))],
//!     ..Span::default()
//! })?;
//! let batch = builder.finish();
//!
//! let program = Program::new(vec![
//!     Rule::new(Target::Record, Action::Delete(Keys::One("user.email".into()))),
//!     Rule::new(Target::Record, Action::Insert("env".into(), Source::Value(AttributeValue::String("prod".into())))),
//! ]);
//! let edited = program.apply(&batch, Inputs::default())?;
//! assert_eq!(edited.attributes_of(0).map(|(key, _)| key).collect::<Vec<_>>(), ["env"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod forward;
mod list;
mod plan;
mod value;

use std::fmt;
use std::sync::Arc;

use forward::forward;
use plan::Plan;

use crate::{AttributeValue, Batch, Depth};

/// Whose attributes a rule changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Of each resource.
    Resource,
    /// Of each instrumentation scope.
    Scope,
    /// Of each span, log record or data point.
    Record,
}

/// Where a new value comes from. Where the source has nothing, the rule does nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Always this value.
    Value(AttributeValue),
    /// The value that another attribute of the same list has at that moment.
    Attribute(String),
    /// The text with this number in [`Inputs::context`]: what is known of the request and not of its bytes.
    Context(usize),
}

/// Decides about a key.
pub type KeyPredicate = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Which keys a rule is about.
#[derive(Clone)]
pub enum Keys {
    /// This one.
    One(String),
    /// Every key of which this is true: a pattern.
    Matching(KeyPredicate),
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Keys::One(key) => write!(f, "One({key:?})"),
            Keys::Matching(_) => f.write_str("Matching(..)"),
        }
    }
}

/// Takes texts out of a text: a regular expression with named groups, seen from here.
pub trait Extractor: Send + Sync {
    /// Tells `put` a key and a value for each group, if `text` matches; a group without a part in the match has an empty value.
    fn extract(&self, text: &str, put: &mut dyn FnMut(&str, &str));
}

/// What an attribute can be converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A signed integer. Doubles are cut towards zero (and bounded), true is 1, texts are read as decimals.
    Int,
    /// A floating-point number. True is 1, texts are read as decimals.
    Double,
    /// Text, as the Collector writes a value: maps and lists as JSON, bytes in base64.
    String,
}

/// What a rule does. The meaning of each is that of the Collector's `attributes` and `resource` processors, but for `Rename`, which
/// they do not have.
#[derive(Clone)]
pub enum Action {
    /// Adds the attribute where the key is absent.
    Insert(String, Source),
    /// Changes the value where the key is present.
    Update(String, Source),
    /// Changes the value, or adds the attribute.
    Upsert(String, Source),
    /// Removes attributes.
    Delete(Keys),
    /// Replaces values by their SHA-256, in hexadecimal text: of a text its bytes, of a bool one byte, of a number its eight bytes,
    /// little-endian. Other values become the empty text.
    Hash(Keys),
    /// Reads the text under this key and upserts what the extractor finds.
    Extract(String, Arc<dyn Extractor>),
    /// Changes the type of the value under this key; one that cannot be converted stays.
    Convert(String, ValueType),
    /// Gives the attribute under the first key the second one. An attribute that had the second key goes.
    Rename(String, String),
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Insert(key, source) => write!(f, "Insert({key:?}, {source:?})"),
            Action::Update(key, source) => write!(f, "Update({key:?}, {source:?})"),
            Action::Upsert(key, source) => write!(f, "Upsert({key:?}, {source:?})"),
            Action::Delete(keys) => write!(f, "Delete({keys:?})"),
            Action::Hash(keys) => write!(f, "Hash({keys:?})"),
            Action::Extract(key, _) => write!(f, "Extract({key:?}, ..)"),
            Action::Convert(key, to) => write!(f, "Convert({key:?}, {to:?})"),
            Action::Rename(from, to) => write!(f, "Rename({from:?}, {to:?})"),
        }
    }
}

/// One change.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Whose attributes.
    pub target: Target,
    /// What is done.
    pub action: Action,
    /// The number in [`Inputs::selections`] of the selection that it is limited to; all where there is none.
    pub only: Option<usize>,
}

impl Rule {
    /// A rule for everything of this target.
    pub fn new(target: Target, action: Action) -> Self {
        Rule { target, action, only: None }
    }

    /// The same rule, limited to the selection with this number.
    pub fn only(self, selection: usize) -> Self {
        Rule { only: Some(selection), ..self }
    }
}

/// Which of the records (or scopes, or resources) of a batch a rule is for: bit `i` is number `i` of the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    words: Vec<u64>,
}

impl Selection {
    /// Asks about each number below `len`.
    pub fn from_fn(len: usize, mut selected: impl FnMut(usize) -> bool) -> Self {
        let mut words = vec![0; len.div_ceil(64)];
        for i in 0..len {
            words[i / 64] |= u64::from(selected(i)) << (i % 64);
        }
        Selection { words }
    }

    /// Whether number `i` is selected; false beyond the end.
    pub fn contains(&self, i: usize) -> bool {
        self.words.get(i / 64).is_some_and(|word| word >> (i % 64) & 1 == 1)
    }
}

/// What a program is told besides the batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inputs<'a> {
    /// The texts that [`Source::Context`] names; `None` (or a number beyond the end) where the request has none.
    pub context: &'a [Option<&'a str>],
    /// The selections that [`Rule::only`] names; one beyond the end selects nothing. Made on the batch as it is given to the program: a
    /// condition on what the same program changes belongs into a second program.
    pub selections: &'a [Selection],
}

/// Why a batch was not edited. It is unchanged and can go on as it is, or be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EditError {
    /// Only its framing was checked (as is always so for profiles): such a batch is passed on whole. Receive with the full
    /// check to edit.
    FramingOnly,
    /// The result would be larger than [`crate::limits::MAX_REQUEST_BYTES`]: split the batch first.
    TooLarge,
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EditError::FramingOnly => "a batch of which only the framing was checked cannot be edited",
            EditError::TooLarge => "the edited request would be too large; split it first",
        })
    }
}

impl std::error::Error for EditError {}

/// Rules made ready to run.
#[derive(Clone)]
pub struct Program {
    plan: Plan,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({} rules)", self.plan.steps.len())
    }
}

impl Program {
    /// Prepares rules, which are run in this order. Those of several stages behind one another can be fused by concatenation.
    pub fn new(rules: Vec<Rule>) -> Self {
        Program { plan: Plan::new(rules) }
    }

    /// How deep the index of a batch should be for the fastest run. A shallower one works too.
    pub fn depth(&self) -> Depth {
        // The check finds attributes on its way; looking for them again costs half as much as an edit.
        if self.plan.has(Target::Record) { Depth::Attributes } else { Depth::Records }
    }

    /// The batch with every rule applied, at the depth of the given one, or the very same batch where there is nothing to do: no
    /// rule, no filtered record. Filtered records are gone from the bytes of the result, and so are resources, scopes and
    /// metrics without records.
    ///
    /// # Errors
    /// If the batch cannot be edited.
    pub fn apply(&self, batch: &Batch, inputs: Inputs<'_>) -> Result<Batch, EditError> {
        forward(&self.plan, batch, inputs)
    }
}
