//! Typed expressions in CEL syntax, compiled once, evaluated over OTLP views.
//!
//! One language for filters, rules, patterns and policies. An [`Expression`] is compiled against the [`Environment`] of a
//! signal: names become reads of fields, regular expressions are compiled, literals are folded, and what is certainly wrong
//! is an [`ExprError`] with its place. Afterwards evaluating never fails: *absent is null*.
//!
//! - A predicate about something absent is false: comparisons (but `!=`, which is true), `in`, `startsWith`, `matches`, ….
//! - A computation with something absent is null: sums, conversions, `size`, ….
//! - `&&`, `||` and `!` have three truths; a condition holds only where it is true.
//!
//! Narrated once, for a filter: [`Expression::condition`] parses the text, checks its types and makes a *plan*, in which the
//! parts that read only the resource or the scope are numbered; [`Expression::select`] evaluates those once per resource
//! and scope of a [`otlp::Batch`], skips all records of one that decides already, evaluates the rest per record, and sets a
//! bit in a [`Selection`]; the caller hands the bits to [`otlp::Batch::retain`].
//!
//! It knows no state and no time, and is no general CEL: no macros, maps, messages, unsigned integers or timestamps.
#![deny(missing_docs)]

mod arithmetic;
mod ast;
mod compile;
mod duration;
mod environment;
mod error;
mod expression;
mod function;
mod lexer;
pub mod limits;
mod literal;
mod node;
mod parser;
mod plan;
mod select;
mod set;
mod types;
mod value;

pub use environment::{Environment, Field};
pub use error::ExprError;
pub use expression::{Expression, Level};
pub use select::Selection;
pub use types::Type;
pub use value::{Elements, List, Value};
